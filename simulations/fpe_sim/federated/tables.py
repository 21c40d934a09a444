"""The comparison as tables."""

from fpe_sim.federated.comparison import Comparison, OverSeeds
from fpe_sim.federated.protocol import Arm
from fpe_sim.protocol_results import Entry, ResultTable, Row

ARM_NAMES: dict[Arm, str] = {
    "local": "Each site alone",
    "federated": "Federated",
    "pooled": "All cases pooled",
    "leave-one-out": "Federated without the site",
}
DIFFERENCE_NAMES = {
    "federated-local": "Federated − alone",
    "pooled-federated": "Pooled − federated",
    "pooled-local": "Pooled − alone",
}
_INTERVAL = "Intervals are 95 % of the mean over seeds (Student's t)"
SAME_PATIENTS = (
    "Every seed divides the same patients anew: the intervals know the luck of the division and of training, say "
    "nothing of other patients, and are too narrow even so"
)


def tables(comparison: Comparison) -> tuple[ResultTable, ...]:
    """All tables of a report."""
    made = [_arms(comparison)]
    if comparison.differences:
        made.append(_differences(comparison))
    if comparison.left_out:
        made.append(_left_out(comparison))
    return (*made, _sites(comparison))


def _arms(comparison: Comparison) -> ResultTable:
    missing = f"; {comparison.num_missing} without an AUC in every arm are left out" if comparison.num_missing else ""
    return ResultTable(
        id="auc-by-arm",
        title="Held-out AUC by arm, mean over the sites",
        columns=("AUC", "SD over seeds", "95 % interval"),
        rows=tuple(Row(name=ARM_NAMES[arm], entries=_entries(found)) for arm, found in comparison.arms.items()),
        note=f"Each arm's model on each site's own held-out cases, each site once: {comparison.num_units} pairs of "
        f"site and seed{missing}. {_intervals(comparison)}",
    )


def _differences(comparison: Comparison) -> ResultTable:
    rows = [
        Row(name=DIFFERENCE_NAMES[name], entries=(*_entries(found), _p_value(found)))
        for name, found in comparison.differences.items()
    ]
    share = comparison.share
    if share is not None:
        shown = "none" if share.value is None else f"{share.value:.2f}"
        between = "" if share.low is None else f"{share.low:.2f} to {share.high:.2f}"
        value = Entry(here=shown, value=share.value, low=share.low, high=share.high)
        entries = (value, Entry(), Entry(here=between, low=share.low, high=share.high), Entry())
        rows.append(Row(name="Share of the gap recovered", entries=entries))
    test = "" if comparison.same_patients else " p is of the paired t test."
    return ResultTable(
        id="differences",
        title="Paired differences of the held-out AUC",
        columns=("Difference", "SD over seeds", "95 % interval", "p"),
        rows=tuple(rows),
        note=f"Paired within each seed. {_intervals(comparison)}{test} The share is the mean gain of federation over "
        "the mean gap between pooled and alone; its interval is a percentile bootstrap over seeds. It is not given "
        "where the gap's own interval reaches zero or lies below it.",
    )


def _left_out(comparison: Comparison) -> ResultTable:
    rows = [Row(name=ARM_NAMES[arm], entries=(*_entries(found), Entry())) for arm, found in comparison.left_out.items()]
    difference = comparison.left_out_difference
    if difference is not None:
        rows.append(Row(name="Without the site − alone", entries=(*_entries(difference), _p_value(difference))))
    return ResultTable(
        id="leave-one-out",
        title="At a site that was left out",
        columns=("AUC", "SD over seeds", "95 % interval", "p"),
        rows=tuple(rows),
        note="A federation of the other sites on the held-out cases of the site that took no part, beside that site's "
        f"own model and the federation with it. {_intervals(comparison)}",
    )


def _sites(comparison: Comparison) -> ResultTable:
    arms = list(dict.fromkeys(arm for found in comparison.sites.values() for arm in found))
    return ResultTable(
        id="auc-by-site",
        title="Held-out AUC by site and arm",
        columns=tuple(ARM_NAMES[arm] for arm in arms),
        rows=tuple(
            Row(name=site, entries=tuple(_mean_sd(found.get(arm)) for arm in arms))
            for (_, site), found in comparison.sites.items()
        ),
        note="Mean (SD) over the seeds in which the site has the number; a site is left out in some seeds only.",
    )


def _intervals(comparison: Comparison) -> str:
    return f"{_INTERVAL}. {SAME_PATIENTS}." if comparison.same_patients else f"{_INTERVAL}."


def _entries(found: OverSeeds) -> tuple[Entry, Entry, Entry]:
    mean = Entry(here=f"{found.mean:.3f}", value=found.mean, sd=found.sd, low=found.low, high=found.high)
    if found.sd is None:
        return mean, Entry(), Entry()
    between = Entry(here=f"{found.low:.3f} to {found.high:.3f}", low=found.low, high=found.high)
    return mean, Entry(here=f"{found.sd:.3f}", value=found.sd), between


def _p_value(found: OverSeeds) -> Entry:
    if found.p_value is None:
        return Entry()
    return Entry(here="<.001" if found.p_value < 0.001 else f"{found.p_value:.3f}", value=found.p_value)


def _mean_sd(found: OverSeeds | None) -> Entry:
    if found is None:
        return Entry()
    spread = "" if found.sd is None else f" ({found.sd:.3f})"
    return Entry(here=f"{found.mean:.3f}{spread}", value=found.mean, sd=found.sd)
