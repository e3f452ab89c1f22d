"""Pictures of a restraint: its coordinates in the short run, its anchors, its energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.freeenergy.binding.boresch import COORDINATES, BoreschRestraint, deviations
from nnpmm.plots.molecule import draw_molecule
from nnpmm.plots.style import BLACK, BLUE, RED, SMALL, create_panels, dress, legend

__all__ = ["plot_anchors", "plot_coordinates", "plot_restraint_energies"]

_BINS = 40


def plot_coordinates(restraint: BoreschRestraint, coordinates: ArrayLike, kt: float) -> Figure:
    """Draw the distributions of a restraint's coordinates in a run without it.

    Args:
        restraint: whose reference is marked, with the width that its springs alone allow.
        coordinates: (frames, 6), nm and rad.
        kt: kJ/mol.
    """
    figure, panels = create_panels(2, 3, width=8.0, height=4.4)
    differences = deviations(coordinates, restraint.reference)
    for index, (axes, name) in enumerate(zip(panels, COORDINATES, strict=True)):
        unit = 1.0 if index == 0 else 180 / np.pi
        middle = unit * restraint.reference[index]
        values = middle + unit * differences[:, index]
        density, edges = np.histogram(values, bins=_BINS, density=True)
        axes.stairs(density, edges, fill=True, alpha=0.4, color=BLUE)
        width = unit * np.sqrt(kt / restraint.constants[index])
        axes.axvline(middle, color=BLACK, linewidth=1.0)
        axes.axvspan(middle - width, middle + width, color=RED, alpha=0.15, lw=0)
        axes.set_yticks([])
        dress(axes, xlabel=f"{name} / {'nm' if index == 0 else 'degrees'}")
    return figure


def plot_anchors(
    positions: ArrayLike,
    elements: Sequence[str],
    bonds: ArrayLike,
    anchors: Mapping[str, int],
) -> Figure:
    """Draw a ligand with the receptor's atoms around it, and lines through the anchors.

    Args:
        positions: (n, 3), nm.
        elements: n symbols.
        bonds: pairs of rows.
        anchors: row of each anchor by its letter, in the order of the lines.
    """
    figure, (axes,) = create_panels(width=5.6, height=5.0)
    points = draw_molecule(axes, positions, elements, bonds)
    rows = list(anchors.values())
    axes.plot(points[rows, 0], points[rows, 1], color=RED, linewidth=1.5, zorder=1000)
    for letter, row in anchors.items():
        axes.annotate(
            letter,
            (points[row, 0], points[row, 1]),
            ha="center",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
            color="white",
            zorder=1001,
            bbox={"boxstyle": "circle", "facecolor": RED, "edgecolor": "none", "pad": 0.2},
        )
    return figure


def plot_restraint_energies(
    energies: Mapping[str, ArrayLike], kt: float, longest: float = 15.0
) -> Figure:
    """Draw distributions of the energy of the full restraint in several states.

    The black line is the distribution for a decoupled ligand, (U/kT)^2 exp(-U/kT) / 2, of six
    springs without a Jacobian.

    Args:
        energies: of each state, (n,), kJ/mol.
        kt: kJ/mol.
        longest: end of the energy axis, kT.
    """
    figure, (axes,) = create_panels()
    edges = np.linspace(0, longest, _BINS + 1)
    for name, values in energies.items():
        reduced = np.asarray(values) / kt
        counts, _ = np.histogram(reduced, edges)
        axes.stairs(counts / (len(reduced) * np.diff(edges)), edges, linewidth=1.2, label=name)
    x = np.linspace(0, longest, 200)
    axes.plot(x, 0.5 * x**2 * np.exp(-x), color=BLACK, linewidth=0.8, label="without interactions")
    axes.set_ylim(bottom=0)
    dress(axes, xlabel="energy of the full restraint / kT", ylabel="density")
    legend(axes)
    return figure
