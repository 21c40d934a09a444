"""Memory: what a case is thought to take, and cases that wait for room."""

import time

from fpe_core.config.recipe import recipe_named
from fpe_core.preprocessing import memory
from fpe_core.preprocessing.crew import _employ, _Worker
from fpe_core.preprocessing.memory import _free_in_container, case_bytes, room_bytes

MR = recipe_named("mnt-dl-mr-small")


def test_a_larger_scan_takes_more_and_an_unreadable_one_nothing(scanner, tmp_path):
    small = scanner.save(tmp_path / "small.nii.gz", "dwi", spacing_mm=(4.0, 4.0, 6.0))
    large = scanner.save(tmp_path / "large.nii.gz", "dwi", spacing_mm=(2.0, 2.0, 6.0))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    alone = case_bytes([], MR)
    assert alone == case_bytes([broken], MR) == case_bytes([tmp_path / "nowhere.nii.gz"], MR) > 100 * 2**20
    assert 3.8 < (case_bytes([large], MR) - alone) / (case_bytes([small], MR) - alone) < 4.2
    assert case_bytes([small, large, broken], MR) == case_bytes([large], MR)
    assert case_bytes([small], recipe_named("daft-ct")) > case_bytes([small], MR) + 2**30


def test_room_is_a_share_of_what_the_machine_has_free():
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        total_kib = int(file.readline().split()[1])
    assert 0 < room_bytes() < total_kib * 1024


def test_a_container_leaves_what_it_may_take_less_what_it_has_with_cached_files_given_back(tmp_path):
    assert _free_in_container(tmp_path) == []
    for name, text in {
        "memory.current": "700\n",
        "memory.stat": "anon 500\nfile 200\n",
        "memory.max": "1000\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert _free_in_container(tmp_path) == [500]
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_container(tmp_path) == []


class Pipe:
    """The end of a pipe to a worker that takes everything."""

    def send(self, task):
        self.task = task


class Sized:
    """A task of which only the memory matters here."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes


def crew_of(*sizes: int) -> list[_Worker]:
    return [_Worker(None, Pipe(), Sized(size) if size else None, time.monotonic()) for size in sizes]  # type: ignore


def in_work(crew: list[_Worker]) -> list[int]:
    return [worker.task.memory_bytes for worker in crew if worker.task]


def test_a_case_waits_until_there_is_room_and_one_that_never_fits_is_worked_on_alone():
    from collections import deque

    crew, waiting = crew_of(60, 0, 0), deque([Sized(30), Sized(30)])
    _employ(crew, waiting, jobs=3, room_bytes=100)
    assert (in_work(crew), len(waiting)) == ([60, 30], 1)
    crew[0].task = None
    _employ(crew, waiting, jobs=3, room_bytes=100)
    assert (sorted(in_work(crew)), len(waiting)) == ([30, 30], 0)

    crew, waiting = crew_of(10, 0), deque([Sized(500)])
    _employ(crew, waiting, jobs=2, room_bytes=100)
    assert (in_work(crew), len(waiting)) == ([10], 1)
    crew[0].task = None
    _employ(crew, waiting, jobs=2, room_bytes=100)
    assert (in_work(crew), len(waiting)) == ([500], 0)


def test_memory_is_read_where_linux_says_it():
    assert memory._free_on_machine() > 0
