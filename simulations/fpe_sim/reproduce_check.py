"""Runs protocols with the settings of their section `check` and holds what comes out against its bands."""

import math
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from fpe_core.errors import ConfigValueInvalid, FpeError
from fpe_sim.console import say
from fpe_sim.named import find_settings
from fpe_sim.protocol import Band, ProtocolBase, protocol_names, with_overrides
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.run_protocol import run_protocol
from fpe_sim.run_record import Request


@dataclass(frozen=True)
class BandCheck:
    """One number against its band.

    Attributes:
        protocol: that gave it.
        number: its name.
        low: least accepted value.
        high: greatest accepted value.
        value: what came out; None where the run gave no such number.
    """

    protocol: str
    number: str
    low: float
    high: float
    value: float | None

    @property
    def passed(self) -> bool:
        """Whether the value is in the band."""
        return self.value is not None and self.low <= self.value <= self.high


@dataclass(frozen=True)
class CheckOutcome:
    """What all checks gave.

    Attributes:
        bands: every number of every protocol that ran.
        failures: what went wrong, by protocol that did not run to its end.
    """

    bands: tuple[BandCheck, ...]
    failures: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 where everything ran and every number is in its band, else 1."""
        return 0 if not self.failures and all(check.passed for check in self.bands) else 1

    def as_data(self) -> dict[str, object]:
        """For the JSON envelope."""
        return {
            "checks": [{**asdict(check), "passed": check.passed} for check in self.bands],
            "failures": self.failures,
        }


def check_protocols(names: Sequence[str] | None, out: Path | None, *, jobs: int) -> CheckOutcome:
    """Run each protocol; one that fails does not keep the others from running.

    Args:
        names: protocols or files; None for all that come with the software.
        out: keeps each run in `out/NAME`; None keeps nothing.
        jobs: processes side by side.

    Raises:
        ConfigError: a name is not a protocol's, or a protocol has no section `check`.
    """
    protocols = [checked_protocol(name) for name in names or protocol_names()]
    bands: list[BandCheck] = []
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="fpe-check-") if out is None else nullcontext(str(out)) as folder:
        for protocol in protocols:
            say(f"{protocol.name}: {protocol.summary}")
            context = RunContext(folder=Path(folder).resolve() / protocol.name, jobs=jobs, device="cpu")
            try:
                results = run_protocol(protocol, context, Request(f"fpe-sim reproduce-check {protocol.name}"))
            except FpeError as error:
                failures[protocol.name] = f"[{error.code}] {error}"
            else:
                bands += held_against_bands(protocol, results)
    return CheckOutcome(tuple(bands), failures)


def checked_protocol(name_or_file: str) -> ProtocolBase:
    """The protocol with the settings of its section `check`.

    Raises:
        ConfigError: it is not a protocol, has no such section, or its settings do not fit.
    """
    found = find_settings(name_or_file)
    if not isinstance(found, ProtocolBase) or found.check is None:
        raise ConfigValueInvalid(
            f"{name_or_file}: there is nothing to check", hint="give a protocol with a section check"
        )
    return with_overrides(found, found.check.overrides)


def held_against_bands(protocol: ProtocolBase, results: ProtocolResults) -> list[BandCheck]:
    """Every band of the protocol with the number that came out."""
    bands: Sequence[Band] = protocol.check.bands if protocol.check else ()
    return [
        BandCheck(protocol.name, band.number, band.low, band.high, _finite(results.numbers.get(band.number)))
        for band in bands
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def check_table(outcome: CheckOutcome) -> str:
    """A line for each number, for people."""
    rows = [("", "protocol", "number", "band", "value")]
    rows += [
        (
            "pass" if check.passed else "FAIL",
            check.protocol,
            check.number,
            f"{check.low:g} to {check.high:g}",
            _shown(check),
        )
        for check in outcome.bands
    ]
    rows += [("FAIL", name, "the run", "ends well", sentence) for name, sentence in outcome.failures.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4])).rstrip()
        for row in rows
    ]
    failed = sum(not check.passed for check in outcome.bands) + len(outcome.failures)
    return "\n".join((*lines, f"{failed} failed" if failed else f"all {len(outcome.bands)} numbers are in their bands"))


def _shown(check: BandCheck) -> str:
    return "there is no such number" if check.value is None else f"{check.value:g}"
