"""What the sites' policies kept back of a comparison, and which arms it touched."""

from collections.abc import Iterator, Sequence

from fpe_core.evaluation.results import StudyResults
from fpe_sim.federated.scores import SiteAuc


def withheld(scores: Sequence[SiteAuc], studies: Sequence[StudyResults]) -> Iterator[str]:
    """Sentences for the reader, none where nothing was kept back.

    Args:
        scores: of every arm at every site.
        studies: of every arm but the lone trainings.
    """
    alone = [score.auc for score in scores if score.arm == "local"]
    if missing := alone.count(None):
        yield (
            f"At {missing} of {len(alone)} pairs of site and seed the lone model's AUC stayed at the site: its "
            "held-out cases lack a class, or have fewer of one than the site's policy lets scores out for. "
            + ("So there is no such arm." if missing == len(alone) else "These pairs count in no arm.")
        )
    judged_by_some = [study for study in studies if _lacks_a_loss(study)]
    if judged_by_some:
        by_none = sum(all(entry.pooled_validation_loss is None for entry in study.rounds) for study in judged_by_some)
        yield (
            f"In {len(judged_by_some)} of {len(studies)} studies a site had too few validation cases of a class for "
            "its policy to let losses out: the model was chosen without that site"
            + (f", and in {by_none} of them, where no site had enough, it is the last round's" if by_none else "")
            + ". A lone model is chosen by its own site's loss all the same."
        )


def _lacks_a_loss(study: StudyResults) -> bool:
    return any(
        site.validation is None or site.validation.loss is None
        for entry in study.rounds
        for site in entry.sites.values()
    )
