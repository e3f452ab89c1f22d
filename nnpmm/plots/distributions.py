"""Sets of values: predictions against references, histograms, groups, matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.plots.style import BLACK, COLORS, GREY, SMALL, create_panels, dress, legend

__all__ = ["Pairs", "draw_groups", "draw_parity", "plot_histogram", "plot_matrix", "plot_parity"]

# Largest numbers of rows of a matrix whose numbers and whose names are readable.
_CELLS, _NAMES = 16, 40


@dataclass(frozen=True)
class Pairs:
    """References and predictions of one series of a parity plot, all (n,) and in one unit.

    Attributes:
        reference: the reference values.
        predicted: predictions of the same quantity.
        reference_error: standard errors of the references, if known.
        predicted_error: standard errors of the predictions, if known.
    """

    reference: ArrayLike
    predicted: ArrayLike
    reference_error: ArrayLike | None = None
    predicted_error: ArrayLike | None = None


def plot_parity(
    series: Mapping[str, Pairs],
    *,
    xlabel: str,
    ylabel: str,
    colors: Sequence[str] = COLORS,
    title: str = "",
) -> Figure:
    """Draw predictions against references on equal scales, with the diagonal.

    Args:
        series: points by name in the legend; a single one may have the name "".
        xlabel: with the unit.
        ylabel: with the unit.
        colors: of the series.
        title: heading, if any.
    """
    figure, (axes,) = create_panels(width=4.6, height=4.4)
    draw_parity(axes, series, xlabel=xlabel, ylabel=ylabel, colors=colors)
    dress(axes, title=title)
    return figure


def draw_parity(
    axes: Axes,
    series: Mapping[str, Pairs],
    *,
    xlabel: str,
    ylabel: str,
    colors: Sequence[str] = COLORS,
) -> None:
    """Draw the same as `plot_parity` on given axes."""
    both = np.concatenate(
        [np.ravel(each) for p in series.values() for each in (p.reference, p.predicted)]
    )
    ends = np.array([np.nanmin(both), np.nanmax(both)])
    axes.plot(ends, ends, color=GREY, linewidth=0.8, zorder=0)
    for (name, pairs), color in zip(series.items(), cycle(colors), strict=False):
        axes.errorbar(
            np.asarray(pairs.reference),
            np.asarray(pairs.predicted),
            xerr=pairs.reference_error,
            yerr=pairs.predicted_error,
            fmt="o",
            markersize=3,
            elinewidth=0.7,
            color=color,
            label=name,
        )
    axes.set_aspect("equal", adjustable="datalim")
    dress(axes, xlabel=xlabel, ylabel=ylabel)
    legend(axes, loc="upper left")


def plot_histogram(
    series: Mapping[str, ArrayLike], *, xlabel: str, bins: int = 40, title: str = ""
) -> Figure:
    """Draw the normalized distributions of values over common bins.

    Args:
        series: values (n,) by name in the legend; a single one may have the name "".
        xlabel: with the unit.
        bins: over the range of all values.
        title: heading, if any.
    """
    figure, (axes,) = create_panels()
    every = np.concatenate([np.ravel(values) for values in series.values()])
    edges = np.histogram_bin_edges(every, bins=bins)
    for (name, values), color in zip(series.items(), cycle(COLORS), strict=False):
        density, _ = np.histogram(np.ravel(values), edges, density=True)
        axes.stairs(density, edges, fill=True, alpha=0.3, color=color, label=name)
        axes.stairs(density, edges, linewidth=1.0, color=color)
    axes.set_ylim(bottom=0)
    dress(axes, xlabel=xlabel, ylabel="density", title=title)
    legend(axes)
    return figure


def draw_groups(
    axes: Axes,
    values: ArrayLike,
    groups: Sequence[str],
    kinds: Sequence[str],
    colors: Mapping[str, str],
) -> None:
    """Draw values above the names of their groups, colored by their kind, and each group's mean.

    The caller adds a legend of the kinds.

    Args:
        axes: to draw on.
        values: (n,).
        groups: (n,) the group of each value.
        kinds: (n,) the kind of each value.
        colors: of each kind, in the order of the legend.
    """
    heights = np.asarray(values, dtype=np.float64)
    names = sorted(set(groups), key=lambda name: (len(name), name))
    spread = np.random.default_rng(1).uniform(-0.25, 0.25, size=len(groups))
    places = np.array([names.index(group) for group in groups]) + spread
    axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    shown = [kind for kind in colors if kind in kinds]
    for kind in shown:
        chosen = np.array(kinds) == kind
        axes.plot(
            places[chosen], heights[chosen], "o", markersize=3, color=colors[kind], label=kind
        )
    for n, name in enumerate(names):
        mean = heights[np.array(groups) == name].mean()
        axes.hlines(mean, n - 0.35, n + 0.35, color=BLACK, linewidth=1.2)
    axes.set_xticks(range(len(names)), names)


def plot_matrix(
    matrix: ArrayLike,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    xlabel: str,
    ylabel: str,
    value: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
    title: str = "",
) -> Figure:
    """Draw a matrix as colors, with its numbers in the cells if they fit.

    Args:
        matrix: (n, m).
        rows: n names; their indices if left out.
        columns: m names; their indices if left out.
        xlabel: of the columns.
        ylabel: of the rows.
        value: label of the color bar.
        limits: of the colors.
        title: heading, if any.
    """
    cells = np.asarray(matrix, dtype=np.float64)
    side = min(8.0, max(3.6, 0.42 * max(cells.shape) + 1.2))
    figure, (axes,) = create_panels(width=side + 0.9, height=side)
    image = axes.imshow(cells, cmap="Blues", vmin=limits[0], vmax=limits[1])
    if max(cells.shape) <= _CELLS:
        for (i, j), number in np.ndenumerate(cells):
            dark = (number - limits[0]) / (limits[1] - limits[0]) > 0.55
            color = "white" if dark else BLACK
            text = f"{number:.2f}".removeprefix("0") if abs(number) < 0.995 else f"{number:.2g}"
            axes.text(j, i, text, ha="center", va="center", fontsize=SMALL - 1, color=color)
    if max(cells.shape) <= _NAMES:
        turn = 90 if max(map(len, columns), default=0) > 3 else 0
        axes.set_xticks(range(cells.shape[1]), list(columns) or None, rotation=turn)
        axes.set_yticks(range(cells.shape[0]), list(rows) or None)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label(value, fontsize=SMALL + 1)
    dress(axes, xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
