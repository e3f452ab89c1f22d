"""Internal coordinates of many geometries at once: values, gradients, and a model Hessian."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

__all__ = [
    "ValenceTerms",
    "dihedral",
    "dihedral_gradient",
    "model_hessian",
    "rotate_about_bonds",
    "torsions_about",
    "valence_terms",
    "wrap_angles",
]

# kJ/mol/nm^2, kJ/mol/rad^2, kJ/mol/rad^2: typical stiffnesses in organic molecules. Only the number
# of steps of a minimisation depends on them.
_STRETCH, _BEND, _TWIST = 3.0e5, 500.0, 40.0
# kJ/mol/nm^2, of every coordinate: the stiffness of soft modes and of overall motion.
_SOFT = 500.0
_LINEAR = 0.1  # sine of an angle below which its gradient and those of its torsions are left out


class ValenceTerms(NamedTuple):
    """Atoms of the bonds (b, 2), angles (a, 3), and torsions (t, 4) of a molecule."""

    bonds: NDArray[np.int64]
    angles: NDArray[np.int64]
    torsions: NDArray[np.int64]


def valence_terms(molecule: Chem.Mol) -> ValenceTerms:
    """Return the bonds, angles and torsions along the bonds of a molecule."""
    near = [[a.GetIdx() for a in atom.GetNeighbors()] for atom in molecule.GetAtoms()]
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    angles = [(i, j, k) for j, ends in enumerate(near) for i, k in itertools.combinations(ends, 2)]
    torsions = [torsion for j, k in bonds for torsion in torsions_about(molecule, j, k)]
    return ValenceTerms(
        *(
            np.array(atoms, dtype=np.int64).reshape(-1, width)
            for width, atoms in ((2, bonds), (3, angles), (4, torsions))
        )
    )


def torsions_about(molecule: Chem.Mol, j: int, k: int) -> list[tuple[int, int, int, int]]:
    """Return all torsions i-j-k-m about a bond; none that closes a three-membered ring."""
    near = [[a.GetIdx() for a in molecule.GetAtomWithIdx(x).GetNeighbors()] for x in (j, k)]
    return [(i, j, k, m) for i, m in itertools.product(*near) if i != k and m != j and i != m]


def wrap_angles(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles in radians between -pi and pi."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def dihedral(positions: NDArray[np.float64], atoms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return dihedral angles, IUPAC's sign, in radians from -pi to pi.

    Args:
        positions: (..., n, 3), of any unit.
        atoms: (4,) or (t, 4) of the same atoms in every geometry.

    Returns:
        Shape (...) or (..., t).
    """
    first, axis, last = _bond_vectors(positions, atoms)
    left, right = np.cross(first, axis), np.cross(axis, last)
    length = np.linalg.norm(axis, axis=-1)
    sine = length * np.einsum("...x,...x->...", first, right)
    return np.asarray(np.arctan2(sine, np.einsum("...x,...x->...", left, right)))


