"""The protocol's figures beside the mean ROC curves."""

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fpe_core.evaluation.report_figures import COLOURS, LEARNING_SIZE_IN, STYLE, canvas
from fpe_sim.pretrained import PretrainingHistory


def pretraining_figure(history: PretrainingHistory) -> Figure:
    """Loss and spread of the projections over the epochs of self-supervision."""
    epochs = range(1, len(history.epoch_losses) + 1)
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(LEARNING_SIZE_IN)
        axes.plot(epochs, history.epoch_losses, color=COLOURS[0], linewidth=2, label="loss")
        axes.plot(epochs, history.epoch_spreads, color=COLOURS[1], linewidth=2, label="spread")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set(xlabel="Epoch")
        axes.legend()
        return figure


def roc_caption(num_patients: int, num_folds: int) -> str:
    """What a mean ROC figure of the prospective test shows."""
    return f"Mean over the models of {num_folds} folds, each on the same {num_patients} prospective patients."
