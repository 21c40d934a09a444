"""`fpe-client conformance`: whether this installation's preprocessing agrees with the recorded one."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from fpe_core.errors import ConformanceFailed

if TYPE_CHECKING:
    from fpe_core.preprocessing.conformance import Compared


def check_conformance(recipe_names: list[str], *, console: Console) -> dict[str, object]:
    """Preprocess the reference case with each recipe and compare.

    Args:
        recipe_names: built-in recipes.
        console: where words and tables go.

    Returns:
        By recipe: how many numbers were compared, the largest difference as a share of its tolerance, and the numbers
        that do not agree.

    Raises:
        ConformanceFailed: a number is off by more than its tolerance.
        ConfigValueInvalid: there is no such recipe.
    """
    from fpe_core.config.recipe import recipe_named
    from fpe_core.preprocessing.conformance import compared, measured, recorded_numbers

    results: dict[str, object] = {}
    failed = []
    for recipe in [recipe_named(name) for name in recipe_names]:
        recorded = recorded_numbers(recipe)
        console.print(f"preprocessing the reference case with {recipe.name}", highlight=False)
        with tempfile.TemporaryDirectory(prefix="fpe-conformance-") as folder:
            numbers = compared(measured(Path(folder), recipe), recorded, recipe)
        off = [number for number in numbers if not number.agrees]
        console.print(_table(recipe.name, numbers))
        results[recipe.name] = {
            "compared": len(numbers),
            "worst_share_of_tolerance": max(number.off / number.tolerance for number in numbers),
            "off": {n.name: {"found": n.found, "recorded": n.recorded, "tolerance": n.tolerance} for n in off},
        }
        failed += [recipe.name] if off else []
    if failed:
        raise ConformanceFailed(
            f"this installation's preprocessing differs from the recorded one in {', '.join(failed)}",
            hint="install the versions of constraints.txt; numbers that begin with input differ before any step, "
            "in the phantom itself",
        )
    console.print("This installation preprocesses as recorded.", highlight=False)
    return results


def _table(title: str, numbers: "list[Compared]") -> Table:
    """One line for each kind of number: the worst of its kind."""
    table = Table(title=title, title_justify="left")
    for heading in ("kind", "numbers", "worst", "off", "tolerance", "verdict"):
        table.add_column(heading)
    for kind in dict.fromkeys(number.name.split()[0] for number in numbers):
        own = [number for number in numbers if number.name.split()[0] == kind]
        worst = max(own, key=lambda number: (not number.agrees, number.off))
        verdict = "agrees" if worst.agrees else "differs"
        table.add_row(kind, str(len(own)), worst.name, f"{worst.off:.2g}", f"{worst.tolerance:g}", verdict)
    return table
