"""Tables of cases: who takes part, whose errors differ, and who is found in subgroups."""

from collections.abc import Sequence

from fpe_core.evaluation.scores import AucInterval
from fpe_core.evaluation.shares import Share
from fpe_core.evaluation.subgroups import DetectionRow
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.cohort import labels_of
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.subgroup_rows import ICAD, OTHER, Grouped, by_age, by_cause, by_sex


def case_tables(study: Study) -> list[ResultTable]:
    """McNemar's tests, detection by cause, subgroups."""
    return [mcnemar_table(study), cause_table(study), subgroups_table(study)]


def flow_table(study: Study) -> ResultTable:
    """From the eligible cases to the included ones, with all columns and with those of model C."""
    flow, found = study.cohort.flow, study.ablation
    more = study.cohort.flow_without(found.c.spec.columns) if found else None
    counts = dict(more.excluded) if more else {}
    rows = [_counts("eligible", flow.eligible, more.eligible if more else None, str(paper.ELIGIBLE))]
    left_out = {reason: (count, counts.get(reason)) for reason, count in flow.excluded}
    rows += [_counts(reason, *both) for reason, both in left_out.items() if any(both)]
    rows.append(_counts("included", len(flow.included), len(more.included) if more else None, str(paper.INCLUDED)))
    division = study.cohort.division
    for name, cases, (total, positive) in (
        ("development", division.development, paper.DEVELOPMENT), ("test", division.test, paper.TEST),
    ):  # fmt: skip
        more_cases = len(found.c.spec.development) if found and name == "development" else len(cases) if found else None
        rows.append(_counts(f"{name} cases", len(cases), more_cases, str(total)))
        gained = int(labels_of(found.recovered).sum()) if found and name == "development" else 0
        num_positive = int(labels_of(cases).sum())
        refractory = None if found is None else num_positive + gained
        rows.append(_counts(f"{name} cases, refractory", num_positive, refractory, str(positive)))
    return ResultTable(
        id="inclusion",
        title="Figure 1: who takes part",
        columns=("all columns", "columns of model C"),
        rows=tuple(rows),
        note="Each case left out counts at its first reason. The paper's text prints the totals, and that "
        f"{paper.RECOVERED} cases came back for model C's development. Of recovered cases, those of a patient in the "
        "test cohort stay out.",
    )


def mcnemar_table(study: Study) -> ResultTable:
    """Whether models err on different test cases."""
    rows = []
    for (first, second), (statistic, p_value) in paper.MCNEMAR.items():
        entries = (Entry(), Entry(), Entry(paper=statistic), Entry(paper=p_value))
        if study.ablation:
            test = study.ablation.mcnemar(first, second)
            shown = "exact" if test.statistic is None else f"{test.statistic:.2f}"
            entries = (
                Entry(here=str(test.only_first_right), value=test.only_first_right),
                Entry(here=str(test.only_second_right), value=test.only_second_right),
                Entry(here=shown, paper=statistic, value=test.statistic),
                Entry(here=f"p = {test.p_value:.3f}", paper=p_value, value=test.p_value),
            )
        rows.append(Row(name=f"model {first} against model {second}", entries=entries))
    return ResultTable(
        id="mcnemar",
        title="Section 3.2: McNemar's test of the majority votes, test cohort",
        columns=("only the first right", "only the second right", "statistic", "p"),
        rows=tuple(rows),
        note="With continuity correction; exact below 25 discordant cases. The paper does not say of which calls.",
    )


def cause_table(study: Study) -> ResultTable:
    """Share of the refractory occlusions of the test cohort that are found, by cause."""
    rows = []
    for letter, printed in paper.DETECTION.items():
        found: dict[str, DetectionRow] = {}
        if study.ablation:
            found = by_cause(study.cohort.division.test, study.ablation.vote(letter), study.protocol.subgroups)
        entries = [_detected(found.get(cause), text) for cause, text in zip((ICAD, OTHER), printed, strict=True)]
        rows.append(Row(name=f"model {letter}", entries=tuple(entries)))
    return ResultTable(
        id="detection-by-cause",
        title="Section 3.2: refractory occlusions found, by cause, test cohort",
        columns=("ICAD (stenosis above 50 %)", "other causes"),
        rows=tuple(rows),
        note=f"Majority vote; Wilson's 95 % interval. Causes with fewer than "
        f"{study.protocol.subgroups.min_cases_per_class} cases are held back.",
    )


def subgroups_table(study: Study) -> ResultTable:
    """Model A by sex and age."""
    rows: list[Row] = []
    if study.ablation:
        test, vote = study.cohort.division.test, study.ablation.vote("A")
        for grouped in (by_sex(test, vote, study.protocol.subgroups), by_age(test, vote, study.protocol.subgroups)):
            rows += _group_rows(grouped)
    return ResultTable(
        id="subgroups",
        title="Section 3.2: model A by sex and age, test cohort",
        columns=("cases", "AUC", "sensitivity", "specificity", "difference of AUC"),
        rows=tuple(rows),
        note=f"Majority vote; AUC of the mean probability (DeLong; {DELONG_RANGE}), "
        "rates with Wilson's 95 % interval. The paper prints no numbers, only that no difference was "
        f"significant. Groups with fewer than {study.protocol.subgroups.min_cases_per_class} cases of a class are held "
        "back, with others that would give them away.",
    )


def _group_rows(grouped: Grouped) -> Sequence[Row]:
    rows = []
    for place, (called, ranked) in enumerate(zip(grouped.called, grouped.ranked, strict=True)):
        if called.scores is None or ranked.scores is None:
            rows.append(Row(name=called.group, entries=(Entry(here="held back"), *(Entry(),) * 4)))
            continue
        found = grouped.difference
        difference = Entry()
        if place == 1 and found is not None:
            difference = interval_entry(found.difference, found.low, found.high, digits=2)
        size = f"{called.scores.num_cases}, {called.scores.num_positive} positive"
        rates = (called.scores.sensitivity, called.scores.specificity)
        rows.append(
            Row(
                name=called.group,
                entries=(
                    Entry(here=size, value=called.scores.num_cases), _auc(ranked.scores.auc), *map(_share, rates),
                    difference,
                ),
            )
        )  # fmt: skip
    return rows


def _detected(found: DetectionRow | None, printed: str) -> Entry:
    if found is None or found.detected is None:
        return Entry(here="held back" if found else "", paper=printed)
    share = found.detected
    here = (
        f"{share.count} of {share.total} ({100 * share.value:.0f} %; {100 * share.low:.0f} to {100 * share.high:.0f})"
    )
    return Entry(here=here, paper=printed, value=share.value, low=share.low, high=share.high)


def _auc(found: AucInterval) -> Entry:
    return interval_entry(found.auc, found.low, found.high, digits=2)


def _share(found: Share) -> Entry:
    return interval_entry(found.value, found.low, found.high, digits=2)


def _counts(name: str, here: int, with_fewer: int | None, printed: str = "") -> Row:
    more = Entry() if with_fewer is None else Entry(here=str(with_fewer), value=with_fewer)
    return Row(name=name, entries=(Entry(here=str(here), paper=printed, value=here), more))
