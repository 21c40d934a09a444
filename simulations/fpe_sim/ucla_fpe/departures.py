"""Where a run departs from the paper, in sentences."""

from fpe_sim.ucla_fpe.protocol import UclaFpe


def departures(protocol: UclaFpe) -> tuple[str, ...]:
    """What is done otherwise, or had to be chosen because the paper does not say it."""
    training, pretraining = protocol.settings.training, protocol.settings.pretraining
    common: tuple[str, ...] = (
        "The prospective test uses the thresholds of the validation cases. The paper takes Youden's J from the ROC "
        "curve of the cases it evaluates, which raises accuracy, sensitivity and specificity.",
        f"Chosen, because the paper prints no value: batches of {training.batch_size} cases, early stopping after "
        f"{training.patience_epochs} epochs without a lower validation loss, and for self-supervision "
        f"{pretraining.rounds * pretraining.plan.local_epochs} epochs with batches of {pretraining.plan.batch_size} "
        f"scans at a step size of {pretraining.plan.learning_rate:g}.",
        "A fold's best epoch is chosen by the same validation cases that it is reported on, as in the paper: the "
        "cross-validated numbers are optimistic, the prospective ones are not.",
    )
    if protocol.region == "brain":
        common += ("The networks see the whole brain, and not the territory of the occluded vessel on both sides.",)
    if protocol.dials.images == "full":
        return common
    return (
        *common,
        f"Small images: 26 × 64 × 64 voxels instead of 26 × 224 × 224, {protocol.settings.base_width} instead of 64 "
        f"channels in the first stage, at most {training.local_epochs} epochs instead of 100, a step size of "
        f"{training.learning_rate:g} instead of 0.0005.",
    )
