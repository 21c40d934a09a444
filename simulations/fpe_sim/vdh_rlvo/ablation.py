"""Models A, B and C of the paper's table 4: the best one, one with fewer columns, and that one with more patients."""

from collections.abc import Mapping
from dataclasses import dataclass

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import CTP_COLUMNS
from fpe_core.evaluation.ensemble import FoldVote
from fpe_core.evaluation.mcnemar import McNemar, mcnemar_test
from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo.attribution import Attribution, attribution, least_predictive
from fpe_sim.vdh_rlvo.cohort import StudyCohort, recovered
from fpe_sim.vdh_rlvo.judged import majority_vote, mean_auc
from fpe_sim.vdh_rlvo.networks import Variant
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.trained import ModelSpec, TrainedModel, input_training, trained_models


@dataclass(frozen=True, eq=False)
class AblationStudy:
    """The three models.

    Attributes:
        a: the model with DAFT that is best in validation.
        b: the same without the columns that contribute least.
        c: without those and without CT perfusion, and with the patients whom only missing perfusion had kept out.
        attribution: of model A's columns.
        removed_from_b: least first.
        recovered: cases that model C gained.
    """

    a: TrainedModel
    b: TrainedModel
    c: TrainedModel
    attribution: Attribution
    removed_from_b: tuple[ClinicalColumn, ...]
    recovered: tuple[CaseRow, ...]

    @property
    def models(self) -> dict[str, TrainedModel]:
        """By letter."""
        return {"A": self.a, "B": self.b, "C": self.c}

    def vote(self, letter: str) -> FoldVote:
        """Majority over the folds on the test cohort."""
        return majority_vote(self.models[letter].folds)

    def mcnemar(self, first: str, second: str) -> McNemar:
        """Of the majority votes' calls on the test cohort."""
        return mcnemar_test(
            first_called=self.vote(first).positive,
            second_called=self.vote(second).positive,
            labels=self.a.folds[0].test_labels,
        )


def best_variant(models: Mapping[Variant, TrainedModel], *, with_daft: bool) -> Variant | None:
    """The one with the largest mean AUC in validation; test cases have no say. None where there is none.

    Args:
        models: in the order of table 3; the first of equal ones is taken.
        with_daft: look only at those with DAFT, from which columns can be taken away.
    """
    candidates = [variant for variant in models if variant.has_daft or not with_daft]
    return max(candidates, key=lambda variant: mean_auc(models[variant].folds, "validation"), default=None)


def ablation_study(
    models: Mapping[Variant, TrainedModel], cohort: StudyCohort, protocol: VdhProtocol, context: RunContext
) -> AblationStudy | None:
    """Train models B and C; None in a run without DAFT.

    Raises:
        FpeError: a training failed.
    """
    variant = best_variant(models, with_daft=True)
    if variant is None:
        return None
    a = models[variant]
    trainings = {one: input_training(a.spec, one, cohort, protocol) for one in protocol.inputs}
    found = attribution(trainings, context)
    removed = least_predictive(found.validation, protocol.ablation.num_least_predictive)
    fewer = tuple(column for column in a.spec.columns if column not in removed)
    fewest = tuple(column for column in fewer if column not in CTP_COLUMNS)
    more = recovered(cohort, fewest)
    specs = (
        ModelSpec("model-b", variant, fewer, a.spec.development),
        ModelSpec("model-c", variant, fewest, more),
    )
    b, c = trained_models(specs, cohort, protocol, context)
    known = {row.case_id for row in a.spec.development}
    return AblationStudy(a, b, c, found, removed, tuple(row for row in more if row.case_id not in known))
