"""Anchors for the alignment of two ligands: atoms at the same positions in both poses."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from scipy.spatial.distance import cdist

from nnpmm.core.errors import InputFileError

__all__ = ["choose_anchors", "pose"]

_SAME_POSITION = 0.08  # nm; about half a bond, so that no atom has two partners
_LEAST_HEIGHT = 0.1  # nm, of the triangle, which must not be nearly collinear
_MOST_PAIRS = 40  # for the number of triangles that are tried

Triple = tuple[int, int, int]


def choose_anchors(first: Chem.Mol, second: Chem.Mol) -> tuple[Triple, Triple]:
    """Return three atoms of each ligand at the same positions in both poses, not on a line.

    They are heavy atoms in rings, or any heavy atoms if the rings share too few. The first of the
    three is nearest to the centre of the shared atoms. The others are chosen so that the smaller of
    the triangle's height and the length of its base is largest.

    Args:
        first: with a pose in the site.
        second: with its pose in the same frame.

    Raises:
        InputFileError: fewer than three such atoms, or all of them on a line.
    """
    for in_rings in (True, False):
        pairs = _pairs(first, second, in_rings)
        triangle = _triangle(pairs, pose(first)) if len(pairs) >= 3 else None
        if triangle is not None:
            a, b = zip(*triangle, strict=True)
            return a, b
    raise InputFileError(
        f"found {len(pairs)} heavy atoms that have the same position in both ligands (within "
        f"{_SAME_POSITION:g} nm), allowed: three or more that are not collinear; align the poses "
        "on their common core"
    )


def pose(molecule: Chem.Mol) -> NDArray[np.float64]:
    """Return the positions (n, 3) of a molecule's conformer, nm."""
    return np.array(molecule.GetConformer().GetPositions()) / 10


def _pairs(first: Chem.Mol, second: Chem.Mol, in_rings: bool) -> list[tuple[int, int]]:
    """Return pairs of atoms that are each other's nearest, at the same position."""

    def heavy(molecule: Chem.Mol) -> list[int]:
        return [
            atom.GetIdx()
            for atom in molecule.GetAtoms()
            if atom.GetAtomicNum() > 1 and (atom.IsInRing() or not in_rings)
        ]

    rows, columns = heavy(first), heavy(second)
    if not (rows and columns):
        return []
    distances = cdist(pose(first)[rows], pose(second)[columns])
    return [
        (rows[i], columns[j])
        for i, j in enumerate(distances.argmin(axis=1))
        if distances[i, j] < _SAME_POSITION and distances[:, j].argmin() == i
    ]


def _triangle(
    pairs: list[tuple[int, int]], positions: NDArray[np.float64]
) -> list[tuple[int, int]] | None:
    """Return the most central pair and the two that span the largest triangle with it."""
    atoms = positions[[i for i, _ in pairs]]
    centre = int(np.argmin(np.linalg.norm(atoms - atoms.mean(axis=0), axis=1)))
    best: tuple[float, tuple[int, int]] = (_LEAST_HEIGHT, (-1, -1))
    for i, j in itertools.permutations(range(min(len(pairs), _MOST_PAIRS)), 2):
        if centre in (i, j):
            continue
        axis, other = atoms[i] - atoms[centre], atoms[j] - atoms[centre]
        height = float(np.linalg.norm(np.cross(axis, other)) / np.linalg.norm(axis))
        best = max(best, (min(height, float(np.linalg.norm(axis))), (i, j)))
    return [pairs[row] for row in (centre, *best[1])] if best[1] != (-1, -1) else None
