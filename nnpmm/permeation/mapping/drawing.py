"""Pictures of mappings: the molecule with coloured fragments and the names of its beads."""

from __future__ import annotations

from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Geometry import Point2D

from nnpmm.permeation.mapping.beads import Mapping

__all__ = ["FRAGMENT_COLORS", "mapping_png"]

_Color = tuple[float, float, float]
_LABEL_DISTANCE, _FONT_SIZE = 38, 26  # pixels; the distance is from the outermost atom
#: RGB of the first, second, ... fragment, over and over.
FRAGMENT_COLORS: tuple[_Color, ...] = (
    (0.65, 0.81, 0.94),
    (0.99, 0.80, 0.60),
    (0.72, 0.88, 0.66),
    (0.94, 0.72, 0.80),
    (0.83, 0.77, 0.92),
    (0.93, 0.91, 0.60),
)


def mapping_png(mapping: Mapping, size: tuple[int, int] = (600, 400)) -> bytes:
    """Return a PNG of the molecule, its graph below it, the type of each bead at its fragment.

    Args:
        mapping: what to draw.
        size: width and height in pixels.
    """
    molecule = Chem.Mol(mapping.molecule)
    colors: dict[int, _Color] = {}
    for n, bead in enumerate(mapping.beads):
        colors |= dict.fromkeys(bead.atoms, FRAGMENT_COLORS[n % len(FRAGMENT_COLORS)])
    inside = {
        bond.GetIdx(): colors[bond.GetBeginAtomIdx()]
        for bead in mapping.beads
        for bond in molecule.GetBonds()
        if {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= set(bead.atoms)
    }
    canvas = rdMolDraw2D.MolDraw2DCairo(*size)
    options: Any = canvas.drawOptions()
    options.maxFontSize = _FONT_SIZE
    options.padding = 0.15
    options.legendFontSize = _FONT_SIZE
    options.legendFraction = 0.15
    options.fixedBondLength = 60.0  # pixels, of small molecules
    options.fillHighlights = True
    options.highlightRadius = 0.35
    options.highlightBondWidthMultiplier = 16
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas,
        molecule,
        legend=mapping.graph,
        highlightAtoms=list(colors),
        highlightAtomColors=colors,
        highlightBonds=list(inside),
        highlightBondColors=inside,
    )
    _write_types(canvas, mapping)
    canvas.FinishDrawing()
    return bytes(canvas.GetDrawingText())


def _write_types(canvas: rdMolDraw2D.MolDraw2DCairo, mapping: Mapping) -> None:
    """Write each bead's type above or below its fragment, whichever is outside of the molecule."""
    places = np.array(
        [tuple(canvas.GetDrawCoords(n)) for n in range(mapping.molecule.GetNumAtoms())]
    )
    middle = places[:, 1].mean()
    canvas.SetFontSize(_FONT_SIZE)
    for bead in mapping.beads:
        x, y = places[list(bead.atoms)].T
        above = y.mean() <= middle
        height = y.min() - _LABEL_DISTANCE if above else y.max() + _LABEL_DISTANCE
        canvas.DrawString(bead.type, Point2D(float(x.mean()), float(height)), rawCoords=True)
