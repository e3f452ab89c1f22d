"""Atoms at the same places of two ligands, from poses in one site that lie on each other."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from scipy.spatial.distance import cdist

from nnpmm.core.errors import InputFileError

__all__ = ["choose_anchors"]

_SAME_PLACE = 0.08  # nm; half a bond, so that no atom has two partners
_LEAST_HEIGHT = 0.1  # nm, of the triangle: the sine of the angle stays away from 0
_MOST = 40  # pairs of which all triangles are tried

Triple = tuple[int, int, int]


def choose_anchors(first: Chem.Mol, second: Chem.Mol) -> tuple[Triple, Triple]:
    """Return three atoms of each ligand that lie at the same places, and not on a line.

    Only heavy atoms in rings are taken, or where there are too few of these all heavy atoms. The
    first of the three is the one nearest to the centre of the atoms that both share; the others
    make the triangle of the largest height.

    Args:
        first: with a pose in the site.
        second: with its pose in the same frame.

    Raises:
        InputFileError: fewer than three such atoms, or all of them on a line.
    """
    for in_rings in (True, False):
        pairs = _pairs(first, second, in_rings)
        found = _triangle(pairs, _positions(first)) if len(pairs) >= 3 else None
        if found is not None:
            a, b = zip(*found, strict=True)
            return a, b
    raise InputFileError(
        f"found {len(pairs)} heavy atoms that have the same position in both ligands (within "
        f"{_SAME_PLACE:g} nm), allowed: three or more that are not collinear; align the poses on "
        "their common core"
    )


def _positions(molecule: Chem.Mol) -> NDArray[np.float64]:
    return np.array(molecule.GetConformer().GetPositions()) / 10


def _pairs(first: Chem.Mol, second: Chem.Mol, in_rings: bool) -> list[tuple[int, int]]:
    """Return atoms of both that are each other's nearest, and near."""

    def wanted(molecule: Chem.Mol) -> list[int]:
        return [
            atom.GetIdx()
            for atom in molecule.GetAtoms()
            if atom.GetAtomicNum() > 1 and (atom.IsInRing() or not in_rings)
        ]

    rows, columns = wanted(first), wanted(second)
    if not (rows and columns):
        return []
    distances = cdist(_positions(first)[rows], _positions(second)[columns])
    return [
        (rows[i], columns[j])
        for i, j in enumerate(distances.argmin(axis=1))
        if distances[i, j] < _SAME_PLACE and distances[:, j].argmin() == i
    ]


def _triangle(
    pairs: list[tuple[int, int]], positions: NDArray[np.float64]
) -> list[tuple[int, int]] | None:
    """Return the three pairs with the largest triangle around the most central one."""
    places = positions[[i for i, _ in pairs]]
    centre = int(np.argmin(np.linalg.norm(places - places.mean(axis=0), axis=1)))
    best: tuple[float, tuple[int, int]] = (_LEAST_HEIGHT, (-1, -1))
    for i, j in itertools.permutations(range(min(len(pairs), _MOST)), 2):
        if centre in (i, j):
            continue
        axis, other = places[i] - places[centre], places[j] - places[centre]
        height = float(np.linalg.norm(np.cross(axis, other)) / np.linalg.norm(axis))
        best = max(best, (min(height, float(np.linalg.norm(axis))), (i, j)))
    return [pairs[row] for row in (centre, *best[1])] if best[1] != (-1, -1) else None
