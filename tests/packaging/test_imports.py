"""What a light process loads: the gate and the ServerApp must not bring the trainer's libraries into memory."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "monai", "SimpleITK", "ants", "opacus", "matplotlib", "sklearn", "nibabel", "ray"}


def loaded_by(*modules: str) -> set[str]:
    """Which heavy libraries a fresh process has loaded after importing `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "modules",
    [
        ("fpe_server.app",),
        ("fpe_client.app",),
        ("fpe_core.config", "fpe_core.protocol", "fpe_core.state", "fpe_core.aggregation"),
        ("fpe_client.cli",),
        ("fpe_server.cli",),
        ("fpe_sim.cli",),
    ],
    ids=lambda modules: modules[0],
)
def test_a_light_process_stays_light(modules: tuple[str, ...]) -> None:
    assert loaded_by(*modules) == set()


def test_the_trainer_does_load_them() -> None:
    assert "torch" in loaded_by("fpe_client.handlers")
