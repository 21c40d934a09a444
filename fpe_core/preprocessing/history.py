"""What was done to a case, step by step: the parameters go into its file, the seconds into the cohort's manifest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Parameter = float | int | str | list[float]


@dataclass
class History:
    """Filled while a case is worked on.

    Attributes:
        steps: one entry per step, in order: its name, the sequence it worked on, and its parameters.
        seconds: time per step name, added up over the sequences.
    """

    steps: list[dict[str, Parameter]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, sequence: str, **parameters: Parameter) -> Iterator[dict[str, Parameter]]:
        """Times the block and records it; the block may add what it found to the entry it is given."""
        entry: dict[str, Parameter] = {"step": name, "sequence": sequence, **parameters}
        started = time.perf_counter()
        yield entry
        self.steps.append(entry)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
