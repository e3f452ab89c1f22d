"""Figures of trainings and evaluations; ``files.save_figure`` saves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm.learning import PARTS
from nnpmm.permeation.networks.evaluation import Evaluation, polarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "attention_figure",
    "errors_figure",
    "frames_figure",
    "learning_figure",
    "parity_figure",
]

_COLOURS = dict(zip(PARTS, ("0.6", "tab:green", "tab:blue", "tab:red"), strict=True))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # slow to import, and not needed to predict

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def learning_figure(curves: NDArray[np.float64], kept_epochs: Sequence[int]) -> Figure:
    """Return the errors by epoch of every member.

    Args:
        curves: (members, epochs, 2) kcal/mol, as in ``TrainingResult``.
        kept_epochs: of each member, from 1, as in its card.
    """
    figure = _figure(5.5, 3.6)
    axes = figure.subplots()
    epochs = np.arange(1, curves.shape[1] + 1)
    for part, (name, colour) in enumerate((("training", "0.6"), ("validation", "tab:green"))):
        for n, curve in enumerate(curves[:, :, part]):
            label = name if n == 0 else None
            axes.plot(epochs, curve, color=colour, linewidth=0.8, label=label)
    kept = [curve[epoch - 1, 1] for curve, epoch in zip(curves, kept_epochs, strict=True)]
    axes.plot(kept_epochs, kept, "kx", label="kept")
    axes.set(xlabel="epoch", ylabel="mean absolute error / kcal/mol", yscale="log")
    axes.legend()
    return figure


def parity_figure(evaluation: Evaluation) -> Figure:
    """Return predictions against labels, with errors, coloured by the part of the samples."""
    figure = _figure(4.6, 4.4)
    axes = figure.subplots()
    labels = evaluation.data.labels
    ends = np.array([labels.min(), labels.max()])
    axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=0)
    for part, found in evaluation.by_part().items():
        mae = np.abs(found.differences).mean()
        axes.errorbar(
            found.data.labels,
            found.predicted,
            xerr=found.data.label_errors,
            yerr=found.errors,
            fmt="o",
            markersize=3,
            elinewidth=0.7,
            color=_COLOURS[part],
            label=f"{part}: MAE {mae:.2f} kcal/mol",
        )
    axes.set(xlabel="label / kcal/mol", ylabel="prediction / kcal/mol", aspect="equal")
    axes.legend(fontsize="small")
    return figure


def errors_figure(evaluation: Evaluation) -> Figure:
    """Return the differences from labels by lipid and by polarity."""
    figure = _figure(8.0, 3.4)
    lipid, families = figure.subplots(1, 2, sharey=True)
    _strips(lipid, evaluation, evaluation.data.lipids)
    _strips(families, evaluation, tuple(map(polarity, evaluation.data.solutes)))
    lipid.set(xlabel="lipid", ylabel="prediction - label / kcal/mol")
    families.set(xlabel="families of beads: apolar C, intermediate N, polar P")
    return figure


def _strips(axes: Axes, evaluation: Evaluation, groups: tuple[str, ...]) -> None:
    """Draw the difference of every sample above its group, and the mean of each group."""
    names = sorted(set(groups), key=lambda name: (len(name), name))
    parts = np.array(evaluation.parts)
    spread = np.random.default_rng(1).uniform(-0.25, 0.25, size=len(groups))
    places = np.array([names.index(group) for group in groups]) + spread
    axes.axhline(0.0, color="0.5", linewidth=0.8, zorder=0)
    for part in sorted(set(evaluation.parts), key=PARTS.index):
        chosen = parts == part
        heights = evaluation.differences[chosen]
        axes.plot(places[chosen], heights, "o", markersize=3, color=_COLOURS[part], label=part)
    for n, name in enumerate(names):
        mean = evaluation.differences[np.array(groups) == name].mean()
        axes.hlines(mean, n - 0.35, n + 0.35, color="black", linewidth=1.2)
    axes.set_xticks(range(len(names)), names)
    axes.legend(fontsize="small")


def attention_figure(weights: NDArray[np.float64], interval: float) -> Figure:
    """Return the attention to every frame: the mean over the samples, and all of them.

    Args:
        weights: (samples, frames), each row adds up to 1.
        interval: time from frame to frame, ps.
    """
    figure = _figure(5.5, 3.4)
    axes = figure.subplots()
    frames = weights.shape[1]
    time = interval / 1000.0 * np.arange(1, frames + 1)
    axes.plot(time, weights.T * frames, color="0.8", linewidth=0.4)
    axes.plot(time, weights.mean(axis=0) * frames, color="tab:blue", label="mean over samples")
    axes.axhline(1.0, color="0.4", linewidth=0.8, linestyle="--", label="uniform")
    axes.set(xlabel="time / ns", ylabel="attention, 1 = uniform")
    axes.legend()
    return figure


def frames_figure(found: Mapping[str, Mapping[int, float]], interval: float) -> Figure:
    """Return the mean absolute error by length of the trajectories.

    Args:
        found: of each curve's name, the error in kcal/mol by number of frames.
        interval: time from frame to frame, ps.
    """
    figure = _figure(5.5, 3.4)
    axes = figure.subplots()
    for name, errors in found.items():
        time = [interval / 1000.0 * count for count in errors]
        axes.plot(time, list(errors.values()), "o-", markersize=3, label=name)
    axes.set(xlabel="length of the trajectory / ns", ylabel="mean absolute error / kcal/mol")
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return figure
