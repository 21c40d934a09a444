"""Printed numbers of EJR 2025 (doi 10.1016/j.ejrad.2025.112254), by table."""

from types import MappingProxyType
from typing import Final

from fpe_core.config.study import ClinicalColumn

SOURCE: Final = (
    "González et al., Multimodal deep learning for predicting unsuccessful recanalization in refractory large vessel "
    "occlusion, Eur J Radiol 2025, 112254"
)
SCORES: Final = ("AUC", "F1", "sensitivity", "specificity")
Printed = tuple[str, str, str, str]
"""AUC, F1, sensitivity, specificity, each as mean ± SD over four folds."""

ELIGIBLE: Final = 839
INCLUDED: Final = 599
DEVELOPMENT: Final = (481, 77)
TEST: Final = (118, 16)
RECOVERED: Final = 61

TABLE_2: Final = MappingProxyType({
    "nihss": (".56 ± .05", ".31 ± .06", ".46 ± .24", ".71 ± .27"),
    "aspects": (".52 ± .03", ".29 ± .01", ".82 ± .08", ".30 ± .11"),
    "nihss-aspects": (".57 ± .05", ".31 ± .04", ".61 ± .21", ".54 ± .26"),
    "all-clinical": (".58 ± .02", ".35 ± .01", ".54 ± .23", ".72 ± .22"),
    "ncct": (".47 ± .05", ".13 ± .11", ".46 ± .41", ".49 ± .33"),
    "cta": (".50 ± .02", ".22 ± .01", ".55 ± .11", ".47 ± .09"),
    "both": (".53 ± .02", ".19 ± .05", ".31 ± .12", ".75 ± .12"),
    "ensemble": (".60 ± .02", ".29 ± .02", ".72 ± .12", ".49 ± .16"),
})  # fmt: skip
"""Validation."""

TABLE_3: Final = MappingProxyType({
    "efficientnet-b0-plain": (
        (".60 ± .06", ".31 ± .07", ".54 ± .28", ".66 ± .18"), (".60 ± .02", ".29 ± .02", ".72 ± .12", ".49 ± .16"),
    ),
    "efficientnet-b0-prior": (
        (".56 ± .01", ".28 ± .02", ".52 ± .22", ".60 ± .22"), (".56 ± .02", ".27 ± .02", ".69 ± .23", ".44 ± .30"),
    ),
    "efficientnet-b0-daft": (
        (".59 ± .05", ".32 ± .04", ".78 ± .15", ".39 ± .21"), (".62 ± .02", ".31 ± .03", ".60 ± .22", ".64 ± .22"),
    ),
    "efficientnet-b0-prior-daft": (
        (".65 ± .04", ".36 ± .03", ".84 ± .06", ".46 ± .09"), (".64 ± .02", ".34 ± .05", ".72 ± .25", ".55 ± .33"),
    ),
    "densenet169-plain": (
        (".57 ± .05", ".31 ± .03", ".75 ± .36", ".38 ± .29"), (".56 ± .04", ".25 ± .05", ".43 ± .34", ".69 ± .39"),
    ),
    "densenet169-prior": (
        (".56 ± .06", ".28 ± .08", ".71 ± .36", ".42 ± .36"), (".57 ± .04", ".26 ± .03", ".66 ± .34", ".46 ± .37"),
    ),
    "densenet169-daft": (
        (".63 ± .06", ".36 ± .06", ".68 ± .12", ".57 ± .23"), (".63 ± .02", ".30 ± .01", ".86 ± .08", ".40 ± .04"),
    ),
    "densenet169-prior-daft": (
        (".64 ± .05", ".37 ± .05", ".74 ± .10", ".54 ± .15"), (".63 ± .02", ".31 ± .02", ".74 ± .16", ".53 ± .18"),
    ),
})  # fmt: skip
"""Validation and test, by `Variant.id`."""

TABLE_4: Final = MappingProxyType({
    "A": ((".65 ± .04", ".36 ± .03", ".84 ± .06", ".46 ± .09"), (".64 ± .02", ".34 ± .05", ".72 ± .25", ".55 ± .33")),
    "B": ((".62 ± .06", ".34 ± .05", ".52 ± .22", ".60 ± .22"), (".62 ± .03", ".31 ± .03", ".69 ± .23", ".44 ± .30")),
    "C": ((".61 ± .02", ".33 ± .02", ".78 ± .15", ".39 ± .21"), (".64 ± .02", ".33 ± .03", ".60 ± .22", ".64 ± .22")),
})  # fmt: skip
"""Validation and test."""

MAJORITY_VOTE: Final[Printed] = (".70 ± .02", ".39 ± .02", ".69", ".70")
"""Section 3.2 and the abstract: the best model on the test cohort."""
MCNEMAR: Final = MappingProxyType({("A", "B"): ("9.53", "p = .002"), ("B", "C"): ("11.57", "p < .001")})
DETECTION: Final = MappingProxyType({
    "A": ("63.5 %", "63.5 %"), "B": ("50 %", "50 %"), "C": ("50 %", "87 %"),
})  # fmt: skip
"""ICAD and other causes, section 3.2."""
ODDS_RATIOS: Final[MappingProxyType[ClinicalColumn, tuple[float, str]]] = MappingProxyType({
    "atrial_fibrillation": (0.36, ".36 (.19 to .67), p = .001"),
    "nihss": (1.04, "1.04 (1.01 to 1.07), p = .05"),
    "tmax_over_4_s_ml": (1.006, "1.006 (1.00 to 1.01), p = .01"),
    "dyslipidaemia": (0.55, ".55 (.33 to .93), p = .02"),
})  # fmt: skip
"""Section 3.1."""
TOP_CONTRIBUTORS: Final[tuple[ClinicalColumn, ...]] = (
    "atrial_fibrillation", "occlusion_side", "dyslipidaemia", "age_years", "sex",
)  # fmt: skip
"""Named in section 3.2 from figure 4."""

DISCREPANCIES: Final = (
    "The paper's Table 2 (validation) prints for the ensemble what its Table 3 prints for EffB0 on the test cohort "
    "(.60 ± .02, .29 ± .02, .72 ± .12, .49 ± .16); its validation row there is another one.",
    "Table 4's sensitivity and specificity of model B are those of EffB0 + prior in Table 3, validation and test, and "
    "model C's those of EffB0 + DAFT.",
    "The abstract gives .53 ± .02 as the best AUC of images alone; that is the validation AUC of BOTH in Table 2, "
    "while Table 3 prints .60 ± .02 on the test cohort for the ensemble of images alone.",
    "63.5 % cannot be the share of a whole number among the 16 refractory occlusions of the test cohort by cause.",
    "The interval of the odds ratio of NIHSS (1.01 to 1.07) leaves out 1 by more than its p of .05 allows.",
    "The abstract's .70 ± .02 is of the vote over all folds, a single prediction for each case, which has no SD over "
    "folds; the paper does not say of what the SD is.",
)
