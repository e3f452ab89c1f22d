"""Values along something: time, height, epochs."""

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
    SMALL,
    create_panels,
    dress,
    legend,
)

__all__ = [
    "draw_profile",
    "draw_time_series",
    "plot_learning_curve",
    "plot_profile",
    "plot_radial_distributions",
    "plot_time_series",
]

_FEW = 40  # points, which are marked one by one


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
        series: of each name in the legend, values (n,); an only one may have the name "".
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
        color: of both.
        label: in a legend that the caller adds.
    """
    middle = np.asarray(values, dtype=np.float64)
    if errors is not None:
        reach = 2.0 * np.asarray(errors, dtype=np.float64)
        axes.fill_between(
            np.asarray(positions), middle - reach, middle + reach, color=color, alpha=0.2, lw=0
        )
    axes.plot(
        positions, middle, color=color, linewidth=1.2, marker="o", markersize=2.5, label=label
    )


def plot_radial_distributions(
    curves: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]],
) -> Figure:
    """Draw radial distribution functions, a panel for each pair of elements.

    Args:
        curves: at least one; of each pair, by names in the legend, radii (b,) in angstrom, g(r)
            (b,) and standard errors (b,), of which twice is drawn as a band; nan is left out.
    """
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = create_panels(
        rows, columns, width=max(2.9 * columns, 4.6), height=2.3 * rows + 0.3, letters=False
    )
    for n, (place, (pair, named)) in enumerate(zip(axes, curves.items(), strict=False)):
        place.axhline(1.0, color=LIGHT_GREY, linewidth=0.8, zorder=0)
        for (name, (radii, values, errors)), color in zip(named.items(), cycle(COLORS)):
            middle = np.asarray(values, dtype=np.float64)
            reach = 2.0 * np.nan_to_num(np.asarray(errors, dtype=np.float64))
            place.fill_between(
                np.asarray(radii), middle - reach, middle + reach, color=color, alpha=0.2, lw=0
            )
            place.plot(np.asarray(radii), middle, color=color, linewidth=1.2, label=name)
        place.margins(x=0)
        place.set(xlim=(0, None), ylim=(0, None))
        last = n >= len(curves) - columns
        dress(
            place, xlabel="r / Å" if last else "", ylabel="" if n % columns else "g(r)", title=pair
        )
    for place in axes[len(curves) :]:
        place.remove()
    if len(next(iter(curves.values()))) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", fontsize=SMALL, frameon=False, ncols=3
        )
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
        kept_epochs: (members,) of the weights that were kept, from 1; marked if there are any.
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
        axes.plot(list(kept_epochs), kept, "x", color=BLACK, markersize=5, zorder=3, label="kept")
    axes.set_yscale("log")
    axes.grid(axis="y", which="both", color=LIGHT_GREY, linewidth=0.4)
    dress(axes, xlabel="epoch", ylabel=ylabel, title=title)
    legend(axes)
    return figure
