"""The answers in sentences, most important first, each with its interval."""

from fpe_core.config.study import ClinicalColumn
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.folds import MeanSd
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.ablation import AblationStudy
from fpe_sim.vdh_rlvo.baselines import FoundOddsRatios
from fpe_sim.vdh_rlvo.cohort import labels_of
from fpe_sim.vdh_rlvo.gain import DaftGain
from fpe_sim.vdh_rlvo.judged import Part, summary
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.tables import reached

_WORDS = {"images": "The images alone", "table": "The clinical table alone", "both": "Images and table together"}


def findings(study: Study) -> tuple[str, ...]:
    """Sentences for the head of the report."""
    found = _overall_sentences(study)
    found += [_gain_sentence(gain) for gain in study.gains]
    found.append(_best_sentence(study))
    if study.ablation:
        found += [_vote_sentence(study.ablation), _mcnemar_sentence(study.ablation), _columns_sentence(study.ablation)]
    found += _reached_sentences(study)
    found.append(_odds_sentence(study.odds))
    found.append(_width_sentence(study))
    return tuple(found)


def departures(study: Study) -> tuple[str, ...]:
    """Where the paper contradicts itself, and where this run departs from it."""
    protocol = study.protocol
    training = protocol.used_training
    weights = "class weights" if training.balance_classes else "no class weights"
    mirrored = (
        "Images are mirrored in training, although the side of the occlusion is a clinical column."
        if training.flip_left_right
        else "No image is mirrored, because the side of the occlusion is a clinical column."
    )
    own = [
        "Here model A is the best network with DAFT by its AUC in validation; the paper does not say by what it chose.",
        f"Optimiser ({training.optimiser}), {weights} and the patience of the learning rate's plateau are this "
        f"platform's choices: the paper does not print them. {mirrored}",
        f"Model B goes without {protocol.ablation.num_least_predictive} columns, those with the least contribution in "
        "validation cases; the paper prints no list. Model C also goes without CT perfusion, whatever it contributed.",
    ]
    if protocol.dials.images == "small":
        full = protocol.training
        own.append(
            f"Small images: a grid of 64 × 80 × 64 voxels instead of 258 × 295 × 246, {_epochs(training.local_epochs)} "
            f"instead of {full.local_epochs}, learning rate {training.learning_rate:g} instead of "
            f"{full.learning_rate:g}. This shows that the chain works, not what the images hold."
        )
    if protocol.narrowed:
        own.append(
            f"Narrowed run: encoders {', '.join(protocol.encoders)}; configurations "
            f"{', '.join(protocol.configurations)}; inputs {', '.join(protocol.inputs)}. The rest has no numbers."
        )
    if study.ablation and study.ablation.a.spec.variant != study.best:
        own.append(
            f"The best network in validation was {study.best.label}, without DAFT; models A to C are about clinical "
            f"columns, so A is {study.ablation.a.spec.variant.label}."
        )
    return paper.DISCREPANCIES + tuple(own)


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _overall_sentences(study: Study) -> list[str]:
    pairs = study.network_pairs
    if not pairs:
        return []
    places: dict[Part, str] = {"validation": "in validation", "test": "on the test cohort"}
    gains = study.overall_gains
    helps = all(gain.low > 0 for gain in gains.values())
    said = " and ".join(
        f"{gain.difference:+.3f} {places[part]} (DeLong's 95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
        for part, gain in gains.items()
    )
    verdict = "DAFT helps" if helps else "That DAFT helps is not shown"
    networks = "one network" if len(pairs) == 1 else f"{len(pairs)} networks"
    return [f"{verdict}: {networks} with it against the same without it, mean difference of AUC {said}."]


def _gain_sentence(gain: DaftGain) -> str:
    tested = gain.pooled["test"]
    folds = gain.by_fold["validation"]
    return (
        f"{gain.variant.label} against the same network without DAFT: AUC {tested.difference:+.3f} on the test cohort "
        f"(DeLong's 95 % interval {tested.low:+.3f} to {tested.high:+.3f}), {_zero(tested.low, tested.high)}; "
        f"in validation {folds.mean:+.3f} (Student's 95 % interval over the folds {folds.low:+.3f} to "
        f"{folds.high:+.3f}), {_zero(folds.low, folds.high)}."
    )


def _zero(low: float, high: float) -> str:
    return "which excludes zero" if low > 0 or high < 0 else "which includes zero"