def dihedral_gradient(
    positions: NDArray[np.float64], atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the gradient of dihedral angles by their atoms, (..., 4, 3) or (..., t, 4, 3).

    A. Blondel and M. Karplus, J. Comput. Chem. 1996, 17, 1132.

    Args:
        positions: (..., n, 3).
        atoms: (4,) or (t, 4).
    """
    first, axis, last = _bond_vectors(positions, atoms)
    left, right = np.cross(first, axis), np.cross(axis, last)
    square = _dot(axis, axis)
    length = np.sqrt(square)
    i = -length / _dot(left, left) * left
    m = length / _dot(right, right) * right
    before, after = _dot(first, axis) / square, _dot(last, axis) / square
    j = -(1 + before) * i + after * m
    return np.stack([i, j, -(i + j + m), m], axis=-2)


def rotate_about_bonds(
    positions: NDArray[np.float64],
    axis: tuple[NDArray[np.int64], NDArray[np.int64]],
    moved: NDArray[np.bool_],
    angle: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return geometries with some atoms rotated about a bond (Rodrigues' formula).

    Args:
        positions: (k, n, 3).
        axis: atoms j and k of each bond, (k,) each; the axis runs from the first to the second.
        moved: (k, n) which atoms rotate.
        angle: (k,) radians, right-handed; dihedrals whose last atom is moved grow by it.
    """
    rows = np.arange(len(positions))
    origin = positions[rows, axis[1]][:, None]
    along = origin[:, 0] - positions[rows, axis[0]]
    along = (along / np.linalg.norm(along, axis=1, keepdims=True))[:, None]
    away = positions - origin
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    new = away * cosine + np.cross(along, away) * sine + along * _dot(away, along) * (1 - cosine)
    return np.where(moved[..., None], origin + new, positions)


def model_hessian(positions: NDArray[np.float64], terms: ValenceTerms) -> NDArray[np.float64]:
    """Return a rough positive definite Hessian, (k, 3n, 3n), kJ/mol/nm^2, of k geometries.

    ``sum_t f_t b_t b_t^T + f 1`` over bonds, angles and torsions t with the gradients b_t and one
    stiffness f for each kind (after R. Lindh et al., Chem. Phys. Lett. 1995, 241, 423).

    Args:
        positions: (k, n, 3), nm.
        terms: of the molecule.
    """
    k, n, _ = positions.shape
    rows = []
    for atoms, stiffness, gradient in (
        (terms.bonds, _STRETCH, _bond_gradient),
        (terms.angles, _BEND, _angle_gradient),
        (terms.torsions, _TWIST, _safe_dihedral_gradient),
    ):
        full = np.zeros((k, len(atoms), n, 3))
        np.put_along_axis(
            full, atoms[None, :, :, None], np.sqrt(stiffness) * gradient(positions, atoms), axis=2
        )
        rows.append(full.reshape(k, len(atoms), 3 * n))
    weighted = np.concatenate(rows, axis=1)
    return np.asarray(weighted.transpose(0, 2, 1) @ weighted + _SOFT * np.eye(3 * n))


def _bond_gradient(positions: NDArray[np.float64], atoms: NDArray[np.int64]) -> NDArray[np.float64]:
    along = positions[..., atoms[:, 1], :] - positions[..., atoms[:, 0], :]
    unit = along / np.linalg.norm(along, axis=-1, keepdims=True)
    return np.stack([-unit, unit], axis=-2)


def _angle_gradient(
    positions: NDArray[np.float64], atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return gradients (k, a, 3, 3), zero for angles of nearly 180 degrees."""
    left = positions[..., atoms[:, 0], :] - positions[..., atoms[:, 1], :]
    right = positions[..., atoms[:, 2], :] - positions[..., atoms[:, 1], :]
    lengths = [np.linalg.norm(v, axis=-1, keepdims=True) for v in (left, right)]
    left, right = left / lengths[0], right / lengths[1]
    cosine = _dot(left, right)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    inverse_sine = np.where(sine > _LINEAR, 1 / np.maximum(sine, _LINEAR), 0.0)
    i = (cosine * left - right) * inverse_sine / lengths[0]
    m = (cosine * right - left) * inverse_sine / lengths[1]
    return np.stack([i, -(i + m), m], axis=-2)


def _safe_dihedral_gradient(
    positions: NDArray[np.float64], atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return gradients of torsions (k, t, 4, 3), zero where three atoms lie nearly on a line."""
    first, axis, last = _bond_vectors(positions, atoms)
    bent = np.ones(first.shape[:-1], dtype=bool)
    for a, b in ((first, axis), (axis, last)):
        product = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        bent &= np.linalg.norm(np.cross(a, b), axis=-1) > _LINEAR * product
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = dihedral_gradient(positions, atoms)
    return np.where(bent[..., None, None], gradient, 0.0)


def _bond_vectors(
    positions: NDArray[np.float64], atoms: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    i, j, k, m = (positions[..., atoms[..., place], :] for place in range(4))
    return j - i, k - j, m - k


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sum(a * b, axis=-1, keepdims=True))
