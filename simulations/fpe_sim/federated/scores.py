"""Every arm's model on every site's held-out cases: same cases, same function, through the site's own session."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors.numpy import load_file

from fpe_client.session import SiteSession
from fpe_core.config.study import StudyPlan
from fpe_core.data.phantoms.spec import Modality
from fpe_core.errors import StateMismatch
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.files import write_atomic
from fpe_core.models.state import layout_of, write_state
from fpe_core.state import FlatState, Layout
from fpe_core.training.predict import predict
from fpe_sim.federated.cohorts import Member
from fpe_sim.federated.protocol import Arm
from fpe_sim.federated.studies import ArmStudy
from fpe_sim.virtual_site import session_of

SCORES = "scores.json"


@dataclass(frozen=True)
class SiteAuc:
    """One arm at one site in one seed.

    Attributes:
        seed_number: from 1.
        modality: of the images.
        site: whose held-out cases they are.
        arm: whose model it is.
        auc: exact; None where the held-out cases have one class only, or the site's policy withholds it.
        num_cases: held-out cases.
    """

    seed_number: int
    modality: Modality
    site: str
    arm: Arm
    auc: float | None
    num_cases: int


def site_aucs(chains: Sequence[Sequence[ArmStudy]]) -> tuple[SiteAuc, ...]:
    """All scores of finished studies. What was scored before is read from the study's folder."""
    return tuple(score for chain in chains for arm_study in chain for score in _scores(arm_study))


def _scores(arm_study: ArmStudy) -> list[SiteAuc]:
    group, arm = arm_study.group, arm_study.arm
    members = (arm_study.left_out,) if arm_study.left_out else group.members
    found = _read_or_score(arm_study, members)
    scores = [
        SiteAuc(group.seed_number, group.modality, site, arm, score.auc, score.num_cases)
        for site, score in found.items()
    ]
    # A lone model stays at its site: the site scores it, by the same function, and tells the result.
    for site in arm_study.results.sites:
        alone = site.alone_test
        if alone is not None:
            scores.append(SiteAuc(group.seed_number, group.modality, site.site, "local", alone.auc, alone.num_cases))
    return scores


class _Scored(NamedTuple):
    """One site's score, and of which cases it is."""

    digest: str
    auc: float | None
    num_cases: int


_SCORED = TypeAdapter(dict[str, _Scored])


def _read_or_score(arm_study: ArmStudy, members: Sequence[Member]) -> dict[str, _Scored]:
    """Scores by site; a model is scored again where a site's cases are no longer those that it was scored on."""
    path = arm_study.study.run_folder / SCORES
    try:
        found = _SCORED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        found = {}
    if {site: score.digest for site, score in found.items()} != {member.site: member.digest for member in members}:
        model, plan = arm_study.study.run_folder / "model.safetensors", arm_study.study.plan
        found = {
            member.site: _Scored(member.digest, *score_model(model, plan, session_of(member.site_file)))
            for member in members
        }
        write_atomic(path, _SCORED.dump_json(found))
    return found


def score_model(model_file: Path, plan: StudyPlan, session: SiteSession) -> tuple[float | None, int]:
    """AUC of a study's model on the held-out cases of one site, and the number of these.

    Args:
        model_file: `model.safetensors` of the study's run folder.
        plan: of the study.
        session: of the site; a site that took no part in the study has held-out cases too.

    Raises:
        StateMismatch: the file is not of the plan's network.
    """
    model, cases = session.model(plan), session.cases(plan).splits.test
    write_state(model, _state(model_file, layout_of(model)))
    predicted = predict(model, cases, plan=plan.training, hardware=session.hardware)
    both = min(cases.num_positive, cases.num_negative) > 0
    return (roc_auc(predicted.probabilities, predicted.labels) if both else None), len(cases)


def _state(model_file: Path, layout: Layout) -> FlatState:
    tensors = load_file(model_file)
    names = [entry.name for entry in layout.entries]
    if sorted(tensors) != sorted(names):
        raise StateMismatch(f"{model_file}: not the weights of the network that the plan describes")
    return FlatState(layout, np.concatenate([tensors[name].astype(np.float32).ravel() for name in names]))
