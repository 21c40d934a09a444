"""The frames of a file: one in a classic file, many in an enhanced multi-frame object (PS3.3 C.7.6.16).

An enhanced object says in a shared group what holds for all frames and in a group per frame what differs.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fpe_core.imaging.dicom.headers import Frame, is_multi_frame, single_frame
from fpe_core.imaging.dicom.values import number, numbers, seconds, text, texts, value, whole

MAX_FRAMES: Final = 20_000
"""More than any scan has; a damaged count must not fill the memory."""


def frames_of(dataset: Any, path: Path) -> list[Frame]:
    """Every frame that a file's header announces.

    A multi-frame file without functional groups does not say where its frames lie: they come without position.
    """
    plain = single_frame(dataset, path)
    if not is_multi_frame(dataset):
        return [plain]
    count = min(max(whole(dataset, "NumberOfFrames") or 1, 1), MAX_FRAMES)
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    groups = list(value(dataset, "PerFrameFunctionalGroupsSequence") or [])
    if not groups:
        return [replace(plain, index=index, position_lps_mm=None) for index in range(count)]
    return [_frame(plain, index, group, shared) for index, group in enumerate(groups[:count])]


def group_item(frame_group: Any, shared: Any, name: str) -> Any:
    """One functional group of a frame: its own, else the shared one, else None."""
    own = _first(frame_group, name) if frame_group is not None else None
    return own if own is not None else (_first(shared, name) if shared is not None else None)


def functional_groups(dataset: Any, index: int) -> tuple[Any, Any]:
    """The groups of frame `index` and the shared ones; None where a file has none."""
    groups = list(value(dataset, "PerFrameFunctionalGroupsSequence") or [])
    own = groups[index] if index < len(groups) else None
    return own, _first(dataset, "SharedFunctionalGroupsSequence")


def _first(dataset: Any, name: str) -> Any:
    items = value(dataset, name)
    return items[0] if items else None


def _frame(plain: Frame, index: int, own: Any, shared: Any) -> Frame:
    def item(name: str) -> Any:
        return group_item(own, shared, name) or {}

    diffusion = item("MRDiffusionSequence")
    content = item("FrameContentSequence")
    measures = item("PixelMeasuresSequence")
    frame_type = texts(item("MRImageFrameTypeSequence"), "FrameType") or texts(
        item("CTImageFrameTypeSequence"), "FrameType"
    )
    b_value = number(diffusion, "DiffusionBValue")
    gradient = _first(diffusion, "DiffusionGradientDirectionSequence") if diffusion else None
    return replace(
        plain,
        index=index,
        position_lps_mm=numbers(item("PlanePositionSequence"), "ImagePositionPatient", 3) or plain.position_lps_mm,
        orientation=numbers(item("PlaneOrientationSequence"), "ImageOrientationPatient", 6) or plain.orientation,
        pixel_spacing_mm=numbers(measures, "PixelSpacing", 2) or plain.pixel_spacing_mm,
        thickness_mm=number(measures, "SliceThickness") or plain.thickness_mm,
        image_type=frame_type or plain.image_type,
        echo_time_ms=_known(number(item("MREchoSequence"), "EffectiveEchoTime"), plain.echo_time_ms),
        b_value=_known(b_value, plain.b_value),
        gradient=numbers(gradient or {}, "DiffusionGradientOrientation", 3),
        temporal=_known(whole(content, "TemporalPositionIndex"), plain.temporal),
        trigger_ms=_known(
            number(item("CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime"), plain.trigger_ms
        ),
        acquisition=_known(whole(content, "FrameAcquisitionNumber"), plain.acquisition),
        time_s=_known(seconds(content, "FrameAcquisitionDateTime"), plain.time_s),
        frame_of_reference=text(item("PlanePositionSequence"), "FrameOfReferenceUID") or plain.frame_of_reference,
    )


def _known(own: Any, otherwise: Any) -> Any:
    return otherwise if own is None else own
