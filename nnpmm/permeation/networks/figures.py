"""Figures of trainings and evaluations; ``files.save_figure`` saves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm import plots
from nnpmm.learning import PARTS
from nnpmm.permeation.networks.evaluation import Evaluation, polarity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "attention_figure",
    "errors_figure",
    "frames_figure",
    "learning_figure",
    "parity_figure",
]


def _colors() -> dict[str, str]:
    """Return the color of each part of the data."""
    style = plots.style
    return dict(zip(PARTS, (style.GREY, style.SKY, style.BLUE, style.RED), strict=True))


def learning_figure(curves: NDArray[np.float64], kept_epochs: Sequence[int]) -> Figure:
    """Return the errors by epoch of every member.

    Args:
        curves: (members, epochs, 2) kcal/mol, as in ``TrainingResult``.
        kept_epochs: of each member, from 1, as in its card.
    """
    return plots.plot_learning_curve(
        curves[:, :, 0],
        curves[:, :, 1],
        kept_epochs,
        ylabel="mean absolute error / (kcal/mol)",
    )


def parity_figure(evaluation: Evaluation) -> Figure:
    """Return predictions against labels, with errors, coloured by the part of the samples."""
    series, colors = {}, []
    for part, found in evaluation.by_part().items():
        mae = np.abs(found.differences).mean()
        series[f"{part}: MAE {mae:.2f} kcal/mol"] = plots.Pairs(
            found.data.labels, found.predicted, found.data.label_errors, found.errors
        )
        colors.append(_colors()[part])
    return plots.plot_parity(
        series,
        xlabel="label / (kcal/mol)",
        ylabel="prediction / (kcal/mol)",
        colors=colors,
    )


def errors_figure(evaluation: Evaluation) -> Figure:
    """Return the differences from labels by lipid and by polarity."""
    figure, (lipid, families) = plots.style.create_panels(1, 2, width=8.0, height=3.4, sharey=True)
    polarities = tuple(map(polarity, evaluation.data.solutes))
    for axes, groups in ((lipid, evaluation.data.lipids), (families, polarities)):
        plots.draw_groups(axes, evaluation.differences, groups, evaluation.parts, _colors())
    plots.style.dress(lipid, xlabel="lipid", ylabel="prediction - label / (kcal/mol)")
    plots.style.dress(families, xlabel="families of beads: apolar C, intermediate N, polar P")
    plots.style.legend(families, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def attention_figure(weights: NDArray[np.float64], interval: float) -> Figure:
    """Return the attention to every frame: the mean over the samples, and all of them.

    Args:
        weights: (samples, frames), each row adds up to 1.
        interval: time from frame to frame, ps.
    """
    style = plots.style
    figure, (axes,) = style.create_panels()
    frames = weights.shape[1]
    time = interval / 1000.0 * np.arange(1, frames + 1)
    axes.plot(time, weights.T * frames, color=style.LIGHT_GREY, linewidth=0.4)
    axes.plot(time, weights.mean(axis=0) * frames, color=style.BLUE, label="mean over samples")
    axes.axhline(1.0, color=style.BLACK, linewidth=0.8, linestyle="--", label="uniform")
    style.dress(axes, xlabel="time / ns", ylabel="attention, 1 = uniform")
    style.legend(axes)
    return figure


def frames_figure(found: Mapping[str, Mapping[int, float]], interval: float) -> Figure:
    """Return the mean absolute error by length of the trajectories.

    Args:
        found: of each curve's name, the error in kcal/mol by number of frames.
        interval: time from frame to frame, ps.
    """
    style = plots.style
    figure, (axes,) = style.create_panels()
    for (name, errors), color in zip(found.items(), cycle(style.COLORS), strict=False):
        time = [interval / 1000.0 * count for count in errors]
        plots.draw_profile(axes, time, list(errors.values()), color=color, label=name)
    axes.set_ylim(bottom=0.0)
    style.dress(
        axes, xlabel="length of the trajectory / ns", ylabel="mean absolute error / (kcal/mol)"
    )
    style.legend(axes)
    return figure
