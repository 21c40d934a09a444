"""A whole study with real hospitals in this process: what it finds, how it goes on, and what stops it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fpe_client.handlers import handle
from fpe_client.session import SiteSession
from fpe_core.config.loader import load_site
from fpe_core.config.study import StudyPlan
from fpe_core.errors import CheckpointUnreadable, FpeError, QuorumLost
from fpe_core.evaluation.results import StudyResults, load_results
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.protocol import Kind, Reply, ReplyHeader, Request
from fpe_core.state import FlatState, Layout, TensorEntry
from fpe_core.training.alone import train_alone
from fpe_core.training.hardware import Hardware
from fpe_core.training.predict import no_progress
from fpe_server.exchange import Exchange, GridExchange
from fpe_server.local_grid import LocalGrid, site_of
from fpe_server.store import RunFolder
from fpe_server.study import run_study

MakeSite = Callable[..., Path]
Handler = Callable[[Request], Reply]
Change = Callable[[Reply], Reply]


def plan_for(num_sites: int, **federation: Any) -> StudyPlan:
    rounds = {"rounds": 3, "min_sites": num_sites, "quorum": num_sites, "compare_with_local": False}
    return StudyPlan.model_validate(
        {
            "name": "small",
            "task": "fpe",
            "seed": 3,
            "recipe": "mnt-dl-mr-small",
            "model": {"base_width": 8},
            "training": {"batch_size": 6, "learning_rate": 0.01, "local_epochs": 2},
            "federation": rounds | federation,
        }
    )


class Hospitals:
    """Sites of a test with the deployment's own handlers; a test may change what one of them answers."""

    def __init__(self, sessions: Mapping[str, SiteSession]) -> None:
        self.sessions = dict(sessions)
        self.changes: dict[str, Change] = {}
        self.asked: list[tuple[str, Kind, int]] = []

    def exchange(self, order: Iterable[str] | None = None) -> Exchange:
        return GridExchange(LocalGrid({site: site_of(self._handler(site)) for site in order or self.sessions}))

    def _handler(self, site: str) -> Handler:
        def answer(request: Request) -> Reply:
            self.asked.append((site, request.header.kind, request.header.round_number))
            reply = handle(request, self.sessions[site], no_progress)
            return self.changes.get(site, lambda unchanged: unchanged)(reply)

        return answer


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory, make_site_in: MakeSite) -> dict[str, SiteSession]:
    """north and west with 16 cases, south with 20: they do not weigh the same."""
    parent = tmp_path_factory.mktemp("hospitals")
    sizes = {"north": 8, "south": 12, "west": 8}
    files = [make_site_in(parent, name, num_positive=n, seed=i) for i, (name, n) in enumerate(sizes.items(), start=1)]
    return {file.parent.name: SiteSession(load_site(file)) for file in files}


@pytest.fixture
def hospitals(sessions: dict[str, SiteSession]) -> Hospitals:
    return Hospitals({name: sessions[name] for name in ("north", "south")})


@pytest.fixture
def three(sessions: dict[str, SiteSession]) -> Hospitals:
    return Hospitals(sessions)


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[str], RunFolder]:
    def make(name: str) -> RunFolder:
        (tmp_path / name).mkdir(exist_ok=True)
        return RunFolder(tmp_path / name)

    return make


WHOLE = plan_for(2, rounds=2, compare_with_local=True)


@pytest.fixture(scope="module")
def whole(sessions: dict[str, SiteSession], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """`WHOLE` of north and south, without an interruption."""
    folder = RunFolder(tmp_path_factory.mktemp("whole"))
    run(WHOLE, Hospitals({name: sessions[name] for name in ("north", "south")}), folder)
    return folder


def model_bytes(folder: RunFolder) -> bytes:
    return (folder.path / "model.safetensors").read_bytes()


def state_of(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder.path / "state.json").read_text())
    return found


def events_of(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]


