"""Recognition by the shipped rules, on descriptions as hospitals write them."""

from dataclasses import replace

import pytest

from fpe_core.imaging.dicom.headers import SeriesAttributes
from fpe_core.imaging.dicom.recognise import recognise
from fpe_core.imaging.dicom.rules import load_rules

RULES = load_rules(None)

THICK_CT = SeriesAttributes(
    modality="CT",
    description="",
    protocol="",
    sequence_name="",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    contrast_agent=False,
    kernel="",
    b_value=None,
    echo_time_ms=None,
    repetition_time_ms=None,
    inversion_time_ms=None,
    scanning_sequence="",
    slice_thickness_mm=5.0,
    spacing_mm=(0.45, 0.45, 5.0),
    num_slices=30,
    body_part="HEAD",
    manufacturer="",
    derivation="",
    number=3,
    time_s=None,
)
THIN_CT = replace(THICK_CT, slice_thickness_mm=0.75, spacing_mm=(0.4, 0.4, 0.5), num_slices=500, contrast_agent=True)
MR = replace(
    THICK_CT,
    modality="MR",
    image_type=("ORIGINAL", "PRIMARY", "M", "ND"),
    spacing_mm=(0.9, 0.9, 6.0),
    num_slices=24,
    echo_time_ms=90.0,
    repetition_time_ms=8000.0,
)
DIFFUSION = replace(MR, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"), b_value=1000.0)
FLAIR = replace(MR, inversion_time_ms=2500.0)


def sequence(attributes: SeriesAttributes, **changes: object) -> str | None:
    return recognise(replace(attributes, **changes), RULES).sequence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "description",
    [
        "HEAD W/O 5mm", "Brain without contrast", "CT HEAD PLAIN", "NCCT 5.0", "Unenhanced head", "Non-contrast head",
        "Kopf nativ 5.0 J40s", "Schädel nativ", "Schaedel 4.0 Hr36", "Neurocranium ohne KM", "cCT nativ",
        "CRÁNEO SIN CONTRASTE", "Cerebro basal", "Cráneo simple 5mm", "Crani sense contrast", "Cervell basal",
        "Crâne sans injection", "Encéphale SANS IV", "Tête sans contraste", "AVC sans",
    ],
)  # fmt: skip
def test_plain_ct(description: str) -> None:
    assert sequence(THICK_CT, description=description) == "ncct"


@pytest.mark.parametrize(
    "description",
    [
        "CTA Kopf 1.0 B20f", "CTA COW 0.625", "CT Angio Head", "Angio-CT Kopf/Hals", "CT-Angiographie", "CTA Head/Neck",
        "Karotiden CTA 0.75", "Hirngefäße 0.6", "Halsgefaesse", "AngioTC cerebral", "Angio TC troncos supraaórticos",
        "TSA 0.75", "Angio-TAC polígon de Willis", "Angioscanner TSA", "ATDM cérébral", "Artères cérébrales",
    ],
)  # fmt: skip
def test_ct_angiography(description: str) -> None:
    assert sequence(THIN_CT, description=description) == "cta"
    assert sequence(THIN_CT, description=description, contrast_agent=False) == "cta"


