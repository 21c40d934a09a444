"""The trainer's desk: one request in work at a time, and the last answer kept for whoever asks again."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator

from fpe_client.frames import Step, progress_frame, reply_frame
from fpe_core.errors import TrainerUnavailable
from fpe_core.protocol import Reply, Request, request_from_bytes, to_bytes

Work = Callable[[Request, Callable[[str, int, int], None]], Reply]


class _Job:
    def __init__(self, digest: bytes, request: Request) -> None:
        self.digest = digest
        self.request = request
        self.step = Step("waiting", 0, 0)
        self.reply: bytes | None = None
        self.failed = False
        self.watchers = 0


class Desk:
    """Where gRPC's threads leave requests and the main thread works on them.

    A connection that breaks loses nothing: the same request sent again joins the work, or gets the answer that was
    ready. A request that nobody waits for any more gives way to the next one.

    Args:
        work: answers one request; never raises `Exception`.
        clock: seconds, monotonic.
    """

    def __init__(self, work: Work, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._clock = clock
        self._changed = threading.Condition()
        self._jobs: list[_Job] = []
        self._last: _Job | None = None
        self._alive_at = clock()

    def silent_s(self) -> float:
        """Seconds since the request in work last made progress; 0 when there is none."""
        with self._changed:
            return self._clock() - self._alive_at if self._jobs else 0.0

    @property
    def num_waiting(self) -> int:
        """Requests in work or waiting for it."""
        with self._changed:
            return len(self._jobs)

    def exchange(self, frame: bytes, *, connected: Callable[[], bool]) -> Iterator[bytes]:
        """Progress frames while the request is in work, then the reply. Ends early when nobody listens any more.

        Raises:
            StateUnreadable, ProtocolVersionWrong, StateMismatch: the frame is not a request.
        """
        job = self._join(frame)
        try:
            yield from self._watch(job, connected)
        finally:
            with self._changed:
                job.watchers -= 1

    def work_once(self, *, timeout_s: float) -> bool:
        """Work on the oldest request. Returns False when none came within `timeout_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._jobs), timeout_s):
                return False
            job = self._jobs[0]
            self._alive_at = self._clock()
        reply = self._work(job.request, lambda stage, done, total: self._progress(job, Step(stage, done, total)))
        with self._changed:
            job.reply = reply_frame(to_bytes(reply))
            job.failed = reply.header.failure is not None
            self._jobs.remove(job)
            self._last = job
            self._changed.notify_all()
        return True

    def _join(self, frame: bytes) -> _Job:
        digest = hashlib.sha256(frame).digest()
        with self._changed:
            known = [*self._jobs, *([self._last] if self._last and not self._last.failed else [])]
            job = next((job for job in known if job.digest == digest), None)
            if job is None:
                job = _Job(digest, request_from_bytes(frame))
                self._jobs.append(job)
                self._changed.notify_all()
            job.watchers += 1
            return job

    def _watch(self, job: _Job, connected: Callable[[], bool]) -> Iterator[bytes]:
        shown: Step | None = None
        while connected():
            with self._changed:
                if job.reply is None and job.step == shown:
                    self._changed.wait(timeout=1.0)
                step, reply = job.step, job.reply
            if reply is not None:
                yield reply
                return
            if step != shown:
                shown = step
                yield progress_frame(step)

    def _progress(self, job: _Job, step: Step) -> None:
        with self._changed:
            job.step = step
            self._alive_at = self._clock()
            abandoned = not job.watchers and len(self._jobs) > 1
            self._changed.notify_all()
        if abandoned:
            raise TrainerUnavailable("nobody waits for this request any more, and another one came in")
