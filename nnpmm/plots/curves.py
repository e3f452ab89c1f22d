"""Curves along a coordinate: time series, profiles, distributions, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.plots.style import (
    BLACK,
    BLUE,
    COLORS,
    GREY,
    LIGHT_GREY,
    create_panels,
    dress,
    legend,
    legend_above,
)

__all__ = [
    "draw_profile",
    "draw_time_series",
    "plot_learning_curve",
    "plot_profile",
    "plot_radial_distributions",
    "plot_time_series",
]

_FEW = 40  # points; fewer are drawn with markers


def plot_time_series(
    time: ArrayLike,
    series: Mapping[str, ArrayLike],
    *,
    xlabel: str = "time / ps",
    ylabel: str,
    title: str = "",
) -> Figure:
    """Draw series against time.

    Args:
        time: (n,), in the unit of the label.
        series: values (n,) by name in the legend; a single one may have the name "".
        xlabel: with the unit.
        ylabel: with the unit.
        title: heading, if any.
    """
    figure, (axes,) = create_panels()
    for (name, values), color in zip(series.items(), cycle(COLORS), strict=False):
        draw_time_series(axes, time, values, color=color, label=name)
    dress(axes, xlabel=xlabel, ylabel=ylabel, title=title)
    legend(axes)
    return figure


def draw_time_series(
    axes: Axes, time: ArrayLike, values: ArrayLike, *, color: str = BLUE, label: str = ""
) -> None:
    """Draw values (n,) against time (n,), few of them with markers; the caller adds a legend."""
    marker = "o" if np.size(time) < _FEW else ""
    axes.plot(time, values, color=color, linewidth=1.0, marker=marker, markersize=2.5, label=label)


def plot_profile(
    positions: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
) -> Figure:
    """Draw values along a coordinate with a band of two standard errors; see ``draw_profile``."""
    figure, (axes,) = create_panels()
    draw_profile(axes, positions, values, errors)
    dress(axes, xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def draw_profile(
    axes: Axes,
    positions: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike | None = None,
    *,
    color: str = BLUE,
    label: str = "",
) -> None:
    """Draw a line through values with a band of two standard errors around it.

    Args:
        axes: to draw on.
        positions: (n,) along the coordinate.
        values: (n,).
        errors: (n,) standard errors in the unit of the values; no band if left out.
        color: of line and band.
        label: in a legend that the caller adds.
    """
    if errors is not None:
        draw_band(axes, positions, values, errors, color=color)
    axes.plot(
        positions, values, color=color, linewidth=1.2, marker="o", markersize=2.5, label=label
    )


def draw_band(
    axes: Axes, positions: ArrayLike, values: ArrayLike, errors: ArrayLike, *, color: str
) -> None:
    """Draw a band of two standard errors around values (n,); it has no width at unknown errors."""
    middle = np.asarray(values, dtype=np.float64)
    reach = 2.0 * np.nan_to_num(np.asarray(errors, dtype=np.float64))
    axes.fill_between(
        np.asarray(positions), middle - reach, middle + reach, color=color, alpha=0.2, lw=0
    )


def plot_radial_distributions(
    curves: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]],
) -> Figure:
    """Draw radial distribution functions, a panel for each pair of elements.

    Args:
        curves: at least one; for each pair, by name in the legend, radii (b,) in angstrom, g(r)
            (b,) and standard errors (b,); bands are two of them, and left out at nan.
    """
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = create_panels(
        rows, columns, width=max(2.9 * columns, 4.6), height=2.3 * rows + 0.3, letters=False
    )
    for n, (panel, (pair, named)) in enumerate(zip(axes, curves.items(), strict=False)):
        panel.axhline(1.0, color=LIGHT_GREY, linewidth=0.8, zorder=0)
        for (name, (radii, values, errors)), color in zip(named.items(), cycle(COLORS)):
            draw_band(panel, radii, values, errors, color=color)
            panel.plot(np.asarray(radii), np.asarray(values), color=color, lw=1.2, label=name)
        panel.margins(x=0)
        panel.set(xlim=(0, None), ylim=(0, None))
        last = n >= len(curves) - columns
        dress(
            panel, xlabel="r / Å" if last else "", ylabel="" if n % columns else "g(r)", title=pair
        )
    for panel in axes[len(curves) :]:
        panel.remove()
    if len(next(iter(curves.values()))) > 1:
        legend_above(figure, axes[0])
    return figure


def plot_learning_curve(
    training: ArrayLike,
    validation: ArrayLike,
    kept_epochs: Sequence[int] = (),
    *,
    ylabel: str,
    title: str = "",
) -> Figure:
    """Draw the errors of a training by epoch, on a logarithmic scale.

    Args:
        training: (members, epochs) errors on the training data.
        validation: (members, epochs) errors on the validation data.
        kept_epochs: (members,) epochs of the best weights, from 1; marked if given.
        ylabel: with the unit.
        title: heading, if any.
    """
    figure, (axes,) = create_panels()
    for name, curves, color in (("training", training, GREY), ("validation", validation, BLUE)):
        rows = np.atleast_2d(np.asarray(curves, dtype=np.float64))
        epochs = np.arange(1, rows.shape[1] + 1)
        for n, row in enumerate(rows):
            axes.plot(epochs, row, color=color, linewidth=0.8, label=name if n == 0 else None)
    if len(kept_epochs):
        rows = np.atleast_2d(np.asarray(validation, dtype=np.float64))
        kept = [row[epoch - 1] for row, epoch in zip(rows, kept_epochs, strict=True)]
        axes.plot(list(kept_epochs), kept, "x", color=BLACK, markersize=5, zorder=3, label="best")
    axes.set_yscale("log")
    axes.grid(axis="y", which="both", color=LIGHT_GREY, linewidth=0.4)
    dress(axes, xlabel="epoch", ylabel=ylabel, title=title)
    legend(axes)
    return figure
