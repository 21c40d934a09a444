"""The scanners of the papers (AJNR 2024, image acquisition; EJR 2025, section 2.2.1).

Voxel sizes of MR are the printed ends of the range. CT voxel sizes are not printed; they are coarser here than a
hospital's, which keeps a cohort's scans at a few gigabytes. What else differs between the two hospitals (kernel noise,
enhancement, tilt, stored axes) is assumed, so that a network of one of them meets something new at the other.
"""

from collections.abc import Mapping
from typing import Final

from fpe_core.data.phantoms.subjects import FleetScanner
from fpe_sim.cohorts.flows import PaperCohort

_UCLA_MR: Final = (
    FleetScanner(
        name="Siemens Avanto, 1.5 T", share=0.5, spacing_mm=1.85, thickness_mm=6.5, flair_spacing_mm=0.938,
        field_of_view_mm=240, orientation="LPS", tilt_deg=6, snr=22, bias=0.10, motion_mm=1.2, gain=320,
    ),
    FleetScanner(
        name="Siemens Trio, 3 T", share=0.5, spacing_mm=0.859, thickness_mm=6.0, flair_spacing_mm=0.688,
        field_of_view_mm=220, orientation="LPS", tilt_deg=6, snr=36, bias=0.22, motion_mm=1.0, gain=560,
    ),
)  # fmt: skip
_UCLA_CT: Final = (
    FleetScanner(
        name="GE Lightspeed VCT", share=0.5, spacing_mm=1.1, thickness_mm=5.0, cta_thickness_mm=2.0,
        field_of_view_mm=230, orientation="LAS", tilt_deg=-12, noise_hu=3.5, arterial_hu=370, arterial_sd_hu=30,
        venous_hu=110,
    ),
    FleetScanner(
        name="Siemens Somatom Definition", share=0.5, spacing_mm=1.05, thickness_mm=5.0, cta_thickness_mm=1.8,
        field_of_view_mm=230, orientation="LPS", tilt_deg=0, noise_hu=4.5, arterial_hu=400, arterial_sd_hu=30,
        venous_hu=95,
    ),
)  # fmt: skip
_VDH: Final = (
    FleetScanner(
        name="Siemens SOMATOM Definition AS+", share=1.0, spacing_mm=1.0, thickness_mm=4.0, cta_thickness_mm=1.5,
        field_of_view_mm=225, orientation="RAS", tilt_deg=8, noise_hu=6.5, arterial_hu=315, arterial_sd_hu=35,
        venous_hu=190,
    ),
)  # fmt: skip
SCANNERS: Final[Mapping[PaperCohort, tuple[FleetScanner, ...]]] = {
    "ucla-mr": _UCLA_MR,
    "ucla-ct": _UCLA_CT,
    "ucla-mr-unlabelled": _UCLA_MR,
    "ucla-ct-unlabelled": _UCLA_CT,
    "ucla-scanet": _UCLA_CT,
    "vdh": _VDH,
}
"""Where each cohort was scanned."""
