"""Findings in words, numbers for machines, and where paper and run part."""

from fpe_core.evaluation.folds import MeanSd, format_mean_sd
from fpe_sim.ucla_scanet.comparison import ModelComparison
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import INCLUDED, MODELS, SCANET, TABLE_1, printed
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.tables import above_chance

_PAPER_ORDER = tuple(sorted(MODELS, key=lambda model: -TABLE_1[model]["auc"].mean))


def findings(outcome: ScanetOutcome) -> tuple[str, ...]:
    """The answers, most important first."""
    together, auc = outcome.pooled_auc(SCANET), outcome.auc(SCANET)
    num_folds = len(outcome.predictions[SCANET])
    said = [
        f"SCANet predicts recanalization with a held-out ROC-AUC of {format_mean_sd(auc, digits=3)} over {num_folds} "
        f"folds; pooled {together.auc:.3f} (95 % CI {together.low:.3f} to {together.high:.3f}). "
        f"The paper prints {printed(SCANET, 'auc')}.",
        *(_compared(one) for one in outcome.comparisons()),
        _order(outcome),
    ]
    if outcome.reachable_auc is not None:
        said.append(_against_best(outcome, outcome.reachable_auc))
    said.append(_inclusion(outcome))
    return tuple(said)


def numbers(outcome: ScanetOutcome) -> dict[str, float]:
    """Single numbers by name."""
    found: dict[str, float] = {
        "num_eligible": outcome.flow.eligible,
        "num_included": outcome.facts.num_included,
        "num_positive": outcome.facts.num_positive,
        "num_folds": len(outcome.predictions[SCANET]),
    }
    for model in MODELS:
        name = model.lower()
        found |= {f"{score}_{name}": value.mean for score, value in outcome.summary(model).items() if value}
        found[f"auc_sd_{name}"] = outcome.auc(model).sd or 0.0
        found[f"auc_pooled_{name}"] = outcome.pooled_auc(model).auc
    for one in outcome.comparisons():
        other = one.second.lower()
        found[f"auc_scanet_minus_{other}"] = one.over_folds.mean
        found[f"auc_scanet_minus_{other}_pooled"] = one.pooled.difference
    if outcome.reachable_auc is not None:
        found["reachable_auc"] = outcome.reachable_auc
        found |= {f"share_of_reachable_{m.lower()}": outcome.auc(m).mean / outcome.reachable_auc for m in MODELS}
    return found


def discrepancies(protocol: UclaScanet, outcome: ScanetOutcome) -> tuple[str, ...]:
    """What the paper leaves open and how it was filled, and where this run departs from it."""
    folds, inner = protocol.cross_validation.folds, protocol.cross_validation.inner_folds
    training = protocol.setting.training
    left_open = (
        f"The paper does not print its number of folds; here there are {folds}. Its ResNet34 has a sensitivity of "
        ".8500 ± .300, which is just what five folds of 1, 1, 1, 1 and .25 give with n in the SD's denominator.",
        "The paper has no test cohort and does not say what early stopping and the threshold looked at. Here each "
        f"fold is held out from both: one in {inner} of the other cases is for them, so that a network trains on "
        f"{(folds - 1) * (inner - 1) / (folds * inner):.0%} of the cases. Choosing on the held-out fold itself would "
        "give higher numbers.",
        f"Not printed, chosen here: weight decay {training.weight_decay:g}, patience {training.patience_epochs} "
        f"epochs, {'mirroring' if training.flip_left_right else 'no mirroring'} of left and right, "
        f"{'class weights' if training.balance_classes else 'no class weights'}, Youden's threshold, and how ResNet34 "
        "sees a volume (mean over slices).",
        "The paper refers to an MR study of the group for its radiomics and prints neither features nor classifier. "
        "Here: first-order statistics, co-occurrence and run lengths of NCCT and CTA in the brain, behind the "
        "occlusion and against the other side; F-test and logistic regression inside each fold.",
        "The rows of Siddiqui et al. and Hilbert et al. are the literature's own cohorts and are not reproduced.",
    )
    return (*left_open, *_departures(protocol, outcome))


def _departures(protocol: UclaScanet, outcome: ScanetOutcome) -> tuple[str, ...]:
    said = []
    if protocol.dials.images == "small":
        small, full = protocol.small, protocol.full
        said.append(
            f"images: small — recipe {small.recipe}, width {small.base_width} instead of {full.base_width}, at most "
            f"{small.training.local_epochs} epochs at a learning rate of {small.training.learning_rate:g} instead of "
            f"{full.training.local_epochs} at {full.training.learning_rate:g}."
        )
    if outcome.facts.num_included != INCLUDED:
        said.append(f"{outcome.facts.num_included} cases take part instead of the paper's {INCLUDED}.")
    return tuple(said)


def _compared(one: ModelComparison) -> str:
    over, together = one.over_folds, one.pooled
    paper = TABLE_1[one.first]["auc"].mean - TABLE_1[one.second]["auc"].mean
    return (
        f"{one.first} − {one.second}: {over.mean:+.3f} in AUC (95 % CI {over.low:+.3f} to {over.high:+.3f}, paired t "
        f"over folds); pooled {together.difference:+.3f} ({together.low:+.3f} to {together.high:+.3f}, DeLong): "
        f"{_shown(one)}. In the paper {paper:+.3f}."
    )


def _shown(one: ModelComparison) -> str:
    """What the two intervals say together."""
    by_folds, by_cases = (not found.low <= 0 <= found.high for found in (one.over_folds, one.pooled))
    if by_folds and by_cases:
        return "both show a difference"
    if by_folds or by_cases:
        return f"a difference is shown {'over folds' if by_folds else 'pooled'} only, so it is doubtful"
    return "no difference is shown"


def _order(outcome: ScanetOutcome) -> str:
    here, paper = outcome.order(), _PAPER_ORDER
    same = "as in the paper" if here == paper else f"in the paper {' > '.join(paper)}"
    spread = "; ".join(f"{model} {_short(outcome.auc(model))}" for model in here)
    return f"By mean AUC {' > '.join(here)} ({spread}), {same}."


def _short(value: MeanSd) -> str:
    return format_mean_sd(value, digits=2)


def _against_best(outcome: ScanetOutcome, best: float) -> str:
    shares = ", ".join(f"{model} {_share(outcome.auc(model).mean, best)}" for model in outcome.order())
    return f"The phantoms' images allow an AUC of {best:.3f}. By their mean AUC the models reach of it: {shares}."


def _share(auc: float, best: float) -> str:
    gained = above_chance(auc, best)
    return f"{auc / best:.0%} ({f'{gained:.0%} of what lies above chance' if gained > 0 else 'nothing above chance'})"


def _inclusion(outcome: ScanetOutcome) -> str:
    facts = outcome.facts
    left_out = ", ".join(f"{number} for {reason}" for reason, number in outcome.flow.excluded if number) or "nobody"
    return (
        f"{facts.num_included} of {outcome.flow.eligible} eligible cases take part, {facts.num_positive} of them with "
        f"final mTICI ≥ 2c; left out: {left_out}. In the paper 177 of 254."
    )
