"""Pictures of trajectories: series of replicas, fluctuations, torsions, contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import ArrayLike, NDArray

from nnpmm.plots.curves import draw_band
from nnpmm.plots.style import (
    BLACK,
    BLUE,
    COLORS,
    GREY,
    LIGHT_GREY,
    RED,
    SMALL,
    TEXT,
    create_figure,
    create_panels,
    dress,
    legend,
    legend_above,
)

__all__ = [
    "Panel",
    "Torsion",
    "plot_contact_network",
    "plot_differences",
    "plot_fluctuations",
    "plot_panels",
    "plot_probabilities",
    "plot_time_strips",
    "plot_torsion_distributions",
    "plot_torsions",
]

_WINDOW = 0.05  # fraction of a series in a running average
_SMOOTH = 60  # samples; shorter series have no running average


@dataclass(frozen=True)
class Panel:
    """One quantity along time.

    Attributes:
        title: name of the quantity.
        unit: of its values; empty for pure numbers.
        series: times (n,) and values (n,) of each replica.
    """

    title: str
    unit: str
    series: Mapping[str, tuple[ArrayLike, ArrayLike]]


@dataclass(frozen=True)
class Torsion:
    """One torsion.

    Attributes:
        name: of the torsion.
        series: times (n,) and angles (n,) in degrees of each replica.
        grid: (g,) degrees.
        density: (g,) per degree, of each replica.
    """

    name: str
    series: Mapping[str, tuple[ArrayLike, ArrayLike]]
    grid: ArrayLike
    density: Mapping[str, ArrayLike]


def plot_panels(panels: Sequence[Panel], *, xlabel: str = "time / ps") -> Figure:
    """Draw quantities along time in panels, long series with their running averages.

    Args:
        panels: at least one.
        xlabel: with the unit.
    """
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    figure, axes = create_panels(
        rows, columns, width=4.3 * columns, height=2.2 * rows + 0.2, letters=False
    )
    for panel, own in zip(panels, axes, strict=False):
        for (name, (time, values)), color in zip(panel.series.items(), cycle(COLORS), strict=False):
            _draw_series(own, np.asarray(time), np.asarray(values), color, name)
        dress(own, xlabel=xlabel, ylabel=panel.unit, title=panel.title)
        own.ticklabel_format(axis="y", useOffset=False)
    for unused in axes[len(panels) :]:
        unused.remove()
    if len(panels[0].series) > 1:
        legend_above(figure, axes[0])
    return figure


def _draw_series(
    axes: Axes, time: NDArray[np.float64], values: NDArray[np.float64], color: str, name: str
) -> None:
    if len(time) < _SMOOTH:
        axes.plot(time, values, color=color, linewidth=1.1, label=name)
        return
    axes.plot(time, values, color=color, linewidth=0.5, alpha=0.35)
    width = max(3, int(_WINDOW * len(time)) | 1)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    half = width // 2
    axes.plot(time[half : half + len(smooth)], smooth, color=color, linewidth=1.4, label=name)


def plot_fluctuations(
    labels: Sequence[str],
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    marked: Sequence[str] = (),
    ylabel: str = "RMSF / Å",
) -> Figure:
    """Draw the fluctuation of residues with a band of two standard errors.

    Args:
        labels: of the r residues.
        series: values (r,) and standard errors (r,), by name in the legend; no band at nan.
        marked: labels of residues with a triangle below, such as those that touch a ligand.
        ylabel: with the unit.
    """
    figure, (axes,) = create_panels(width=8.6, height=3.0)
    places = np.arange(len(labels))
    for (name, (values, errors)), color in zip(series.items(), cycle(COLORS), strict=False):
        draw_band(axes, places, values, errors, color=color)
        axes.plot(places, np.asarray(values), color=color, linewidth=1.1, label=name)
    axes.set_ylim(bottom=0)
    for place in [n for n, label in enumerate(labels) if label in set(marked)]:
        axes.plot(
            place, 0.015, "^", color=BLACK, markersize=3.5, transform=axes.get_xaxis_transform()
        )
    ticks = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 14)).astype(int))
    axes.set_xticks(ticks, [labels[n] for n in ticks], rotation=45, ha="right")
    axes.margins(x=0.01)
    dress(axes, xlabel="residue", ylabel=ylabel)
    if len(series) > 1:
        legend(axes, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def plot_torsions(torsions: Sequence[Torsion], *, xlabel: str = "time / ps") -> Figure:
    """Draw torsions along time, and next to each its distribution over the same angles.

    Args:
        torsions: at least one.
        xlabel: with the unit.
    """
    columns = 2 if len(torsions) > 1 else 1
    rows = -(-len(torsions) // columns)
    figure = create_figure(4.5 * columns, 2.1 * rows + 0.3)
    grid = figure.add_gridspec(rows, 2 * columns, width_ratios=(2.6, 1) * columns)
    for n, torsion in enumerate(torsions):
        row, column = divmod(n, columns)
        strip = figure.add_subplot(grid[row, 2 * column])
        side = figure.add_subplot(grid[row, 2 * column + 1], sharey=strip)
        for name, color in zip(torsion.series, cycle(COLORS), strict=False):
            time, angles = torsion.series[name]
            strip.plot(np.asarray(time), np.asarray(angles), ".", color=color, ms=2.2, label=name)
            density = np.asarray(torsion.density[name])
            side.fill_betweenx(np.asarray(torsion.grid), density, color=color, alpha=0.25, lw=0)
            side.plot(density, torsion.grid, color=color, linewidth=1.0)
        strip.set(ylim=(-180, 180), yticks=(-180, -90, 0, 90, 180))
        side.set_xlim(left=0)
        side.tick_params(labelleft=False)
        side.set_xticks([])
        dress(strip, xlabel=xlabel if row == rows - 1 else "", ylabel="angle / °")
        dress(side)
        strip.set_title(torsion.name, fontsize=TEXT, loc="left")
        if n == 0 and len(torsion.series) > 1:
            legend_above(figure, strip, markerscale=3)
    return figure


def plot_torsion_distributions(
    torsions: Mapping[str, Mapping[str, Sequence[ArrayLike]]],
) -> Figure:
    """Draw the distributions of torsions in several systems, replicas as thin lines.

    Args:
        torsions: at least one; for each, by the system's name, the densities (g,) per degree of the
            replicas, on a regular grid over the full circle.
    """
    columns = min(3, len(torsions))
    rows = -(-len(torsions) // columns)
    figure, axes = create_panels(
        rows, columns, width=2.9 * columns, height=1.7 * rows + 0.5, letters=False
    )
    for n, (panel, (name, systems)) in enumerate(zip(axes, torsions.items(), strict=False)):
        for (system, densities), color in zip(systems.items(), cycle(COLORS), strict=False):
            for density in densities:
                _draw_density(panel, np.asarray(density), color=color, linewidth=0.6, alpha=0.6)
            if len(densities):
                mean = np.mean([np.asarray(density) for density in densities], axis=0)
                _draw_density(panel, mean, color=color, linewidth=1.8, label=system)
        panel.set(xlim=(-180, 180), ylim=(0, None), xticks=(-120, 0, 120), yticks=[])
        dress(panel, xlabel="angle / °", ylabel="" if n % columns else "density", title=name)
    for panel in axes[len(torsions) :]:
        panel.remove()
    legend_above(figure, axes[0])
    return figure


def _draw_density(axes: Axes, density: NDArray[np.float64], **options: Any) -> None:
    step = 360.0 / len(density)
    axes.plot(-180.0 + step * (np.arange(len(density)) + 0.5), density, **options)


def plot_time_strips(
    names: Sequence[str],
    seen: ArrayLike,
    colors: Sequence[str],
    extent: tuple[float, float],
    *,
    xlabel: str = "time / ps",
    breaks: Sequence[float] = (),
) -> Figure:
    """Draw a strip along time for each of c events, such as contacts, dark while they occur.

    Args:
        names: of the c strips, from the top.
        seen: (n, c) from 0 to 1.
        colors: of the strips.
        extent: times of the first and the last column.
        xlabel: with the unit.
        breaks: times of vertical lines, where one replica ends and the next begins.
    """
    table = np.asarray(seen, dtype=np.float64).T
    figure, (axes,) = create_panels(width=8.6, height=0.2 * len(names) + 0.9)
    for row, (strip, color) in enumerate(zip(table, colors, strict=True)):
        axes.imshow(
            strip[None], aspect="auto", interpolation="nearest", vmin=0, vmax=1,
            cmap=LinearSegmentedColormap.from_list("strip", ["#f4f6f8", color]),
            extent=(*extent, row + 0.42, row - 0.42),
        )  # fmt: skip
    for time in breaks:
        axes.axvline(time, color=BLACK, linewidth=0.8)
    axes.set(xlim=extent, ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), list(names))
    dress(axes, xlabel=xlabel)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def plot_probabilities(
    names: Sequence[str], values: ArrayLike, errors: ArrayLike, colors: Sequence[str]
) -> Figure:
    """Draw probabilities as bars with two standard errors.

    Args:
        names: of the n bars, from the top.
        values: (n,) from 0 to 1.
        errors: (n,) standard errors.
        colors: of the bars.
    """
    figure, (axes,) = create_panels(width=8.6, height=0.2 * len(names) + 0.9)
    places, middle = np.arange(len(names)), np.asarray(values, dtype=np.float64)
    reach = 2 * np.asarray(errors, dtype=np.float64)
    # Bars end at 0 and 1.
    bars = np.array([np.minimum(reach, middle), np.minimum(reach, 1 - middle)])
    axes.barh(places, middle, height=0.68, color=list(colors), alpha=0.75)
    axes.errorbar(middle, places, xerr=bars, fmt="none", color=BLACK, elinewidth=0.9, capsize=1.5)
    axes.set(xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(places, list(names))
    axes.grid(axis="x", color=LIGHT_GREY, linewidth=0.5)
    axes.set_axisbelow(True)
    dress(axes, xlabel="probability")
    return figure


def plot_contact_network(
    center: str, edges: Sequence[tuple[str, str, float]], colors: Mapping[str, str]
) -> Figure:
    """Draw the contacts of a molecule in the middle; thicker lines are more frequent.

    Args:
        center: name of the molecule.
        edges: a neighbour's name, a kind, and a probability, in the order around the molecule.
        colors: of each kind, in the order of the legend.
    """
    figure, (axes,) = create_panels(width=5.4, height=4.5)
    neighbours = list(dict.fromkeys(name for name, _, _ in edges))
    angle = {
        name: np.pi / 2 - 2 * np.pi * n / max(len(neighbours), 1)
        for n, name in enumerate(neighbours)
    }
    for name in neighbours:
        own = [(kind, share) for other, kind, share in edges if other == name]
        way = np.array([np.cos(angle[name]), np.sin(angle[name])])
        across = np.array([-way[1], way[0]])
        for n, (kind, share) in enumerate(own):
            shift = 0.028 * (n - (len(own) - 1) / 2) * across
            line = np.array([0.2 * way + shift, 0.84 * way + shift])
            axes.plot(
                line[:, 0], line[:, 1], color=colors[kind], linewidth=0.6 + 5 * share,
                alpha=0.3 + 0.6 * share, solid_capstyle="butt", zorder=1,
            )  # fmt: skip
        most = max(share for _, share in own)
        axes.add_patch(Circle((way[0], way[1]), 0.135, facecolor="white", edgecolor=BLACK, lw=0.9))
        text = f"{name}\n{100 * most:.0f} %"
        axes.text(way[0], way[1], text, fontsize=SMALL - 1.5, ha="center", va="center")
    axes.add_patch(Circle((0, 0), 0.2, facecolor="#e6f4ef", edgecolor="#009E73", lw=1.4, zorder=3))
    axes.text(0, 0, center, fontsize=TEXT, ha="center", va="center", weight="bold", zorder=4)
    present = {kind for _, kind, _ in edges}
    for kind, color in colors.items():
        if kind in present:
            axes.plot([], [], color=color, linewidth=4, label=kind)
    axes.set(xlim=(-1.22, 1.22), ylim=(-1.18, 1.18), aspect="equal")
    axes.axis("off")
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return figure


def plot_differences(
    names: Sequence[str],
    values: ArrayLike,
    errors: ArrayLike,
    significant: Sequence[bool],
    *,
    xlabel: str,
) -> Figure:
    """Draw differences with two standard errors; significant ones are highlighted.

    Args:
        names: of the n differences, from the top.
        values: (n,).
        errors: (n,) standard errors.
        significant: (n,).
        xlabel: with the unit.
    """
    figure, (axes,) = create_panels(width=8.6, height=0.22 * len(names) + 0.9)
    axes.axvline(0, color=GREY, linewidth=0.8)
    rows = zip(np.asarray(values), np.asarray(errors), significant, strict=True)
    for place, (value, error, means) in enumerate(rows):
        color = (RED if value > 0 else BLUE) if means else GREY
        axes.errorbar(value, place, xerr=2 * error, fmt="o", color=color, ms=4, elinewidth=1.2)
    axes.set(ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), list(names))
    dress(axes, xlabel=xlabel)
    return figure
