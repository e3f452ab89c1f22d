"""Charged atoms and aromatic rings of amino acids, by atom names and hydrogens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.subjects import Residue, Subject

__all__ = ["cations_and_anions", "residue_rings"]

_SIX = ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")
_FIVE = ("CG", "ND1", "CE1", "NE2", "CD2")
#: By residue name, protonation states of the force fields among them.
_RINGS = {
    "PHE": (_SIX,),
    "TYR": (_SIX,),
    "TRP": (("CG", "CD1", "NE1", "CE2", "CD2"), ("CD2", "CE2", "CZ2", "CH2", "CZ3", "CE3")),
    "HIS": (_FIVE,),
    "HID": (_FIVE,),
    "HIE": (_FIVE,),
    "HIP": (_FIVE,),
    "HSD": (_FIVE,),
    "HSE": (_FIVE,),
    "HSP": (_FIVE,),
}


def residue_rings(subject: Subject) -> list[tuple[int, ...]]:
    """Return the rows of every aromatic ring of the receptor's amino acids, in order around it."""
    rings = []
    for residue in subject.receptor:
        rows = _by_name(subject, residue)
        for names in _RINGS.get(residue.name[-3:].upper(), ()):
            if all(name in rows for name in names):
                rings.append(tuple(rows[name] for name in names))
    return rings


def cations_and_anions(
    subject: Subject, neighbours: list[list[int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of positive and of negative atoms of the receptor's amino acids.

    Positive are nitrogens with three hydrogens and a carbon, the three nitrogens of an arginine
    with five hydrogens, and those of a histidine with two; negative are the oxygens of a carboxyl
    group without a hydrogen.

    Args:
        subject: with the receptor.
        neighbours: rows of the bonded atoms of each atom.
    """
    symbols = subject.symbols

    def hydrogens(row: int) -> int:
        return sum(symbols[n] == "H" for n in neighbours[row])

    positive, negative = [], []
    for residue in subject.receptor:
        if not residue.amino_acid:
            continue
        rows = _by_name(subject, residue)
        for row in rows.values():
            if symbols[row] == "N" and hydrogens(row) == 3:
                positive.append(row)
            oxygens = [n for n in neighbours[row] if symbols[n] == "O"]
            if symbols[row] == "C" and len(oxygens) == 2:
                if all(len(neighbours[n]) == 1 for n in oxygens):
                    negative.extend(oxygens)
        groups = ((("NE", "NH1", "NH2"), 5), (("ND1", "NE2"), 2))
        for names, full in groups:
            if all(name in rows for name in names):
                found = [rows[name] for name in names]
                if sum(map(hydrogens, found)) == full:
                    positive.extend(found)
    return np.array(sorted(positive), dtype=np.int64), np.array(sorted(negative), dtype=np.int64)


def _by_name(subject: Subject, residue: Residue) -> dict[str, int]:
    return {subject.names[row]: row for row in residue.rows.tolist()}
