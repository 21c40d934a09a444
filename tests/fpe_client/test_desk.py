"""One request at a time; a request that comes again is not worked on again."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fpe_client.desk import Desk
from fpe_client.frames import Step, read_frame
from fpe_core.errors import FpeError, StateUnreadable, TrainingFailed
from fpe_core.protocol import Kind, Reply, Request, reply_from_bytes, to_bytes

MakeRequest = Callable[..., Request]
MakeReply = Callable[..., Reply]
Progress = Callable[[str, int, int], None]


class Bench:
    """Work that waits to be told, on a desk that is worked on by a thread."""

    def __init__(self, make_reply: MakeReply) -> None:
        self.go = threading.Event()
        self.seen: list[Kind] = []
        self.interrupted: list[FpeError] = []
        self.fail = False
        self._make_reply = make_reply
        self.desk = Desk(self.work)
        self.pool = ThreadPoolExecutor(8)

    def work(self, request: Request, progress: Progress) -> Reply:
        self.seen.append(request.header.kind)
        try:
            progress("train", 1, 2)
            while not self.go.wait(0.01):
                progress("train", 1, 2)
        except FpeError as error:
            self.interrupted.append(error)
            return Reply.failed(request.header, TrainingFailed())
        return Reply.failed(request.header, TrainingFailed()) if self.fail else self._make_reply(request)

    def ask(self, request: Request, connected: Callable[[], bool] = lambda: True) -> "Future[list[bytes]]":
        return self.pool.submit(lambda: list(self.desk.exchange(to_bytes(request), connected=connected)))

    def serve(self, times: int = 1) -> "Future[list[bool]]":
        return self.pool.submit(lambda: [self.desk.work_once(timeout_s=5.0) for _ in range(times)])


@pytest.fixture
def bench(make_reply: MakeReply) -> Iterator[Bench]:
    bench = Bench(make_reply)
    yield bench
    bench.go.set()
    bench.pool.shutdown()


def reply_in(frames: list[bytes]) -> Reply:
    content = read_frame(frames[-1])
    assert isinstance(content, bytes)
    return reply_from_bytes(content)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_progress_comes_before_the_reply(bench: Bench, make_request: MakeRequest) -> None:
    asked = bench.ask(make_request())
    bench.serve()
    until(lambda: bench.seen)
    time.sleep(0.05)
    bench.go.set()
    frames = asked.result(5)
    steps = [read_frame(frame) for frame in frames[:-1]]
    assert Step("train", 1, 2) in steps
    assert reply_in(frames).header.training is not None


def test_two_senders_of_one_request_share_its_work(bench: Bench, make_request: MakeRequest) -> None:
    first, second = bench.ask(make_request()), bench.ask(make_request())
    bench.serve()
    until(lambda: bench.seen)
    bench.go.set()
    assert first.result(5)[-1] == second.result(5)[-1]
    assert len(bench.seen) == 1


def test_a_request_that_comes_again_gets_the_answer_that_was_ready(bench: Bench, make_request: MakeRequest) -> None:
    bench.go.set()
    asked = bench.ask(make_request())
    bench.serve().result(5)
    again = bench.ask(make_request())
    assert again.result(5)[-1] == asked.result(5)[-1]
    assert len(bench.seen) == 1


def test_another_request_is_worked_on(bench: Bench, make_request: MakeRequest) -> None:
    bench.go.set()
    bench.serve(2)
    bench.ask(make_request(fill=1.0)).result(5)
    bench.ask(make_request(fill=2.0)).result(5)
    assert len(bench.seen) == 2


def test_a_failed_request_is_tried_again(bench: Bench, make_request: MakeRequest) -> None:
    bench.go.set()
    bench.fail = True
    bench.serve(2)
    bench.ask(make_request()).result(5)
    bench.fail = False
    assert reply_in(bench.ask(make_request()).result(5)).header.failure is None
    assert len(bench.seen) == 2


def test_one_request_waits_for_the_other(bench: Bench, make_request: MakeRequest) -> None:
    first = bench.ask(make_request(Kind.TRAIN))
    until(lambda: bench.desk.num_waiting == 1)
    second = bench.ask(make_request(Kind.EVALUATE))
    served = bench.serve(2)
    time.sleep(0.1)
    assert bench.seen == [Kind.TRAIN]
    bench.go.set()
    served.result(5)
    assert bench.seen == [Kind.TRAIN, Kind.EVALUATE]
    assert reply_in(first.result(5)).header.kind is Kind.TRAIN
    assert reply_in(second.result(5)).header.kind is Kind.EVALUATE


def test_a_request_that_nobody_waits_for_gives_way(bench: Bench, make_request: MakeRequest) -> None:
    connected = threading.Event()
    connected.set()
    first = bench.ask(make_request(Kind.TRAIN), connected.is_set)
    served = bench.serve(2)
    until(lambda: bench.seen)
    connected.clear()
    first.result(5)
    assert bench.interrupted == []
    second = bench.ask(make_request(Kind.EVALUATE))
    until(lambda: bench.interrupted)
    bench.go.set()
    served.result(5)
    assert reply_in(second.result(5)).header.kind is Kind.EVALUATE


def test_silence_is_counted_only_while_a_request_is_in_work(make_request: MakeRequest, make_reply: MakeReply) -> None:
    now = [100.0]
    seen: list[float] = []

    def work(request: Request, progress: Progress) -> Reply:
        now[0] += 7
        seen.append(desk.silent_s())
        progress("train", 1, 1)
        seen.append(desk.silent_s())
        return make_reply(request)

    desk = Desk(work, clock=lambda: now[0])
    now[0] += 1000
    assert desk.silent_s() == 0
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: list(desk.exchange(to_bytes(make_request()), connected=lambda: True)))
        desk.work_once(timeout_s=5.0)
        asked.result(5)
    assert seen == [7.0, 0.0]
    now[0] += 1000
    assert desk.silent_s() == 0


def test_nothing_to_do(make_reply: MakeReply) -> None:
    assert not Bench(make_reply).desk.work_once(timeout_s=0.01)


def test_a_frame_that_is_no_request_is_refused(bench: Bench) -> None:
    with pytest.raises(StateUnreadable):
        list(bench.desk.exchange(b"nonsense", connected=lambda: True))
