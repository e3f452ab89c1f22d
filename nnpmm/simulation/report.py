"""The figure at the end of a run: energies, temperature, the network, and the final structure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nnpmm.plots.curves import draw_time_series
from nnpmm.plots.molecule import draw_molecule
from nnpmm.plots.style import (
    GREEN,
    GREY,
    PURPLE,
    RED,
    SMALL,
    TEXT,
    create_figure,
    dress,
    legend,
    panel_letter,
)
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.record.files import replacing

__all__ = ["report_figure", "write_report"]

_STAGE_SHADES = {"warmup": "#fdf1e3", "equilibrate": "#eef4fa", "production": "#ffffff"}


def write_report(
    path: Path,
    log: Path,
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    *,
    title: str = "",
) -> Path:
    """Write the figure of a run as PNG; the arguments are those of ``report_figure``.

    Raises:
        SimulationError: the file cannot be written, or the log is damaged.
    """
    figure = report_figure(log, positions, elements, bonds, title=title)
    with replacing(path) as handle:
        figure.savefig(handle, format="png")
    return path


def report_figure(
    log: Path,
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    *,
    title: str = "",
) -> Figure:
    """Return the figure of a run.

    Args:
        log: CSV log of the run.
        positions: final positions of the region (n, 3) in nm, joined over the boundary.
        elements: symbols of its atoms.
        bonds: (m, 2) 0-based pairs within the region.
        title: heading, if any.

    Raises:
        SimulationError: the log is damaged.
    """
    stages, columns = read_log(log)
    time, spans = _run_time(stages, columns["time_ps"])
    figure = create_figure(11.5, 5.6)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.15))
    panels = [figure.add_subplot(grid[row, column]) for row in (0, 1) for column in (0, 1)]
    draw = (_energies, _temperature, _network_energy, _spread)
    for letter, axes, draw_panel in zip("abcd", panels, draw, strict=True):
        dress(axes, xlabel="time / ps")
        panel_letter(axes, letter)
        draw_panel(axes, time, columns)
        _shade_stages(axes, spans, named=letter == "a")
    structure = figure.add_subplot(grid[:, 2])
    draw_molecule(structure, positions, elements, bonds)
    panel_letter(structure, "e")
    dress(structure, title="final structure of the NNP region")
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    return figure


def _run_time(
    stages: list[str], time: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[tuple[str, float, float]]]:
    """Return time since the start of the run, and each stage's name, beginning and end (ps)."""
    total, offset, spans = time.copy(), 0.0, []
    for name in dict.fromkeys(stages):
        rows = np.array([stage == name for stage in stages])
        end = offset + float(time[rows].max())
        total[rows] += offset
        spans.append((name, offset, end))
        offset = end
    return total, spans


def _shade_stages(axes: Axes, spans: list[tuple[str, float, float]], *, named: bool) -> None:
    """Shade the time of each stage, and write its name above where there is room."""
    for name, begin, end in spans:
        axes.axvspan(begin, end, color=_STAGE_SHADES.get(name, "#ffffff"), lw=0, zorder=0)
        if named and end - begin > 0.12 * spans[-1][2]:
            axes.text(
                (begin + end) / 2,
                1.01,
                name,
                transform=axes.get_xaxis_transform(),
                fontsize=SMALL,
                color=GREY,
                ha="center",
                va="bottom",
            )
    if spans:
        axes.set_xlim(0, spans[-1][2])


def _energies(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    potential, total = columns["potential_energy_kj_mol"], columns["total_energy_kj_mol"]
    # Large systems are shown in MJ/mol, lest the axis fill with zeros or an offset.
    large = bool(len(time)) and float(np.abs(potential).max()) >= 1e5
    scale, unit = (1e-3, "MJ/mol") if large else (1.0, "kJ/mol")
    draw_time_series(axes, time, potential * scale, label="potential")
    draw_time_series(axes, time, total * scale, color=RED, label="total")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    dress(axes, ylabel=f"energy / ({unit})")
    legend(axes)


def _temperature(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    draw_time_series(axes, time, columns["temperature_k"], color=RED)
    dress(axes, ylabel="temperature / K")


def _network_energy(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    energy = columns["nnp_energy_kj_mol"]
    draw_time_series(axes, time, energy, color=GREEN)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    dress(axes, ylabel="NNP energy / (kJ/mol)")
    if len(time) and np.isnan(energy).all():
        _absent(axes, "not recorded")


def _spread(axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]) -> None:
    deviation = columns["nnp_std_kj_mol"]
    draw_time_series(axes, time, deviation, color=PURPLE)
    dress(axes, ylabel="ensemble std. dev. / (kJ/mol)")
    if len(time) and np.isnan(deviation).all():
        _absent(axes, "one network: no spread")
    else:
        axes.set_ylim(bottom=0)


def _absent(axes: Axes, text: str) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=SMALL, color=GREY)
