"""What a run would take."""

from pathlib import Path

from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo import KIND
from fpe_sim.vdh_rlvo.protocol import VdhProtocol

CONTEXT = RunContext(Path("unused"), jobs=2, device="cpu")


def test_the_paper_is_120_trainings_of_839_cases(protocol: VdhProtocol) -> None:
    full = VdhProtocol.model_validate(
        protocol.model_dump()
        | {
            "encoders": ("efficientnet-b0", "densenet169"),
            "configurations": ("plain", "prior", "daft", "prior-daft"),
            "inputs": ("ncct", "cta", "both"),
            "num_folds": 4,
            "dials": {"scale": 1.0, "images": "small"},
        }
    )
    found = KIND.estimate(full, CONTEXT)
    assert found.num_trainings == 96 + 24
    assert found.cohorts == {"vdh": 839}


def test_a_narrowed_run_is_less(protocol: VdhProtocol) -> None:
    found = KIND.estimate(protocol, CONTEXT)
    assert found.num_trainings == (2 + 2) * 1 * 2
    plain = protocol.model_copy(update={"configurations": ("plain",)})
    assert KIND.estimate(plain, CONTEXT).num_trainings == 2
    assert found.cohorts["vdh"] < 60