@pytest.mark.parametrize(
    "description",
    [
        "Topogramm 0.6", "Scout", "Surview", "Localizador", "MIP cor 10/5", "CTA MIP tra", "MPR sag", "Kopf sag 3mm",
        "CTA coronal", "VRT", "CTP 5.0", "VPCT Perfusion", "Perfusió cerebral", "Tmax", "Premonitoring", "SmartPrep",
        "Dose report", "Patientenprotokoll", "CTA subtraction", "Bone removal", "CTA venös", "CTA delayed",
        "CTA phase 2", "VNC", "Monoenergetic 40 keV", "Thorax nativ", "HWS nativ", "NNH Sinus nativ",
        "Felsenbein nativ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scan", [THICK_CT, THIN_CT], ids=["plain", "angiography"])
def test_ct_that_is_never_taken(scan: SeriesAttributes, description: str) -> None:
    assert sequence(scan, description=description) is None


@pytest.mark.parametrize(
    "image_type",
    [
        ("ORIGINAL", "PRIMARY", "LOCALIZER"), ("DERIVED", "SECONDARY", "MIP"), ("DERIVED", "SECONDARY", "AXIAL", "MPR"),
        ("DERIVED", "SECONDARY", "PROJECTION IMAGE"), ("DERIVED", "PRIMARY", "AXIAL", "SUBTRACTION"),
    ],
)  # fmt: skip
def test_image_type_gives_away_what_the_description_does_not(image_type: tuple[str, ...]) -> None:
    assert sequence(THICK_CT, description="Kopf nativ", image_type=image_type) is None


def test_silent_ct_is_told_by_contrast_and_thickness() -> None:
    assert sequence(THICK_CT, description="5.0") == "ncct"
    assert sequence(THIN_CT, description="0.75") == "cta"
    assert sequence(THIN_CT, description="Head 0.75") == "cta", "a thin head with contrast"
    assert sequence(THICK_CT, description="Head 5.0", contrast_agent=True) is None, "a head after contrast"
    assert sequence(THIN_CT, description="0.75", contrast_agent=False) is None, "either"


def test_a_protocol_for_the_whole_examination_says_nothing() -> None:
    assert sequence(THICK_CT, description="5.0", protocol="Stroke CT CTA CTP") == "ncct"
    assert sequence(THIN_CT, description="1.0", protocol="Kopf nativ + CTA") == "cta"


def test_the_protocol_counts_where_the_description_is_silent() -> None:
    assert sequence(THIN_CT, description="0.75 B20f", protocol="Karotis Angio", contrast_agent=False) == "cta"


@pytest.mark.parametrize(
    "description",
    ["ep2d_diff_3scan_trace_p2", "Ax DWI", "DWI_SSh", "Diffusion b1000", "difusión", "DIFUSIO b1000",
     "ep2d_diff_TRACEW", "RESOLVE tra", "Diffusionsgewichtet"],
)  # fmt: skip
def test_diffusion_is_parted_by_its_weighting(description: str) -> None:
    assert sequence(DIFFUSION, description=description) == "dwi"
    assert sequence(DIFFUSION, description=description, b_value=0.0) == "b0"
    assert sequence(DIFFUSION, description=description, b_value=500.0) is None


def test_the_weighting_may_stand_in_the_description_alone() -> None:
    assert sequence(DIFFUSION, description="DWI b=1000", b_value=None) == "dwi"
    assert sequence(DIFFUSION, description="DWI b0", b_value=None) == "b0"
    assert sequence(DIFFUSION, description="DWI b2000", b_value=None) is None


@pytest.mark.parametrize("description", ["ep2d_diff_ADC", "dADC", "Apparent Diffusion Coefficient (mm2/s)", "CDA",
                                         "Coeficiente de difusión", "Mapa ADC", "Diffusionskoeffizient"])  # fmt: skip
def test_adc(description: str) -> None:
    derived = replace(MR, image_type=("DERIVED", "PRIMARY", "DIFFUSION"))
    assert sequence(derived, description=description) == "adc"


def test_adc_by_image_type() -> None:
    kind = ("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND")
    assert sequence(MR, description="ep2d_diff_tra", image_type=kind) == "adc"
    assert sequence(MR, description="", image_type=kind) == "adc"


@pytest.mark.parametrize("description", ["t2_tirm_tra_dark-fluid", "Ax T2 FLAIR", "FLAIR_TRA", "3D FLAIR sag",
                                         "T2FLAIR", "tra flair", "FLAIR ax. sin contraste"])  # fmt: skip
def test_flair(description: str) -> None:
    assert sequence(FLAIR, description=description) == "flair"


def test_silent_mr_is_told_by_its_times() -> None:
    assert sequence(FLAIR, description="tra 5mm") == "flair"
    assert sequence(MR, description="tra 5mm") is None
    assert sequence(replace(DIFFUSION, image_type=("ORIGINAL", "PRIMARY")), description="tra 5mm") == "dwi"


@pytest.mark.parametrize(
    "attributes",
    [
        replace(DIFFUSION, description="eADC"),
        replace(DIFFUSION, description="Exponential ADC", image_type=("DERIVED", "PRIMARY", "EADC")),
        replace(DIFFUSION, description="DTI FA"),
        replace(DIFFUSION, description="DWI dir 3"),
        replace(DIFFUSION, description="DWI", sequence_name="ep_b1000#2"),
        replace(MR, description="T1 FLAIR", inversion_time_ms=850.0, repetition_time_ms=2200.0),
        replace(FLAIR, description="FLAIR post Gd"),
        replace(MR, description="localizer"),
        replace(MR, description="pCASL"),
        replace(MR, description="SWI"),
    ],
    ids=lambda attributes: attributes.description,
)
def test_mr_that_is_never_taken(attributes: SeriesAttributes) -> None:
    assert sequence(attributes) is None


@pytest.mark.parametrize("changes", [{"num_slices": 5}, {"slice_thickness_mm": 20.0}, {"contrast_agent": True},
                                     {"spacing_mm": (0.4, 0.4, 1.0)}])  # fmt: skip
def test_a_name_alone_is_not_enough(changes: dict[str, object]) -> None:
    assert sequence(THICK_CT, description="Kopf nativ", **changes) is None


def test_other_modalities_are_left() -> None:
    assert sequence(THICK_CT, modality="XA", description="Kopf nativ") is None


@pytest.mark.parametrize(
    "description", ["Kopf nativ Müller^Jörg", "MIP Müller^Jörg", "Müller^Jörg", "CTA Müller^Jörg nativ"]
)
def test_reasons_quote_the_rules_and_not_the_header(description: str) -> None:
    reason = recognise(replace(THICK_CT, description=description, protocol="Jörg", derivation="Müller"), RULES).reason
    assert reason
    assert "jorg" not in reason.lower()
    assert "müller" not in reason.lower()
    assert "muller" not in reason.lower()
