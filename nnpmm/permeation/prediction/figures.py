"""A picture of a prediction: the mapping, the result, and the features that the model uses."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnpmm import plots
from nnpmm.permeation.features import FEATURE_NAMES, FEATURES
from nnpmm.permeation.mapping.drawing import FRAGMENT_COLORS, mapping_png
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.networks.model_card import PermeationCard
from nnpmm.permeation.prediction.molecules import Molecule
from nnpmm.permeation.prediction.predictor import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["prediction_figure"]

_COLUMNS = 4  # of panels of features


def prediction_figure(found: Prediction, card: PermeationCard) -> Figure:
    """Return a picture of a prediction.

    Args:
        found: the prediction.
        card: of the model, with the ranges of its training.
    """
    style = plots.style
    names = card.network.features
    rows = math.ceil(len(names) / _COLUMNS)
    figure = style.create_figure(9.5, 3.0 + 2.5 * rows)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.0, 2.5 * rows)).flat
    molecule, result = above.subplots(1, 2, width_ratios=(1.0, 1.2))
    _draw_molecule(molecule, found.molecule)
    _draw_result(result, found)
    panels = below.subplots(rows, min(len(names), _COLUMNS), squeeze=False).flat
    for axes, name, low, high in zip(panels, names, card.minimum, card.maximum, strict=False):
        _draw_feature(axes, FEATURE_NAMES.index(name), (low, high), found.features)
    for axes in list(panels)[len(names) :]:
        axes.set_axis_off()
    return figure


def _draw_feature(
    axes: Any, column: int, trained: tuple[float, float], features: NDArray[np.float32] | None
) -> None:
    """Draw a feature of each frame, over the range that it has in the training data."""
    style, feature = plots.style, FEATURES[column]
    axes.axhspan(*trained, color=style.LIGHT_GREY, lw=0)
    if features is not None:
        frames = np.arange(1, len(features) + 1)
        plots.draw_time_series(axes, frames, features[:, column])
    style.dress(axes, xlabel="frame", ylabel=style.axis_label(feature.name, feature.unit))
    title = f"{feature.description}\n(grey: range of the training data)"
    axes.set_title(title, fontsize=style.TEXT, loc="left")


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
    """Draw dG with its errors, and the reasons of the verdict."""
    style = plots.style
    colors = {"inside": style.GREEN, "warning": style.ORANGE, "refused": style.RED}
    color = colors[found.verdict.level]
    title = f"{found.lipid}: refused"
    axes.set_ylim(-1.0, 1.0)
    axes.axvline(0.0, color=style.GREY, linewidth=0.8)
    if found.free_energy is not None and found.error is not None and found.model_error is not None:
        title = f"{found.lipid}: ΔG = {found.free_energy:.2f} ± {found.error:.2f} kcal/mol"
        bars = {0.35: (f"error of the model\n± {found.model_error:.2f}", found.model_error)}
        if found.molecule.mapping is not None:
            text = f"error of model and\nmapping to beads\n± {found.error:.2f}"
            bars[-0.15] = (text, found.error)
        for height, (_, error) in bars.items():
            axes.errorbar(
                found.free_energy, height, xerr=2.0 * error, fmt="o", color=color, capsize=4
            )
        axes.set_yticks(list(bars), [text for text, _ in bars.values()], fontsize=style.TEXT)
        reach = max(abs(found.free_energy) + 2.0 * found.error, 2.0) * 1.2
        axes.set_xlim(-reach, reach)
        for x, side, text in ((0.0, "left", "← membrane"), (1.0, "right", "water →")):
            axes.text(
                *(x, 0.97, text),
                transform=axes.transAxes,
                fontsize=style.TEXT,
                color=style.GREY,
                ha=side,
                va="top",
            )
    else:
        axes.set_yticks([])
    style.dress(axes, xlabel="ΔG = G(midplane) - G(water) / (kcal/mol); bars: two sigma")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, color=color, fontsize=style.TEXT + 1)
    reasons = [textwrap.fill(reason, 52) for reason in found.verdict.reasons]
    text = "\n".join(reasons) or "all features are within the range of the training data"
    axes.text(
        0.03,
        0.04,
        text,
        transform=axes.transAxes,
        fontsize=style.TEXT,
        va="bottom",
        backgroundcolor="white",
    )
