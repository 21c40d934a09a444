"""A comparison of small hospitals whose cases are preprocessed already."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fpe_sim.federated.cohorts import Group, Member
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.virtual_site import session_of

RECIPE = "mnt-dl-mr-small"
PROTOCOL = {
    "kind": "federated",
    "name": "trial",
    "summary": "A trial.",
    "seed": 7,
    "num_seeds": 1,
    "hospitals": {"number": 3, "cases_per_site": 16},
    "inputs": {
        "mr": {"recipe": "mnt-dl-mr", "sequences": ["dwi", "flair", "adc"]},
        "ct": {"recipe": "mnt-dl-ct", "sequences": ["ncct", "cta"]},
    },
    "study": {"split": {"validation": 0.25, "test": 0.25}},
    "small": {"base_width": 8, "rounds": 1, "training": {"batch_size": 6}},
}


@pytest.fixture
def make_protocol() -> Callable[..., FederatedProtocol]:
    """The trial with some sections replaced."""
    return lambda **changes: FederatedProtocol.model_validate({**PROTOCOL, **changes})


@pytest.fixture
def group(make_site: Callable[..., Path]) -> Group:
    """Three hospitals of different sizes, in seed 1."""
    sizes = {"north": (8, 8), "south": (6, 10), "east": (9, 11)}
    files = [
        make_site(name, num_positive=positive, num_negative=negative, seed=number)
        for number, (name, (positive, negative)) in enumerate(sizes.items())
    ]
    session_of.cache_clear()
    return Group(1, "mr", tuple(Member(file.resolve(), RECIPE) for file in files))
