"""Potentials for part of a system: the energies of some atoms, given their neighbours.

An engine that divides a system among processes calls them with the atoms of its domain. The total
energy is the sum over domains; forces on atoms of other domains are sent back to the domains that
own them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError

__all__ = [
    "LocalEvaluation",
    "LocalPotential",
    "Neighbourhoods",
    "find_neighbourhoods",
    "forces_on_atoms",
    "local_potential",
    "virial",
]

# Centres that are searched together: so few that their pairs stay in the processor's caches.
_CENTRES_TOGETHER = 2048


class Neighbourhoods(NamedTuple):
    """The neighbours of each centre; the centres are the first c of n atoms.

    Atoms beyond the range of the potential may be listed; they have no effect.

    Attributes:
        start: (c + 1,), where the neighbours of each centre begin in what follows.
        atoms: (p,), which of the n atoms each neighbour is. A periodic image counts as its atom, or
            is one of the n atoms itself.
        vectors: (p, 3), nm, from the centre to the neighbour.
    """

    start: NDArray[np.int64]
    atoms: NDArray[np.int64]
    vectors: NDArray[np.float64]


class LocalEvaluation(NamedTuple):
    """What a local potential returns.

    Attributes:
        energies: (c,), kJ/mol, of the centres, without the self energies of their atoms.
        gradients: (p, 3), kJ/mol/nm, derivative of the sum of the energies with respect to each
            vector from a centre to a neighbour.
        member_energies: (m,), kJ/mol, of all centres by each member of the ensemble.
    """

    energies: NDArray[np.float64]
    gradients: NDArray[np.float64]
    member_energies: NDArray[np.float64]


@runtime_checkable
class LocalPotential(Protocol):
    """A potential whose energy is a sum over atoms, each a function of its neighbours alone."""

    @property
    def cutoff(self) -> float:
        """Range in nm: atoms beyond it do not change the energy of an atom."""

    def evaluate(
        self, atomic_numbers: NDArray[np.int64], neighbourhoods: Neighbourhoods
    ) -> LocalEvaluation:
        """Return the energies of the centres and their derivatives.

        Args:
            atomic_numbers: (n,), of the centres and then of the other atoms that they meet.
            neighbourhoods: of the centres.
        """


def local_potential(model: Any, elements: Collection[str]) -> LocalPotential:
    """Return the local potential of a model, for systems of some elements.

    Args:
        model: that has a method ``local``, as ANI.
        elements: chemical symbols of all atoms that will occur.

    Raises:
        ModelError: the model is not local, or its backend cannot evaluate part of a system.
        RegionError: an element that the model does not know.
    """
    make = getattr(model, "local", None)
    if make is None:
        raise ModelError(
            f"found the model {model.name}, which cannot be evaluated for part of a system; "
            "allowed: ANI-2x, ANI-1x, ANI-1ccx, where an atom's energy depends on its neighbours "
            "alone"
        )
    found: LocalPotential = make(elements)
    return found


def find_neighbourhoods(
    positions: NDArray[np.float64], n_centres: int, cutoff: float
) -> Neighbourhoods:
    """Return the neighbours of the first atoms among all that are given, images included.

    Args:
        positions: (n, 3), nm, of the centres and then of the atoms around them; an image of a
            centre across a periodic boundary counts as a separate atom.
        n_centres: number of centres.
        cutoff: range, nm.
    """
    from scipy.spatial import cKDTree

    all_atoms = cKDTree(positions)
    counts, atoms, vectors = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 3))]
    for first in range(0, n_centres, _CENTRES_TOGETHER):
        centres = positions[first : min(first + _CENTRES_TOGETHER, n_centres)]
        tree = cKDTree(centres)
        pairs = tree.sparse_distance_matrix(all_atoms, cutoff, output_type="ndarray")
        pairs = pairs[pairs["i"] + first != pairs["j"]]
        rows = pairs["i"].astype(np.uint16)  # numpy sorts 16-bit integers by radix, which is faster
        order = np.argsort(rows, kind="stable")
        rows, near = rows[order], pairs["j"][order].astype(np.int64)
        counts.append(np.bincount(rows, minlength=len(centres)))
        atoms.append(near)
        vectors.append(positions[near] - centres[rows])
    start = np.cumsum(np.concatenate(counts))
    return Neighbourhoods(start, np.concatenate(atoms), np.concatenate(vectors))


def forces_on_atoms(
    neighbourhoods: Neighbourhoods, gradients: NDArray[np.float64], n_atoms: int
) -> NDArray[np.float64]:
    """Return the forces (n_atoms, 3) in kJ/mol/nm on centres and neighbours alike.

    A vector from i to j with the derivative g gives the forces -g on j and g on i.

    Args:
        neighbourhoods: of the centres.
        gradients: (p, 3), as in `LocalEvaluation`.
        n_atoms: number of atoms, the centres first.
    """
    counts = np.diff(neighbourhoods.start)
    centres = np.repeat(np.arange(len(counts)), counts)
    forces = np.empty((n_atoms, 3))
    for axis in range(3):
        column = gradients[:, axis]
        forces[:, axis] = np.bincount(centres, column, n_atoms)
        forces[:, axis] -= np.bincount(neighbourhoods.atoms, column, n_atoms)
    return forces


def virial(neighbourhoods: Neighbourhoods, gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the virial (3, 3) in kJ/mol: the sum of r_ij (outer product) F_ij over all vectors.

    F_ij = -dE/dr_ij. The pressure of N atoms at a temperature T in a volume V is then
    (N k T + trace / 3) / V (Thompson, Plimpton and Mattson, J. Chem. Phys. 2009, 131, 154107).

    Args:
        neighbourhoods: of the centres.
        gradients: (p, 3), as in `LocalEvaluation`.
    """
    product: NDArray[np.float64] = -neighbourhoods.vectors.T @ gradients
    return product
