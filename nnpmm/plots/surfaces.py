"""Free-energy surfaces along one and two variables, and their convergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.plots.curves import draw_profile, draw_time_series
from nnpmm.plots.style import BLACK, COLORS, GREY, SMALL, create_panels, dress, legend

__all__ = ["plot_surface", "plot_surface_convergence", "plot_surface_profile"]

_LABEL = "free energy / (kJ/mol)"
_STEP = 2.5  # kJ/mol between colours
_CIRCLE = 350.0  # degrees; longer axes have ticks every 90


def plot_surface_profile(
    positions: ArrayLike,
    profiles: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    xlabel: str,
    minima: Sequence[float] = (),
    limit: float = 60.0,
    title: str = "",
) -> Figure:
    """Draw free energies along a variable with bands of two standard errors.

    Args:
        positions: (n,) of the bins.
        profiles: free energies (n,) and standard errors (n,), kJ/mol, by name in the legend, with
            gaps at nan; a single one may have the name "".
        xlabel: with the unit.
        minima: positions that are marked.
        limit: kJ/mol, above which nothing is drawn.
        title: heading, if any.
    """
    figure, (axes,) = create_panels(width=5.4, height=3.4)
    where = np.asarray(positions, dtype=np.float64)
    highest = 0.0
    for (name, (values, errors)), color in zip(profiles.items(), cycle(COLORS), strict=False):
        heights = np.asarray(values, dtype=np.float64)
        heights = np.where(heights <= limit, heights, np.nan)
        draw_profile(axes, where, heights, errors, color=color, label=name)
        highest = max(highest, float(np.nanmax(heights)))
    for place in minima:
        axes.axvline(place, color=GREY, linewidth=0.8, linestyle=":")
    _set_axis(axes.set_xticks, axes.set_xlim, where)
    axes.set_ylim(-0.05 * highest, 1.1 * highest)
    dress(axes, xlabel=xlabel, ylabel=_LABEL, title=title)
    legend(axes)
    return figure


def plot_surface(
    first: ArrayLike,
    second: ArrayLike,
    free_energy: ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    minima: Sequence[tuple[float, float]] = (),
    limit: float = 60.0,
    title: str = "",
) -> Figure:
    """Draw a free-energy surface of two variables in steps of 2.5 kJ/mol.

    Args:
        first: (n,) positions of the bins along the first variable, which goes to the right.
        second: (m,) the same of the second one, which goes up.
        free_energy: (n, m) kJ/mol, with gaps at nan.
        xlabel: with the unit.
        ylabel: with the unit.
        minima: that are marked and numbered.
        limit: kJ/mol, above which nothing is drawn.
        title: heading, if any.
    """
    figure, (axes,) = create_panels(width=4.9, height=4.0)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    heights = np.asarray(free_energy, dtype=np.float64)
    highest = min(limit, float(np.nanmax(heights)))
    levels = np.arange(0, _STEP * (np.ceil(highest / _STEP) + 0.5), _STEP)
    if len(levels) < 2:
        levels = np.array([0.0, _STEP])
    colored = np.ma.masked_invalid(np.where(heights <= levels[-1], heights, np.nan))
    edges = [_edges(each) for each in (x, y)]
    image = axes.pcolormesh(
        *edges, np.ma.filled(colored, np.nan).T, cmap="viridis", vmin=0, vmax=levels[-1]
    )
    axes.contour(x, y, colored.T, levels=levels[::2], colors="white", linewidths=0.5, alpha=0.7)
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label(_LABEL, fontsize=SMALL + 1)
    for number, place in enumerate(minima, 1):
        axes.plot(*place, "o", color="white", markersize=9, markeredgecolor=BLACK, zorder=3)
        axes.annotate(
            str(number), place, ha="center", va="center", fontsize=SMALL - 1.5, color=BLACK
        )
    _set_axis(axes.set_xticks, axes.set_xlim, x)
    _set_axis(axes.set_yticks, axes.set_ylim, y)
    dress(axes, xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def plot_surface_convergence(
    times: ArrayLike, curves: Mapping[str, ArrayLike], *, title: str = ""
) -> Figure:
    """Draw the difference of a surface from a reference, or from the final surface, along time.

    Args:
        times: (n,) ps.
        curves: root mean square differences (n,), kJ/mol, by name in the legend.
        title: heading, if any.
    """
    figure, (axes,) = create_panels()
    axes.axhline(0, color=GREY, linewidth=0.8)
    for (name, values), color in zip(curves.items(), cycle(COLORS), strict=False):
        draw_time_series(axes, times, values, color=color, label=name)
    axes.set_ylim(bottom=0)
    dress(axes, xlabel="time / ps", ylabel="RMS difference / (kJ/mol)", title=title)
    legend(axes)
    return figure


def _edges(centres: np.ndarray) -> np.ndarray:
    half = (centres[1] - centres[0]) / 2
    return np.append(centres - half, centres[-1] + half)


def _set_axis(
    set_ticks: Callable[[np.ndarray], Any],
    set_limits: Callable[[float, float], Any],
    values: np.ndarray,
) -> None:
    """Set the limits of an axis, and ticks every 90 degrees if it covers a circle."""
    low, high = _edges(values)[[0, -1]]
    set_limits(low, high)
    if high - low > _CIRCLE:
        set_ticks(np.arange(90 * np.ceil(low / 90 - 1e-6), high + 1e-6, 90))
