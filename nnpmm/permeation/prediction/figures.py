"""A picture of a prediction: the mapping, the result, and the features within the training's."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from nnpmm import plots
from nnpmm.permeation.features import FEATURES
from nnpmm.permeation.mapping.drawing import FRAGMENT_COLORS, mapping_png
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.networks.model_card import PermeationCard
from nnpmm.permeation.prediction.molecules import Molecule
from nnpmm.permeation.prediction.predictor import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["prediction_figure"]


def prediction_figure(found: Prediction, card: PermeationCard) -> Figure:
    """Return a picture of a prediction.

    Args:
        found: the prediction.
        card: of the model, with the ranges of its training.
    """
    style = plots.style
    figure = style.create_figure(11.0, 7.2)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.25)).flat
    molecule, result = above.subplots(1, 2, width_ratios=(1.1, 1.0))
    _draw_molecule(molecule, found.molecule)
    _draw_result(result, found)
    panels = below.subplots(2, 4, sharex=True)
    ranges = dict(
        zip(card.network.features, zip(card.minimum, card.maximum, strict=True), strict=True)
    )
    for n, axes in enumerate(panels.flat):
        if FEATURES[n].name in ranges:
            axes.axhspan(*ranges[FEATURES[n].name], color=style.LIGHT_GREY, lw=0)
        if found.features is not None:
            frames = np.arange(1, len(found.features) + 1)
            plots.draw_time_series(axes, frames, found.features[:, n])
        style.dress(axes, title=style.axis_label(FEATURES[n].name, FEATURES[n].unit))
    for axes in panels[-1]:
        style.dress(axes, xlabel="frame")
    below.suptitle(
        "features; grey: the training's range of those that the model sees",
        fontsize=style.TEXT + 1,
    )
    return figure


def _draw_molecule(axes: Any, molecule: Molecule) -> None:
    axes.set_axis_off()
    axes.set_title(molecule.name, fontsize=plots.style.TEXT + 1)
    if molecule.mapping is None:
        _draw_beads(axes, molecule.graph)
        return
    from matplotlib.image import imread

    axes.imshow(imread(io.BytesIO(mapping_png(molecule.mapping, (900, 520)))))


def _draw_beads(axes: Any, graph: str) -> None:
    """Draw beads in a row, or, where they make no chain, in a circle."""
    kind = parse_solute(graph)
    n = np.arange(len(kind.beads))
    if all(bond.j == bond.i + 1 for bond in kind.bonds):
        x, y = n.astype(float), np.zeros(len(n))
    else:
        angles = 2.0 * np.pi * n / len(n)
        x, y = np.cos(angles), np.sin(angles)
    for bond in kind.bonds:
        ends = [bond.i, bond.j]
        axes.plot(x[ends], y[ends], color="0.4", linewidth=3, zorder=1)
    colors = [FRAGMENT_COLORS[k % len(FRAGMENT_COLORS)] for k in n]
    axes.scatter(x, y, s=1800, c=colors, edgecolors="0.4", zorder=2)
    for k, bead in enumerate(kind.beads):
        axes.text(x[k], y[k], bead.type, ha="center", va="center", zorder=3)
    axes.margins(0.6)
    axes.set_aspect("equal")


def _draw_result(axes: Any, found: Prediction) -> None:
    """Draw dG with two standard deviations, those of the model within, and why to doubt it."""
    style = plots.style
    colors = {"inside": style.GREEN, "warning": style.ORANGE, "refused": style.RED}
    color = colors[found.verdict.level]
    title = f"{found.lipid}: refused"
    axes.set_yticks([])
    axes.set_ylim(-1.0, 1.0)
    axes.axvline(0.0, color=style.GREY, linewidth=0.8)
    label = "G(midplane) - G(water) / (kcal/mol), bar: two sigma"
    if found.free_energy is not None and found.error is not None and found.model_error is not None:
        title = f"{found.lipid}: dG = {found.free_energy:.2f} +- {found.error:.2f} kcal/mol"
        bar = 2.0 * found.error
        axes.errorbar(found.free_energy, 0.4, xerr=bar, fmt="o", color=color, capsize=4)
        inner = 2.0 * found.model_error
        axes.errorbar(found.free_energy, 0.4, xerr=inner, fmt="none", color=color, elinewidth=4)
        label += f"\nsigma: model {found.model_error:.2f} (thick)"
        if found.molecule.mapping is not None:
            label += f", mapping to beads {found.molecule.mapping_error:.2f}"
        reach = max(abs(found.free_energy) + bar, 1.0) * 1.2
        axes.set_xlim(-reach, reach)
    style.dress(axes, xlabel=label)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, color=color, fontsize=style.TEXT + 1)
    reasons = [textwrap.fill(reason, 52) for reason in found.verdict.reasons]
    text = "\n".join(reasons) or "within the range of the training"
    axes.text(0.03, 0.04, text, transform=axes.transAxes, fontsize=style.TEXT, va="bottom")
