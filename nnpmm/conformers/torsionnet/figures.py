"""The learning curve of a policy."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from nnpmm.conformers.torsionnet.card import PolicyCard
from nnpmm.plots import draw_time_series
from nnpmm.plots.style import BLUE, GREY, create_panels, dress, legend

__all__ = ["training_figure"]

_SMOOTH = 10  # updates of the running mean


def training_figure(card: PolicyCard) -> Figure:
    """Draw the scores of a training and the molecules in use, by update.

    Args:
        card: of the policy.
    """
    molecules, mean, hardest = np.array(card.curve).T
    updates = np.arange(1, len(mean) + 1)
    figure, (above, below) = create_panels(2, height=4.6)
    for values, color, label in ((mean, GREY, "all"), (hardest, BLUE, "harder half")):
        draw_time_series(above, updates, _running(values), color=color, label=label)
    dress(above, xlabel="update", ylabel="score / Monte Carlo search")
    legend(above)
    below.step(updates, molecules, where="post", color=BLUE)
    dress(below, xlabel="update", ylabel="molecules in use")
    return figure


def _running(values: np.ndarray) -> np.ndarray:
    """Return means over each value and those before it, up to ten in all."""
    return np.array([values[max(0, n - _SMOOTH + 1) : n + 1].mean() for n in range(len(values))])
