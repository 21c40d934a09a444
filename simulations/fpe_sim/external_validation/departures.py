"""Where an external validation departs from the papers, and what it cannot show."""

from collections.abc import Sequence

from fpe_sim.external_validation.pairs import HOSPITAL_TITLES, LABEL_TITLES, Pair
from fpe_sim.external_validation.protocol import ExternalValidationProtocol

_ALWAYS = (
    "Neither paper validates its model at another hospital; both name it as the next step. The numbers under “paper” "
    "are each hospital's own.",
    "One network, MNT-DL on NCCT and CTA, serves both directions, because both hospitals can feed it. Vall d'Hebron's "
    "own paper uses 3-D networks with a clinical table, and UCLA's best result comes after self-supervised "
    "pre-training; neither is done here.",
    "The papers' tables give the mean of single fold models. What travels here is one predictor: the mean probability "
    "of all fold models. The fold models' own means stand in a table of their own.",
)
_NOT_BALANCED = (
    "Classes are not weighted in training: weights would move the probabilities away from the home's own share of the "
    "outcome, and calibration away from home could not be told from that."
)
_SMALL = (
    "images: small. A coarse grid, a network a quarter as wide, and a shorter training with a larger learning rate "
    "than the paper's."
)
_PHANTOMS = (
    "In phantoms of both hospitals an outcome follows from the same findings with the same weights. What differs is "
    "the scanner (noise, contrast, slices, tilt), who comes (age, severity), and how many have the outcome; not how an "
    "occlusion behaves or is treated. A real model may lose more on the way."
)


def departures(protocol: ExternalValidationProtocol, not_run: Sequence[Pair], *, synthetic: bool) -> tuple[str, ...]:
    """Sentences for the report."""
    small = (_SMALL,) if protocol.dials.images == "small" else ()
    phantoms = (_PHANTOMS,) if synthetic else ()
    unweighted = () if protocol.network.training.balance_classes else (_NOT_BALANCED,)
    return (*_ALWAYS, *unweighted, *small, *phantoms, *(_not_run(protocol, pair) for pair in not_run))


def _not_run(protocol: ExternalValidationProtocol, pair: Pair) -> str:
    return (
        f"Not run: {pair.title}. The development cohort of {HOSPITAL_TITLES[pair.home]} has fewer patients of a class "
        f"({LABEL_TITLES[pair.label]}) than the {protocol.hospital(pair.home).num_folds} folds."
    )
