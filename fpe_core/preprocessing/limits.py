"""The limits of the quality gate: one line per reason, with what it means and what to do.

A code keeps its meaning for ever; one that is no longer used is not given to another reason. The same table stands in
docs/quality-control.md. The limits come from phantoms of several scanners, public clinical scans and the values that
tissue has on a calibrated scanner; the document says which.
"""

from dataclasses import dataclass

Range = tuple[float | None, float | None]
"""Smallest and largest value that are fine; None where there is no bound."""

CT, MR = ("ncct", "cta"), ("dwi", "adc", "flair")


@dataclass(frozen=True)
class Limit:
    """One reason of the gate.

    Attributes:
        code: "Q-01" and so on.
        number: name in the case's quality numbers, without the sequence.
        title: the number in words, with its unit.
        usual: outside of it a person should look.
        possible: outside of it the case fails.
        meaning: what a value outside says.
        action: what to do.
        sequences: those that it is judged for, as `<number>_<sequence>`; empty for a number of the whole case.
    """

    code: str
    number: str
    title: str
    usual: Range
    possible: Range
    meaning: str
    action: str
    sequences: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """The quality numbers that this limit judges."""
        return tuple(f"{self.number}_{sequence}" for sequence in self.sequences) or (self.number,)


_LOOK = "Look at the outlines in the picture."
_EXPORT = "Export the series again from the PACS, as the scanner stored it."
_COLUMN = "Check the columns of the case table, and whose image it is."

LIMITS = (
    Limit(
        "Q-01", "mask_native_ml", "brain mask, ml", (800, 2650), (650, 2850),
        "The brain mask is too small or too large for a head.", _LOOK,
    ),
    Limit(
        "Q-02", "template_dice", "overlap with the template (Dice)", (0.90, None), (0.85, None),
        "The brain does not lie where the template's does.", _LOOK,
    ),
    Limit(
        "Q-03", "rotation_deg", "rotation to the template, degrees", (None, 30), (None, 50),
        "The head had to be turned further than heads lie in a scanner.", _LOOK,
    ),
    Limit(
        "Q-04", "volume_scale", "enlargement to the template (volume)", (0.7, 1.95), (0.5, 2.4),
        "The head had to be shrunk or enlarged more than people differ: a wrong voxel size, or half a head.",
        "Check the voxel size in the header.",
    ),
    Limit(
        "Q-05", "coverage", "share of the brain in the scan", (0.93, None), (0.80, None),
        "A part of the brain is not in the scan.", "Take a series that covers the whole brain.", CT + MR,
    ),
    Limit(
        "Q-06", "upright", "resemblance upright against upside-down or backwards, ratio", (1.15, None), (0.95, None),
        "The head seems to stand upside-down or to look backwards: its header is wrong.", _EXPORT, CT + MR,
    ),
    Limit(
        "Q-07", "offset_mm", "offset from the template, mm", (None, 4), (None, 12),
        "The scan would fit the template better elsewhere: the registration missed.", _LOOK, CT + MR,
    ),
    Limit(
        "Q-08", "same_side", "likeness of left-right differences with the first sequence (correlation)",
        (0.15, None), (0.03, None),
        "The sequences are mirrored against each other, or are not of the same head.", _COLUMN, CT + MR,
    ),
    Limit(
        "Q-10", "noise_hu", "noise in 5 mm slices, HU", (None, 14), (None, 25),
        "Noise hides early ischaemia.", "Take a thicker or smoother reconstruction, if there is one.", CT,
    ),
    Limit(
        "Q-11", "snr", "signal over noise", (5, None), (2.5, None),
        "The image is mostly noise.", "Take another series, if there is one.", ("dwi", "flair"),
    ),
    Limit(
        "Q-12", "interleave", "likeness of every other slice minus that of neighbours", (None, 0.0), (None, 0.05),
        "The patient moved between odd and even slices.", "Take a repeated series, if there is one.", CT + MR,
    ),
    Limit(
        "Q-13", "slice_break", "largest step between two slices", (None, 0.17), (None, 0.3),
        "The patient moved during the scan, or slices are missing.", "Take a repeated series, if there is one.",
        CT + MR,
    ),
    Limit(
        "Q-14", "slice_jump", "change of brightness from slice to slice", (None, 0.15), (None, 0.3),
        "Single slices are darker or brighter than their neighbours.", "Take a repeated series, if there is one.",
        ("dwi", "flair"),
    ),
    Limit(
        "Q-15", "ghost", "signal of ghosts, share of the head's", (None, 0.08), (None, 0.2),
        "Ghosts of the head lie over the image.", "Take a repeated series, if there is one.", ("dwi", "flair"),
    ),
    Limit(
        "Q-16", "saturated", "share of voxels at the largest value", (None, 0.01), (None, 0.05),
        "Bright tissue was cut off: the image was saved with a display window.", _EXPORT, CT + MR,
    ),
    Limit(
        "Q-17", "levels", "different values in the brain", (40, None), (15, None),
        "The image has few grey levels: a picture of the scan, not the scan.", _EXPORT, CT + MR,
    ),
    Limit(
        "Q-18", "brain_hu", "median of the brain, HU", (22, 45), (12, 60),
        "The values are not HU, or contrast medium was given.", _EXPORT, ("ncct",),
    ),
    Limit(
        "Q-19", "brain_hu", "median of the brain, HU", (22, 65), (12, 100),
        "The values are not HU.", _EXPORT, ("cta",),
    ),
    Limit(
        "Q-20", "csf_hu", "ventricles, HU", (-8, 27), (-30, 40),
        "The values are not HU, or blood fills the ventricles.", _EXPORT, ("ncct",),
    ),
    Limit(
        "Q-21", "air_hu", "air, HU", (-1050, -930), (-1200, -800),
        "Air is not at −1000 HU: slope or offset of the values is wrong.", _EXPORT, CT,
    ),
    Limit(
        "Q-22", "vessel_hu", "brightest 2 ml deep in the brain, HU", (None, 75), (None, 90),
        "Contrast medium, or a large haemorrhage, in a scan without contrast.", _COLUMN, ("ncct",),
    ),
    Limit(
        "Q-23", "vessel_hu", "brightest 2 ml deep in the brain, HU", (75, None), (55, None),
        "No contrast medium in the arteries of a CTA.", _COLUMN, ("cta",),
    ),
    Limit(
        "Q-24", "brain_adc", "median ADC of the brain, 10⁻³ mm²/s", (0.6, 1.35), (0.4, 1.8),
        "The values are not an ADC map's.", _EXPORT,
    ),
    Limit(
        "Q-25", "thickness_mm", "distance of slices, mm", (None, 7.6), (None, 10.5),
        "The slices lie further apart than those of the network.", "Take a series with thinner slices.", CT + MR,
    ),
    Limit(
        "Q-26", "stretch", "largest over smallest stretch to the template", (None, 1.2), (None, 1.4),
        "The head had to be stretched more along one axis than along another: a wrong voxel size or slice distance.",
        "Check the voxel size in the header.",
    ),
    Limit(
        "Q-27", "vessels_ml", "arteries found, ml", (1, 40), (0.3, 150),
        "Hardly any artery was found, or bone and veins were taken for arteries.",
        "Look at the map of vessels in the picture.",
    ),
)  # fmt: skip

NOT_MEASURED = Limit(
    "Q-00", "template_dice", "measured", (None, None), (None, None),
    "The case was never measured.", "Delete its file and preprocess again.",
)  # fmt: skip
"""Given to a case without the number that every pipeline measures."""
