"""What the paper prints (Zhang et al., AJNR 2024): figure 1 and tables 2 to 4, and where they contradict themselves."""

from fpe_sim.ucla_fpe.protocol import Modality

METRICS = ("ROC-AUC", "accuracy", "sensitivity", "specificity")
"""Columns of tables 2 to 4."""

Printed = tuple[str, str, str, str]

CROSS_VALIDATION: dict[Modality, dict[str, Printed]] = {
    "mr": {
        "ADC-DL": (".7127 (.0492)", ".7417 (.0995)", ".8942 (.1138)", ".6263 (.1324)"),
        "DWI-DL": (".6887 (.0405)", ".7083 (.0659)", ".7058 (.1084)", ".7715 (.1544)"),
        "FLAIR-DL": (".6957 (.5011)", ".7083 (.0833)", ".7497 (.2163)", ".7691 (.1913)"),
        "MNT-DL": (".7505 (.0438)", ".7875 (.0342)", ".7326 (.1717)", ".8366 (.1363)"),
        "MNT-DL + SSL": (".8506 (.0712)", ".8625 (.0280)", ".9350 (.0929)", ".8057 (.0944)"),
    },
    "ct": {
        "NCCT-DL": (".7404 (.0560)", ".7813 (.0221)", ".7882 (.1377)", ".7629 (.0819)"),
        "CTA-DL": (".7385 (.0535)", ".7812 (.0442)", ".7823 (.1080)", ".8026 (.1246)"),
        "MNT-DL": (".7801 (.0320)", ".7979 (.0592)", ".7923 (.1303)", ".8066 (.0947)"),
        "MNT-DL + SSL": (".8719 (.0831)", ".8688 (.0640)", ".9381 (.0852)", ".8058 (.1202)"),
    },
}
"""Table 2 (mr) and table 3 (ct): mean (SD) over the five folds."""

PROSPECTIVE: dict[Modality, Printed] = {
    "mr": (".7967 (.0335)", ".7774 (.0367)", ".7286 (.1849)", ".8462 (.1216)"),
    "ct": (".8051 (.0377)", ".8080 (.0299)", ".8615 (.1131)", ".7500 (.1054)"),
}
"""Table 4: MNT-DL + SSL on the patients treated in 2020 or later."""

TABLE_NUMBER: dict[Modality, int] = {"mr": 2, "ct": 3}

FLOW: dict[str, str] = {"eligible": "408", "missing series": "52", "degraded image quality": "24", "included": "332"}
"""Figure 1, MR and CT together."""
INCLUDED: dict[Modality, str] = {"mr": "152", "ct": "180"}
UNLABELLED: dict[Modality, str] = {"mr": "599", "ct": "475"}

CONTRADICTIONS: dict[Modality, tuple[str, ...]] = {
    "mr": (
        "UCLA, AJNR 2024, table 2 prints .5011 as the SD of FLAIR-DL's AUC. Five AUCs between 0 and 1 whose mean is "
        ".6957 cannot have an SD above .4497.",
    ),
    "ct": (),
}
"""In tables 2 to 4; those of table 1 are found by `ucla_discrepancies`."""
