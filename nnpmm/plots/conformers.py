"""Conformers of a molecule: energies, populations, and geometries superimposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from nnpmm.plots.molecule import view_axes
from nnpmm.plots.style import (
    COLORS,
    GREY,
    LIGHT_GREY,
    RED,
    create_figure,
    dress,
    legend,
    panel_letter,
)

__all__ = ["plot_conformers"]

_MOST_SHOWN = 30  # largest number of energies and populations
_OVERLAID = len(COLORS) - 1
# Colors of elements; carbon has the color of its conformer.
_ELEMENTS = {"N": "#4f6bed", "O": "#e8412c", "S": "#e3c520", "H": "#b0b0b0"}
_HALOGENS = {"F", "Cl", "Br", "I"}


def plot_conformers(
    energies: ArrayLike,
    energy_spread: ArrayLike,
    populations: ArrayLike,
    population_spread: ArrayLike,
    overlay: ArrayLike,
    symbols: Sequence[str],
    bonds: ArrayLike,
    *,
    pose: tuple[str, float, float] | None = None,
    ylabel: str = "energy / (kcal/mol)",
    title: str = "",
) -> Figure:
    """Draw the energies of conformers, their populations, and the lowest ones superimposed.

    Args:
        energies: (k,), the lowest first.
        energy_spread: (k,), drawn as error bars.
        populations: (k,), from 0 to 1.
        population_spread: (k,), drawn as error bars.
        overlay: nm, (k, a, 3), superimposed positions of the atoms to draw; only the first few
            conformers are drawn.
        symbols: elements of these atoms.
        bonds: (b, 2), 0-based pairs of them.
        pose: name, energy and its spread of a line across the energies.
        ylabel: of the energies, with the unit.
        title: heading, if any.
    """
    heights, shares = (np.asarray(v, dtype=np.float64) for v in (energies, populations))
    shown = min(len(heights), _MOST_SHOWN)
    figure = create_figure(7.6, 3.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1.0))
    upper, lower = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    molecule = figure.add_subplot(grid[:, 1])
    _draw_energies(upper, heights[:shown], np.asarray(energy_spread)[:shown])
    if pose is not None:
        _draw_pose(upper, *pose)
    upper.set_ylim(bottom=min(0.0, float(heights.min())) - 0.02 * max(np.ptp(heights), 1.0))
    _draw_populations(lower, shares[:shown], np.asarray(population_spread)[:shown])
    for axes in (upper, lower):
        axes.set_xlim(0.3, shown + 0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    dress(upper, ylabel=ylabel, title=title)
    dress(lower, xlabel=_xlabel(shown, len(heights)), ylabel="population / %")
    _draw_overlay(molecule, np.asarray(overlay)[:_OVERLAID], symbols, bonds)
    for axes, letter in ((upper, "a"), (lower, "b"), (molecule, "c")):
        panel_letter(axes, letter)
    return figure


def _draw_energies(axes: Axes, energies: NDArray[Any], spread: NDArray[Any]) -> None:
    numbers = np.arange(1, len(energies) + 1)
    style: dict[str, Any] = {"fmt": "none", "ecolor": LIGHT_GREY, "elinewidth": 2.5, "zorder": 1}
    axes.errorbar(numbers, energies, yerr=spread, **style)
    axes.scatter(numbers, energies, c=_colors(len(energies)), s=14, zorder=2)


def _draw_populations(axes: Axes, populations: NDArray[Any], spread: NDArray[Any]) -> None:
    axes.bar(
        np.arange(1, len(populations) + 1),
        100 * populations,
        yerr=100 * spread,
        color=_colors(len(populations)),
        error_kw={"ecolor": GREY, "elinewidth": 1.0},
    )
    axes.set_ylim(bottom=0)


def _colors(count: int) -> list[str]:
    """Return the colors of conformers; each of those superimposed has its own."""
    return [COLORS[n] if n < _OVERLAID else GREY for n in range(count)]


def _draw_overlay(
    axes: Axes, positions: ArrayLike, symbols: Sequence[str], bonds: ArrayLike
) -> None:
    """Draw superimposed geometries as sticks, the first in front, each in its own color.

    Args:
        axes: get equal scales and lose their frame.
        positions: nm, (k, a, 3).
        symbols: elements of the atoms.
        bonds: (b, 2), 0-based pairs.
    """
    points = np.asarray(positions, dtype=np.float64)
    seen = (points - points[0].mean(axis=0)) @ view_axes(points[0]).T
    pairs = np.asarray(bonds, dtype=np.int64).reshape(-1, 2)
    for number in reversed(range(len(seen))):
        first = number == 0
        width, strength = (2.6, 1.0) if first else (1.3, 0.75)
        _draw_sticks(axes, seen[number], symbols, pairs, COLORS[number], width, strength)
    axes.autoscale()
    axes.set_aspect("equal")
    axes.axis("off")


def _draw_sticks(
    axes: Axes,
    points: NDArray[np.float64],
    symbols: Sequence[str],
    pairs: NDArray[np.int64],
    color: str,
    width: float,
    strength: float,
) -> None:
    """Draw each bond as two halves in the colors of its atoms, the nearest last."""
    middles = points[pairs].mean(axis=1)
    halves, colors, depths = [], [], []
    for (i, j), middle in zip(pairs.tolist(), middles, strict=True):
        for atom in (i, j):
            halves.append([points[atom, :2], middle[:2]])
            colors.append((*to_rgb(_color(symbols[atom], color)), strength))
            depths.append(points[atom, 2] + middle[2])
    order = np.argsort(depths)
    axes.add_collection(
        LineCollection(
            [halves[n] for n in order],
            colors=[colors[n] for n in order],
            linewidths=width,
            capstyle="round",
        )
    )


def _color(symbol: str, own: str) -> str:
    return "#3fb544" if symbol in _HALOGENS else _ELEMENTS.get(symbol, own)


def _draw_pose(axes: Axes, name: str, energy: float, spread: float) -> None:
    axes.axhspan(energy - spread, energy + spread, color=RED, alpha=0.15, lw=0)
    axes.axhline(energy, color=RED, linewidth=1.2, linestyle="--", label=name)
    legend(axes, loc="lower right")


def _xlabel(shown: int, count: int) -> str:
    return "conformer" if shown == count else f"conformer (the lowest {shown} of {count})"