def run(plan: StudyPlan, hospitals: Hospitals, folder: RunFolder) -> StudyResults:
    return run_study(plan, hospitals.exchange(), folder)


def test_a_study_learns_and_leaves_everything_behind(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    plan, folder = plan_for(2, compare_with_local=True), new_folder("run")
    results = run(plan, hospitals, folder)
    assert load_results(folder.path / "results.json") == results
    losses = [entry.pooled_validation_loss for entry in results.rounds if entry.pooled_validation_loss is not None]
    assert len(set(losses)) == 4
    assert results.best_round == int(np.argmin(losses)) > 0
    assert [site.site for site in results.sites] == ["north", "south"]
    for site in results.sites:
        assert site.test is not None
        assert site.alone_test is not None
        assert site.test.split == site.alone_test.split == "test"
    assert not results.failures
    assert results.synthetic
    assert hashlib.sha256(model_bytes(folder)).hexdigest() == results.model_sha256
    planned_model(plan).load_state_dict(load_file(folder.path / "model.safetensors"))
    assert "<html" in (folder.path / "report.html").read_text()[:200].lower()


def withholding(*rounds: int) -> Change:
    """The site gives no loss in these rounds; the closing evaluation is round 0."""

    def change(reply: Reply) -> Reply:
        evaluation = reply.header.evaluation
        if evaluation is None or reply.header.round_number not in rounds:
            return reply
        held_back = dict.fromkeys(("num_positive", "loss", "auc", "positive_scores", "negative_scores"))
        header = reply.header.model_copy(update={"evaluation": evaluation.model_copy(update=held_back)})
        return Reply(header, reply.state)

    return change


def test_without_any_loss_the_study_finishes_with_its_last_model(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    plan, folder = plan_for(2), new_folder("run")
    hospitals.changes = dict.fromkeys(hospitals.sessions, withholding(0, 1, 2, 3))
    results = run(plan, hospitals, folder)
    assert [entry.pooled_validation_loss for entry in results.rounds] == [None] * 4
    assert results.best_round == 3
    checkpoint = folder.load_checkpoint(plan.fingerprint())
    assert checkpoint is not None
    assert checkpoint.best.values.tobytes() == checkpoint.current.values.tobytes()
    assert load_results(folder.path / "results.json") == results
    assert "it is the one after the last round" in (folder.path / "report.html").read_text()


def test_one_site_without_a_loss_leaves_the_choice_to_the_others(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    hospitals.changes["south"] = withholding(0, 1, 2, 3)
    results = run(plan_for(2), hospitals, new_folder("run"))
    north = [entry.sites["north"].validation for entry in results.rounds]
    losses = [evaluation.loss for evaluation in north if evaluation is not None and evaluation.loss is not None]
    assert [entry.pooled_validation_loss for entry in results.rounds] == pytest.approx(losses)
    assert results.best_round == int(np.argmin(losses))


@pytest.mark.parametrize(("silent", "chosen_from"), [((1, 2), {2, 3}), ((0,), {0, 1, 2}), ((0, 2, 3), {0})])
def test_a_model_without_a_loss_is_never_chosen_over_one_with(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder], silent: tuple[int, ...], chosen_from: set[int]
) -> None:
    hospitals.changes = dict.fromkeys(hospitals.sessions, withholding(*silent))
    results = run(plan_for(2), hospitals, new_folder("run"))
    known = {k: e.pooled_validation_loss for k, e in enumerate(results.rounds) if e.pooled_validation_loss is not None}
    assert set(known) == chosen_from
    assert results.best_round == min(known, key=known.__getitem__)


def test_every_question_is_asked_once_and_state_and_events_say_so(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    folder = new_folder("run")
    run(plan_for(2, compare_with_local=True), hospitals, folder)
    order = [(kind, number) for site, kind, number in hospitals.asked if site == "north"]
    expected = [(Kind.DESCRIBE, 0), (Kind.TRAIN, 1), (Kind.TRAIN, 2), (Kind.TRAIN, 3)]
    assert order == [*expected, (Kind.EVALUATE, 0), (Kind.EVALUATE, 0), (Kind.ALONE, 0)]
    state = state_of(folder)
    assert (state["status"], state["round"], state["rounds"], state["code"]) == ("finished", 3, 3, None)
    assert state["sites"] == {"north": "answered", "south": "answered"}
    replies = [(e["site"], e["kind"], e["round"], e["code"]) for e in events_of(folder) if e["event"] == "reply"]
    assert replies == [(site, str(kind), number, None) for site, kind, number in hospitals.asked]
    messages = [event["message"] for event in events_of(folder) if event["event"] == "state"]
    assert messages[0] == "preparing"
    assert "round 3" in messages
    assert messages[-1] == "finished"


def test_the_first_round_is_the_weighted_mean_of_both_sites(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    plan, folder = plan_for(2, rounds=1), new_folder("run")
    start = initial_state(plan)
    moved, weights = [], []
    for session in hospitals.sessions.values():
        reply = handle(Request.about(Kind.TRAIN, plan, start, round_number=1), session, no_progress)
        assert reply.state is not None
        assert reply.header.training is not None
        moved.append(reply.state.values.astype(np.float64))
        weights.append(reply.header.training.num_cases)
    assert len(set(weights)) == 2
    run(plan, hospitals, folder)
    checkpoint = folder.load_checkpoint(plan.fingerprint())
    assert checkpoint is not None
    mean = np.average(moved, axis=0, weights=weights)
    np.testing.assert_allclose(checkpoint.current.values, start.values + mean, rtol=1e-6, atol=1e-7)


def test_a_federation_of_one_site_is_that_sites_own_training(
    sessions: dict[str, SiteSession], new_folder: Callable[[str], RunFolder]
) -> None:
    plan, folder = plan_for(1), new_folder("run")
    hospitals = Hospitals({"north": sessions["north"]})
    results = run(plan, hospitals, folder)
    assert results.best_round > 0
    session = hospitals.sessions["north"]
    alone = train_alone(
        session.model(plan),
        initial_state(plan),
        site="north",
        cases=session.cases(plan).splits,
        plan=plan,
        hardware=Hardware(torch.device("cpu")),
    )
    checkpoint = folder.load_checkpoint(plan.fingerprint())
    assert checkpoint is not None
    assert checkpoint.best.values.tobytes() == alone.values.tobytes()
    assert checkpoint.best.values.tobytes() != initial_state(plan).values.tobytes()


def test_the_order_of_the_sites_changes_nothing(three: Hospitals, new_folder: Callable[[str], RunFolder]) -> None:
    plan = plan_for(3, rounds=2)
    models = set()
    for order in (("north", "south", "west"), ("west", "north", "south")):
        folder = new_folder("-".join(order))
        run_study(plan, three.exchange(order), folder)
        models.add(model_bytes(folder))
    assert len(models) == 1


class PowerCut(Exception):
    """What a test lets happen in the middle of a study."""


class CutExchange:
    """An exchange that fails at one question; the sites may have worked on it already."""

    def __init__(self, exchange: Exchange, *, at: tuple[Kind, int], after_work: bool = False) -> None:
        self._exchange = exchange
        self._at = at
        self._after_work = after_work

    def online_sites(self) -> tuple[str, ...]:
        return self._exchange.online_sites()

    def ask(self, requests: Mapping[str, Request], **options: Any) -> dict[str, Reply]:
        header = next(iter(requests.values())).header
        cut = (header.kind, header.round_number) == self._at
        if cut and not self._after_work:
            raise PowerCut
        replies = self._exchange.ask(requests, **options)
        if cut:
            raise PowerCut
        return replies


@pytest.mark.parametrize(
    "at", [(Kind.DESCRIBE, 0), (Kind.TRAIN, 1), (Kind.TRAIN, 2), (Kind.EVALUATE, 0), (Kind.ALONE, 0)], ids=str
)
def test_a_study_that_was_cut_ends_as_if_it_had_not_been(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder], whole: RunFolder, at: tuple[Kind, int]
) -> None:
    folder = new_folder("cut")
    with pytest.raises(PowerCut):
        run_study(WHOLE, CutExchange(hospitals.exchange(), at=at, after_work=at[1] == 2), folder)
    assert state_of(folder)["status"] == "failed"
    results = run(WHOLE, hospitals, RunFolder(folder.path))
    assert model_bytes(folder) == model_bytes(whole)
    assert without_times(results) == without_times(load_results(whole.path / "results.json"))
    assert (state_of(folder)["status"], state_of(folder)["code"]) == ("finished", None)
    # What had been answered before the cut was not asked again.
    assert hospitals.asked.count(("north", Kind.TRAIN, 1)) == 1
    assert hospitals.asked.count(("south", Kind.EVALUATE, 0)) == 2


def without_times(results: StudyResults) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(results.model_dump_json())
    for entry in content["rounds"]:
        del entry["duration_s"]
        for site in entry["sites"].values():
            if site["training"]:
                del site["training"]["training_s"]
    return content


def checkpoints_of(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "checkpoints").iterdir())


@pytest.fixture
def cut(hospitals: Hospitals, new_folder: Callable[[str], RunFolder]) -> RunFolder:
    """A study that stopped when it asked for the second round."""
    folder = new_folder("cut")
    with pytest.raises(PowerCut):
        run_study(WHOLE, CutExchange(hospitals.exchange(), at=(Kind.TRAIN, 2)), folder)
    hospitals.asked.clear()
    return folder


def test_a_damaged_checkpoint_costs_one_round(hospitals: Hospitals, cut: RunFolder, whole: RunFolder) -> None:
    newest = checkpoints_of(cut)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    run(WHOLE, hospitals, RunFolder(cut.path))
    asked = [number for site, kind, number in hospitals.asked if site == "north" and kind is Kind.TRAIN]
    assert asked == [1, 2]
    assert model_bytes(cut) == model_bytes(whole)


def test_a_study_whose_memory_is_lost_stops(hospitals: Hospitals, cut: RunFolder) -> None:
    for path in checkpoints_of(cut):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointUnreadable):
        run(WHOLE, hospitals, cut)
    assert not hospitals.asked
    assert (state_of(cut)["status"], state_of(cut)["code"]) == ("failed", "FPE-605")


def test_another_plan_does_not_go_on_from_here(hospitals: Hospitals, cut: RunFolder) -> None:
    with pytest.raises(CheckpointUnreadable, match="another plan"):
        run(plan_for(2, rounds=4), hospitals, cut)
    assert state_of(cut)["code"] == "FPE-605"


def test_too_few_connected_sites_is_a_lost_quorum(hospitals: Hospitals, new_folder: Callable[[str], RunFolder]) -> None:
    folder = new_folder("run")
    with pytest.raises(QuorumLost, match=r"2 of 3 sites connected within 0\.1 s"):
        run(plan_for(3, wait_for_sites_s=0.1), hospitals, folder)
    assert (state_of(folder)["status"], state_of(folder)["code"]) == ("failed", "FPE-601")
    assert not checkpoints_of(folder)


def failing(error: FpeError, *, kinds: Iterable[Kind] = tuple(Kind)) -> Change:
    def change(reply: Reply) -> Reply:
        if reply.header.kind not in kinds:
            return reply
        failed = Reply.failed(Request.about(Kind.DESCRIBE, plan_for(1)).header, error).header
        fields = {"kind", "study_fingerprint", "round_number"}
        return Reply(ReplyHeader(**reply.header.model_dump(include=fields), failure=failed.failure))

    return change


def test_a_site_that_cannot_take_part_is_left_out_and_named(
    three: Hospitals, new_folder: Callable[[str], RunFolder], make_site: MakeSite
) -> None:
    three.sessions["west"] = SiteSession(load_site(make_site("refuses", tasks="rlvo")))
    results = run(plan_for(3, quorum=2, rounds=1), three, new_folder("run"))
    assert [site.site for site in results.sites] == ["north", "south"]
    assert [(f.site, f.kind, f.failure.code) for f in results.failures] == [("west", Kind.DESCRIBE, "FPE-604")]
    assert ("west", Kind.TRAIN, 1) not in three.asked


@pytest.mark.parametrize("field", ["recipe_fingerprint", "label_fingerprint"])
def test_a_site_that_means_something_else_is_left_out(
    three: Hospitals, new_folder: Callable[[str], RunFolder], field: str
) -> None:
    def other(reply: Reply) -> Reply:
        if reply.header.description is None:
            return reply
        description = reply.header.description.model_copy(update={field: "f" * 64})
        return Reply(reply.header.model_copy(update={"description": description}))

    three.changes["south"] = other
    folder = new_folder("run")
    results = run(plan_for(3, quorum=2, rounds=1), three, folder)
    assert [site.site for site in results.sites] == ["north", "west"]
    assert [(f.site, f.failure.code) for f in results.failures] == [("south", "FPE-613")]
    assert [(e["site"], e["code"]) for e in events_of(folder) if e["event"] == "refused"] == [("south", "FPE-613")]


def test_too_few_sites_that_can_take_part_is_a_lost_quorum(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    hospitals.changes["south"] = failing(QuorumLost(), kinds=[Kind.DESCRIBE])
    folder = new_folder("run")
    with pytest.raises(QuorumLost, match=r"1 sites can take part, the quorum is 2\. south: \[FPE-601\]"):
        run(plan_for(2), hospitals, folder)
    assert state_of(folder)["code"] == "FPE-601"


def test_a_site_that_fails_each_round_does_not_stop_the_others(
    three: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    three.changes["west"] = failing(QuorumLost(), kinds=[Kind.TRAIN])
    results = run(plan_for(3, quorum=2), three, new_folder("run"))
    failures = [(number, site, failure.code) for number, site, failure in results.failures_in_rounds()]
    assert failures == [(number, "west", "FPE-601") for number in (1, 2, 3)]
    assert results.best_round > 0
    # It still says how good the models are that it can judge.
    assert results.rounds[3].sites["west"].validation is not None


def test_a_round_without_a_quorum_keeps_the_last_good_one(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder], whole: RunFolder
) -> None:
    def fails_in_round_2(reply: Reply) -> Reply:
        return failing(QuorumLost())(reply) if reply.header.round_number == 2 else reply

    folder = new_folder("run")
    hospitals.changes["south"] = fails_in_round_2
    with pytest.raises(QuorumLost, match=r"1 sites gave an update in round 2.+south: \[FPE-601\]") as caught:
        run(WHOLE, hospitals, folder)
    assert "last good round" in caught.value.hint
    state = state_of(folder)
    assert (state["status"], state["code"], state["round"]) == ("failed", "FPE-601", 1)
    hospitals.changes.clear()
    run(WHOLE, hospitals, folder)
    assert model_bytes(folder) == model_bytes(whole)


def with_state(make: Callable[[FlatState], FlatState | None]) -> Change:
    return lambda reply: reply if reply.state is None else Reply(reply.header, make(reply.state))


def with_nan(state: FlatState) -> FlatState:
    values = state.values.copy()
    values[0] = np.nan
    return FlatState(state.layout, values)


def with_shape(state: FlatState) -> FlatState:
    first = state.layout.entries[0]
    flat = replace(first, shape=(first.size,))
    return FlatState(Layout((flat, *state.layout.entries[1:])), state.values)


def with_name(state: FlatState) -> FlatState:
    entries = (*state.layout.entries, TensorEntry("extra", (), "float32", "head"))
    return FlatState(Layout(entries), np.append(state.values, np.float32(0)))


def without_a_tensor(state: FlatState) -> FlatState:
    last = state.layout.entries[-1]
    return FlatState(Layout(state.layout.entries[:-1]), state.values[: -last.size])


def of_no_case(reply: Reply) -> Reply:
    if reply.header.training is None:
        return reply
    nothing = reply.header.training.model_copy(update={"num_cases": 0})
    return Reply(reply.header.model_copy(update={"training": nothing}), reply.state)


SHORT = plan_for(3, quorum=2, rounds=1)


@pytest.fixture(scope="module")
def without_south(sessions: dict[str, SiteSession], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """`SHORT` where south fails in the round."""
    folder, hospitals = RunFolder(tmp_path_factory.mktemp("without")), Hospitals(sessions)
    hospitals.changes["south"] = failing(QuorumLost(), kinds=[Kind.TRAIN])
    run(SHORT, hospitals, folder)
    return folder


@pytest.mark.parametrize(
    ("change", "code", "tensor"),
    [
        (with_state(with_nan), "FPE-501", "conv1.weight"),
        (with_state(with_shape), "FPE-503", "conv1.weight"),
        (with_state(with_name), "FPE-502", "extra"),
        (with_state(without_a_tensor), "FPE-502", "classifier.1.bias"),
        (of_no_case, "FPE-504", "num_cases"),
        (with_state(lambda _: None), "FPE-303", "update"),
    ],
    ids=["NaN", "shape", "unknown tensor", "missing tensor", "no case", "no update"],
)
def test_an_update_that_cannot_be_used_is_refused_and_named(
    three: Hospitals,
    new_folder: Callable[[str], RunFolder],
    without_south: RunFolder,
    change: Change,
    code: str,
    tensor: str,
) -> None:
    folder = new_folder("run")
    three.changes["south"] = change
    results = run(SHORT, three, folder)
    assert [(site, failure.code) for _, site, failure in results.failures_in_rounds()] == [("south", code)]
    (refused,) = [event for event in events_of(folder) if event["event"] == "refused"]
    assert (refused["site"], refused["code"]) == ("south", code)
    assert refused["reason"].startswith("south: ")
    assert tensor in refused["reason"]
    # The model is the one of a round in which that site said nothing.
    ours, theirs = (f.load_checkpoint(SHORT.fingerprint()) for f in (folder, without_south))
    assert ours is not None
    assert theirs is not None
    assert ours.current.values.tobytes() == theirs.current.values.tobytes()


def test_a_site_that_is_gone_at_the_end_is_missing_in_the_results_only(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    def gone(reply: Reply) -> Reply:
        evaluation = reply.header.evaluation
        return failing(QuorumLost())(reply) if evaluation and evaluation.split == "test" else reply

    hospitals.changes["south"] = gone
    results = run(plan_for(2, rounds=1, compare_with_local=True), hospitals, new_folder("run"))
    north, south = results.sites
    assert (south.test, south.alone_test) == (None, None)
    assert north.test is not None
    assert [(f.site, f.kind) for f in results.failures] == [("south", Kind.EVALUATE), ("south", Kind.ALONE)]
    assert results.pooled_test is not None
    assert results.pooled_test.num_cases == north.test.num_cases


def test_an_unexpected_error_fails_the_study_without_its_text(
    hospitals: Hospitals, new_folder: Callable[[str], RunFolder]
) -> None:
    folder = new_folder("run")
    with pytest.raises(PowerCut):
        run_study(plan_for(2), CutExchange(hospitals.exchange(), at=(Kind.TRAIN, 1)), folder)
    state = state_of(folder)
    assert (state["status"], state["code"]) == ("failed", "FPE-600")
    assert state["message"] == "an unexpected error ended the study"
