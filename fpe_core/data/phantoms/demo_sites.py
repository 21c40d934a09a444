"""Three phantom hospitals that differ in scanner and patients, for demonstrations and simulations."""

from fpe_core.data.phantoms.spec import CaseMix, Modality, PhantomSite, Scanner

_NORTH = Scanner(
    spacing_mm=0.94, thickness_mm=6.0, field_of_view_mm=225, orientation="LAS", tilt_deg=8, snr=35, bias=0.15,
    gain=520, arterial_hu=380, venous_hu=100, noise_hu=3.5,
)  # fmt: skip
_HARBOUR = Scanner(
    spacing_mm=1.2, thickness_mm=5.0, field_of_view_mm=235, orientation="RAS", rotation_deg=8, off_centre_mm=10,
    snr=20, bias=0.08, gain=180, adc_unit="1e-3 mm2/s", arterial_hu=300, venous_hu=180, noise_hu=6.0,
)  # fmt: skip
_VALLEY = Scanner(
    spacing_mm=1.7, thickness_mm=6.5, field_of_view_mm=240, orientation="LPS", tilt_deg=-5, motion_mm=1.6, snr=26,
    bias=0.25, gain=900, arterial_hu=340, venous_hu=140, noise_hu=5.0,
)  # fmt: skip
_CT_GEOMETRY = {
    "hospital-north": (0.8, 5.0, 1.0),
    "hospital-harbour": (0.9, 4.0, 1.5),
    "hospital-valley": (1.0, 5.0, 2.0),
}


def demo_sites(num_cases: int, modality: Modality = "mr") -> tuple[PhantomSite, PhantomSite, PhantomSite]:
    """hospital-north (3 T, fine, older patients), hospital-harbour (1.5 T, noisy, large cores), hospital-valley
    (coarse, strong receive field, younger patients, more success), each with `num_cases` for task `fpe`."""
    north = CaseMix(age_mean_years=75, core_median_ml=22)
    harbour = CaseMix(age_mean_years=70, core_median_ml=32, m1_share=0.5, m2_share=0.2, log_odds_shift=0.2)
    valley = CaseMix(age_mean_years=66, core_median_ml=24, m1_share=0.65, m2_share=0.25, log_odds_shift=0.3)
    return (
        _site("hospital-north", num_cases, modality, _NORTH, north),
        _site("hospital-harbour", num_cases, modality, _HARBOUR, harbour),
        _site("hospital-valley", num_cases, modality, _VALLEY, valley),
    )


def _site(name: str, num_cases: int, modality: Modality, scanner: Scanner, mix: CaseMix) -> PhantomSite:
    if modality == "ct":
        spacing, thickness, cta = _CT_GEOMETRY[name]
        geometry = {"spacing_mm": spacing, "thickness_mm": thickness, "cta_thickness_mm": cta}
        scanner = scanner.model_copy(update=geometry)
    return PhantomSite(name=name, num_cases=num_cases, modality=modality, task="fpe", scanner=scanner, case_mix=mix)
