"""The figure at the end of a run: energies, temperature, the network, and the final structure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nnpmm.simulation.drawing import draw_molecule
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.record.files import replacing

__all__ = ["write_report"]

# Okabe and Ito's palette, which the colour-blind can tell apart.
_BLUE, _ORANGE, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_STAGE_SHADES = {"warmup": "#fdf1e3", "equilibrate": "#eef4fa", "production": "#ffffff"}
_SMALL = 8


def write_report(
    path: Path,
    log: Path,
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    *,
    title: str = "",
) -> Path:
    """Write the figure of a run as PNG.

    Args:
        path: file to write.
        log: CSV log of the run.
        positions: final positions of the region (n, 3) in nm, joined over the boundary.
        elements: symbols of its atoms.
        bonds: (m, 2) 0-based pairs within the region.
        title: heading, if any.
    """
    stages, columns = read_log(log)
    time, spans = _run_time(stages, columns["time_ps"])
    figure = Figure(figsize=(11.5, 5.6), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.15))
    panels = [figure.add_subplot(grid[row, column]) for row in (0, 1) for column in (0, 1)]
    _energies(panels[0], time, columns)
    _temperature(panels[1], time, columns)
    _network_energy(panels[2], time, columns)
    _spread(panels[3], time, columns)
    for label, axes in zip("abcd", panels, strict=True):
        _dress(axes, label, spans)
    structure = figure.add_subplot(grid[:, 2])
    draw_molecule(structure, positions, elements, bonds)
    structure.set_title(
        r"$\bf{e}$   final structure of the NNP region", fontsize=_SMALL + 1, loc="left"
    )
    if title:
        figure.suptitle(title, fontsize=10)
    with replacing(path) as handle:
        figure.savefig(handle, format="png")
    return path


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


def _dress(axes: Axes, label: str, spans: list[tuple[str, float, float]]) -> None:
    """Shade the stages, set label and ticks."""
    for name, begin, end in spans:
        axes.axvspan(begin, end, color=_STAGE_SHADES.get(name, "#ffffff"), lw=0, zorder=0)
        if label == "a" and spans and end - begin > 0.12 * spans[-1][2]:
            axes.text(
                (begin + end) / 2,
                1.01,
                name,
                transform=axes.get_xaxis_transform(),
                fontsize=6.5,
                color="#666666",
                ha="center",
                va="bottom",
            )
    if spans:
        axes.set_xlim(0, spans[-1][2])
    axes.set_xlabel("time / ps", fontsize=_SMALL)
    axes.tick_params(labelsize=_SMALL - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.text(-0.02, 1.06, label, transform=axes.transAxes, fontsize=9, ha="right", weight="bold")


def _line(axes: Axes, time: ArrayLike, values: ArrayLike, colour: str, label: str = "") -> None:
    marker = "o" if np.size(time) < 40 else ""
    axes.plot(time, values, color=colour, lw=1.0, marker=marker, ms=2.5, label=label or None)


def _energies(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    potential, total = columns["potential_energy_kj_mol"], columns["total_energy_kj_mol"]
    # Large systems are shown in MJ/mol, lest the axis fill with zeros or an offset.
    large = bool(len(time)) and float(np.abs(potential).max()) >= 1e5
    scale, unit = (1e-3, "MJ/mol") if large else (1.0, "kJ/mol")
    _line(axes, time, potential * scale, _BLUE, "potential")
    _line(axes, time, total * scale, _ORANGE, "total")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.set_ylabel(f"energy / ({unit})", fontsize=_SMALL)
    axes.legend(fontsize=_SMALL - 1, frameon=False)


def _temperature(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    _line(axes, time, columns["temperature_k"], _ORANGE)
    axes.set_ylabel("temperature / K", fontsize=_SMALL)


def _network_energy(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    energy = columns["nnp_energy_kj_mol"]
    _line(axes, time, energy, _GREEN)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.set_ylabel("NNP energy / (kJ/mol)", fontsize=_SMALL)
    if len(time) and np.isnan(energy).all():
        _absent(axes, "not recorded")


def _spread(axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]) -> None:
    deviation = columns["nnp_std_kj_mol"]
    _line(axes, time, deviation, _PURPLE)
    axes.set_ylabel("ensemble std. dev. / (kJ/mol)", fontsize=_SMALL)
    if len(time) and np.isnan(deviation).all():
        _absent(axes, "one network: no spread")
    else:
        axes.set_ylim(bottom=0)


def _absent(axes: Axes, text: str) -> None:
    axes.set_yticks([])
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=_SMALL, color="#666666"
    )
