"""Bonds and constraints of a System and its topology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices

__all__ = [
    "Pair",
    "constrained_pairs",
    "constrained_rows",
    "covalent_bonds",
    "parted_bonds",
    "sorted_pair",
    "topology_bonds",
]

Pair = tuple[int, int]


def covalent_bonds(system: openmm.System, topology: Topology) -> set[Pair]:
    """Return the bonds of a system, each as two atom indices in ascending order.

    These are the bonds of the topology and further pairs of the system's HarmonicBondForces and
    constraints. Of the further pairs, two neighbours of the same atom are not a bond but the ends
    of an angle, as in Urey-Bradley terms and constrained angles.
    """
    pairs = {sorted_pair(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()}
    neighbours: dict[int, set[int]] = {}
    for i, j in pairs:
        neighbours.setdefault(i, set()).add(j)
        neighbours.setdefault(j, set()).add(i)
    further = {
        sorted_pair(*force.getBondParameters(index)[:2])
        for force in system.getForces()
        if type(force) is openmm.HarmonicBondForce
        for index in range(force.getNumBonds())
    }
    further |= {sorted_pair(*pair) for pair in constrained_pairs(system)}
    return pairs | {
        (i, j)
        for i, j in further - pairs
        if neighbours.get(i, set()).isdisjoint(neighbours.get(j, set()))
    }


def parted_bonds(
    system: openmm.System, topology: Topology, members: set[int]
) -> tuple[set[Pair], list[Pair]]:
    """Return the bonds inside a region, and the bonds it cuts as sorted pairs (atom in, atom out).

    See `covalent_bonds` for what counts as a bond.
    """
    inside, cut = set(), set()
    for i, j in covalent_bonds(system, topology):
        if i in members and j in members:
            inside.add((i, j))
        elif i in members:
            cut.add((i, j))
        elif j in members:
            cut.add((j, i))
    return inside, sorted(cut)


def sorted_pair(i: int, j: int) -> Pair:
    """Return two atom indices in ascending order."""
    return (i, j) if i < j else (j, i)


def topology_bonds(
    topology: Topology, atoms: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the topology's bonds inside a region as pairs of row numbers of ``atoms``, (m, 2)."""
    if np.asarray(atoms).dtype == bool:
        atoms = atom_indices(atoms, topology.getNumAtoms())
    local = {int(atom): row for row, atom in enumerate(atoms)}
    pairs = [
        (local[bond.atom1.index], local[bond.atom2.index])
        for bond in topology.bonds()
        if bond.atom1.index in local and bond.atom2.index in local
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def constrained_pairs(system: openmm.System) -> list[Pair]:
    """Return the atoms of each constraint of a system."""
    return [system.getConstraintParameters(k)[:2] for k in range(system.getNumConstraints())]


def constrained_rows(system: openmm.System, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the constraints among some atoms, (n,), as pairs of rows of these, (m, 2)."""
    rows = {atom: row for row, atom in enumerate(atoms.tolist())}
    found = [(rows[i], rows[j]) for i, j in constrained_pairs(system) if i in rows and j in rows]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
