"""Checks of a potential: a table of verdicts for each molecule, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from nnpmm.plots.style import (
    BLACK,
    COLORS,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    RED,
    SMALL,
    TEXT,
    create_figure,
    dress,
    legend,
    panel_letter,
)

__all__ = ["ValidationPanel", "plot_validation"]

_COLORS = {"pass": GREEN, "warn": ORANGE, "fail": RED}
_HEIGHT = 0.24  # inches, of a row of the table
_LARGEST = 1000.0  # kJ/mol, of the energy axis


class ValidationPanel(NamedTuple):
    """Curves of one check.

    Attributes:
        title: of the check.
        xlabel: with the unit.
        ylabel: with the unit.
        curves: for each a label and values (n,) along both axes.
    """

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[tuple[str, ArrayLike, ArrayLike]]


def plot_validation(
    checks: Sequence[str],
    molecules: Sequence[str],
    table: Sequence[Sequence[tuple[str, str]]],
    panels: Sequence[ValidationPanel],
    *,
    title: str = "",
) -> Figure:
    """Draw a table of verdicts, and below it panels of curves.

    Args:
        checks: names of the rows.
        molecules: names of the columns.
        table: for each row and column a verdict (pass, warn, fail or n/a) and the measured value.
        panels: any number.
        title: heading, if any.
    """
    columns = 3
    rows = -(-len(panels) // columns)
    height = _HEIGHT * (len(checks) + 2)
    figure = create_figure(9.0, height + 2.4 * rows)
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[height, *([2.4] * rows)])
    _draw_table(figure.add_subplot(grid[0, :]), checks, molecules, table, title)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[1 + index // columns, index % columns])
        _draw_panel(axes, panel)
        panel_letter(axes, chr(ord("b") + index))
        if index == 0:  # all panels have the same colors
            legend(axes)
    return figure


def _draw_table(
    axes: Axes,
    checks: Sequence[str],
    molecules: Sequence[str],
    table: Sequence[Sequence[tuple[str, str]]],
    title: str,
) -> None:
    for row, cells in enumerate(table):
        for column, (verdict, text) in enumerate(cells):
            color = _COLORS.get(verdict, LIGHT_GREY)
            box = Rectangle((column - 0.48, row - 0.44), 0.96, 0.88, color=color, alpha=0.35, lw=0)
            axes.add_patch(box)
            words = text if verdict in ("pass", "n/a") else f"{text}  {verdict}"
            axes.text(column, row, words, ha="center", va="center", fontsize=SMALL, color=BLACK)
    dress(axes, title=title)
    axes.set_xlim(-0.5, len(molecules) - 0.5)
    axes.set_ylim(len(checks) - 0.5, -0.5)
    axes.set_xticks(range(len(molecules)), molecules, fontsize=TEXT)
    axes.set_yticks(range(len(checks)), checks, fontsize=SMALL)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    panel_letter(axes, "a")


def _draw_panel(axes: Axes, panel: ValidationPanel) -> None:
    """Draw curves in one color for each molecule, whose name is the first word of the label."""
    groups = list(dict.fromkeys(label.partition(",")[0] for label, _, _ in panel.curves))
    energies = panel.ylabel.startswith("energy")
    scatter = panel.ylabel.startswith("force")
    seen: set[str] = set()
    for label, x, y in panel.curves:
        group = label.partition(",")[0]
        color = COLORS[groups.index(group) % len(COLORS)]
        name = None if group in seen else group
        if scatter:
            axes.plot(x, y, "o", color=color, markersize=2.5, label=name)
        else:
            width = 0.6 if group in seen else 1.1
            axes.plot(x, y, color=color, linewidth=width, label=name)
        seen.add(group)
    if scatter:
        ends = np.concatenate([np.ravel(x) for _, x, _ in panel.curves])
        axes.plot([ends.min(), ends.max()], [ends.min(), ends.max()], color=GREY, lw=0.6, zorder=0)
    if energies:
        values = np.concatenate([np.ravel(y) for _, _, y in panel.curves])
        low, high = max(values.min(), -_LARGEST), min(values.max(), _LARGEST)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    dress(axes, xlabel=panel.xlabel, ylabel=panel.ylabel, title=panel.title)
