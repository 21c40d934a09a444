"""What a protocol's run shows, in sentences and as single numbers."""

from collections.abc import Mapping

from fpe_sim.pretrained import PretrainingHistory
from fpe_sim.ucla_fpe.measured import Difference, Measured, reached
from fpe_sim.ucla_fpe.models import BASE, SSL, candidates
from fpe_sim.ucla_fpe.participants import Participants
from fpe_sim.ucla_fpe.protocol import Modality


def findings(
    measured: Mapping[str, Measured],
    gain: Difference,
    who: Participants,
    reachable: float | None,
    pretraining: PretrainingHistory,
    num_scans: int,
) -> tuple[str, ...]:
    """The answers, most important first.

    Args:
        measured: by network.
        gain: of self-supervision.
        who: the two cohorts.
        reachable: phantoms only: best AUC from images.
        pretraining: how it went.
        num_scans: scans that it saw.
    """
    collapsed = "In its last epoch all scans looked alike to the pre-trained encoder: it has collapsed."
    return (
        _prospective(measured[SSL], len(who.test), reachable),
        _self_supervision(gain, num_scans, len(who.development)),
        *([collapsed] if pretraining.collapsed else []),
        _sequences(measured),
    )


def _prospective(ssl: Measured, num_test: int, reachable: float | None) -> str:
    test = ssl.pooled_test
    said = (
        f"On {num_test} prospective patients the mean probability of the folds' {SSL} models has an AUC of "
        f"{test.auc:.3f} (95 % interval {test.low:.3f} to {test.high:.3f})."
    )
    if test.has_no_width:
        said += " All pairs of patients rank alike: DeLong's interval has no width, and says nothing."
    if reachable is None:
        return said
    said += f" From these phantoms' images no model can expect more than {reachable:.3f}"
    if (test.low, test.high) == (0, 1):
        return f"{said}; how far of the way to there it went cannot be said of so few."
    low, high = (reached(bound, reachable) for bound in (test.low, test.high))
    return (
        f"{said}: of the way from guessing to there it went {reached(test.auc, reachable):.0%} ({low:.0%} to "
        f"{high:.0%})."
    )


def _self_supervision(gain: Difference, num_scans: int, num_development: int) -> str:
    folds, cross, test = gain.over_folds, gain.out_of_fold, gain.test
    verdict = _verdict(gain)
    return (
        f"Self-supervision on {num_scans} scans, beside {num_development} labelled ones, changed the AUC over the "
        f"folds by {folds.mean:+.3f} (95 % interval {folds.low:+.3f} to {folds.high:+.3f}, paired t over the folds): "
        f"{verdict}. Out of fold by {cross.difference:+.3f} ({cross.low:+.3f} to {cross.high:+.3f}, paired DeLong), on "
        f"the prospective patients by {test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})."
    )


def _verdict(gain: Difference) -> str:
    """By both intervals: that over the folds is too narrow, because folds share training cases."""
    both = (gain.over_folds, gain.out_of_fold)
    if min(one.low for one in both) > 0:
        return "this interval and the next exclude zero, it helped"
    if max(one.high for one in both) < 0:
        return "this interval and the next exclude zero, it did harm"
    if gain.over_folds.low > 0 or gain.over_folds.high < 0:
        return (
            "this interval excludes zero, but is too narrow, because folds share training cases; the next includes it, "
            "and no gain or loss is shown"
        )
    return "the interval includes zero, and no gain or loss is shown"


def _sequences(measured: Mapping[str, Measured]) -> str:
    alone = {name: one for name, one in measured.items() if name not in (BASE, SSL)}
    best = max(alone, key=lambda name: alone[name].out_of_fold.auc)
    together = measured[BASE].out_of_fold
    return (
        f"Of the single sequences, {best} does best out of fold, with an AUC of {_told(alone[best])}; {BASE}, which "
        f"sees all of them, has {together.auc:.3f} ({together.low:.3f} to {together.high:.3f})."
    )


def _told(one: Measured) -> str:
    auc = one.out_of_fold
    return f"{auc.auc:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f})"


def numbers(
    modality: Modality,
    measured: Mapping[str, Measured],
    gain: Difference,
    who: Participants,
    reachable: Mapping[str, float],
    pretraining: PretrainingHistory,
    num_scans: int,
) -> dict[str, float]:
    """Single numbers by name, for bands."""
    said: dict[str, float] = {
        "num_eligible": who.flow.eligible,
        "num_included": len(who.included),
        "num_development": len(who.development),
        "num_test": len(who.test),
        "num_networks": len(measured),
        "num_scans": num_scans,
        "ssl_epochs": len(pretraining.epoch_losses),
        "ssl_last_loss": pretraining.epoch_losses[-1],
        "ssl_last_spread": pretraining.epoch_spreads[-1],
        "ssl_gain": gain.over_folds.mean,
        "ssl_gain_low": gain.over_folds.low,
        "ssl_gain_high": gain.over_folds.high,
        "ssl_gain_out_of_fold": gain.out_of_fold.difference,
    }
    for candidate in candidates(modality):
        one, name = measured[candidate.name], candidate.slug.replace("-", "_")
        said[f"cv_auc_{name}"] = sum(one.validation_aucs) / len(one.validation_aucs)
        said[f"out_of_fold_auc_{name}"] = one.out_of_fold.auc
        said[f"test_auc_{name}"] = one.test_roc.auc.mean
        said[f"pooled_test_auc_{name}"] = one.pooled_test.auc
    said |= {f"reachable_auc_{source}": auc for source, auc in reachable.items()}
    if "images" in reachable:
        said["share_of_reachable"] = reached(said["pooled_test_auc_mnt_dl_ssl"], reachable["images"])
    return said
