"""From a finished study to the results of the run."""

from fpe_core.evaluation.delong import delong_interval
from fpe_sim.cohorts.discrepancies import vdh_discrepancies
from fpe_sim.cohorts.table_one import vdh_table_one
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.run_facts import run_facts
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.cohort import labels_of
from fpe_sim.vdh_rlvo.figures import written_figures
from fpe_sim.vdh_rlvo.findings import departures, findings
from fpe_sim.vdh_rlvo.judged import PARTS, mean_auc
from fpe_sim.vdh_rlvo.networks import TASK
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.tables import reached, score_tables
from fpe_sim.vdh_rlvo.tables_cases import case_tables, flow_table
from fpe_sim.vdh_rlvo.tables_columns import column_tables


def results_of(study: Study, context: RunContext) -> ProtocolResults:
    """Tables, figures, findings and numbers; figures are written."""
    protocol, ready = study.protocol, study.cohort.ready
    division = study.cohort.division
    return ProtocolResults(
        **run_facts(protocol, context),
        title="Refractory large-vessel occlusion, Vall d'Hebron's single-site protocol",
        sources=(paper.SOURCE,),
        synthetic=ready.synthetic,
        cohorts=(ready.facts(TASK, study.cohort.flow),),
        findings=findings(study),
        numbers=numbers(study),
        tables=(
            vdh_table_one(division.development, division.test), flow_table(study), *score_tables(study),
            *column_tables(study), *case_tables(study),
        ),
        figures=written_figures(study, context),
        discrepancies=(*departures(study), *vdh_discrepancies()),
    )  # fmt: skip


def numbers(study: Study) -> dict[str, float]:
    """Single numbers for machines and bands."""
    division = study.cohort.division
    found: dict[str, float] = {
        "num_eligible": study.cohort.flow.eligible,
        "num_included": len(study.cohort.flow.included),
        "num_development": len(division.development),
        "num_development_positive": int(labels_of(division.development).sum()),
        "num_test": len(division.test),
        "num_test_positive": int(labels_of(division.test).sum()),
        "num_networks": len(study.models) * len(study.protocol.inputs) * study.protocol.num_folds,
    }
    found |= {f"reachable_auc.{seen}": value for seen, value in study.cohort.ready.reachable_auc.items()}
    found |= {f"share_of_reachable.{one.seen}": one.share for one in reached(study) if one.share is not None}
    for name, folds in study.clinical.items():
        found |= {f"auc.{part}.{name}": mean_auc(folds, part) for part in PARTS}
    for variant, model in study.models.items():
        found |= {f"auc.{part}.{variant.id}": mean_auc(model.folds, part) for part in PARTS}
    for gain in study.gains:
        found |= {f"daft_gain.{part}.{gain.variant.id}": value.mean for part, value in gain.by_fold.items()}
    found |= {f"daft_gain.{part}.overall": gain.difference for part, gain in study.overall_gains.items()}
    for column, ratio in study.odds.by_column.items():
        found[f"odds_ratio.{column}"] = ratio.odds_ratio
    return found | _ablation_numbers(study)


def _ablation_numbers(study: Study) -> dict[str, float]:
    if study.ablation is None:
        return {}
    a, labels = study.ablation, study.ablation.a.folds[0].test_labels
    found: dict[str, float] = {
        "num_removed_columns": len(a.removed_from_b),
        "num_recovered": len(a.recovered),
        "num_columns.model-c": len(a.c.spec.columns),
        "contributions_sum": sum(a.attribution.validation.values()),
    }
    for letter, model in a.models.items():
        name = f"model-{letter.lower()}"
        found |= {f"auc.{part}.{name}": mean_auc(model.folds, part) for part in PARTS}
        found[f"auc.vote.{name}"] = delong_interval(a.vote(letter).mean_probability, labels).auc
    for first, second in paper.MCNEMAR:
        found[f"mcnemar_p.{first.lower()}-{second.lower()}"] = a.mcnemar(first, second).p_value
    return found