def _best_sentence(study: Study) -> str:
    best = study.models[study.best]
    validation, test = (summary(best.folds, part)["auc"] for part in ("validation", "test"))
    return (
        f"Best in validation was {study.best.label}: AUC {_mean_sd(validation)} there and {_mean_sd(test)} on the test "
        "cohort (mean ± SD over folds); the paper's best was EffB0 + prior + DAFT with .65 ± .04 and .64 ± .02."
    )


def _mean_sd(found: MeanSd | None) -> str:
    return "unknown" if found is None else f"{found.mean:.2f} ± {found.sd or 0:.2f}"


def _vote_sentence(found: AblationStudy) -> str:
    labels = found.a.folds[0].test_labels
    vote = found.vote("A")
    auc = delong_interval(vote.mean_probability, labels)
    mean = summary(found.a.folds, "test")["auc"]
    return (
        f"Over all folds together, model A ({found.a.spec.variant.label}) has a test AUC of {auc.auc:.2f} "
        f"({auc.low:.2f} to {auc.high:.2f}); the folds one by one have {_mean_sd(mean)}. The paper's vote went from "
        ".64 ± .02 to .70 ± .02."
    )


def _mcnemar_sentence(found: AblationStudy) -> str:
    tests = []
    for first, second in paper.MCNEMAR:
        test = found.mcnemar(first, second)
        discordant = test.only_first_right + test.only_second_right
        tests.append(f"{first} and {second} on {discordant} cases (p = {test.p_value:.3f})")
    return (
        f"Of {len(found.a.folds[0].test_labels)} test cases, one model is right and the other wrong for "
        f"{' and '.join(tests)}; model C has {len(found.recovered)} more in development."
    )


def _columns_sentence(found: AblationStudy) -> str:
    shares = found.attribution.validation
    top: list[ClinicalColumn] = sorted(shares, key=lambda column: -shares[column])[: len(paper.TOP_CONTRIBUTORS)]
    shared = [column for column in top if column in paper.TOP_CONTRIBUTORS]
    return (
        f"The columns that move model A's features most are {', '.join(top)}, {len(shared)} of them among the paper's "
        f"top five ({', '.join(paper.TOP_CONTRIBUTORS)}). No interval: a share says what a network does, not whether a "
        "column predicts."
    )


def _reached_sentences(study: Study) -> list[str]:
    return [
        f"{_WORDS[one.seen]}: test AUC {one.test.auc:.2f} ({one.test.low:.2f} to {one.test.high:.2f}), "
        f"{100 * one.share:.0f} % of the {one.reachable:.2f} that any model can reach on these phantoms; "
        f"in validation {one.validation.auc:.2f} ({one.validation.low:.2f} to {one.validation.high:.2f})."
        for one in reached(study)
        if one.share is not None and one.reachable is not None
    ]


def _odds_sentence(odds: FoundOddsRatios) -> str:
    known = [column for column in paper.ODDS_RATIOS if column in odds.by_column]
    if not known:
        return f"No odds ratios: {odds.remark}."
    alike = [
        column for column in known if (odds.by_column[column].odds_ratio > 1) == (paper.ODDS_RATIOS[column][0] > 1)
    ]
    inside = [
        column for column in known
        if odds.by_column[column].low <= paper.ODDS_RATIOS[column][0] <= odds.by_column[column].high
    ]  # fmt: skip
    return (
        f"Odds ratios: {len(alike)} of the paper's {len(known)} point the same way here, and {len(inside)} lie inside "
        "the 95 % interval found here."
    )


def _width_sentence(study: Study) -> str:
    division, folds = study.cohort.division, study.protocol.num_folds
    development, test = int(labels_of(division.development).sum()), int(labels_of(division.test).sum())
    few = (
        f" DeLong's interval needs {FEWEST_FOR_DELONG} of them, and where folds are compared one by one two in each: "
        "where they are fewer, nothing is known of an AUC or a difference, and the interval is the whole range."
    )
    too_few = test < FEWEST_FOR_DELONG or development < 2 * folds
    return (
        f"How wide things are: {development} refractory occlusions in development, about {development / folds:.0f} in "
        f"each validation fold, and {test} among {len(division.test)} test cases. One positive case more or less found "
        f"moves a fold's sensitivity by {100 * folds / development:.0f} points and the test's by {100 / test:.0f}."
        f"{few if too_few else ''}"
    )
