"""The answers in sentences, and the numbers behind them."""

from collections.abc import Sequence

from fpe_core.evaluation.comparison import AucComparison
from fpe_sim.external_validation.pairs import HOSPITAL_TITLES, LABEL_TITLES
from fpe_sim.external_validation.results import LocalComparison, PairResult
from fpe_sim.external_validation.scores import SetScores
from fpe_sim.external_validation.tables import places

_KEYS = ("home", "away", "recalibrated")


def findings(results: Sequence[PairResult], locals_: Sequence[LocalComparison]) -> tuple[str, ...]:
    """One sentence for the whole, then travel, calibration and own model, each by pair."""
    judged = [one for one in results if one.away is not None]
    if not judged:
        return ("No direction had enough cases of both classes to be judged.",)
    return (
        _overall(judged),
        *(_travel(one) for one in judged),
        *(_calibration(one, one.away) for one in judged if one.away is not None),
        *(_own(one) for one in locals_),
    )


def numbers(results: Sequence[PairResult], locals_: Sequence[LocalComparison]) -> dict[str, float]:
    """Single numbers by `PAIR.PLACE.NAME`."""
    found: dict[str, float] = {"pairs_run": len(results)}
    for one in results:
        name = one.pair.name
        found |= {
            f"{name}.threshold": one.lock.threshold,
            f"{name}.num_development": one.num_development,
            f"{name}.num_models": len(one.lock.folds),
        }
        if (validation := one.validation_folds.get("auc")) is not None:
            found[f"{name}.validation.auc"] = validation.mean
        for key, (_, scores) in zip(_KEYS, places(one), strict=True):
            if scores is not None:
                found |= {f"{name}.{key}.{what}": value for what, value in _set_numbers(scores).items()}
        if one.loss is not None:
            loss = one.loss
            found |= {f"{name}.loss": loss.difference, f"{name}.loss_low": loss.low, f"{name}.loss_high": loss.high}
    for local in locals_:
        found[f"{local.visitor.name}.own_minus_visitor"] = local.own_minus_visitor.difference
    return found


def _set_numbers(scores: SetScores) -> dict[str, float]:
    found = {
        "num_cases": scores.num_cases,
        "num_positive": scores.num_positive,
        "auc": scores.auc.auc,
        "auc_low": scores.auc.low,
        "auc_high": scores.auc.high,
        "sensitivity": scores.sensitivity.value,
        "specificity": scores.specificity.value,
        "f1": scores.f1.value,
        "in_the_large": scores.calibration.in_the_large.value,
        "calibration_error": scores.calibration_error,
        "brier": scores.calibration.brier,
    }
    return found if scores.calibration.slope is None else {**found, "slope": scores.calibration.slope.value}


def _overall(judged: Sequence[PairResult]) -> str:
    away = [one.away for one in judged if one.away is not None]
    useful = [there for there in away if there.auc.low > 0.5 and not there.auc.has_no_width]
    compared = [one.loss for one in judged if one.loss is not None]
    begin = (
        f"Away from home, {len(useful)} of {len(judged)} locked models tell the outcome better than chance (95 % "
        "interval of the AUC above 0.5)."
    )
    if not compared:
        return f"{begin} No home test cohort is large enough to compare with."
    lost = sum(loss.low > 0 for loss in compared)
    gained = sum(loss.high < 0 for loss in compared)
    undecided = len(compared) - lost - gained
    return (
        f"{begin} Against the home test cohort {lost} of {len(compared)} lose AUC, {gained} gain, and for {undecided} "
        "the interval of the difference holds 0."
    )


def _travel(one: PairResult) -> str:
    away, pair = one.away, one.pair
    if away is None:
        return ""
    begin = (
        f"{LABEL_TITLES[pair.label].capitalize()}, trained at {HOSPITAL_TITLES[pair.home]} on {one.num_development} "
        f"cases: AUC {_auc(away)} on {away.num_cases} cases of {HOSPITAL_TITLES[pair.away]}"
    )
    if one.home is None or one.loss is None:
        return f"{begin}. At home or away a class has too few cases to compare them, or all pairs of cases rank alike."
    return f"{begin}, {_auc(one.home)} on {one.home.num_cases} test cases at home: {_loss(one.loss)}."


def _loss(loss: AucComparison) -> str:
    p = "" if loss.p_value is None else f", p = {loss.p_value:.3f}"
    text = f"a loss of {loss.difference:.3f} (95 % interval {loss.low:.3f} to {loss.high:.3f}{p})"
    if loss.low > 0:
        return text
    if loss.high < 0:
        return f"{text}, that is, a gain"
    return f"{text}; no loss is shown, and one of up to {loss.high:.2f} is not ruled out"


def _calibration(one: PairResult, away: SetScores) -> str:
    shift = away.calibration.in_the_large
    verdict = "too high" if shift.high < 0 else "too low" if shift.low > 0 else "neither too high nor too low for sure"
    slope = away.calibration.slope
    spread = "" if slope is None else f", slope {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    text = (
        f"{one.pair.title}: the probabilities are {verdict} away from home (in the large {shift.value:.2f}, "
        f"{shift.low:.2f} to {shift.high:.2f}{spread}); calibration error {away.calibration_error:.3f}"
    )
    after = one.recalibrated
    if after is None:
        return f"{text}."
    return (
        f"{text}, {after.calibration_error:.3f} after one intercept of the new hospital. At the locked threshold "
        f"sensitivity goes from {away.sensitivity.value:.2f} to {after.sensitivity.value:.2f} with it, specificity "
        f"from {away.specificity.value:.2f} to {after.specificity.value:.2f}."
    )


def _own(one: LocalComparison) -> str:
    found, hospital = one.own_minus_visitor, HOSPITAL_TITLES[one.visitor.away]
    p = "" if found.p_value is None else f", p = {found.p_value:.3f}"
    return (
        f"{LABEL_TITLES[one.visitor.label].capitalize()} on {one.num_cases} test cases of {hospital}: its own model "
        f"has AUC {found.first_auc:.3f}, the visiting one {found.second_auc:.3f}; difference {found.difference:.3f} "
        f"(95 % interval {found.low:.3f} to {found.high:.3f}{p})."
    )


def _auc(scores: SetScores) -> str:
    return f"{scores.auc.auc:.3f} ({scores.auc.low:.3f} to {scores.auc.high:.3f})"
