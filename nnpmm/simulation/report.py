"""The figure at the end of a run: its log, its averages, the region and its contacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nnpmm.analysis.averages import average, probability
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.pictures import KIND_COLORS
from nnpmm.analysis.tables import with_error
from nnpmm.plots.curves import draw_time_series
from nnpmm.plots.molecule import draw_molecule
from nnpmm.plots.style import (
    BLUE,
    COLORS,
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

_MOST_TORSIONS = len(COLORS)
_MOST_CONTACTS = 8
#: Averages in the figure: column of the log, label and unit.
_AVERAGES = {
    "temperature_k": ("temperature", "K"),
    "density_g_ml": ("density", "g/ml"),
    "potential_energy_kj_mol": ("potential energy", "kJ/mol"),
    "nnp_energy_kj_mol": ("NNP energy", "kJ/mol"),
    "nnp_std_kj_mol": ("ensemble std. dev.", "kJ/mol"),
}
_IN_PRODUCTION = "time in production / ps"
_STAGE_SHADES = {"warmup": "#fdf1e3", "equilibrate": "#eef4fa", "production": "#ffffff"}


def write_report(
    path: Path,
    log: Path,
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    *,
    observed: Observations | None = None,
    title: str = "",
) -> Path:
    """Write the figure of a run as PNG; the arguments are those of ``report_figure``.

    Raises:
        SimulationError: the file cannot be written, or the log is damaged.
    """
    figure = report_figure(log, positions, elements, bonds, observed=observed, title=title)
    with replacing(path) as handle:
        figure.savefig(handle, format="png")
    return path


def report_figure(
    log: Path,
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    *,
    observed: Observations | None = None,
    title: str = "",
) -> Figure:
    """Return the figure of a run.

    Args:
        log: CSV log of the run.
        positions: final positions of the region (n, 3) in nm, joined over the boundary.
        elements: symbols of its atoms.
        bonds: (m, 2) 0-based pairs within the region.
        observed: observables of the region along the trajectory; adds a row of panels: deviations,
            torsions if the region has any, and contacts with a receptor if there is one.
        title: heading, if any.

    Raises:
        SimulationError: the log is damaged.
    """
    stages, columns = read_log(log)
    time, spans = _run_time(stages, columns["time_ps"])
    rows = 2 if observed is None else 3
    figure = create_figure(11.5, 2.8 * rows)
    grid = figure.add_gridspec(rows, 3, width_ratios=(1, 1, 1.15))
    panels = [figure.add_subplot(grid[row, column]) for row in (0, 1) for column in (0, 1)]
    draw = (_energies, _temperature, _network_energy, _spread)
    for letter, axes, draw_panel in zip("abcd", panels, draw, strict=True):
        dress(axes, xlabel="time / ps")
        panel_letter(axes, letter)
        draw_panel(axes, time, columns)
        _shade_stages(axes, spans)
    structure = figure.add_subplot(grid[0, 2])
    draw_molecule(structure, positions, elements, bonds)
    panel_letter(structure, "e")
    dress(structure, title="final structure of the NNP region")
    numbers = figure.add_subplot(grid[1, 2])
    panel_letter(numbers, "f")
    _averages(numbers, stages, columns)
    if observed is not None:
        _observed(figure, grid[2, :], observed)
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    _name_stages(figure, panels[0], spans)
    return figure


def _observed(figure: Figure, place: Any, observed: Observations) -> None:
    """Draw the observables along the trajectory in a row without empty panels."""
    draw: list[Callable[[Axes, Observations], None]] = [_deviations]
    if observed.torsions.shape[1]:
        draw.append(_torsions)
    if observed.contact_labels:
        draw.append(_contacts)
    row = place.subgridspec(1, len(draw), width_ratios=(1, 1, 1.4)[: len(draw)])
    for n, (letter, draw_panel) in enumerate(zip("ghi", draw, strict=False)):
        axes: Axes = figure.add_subplot(row[0, n])
        panel_letter(axes, letter)
        draw_panel(axes, observed)


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


def _shade_stages(axes: Axes, spans: list[tuple[str, float, float]]) -> None:
    """Shade the time of each stage."""
    for name, begin, end in spans:
        axes.axvspan(begin, end, color=_STAGE_SHADES.get(name, "#ffffff"), lw=0, zorder=0)
    if spans:
        axes.set_xlim(0, spans[-1][2])


def _name_stages(figure: Figure, axes: Axes, spans: list[tuple[str, float, float]]) -> None:
    """Write the name of each stage above it if it fits; call this after all panels are drawn."""
    figure.draw_without_rendering()  # determines the widths of the panels
    for name, begin, end in spans:
        text = axes.text(
            (begin + end) / 2,
            1.01,
            name,
            transform=axes.get_xaxis_transform(),
            fontsize=SMALL,
            color=GREY,
            ha="center",
            va="bottom",
        )
        left, right = axes.transData.transform([(begin, 0), (end, 0)])[:, 0]
        if text.get_window_extent().width > right - left:
            text.remove()


def _energies(
    axes: Axes, time: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> None:
    potential, total = columns["potential_energy_kj_mol"], columns["total_energy_kj_mol"]
    # Energies of large systems are in MJ/mol, so that the labels of the axis stay short.
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


def _averages(axes: Axes, stages: list[str], columns: dict[str, NDArray[np.float64]]) -> None:
    """Write averages over the last stage with their standard errors."""
    axes.set_axis_off()
    last = np.array([stage == stages[-1] for stage in stages], dtype=bool)
    lines = []
    for name, (what, unit) in _AVERAGES.items():
        found = average(columns[name][last]) if len(last) else None
        if found is not None and found.samples:
            lines.append((what, f"{with_error(found.value, found.error)} {unit}"))
    if lines:
        dress(axes, title=f"averages of {stages[-1]}")
    for n, (what, value) in enumerate(lines):
        height = 0.88 - 0.16 * n
        for x, text, side in ((0.0, what, "left"), (1.0, value, "right")):
            axes.text(x, height, text, transform=axes.transAxes, fontsize=TEXT, ha=side, va="top")


def _contacts(axes: Axes, observed: Observations) -> None:
    """Draw how often the region touches residues, the most frequent contacts first."""
    found = [
        (name, kind, probability(observed.contacts[:, n]))
        for n, (name, kind) in enumerate(observed.contact_labels)
    ]
    found.sort(key=lambda contact: (contact[1] == "contact", -contact[2].value))
    shown = found[:_MOST_CONTACTS]
    places = range(len(shown))
    axes.barh(
        places,
        [chance.value for _, _, chance in shown],
        xerr=[chance.error for _, _, chance in shown],
        color=[KIND_COLORS[kind] for _, kind, _ in shown],
        ecolor=GREY,
        height=0.8,
        alpha=0.5,
    )
    for place, (name, kind, _) in zip(places, shown, strict=True):
        axes.text(0.02, float(place), f"{name}, {kind}", fontsize=SMALL, va="center")
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    title = f"{len(shown)} of {len(found)} contacts" if len(found) > len(shown) else "contacts"
    dress(axes, xlabel="fraction of the frames")
    axes.set_title(title, fontsize=TEXT, loc="left")


def _deviations(axes: Axes, observed: Observations) -> None:
    names = {"ligand_rmsd": "in the site", "ligand_internal_rmsd": "internal"}
    for (key, name), color in zip(names.items(), (BLUE, GREEN), strict=True):
        if key in observed.series:
            values = 10.0 * observed.series[key]
            found = average(values)
            text = f"{name}, {with_error(found.value, found.error)} Å"
            draw_time_series(axes, observed.time, values, color=color, label=text)
    dress(axes, xlabel=_IN_PRODUCTION, ylabel="RMSD of the region / Å")
    axes.set_ylim(bottom=0)
    legend(axes, loc="lower left", bbox_to_anchor=(0.0, 0.98), ncols=2, columnspacing=1.0)


def _torsions(axes: Axes, observed: Observations) -> None:
    angles = observed.torsions[:, :_MOST_TORSIONS]
    for label, values, color in zip(observed.torsion_labels, angles.T, COLORS, strict=False):
        axes.plot(observed.time, values, ".", color=color, markersize=2.5, label=label)
    axes.set(ylim=(-180, 180), yticks=(-180, -90, 0, 90, 180))
    dress(axes, xlabel=_IN_PRODUCTION, ylabel="torsion / °")
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=3)
    if len(observed.torsion_labels) > _MOST_TORSIONS:
        axes.set_title(
            f"{_MOST_TORSIONS} of {len(observed.torsion_labels)} rotatable bonds",
            fontsize=TEXT, loc="left",
        )  # fmt: skip


def _absent(axes: Axes, text: str) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=SMALL, color=GREY)
