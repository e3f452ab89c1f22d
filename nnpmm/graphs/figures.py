"""Learning curves of a pre-training and of the training of a property."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnpmm import plots
from nnpmm.graphs.pretraining import PretrainedCard
from nnpmm.graphs.properties import PropertyCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["learning_figure", "loss_figure"]


def learning_figure(card: PropertyCard) -> Figure:
    """Return the RMS errors by epoch of every member; the kept epochs are marked."""
    longest = max(len(curve) for curve in card.curves)
    curves = np.full((len(card.curves), longest, 2), np.nan)
    for row, curve in zip(curves, card.curves, strict=True):
        row[: len(curve)] = curve
    kept = np.nanargmin(curves[:, :, 1], axis=1) + 1
    label = f"RMS error of {card.settings.value}"
    return plots.plot_learning_curve(curves[:, :, 0], curves[:, :, 1], kept.tolist(), ylabel=label)


def loss_figure(card: PretrainedCard) -> Figure:
    """Return the training and validation loss by epoch."""
    epochs = np.arange(1, len(card.training) + 1)
    curves = {"training": card.training, "validation": card.validation}
    return plots.plot_time_series(epochs, curves, xlabel="epoch", ylabel="loss (NT-Xent)")
