"""Where a region ends: its bonds, the bonds it cuts, constraints and virtual sites."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Element, Topology
from openmm.app.element import hydrogen

from nnpmm.errors import ForceFieldError, RegionError
from nnpmm.selection import atom_label

__all__ = [
    "Pair",
    "attached_sites",
    "bond_labels",
    "constrained_pairs",
    "constrained_rows",
    "covalent_bonds",
    "parted_bonds",
    "refuse_cut_bonds",
    "region_elements",
    "release_constraints",
    "sorted_pair",
]

Pair = tuple[int, int]


def region_elements(topology: Topology, region: NDArray[np.int64]) -> list[Element]:
    """Return the element of every region atom, deuterium as hydrogen.

    Raises:
        RegionError: an atom has none, as a virtual site.
    """
    atoms = list(topology.atoms())
    found = [atoms[i].element for i in region]
    unknown = [atoms[i].name for i in region if atoms[i].element is None]
    if unknown:
        raise RegionError(
            f"the region holds atoms without an element ({', '.join(unknown[:5])}); leave virtual "
            "sites out and name elements in the structure"
        )
    return [hydrogen if element.atomic_number == 1 else element for element in found]


def covalent_bonds(system: openmm.System, topology: Topology) -> set[Pair]:
    """Return the bonds of a system, each as two atom indices in rising order.

    They are those of the topology and, for what it does not list, the pairs of the system's
    HarmonicBondForces and constraints; of these, two neighbours of one atom are no bond but the
    ends of an angle, as in Urey-Bradley terms and constrained angles.
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
    """Return the bonds inside a region, and those it cuts as (atom in, atom out), both sorted.

    What counts as a bond is said in `covalent_bonds`.
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
    """Return two atom indices in rising order."""
    return (i, j) if i < j else (j, i)


def refuse_cut_bonds(topology: Topology, cut: list[Pair]) -> None:
    """Raise a RegionError that names the covalent bonds which a region cuts, if it cuts any."""
    if cut:
        raise RegionError(
            f"the region cuts {len(cut)} covalent bond{'s' if len(cut) > 1 else ''} "
            f"({bond_labels(topology, cut)}); select whole molecules, or cap C-C bonds with "
            "link atoms (LinkAtoms, region.link_atoms)"
        )


def bond_labels(topology: Topology, bonds: list[Pair]) -> str:
    """Return the first five bonds by their atoms' labels, for messages."""
    atoms = list(topology.atoms())
    listed = ", ".join(f"{atom_label(atoms[i])}-{atom_label(atoms[j])}" for i, j in bonds[:5])
    return listed + (", ..." if len(bonds) > 5 else "")


def attached_sites(system: openmm.System, members: set[int]) -> NDArray[np.int64]:
    """Return the virtual sites whose positions follow from atoms of the region alone.

    The network does not see them. Their charges and Lennard-Jones parameters belong to the region:
    they act on the rest, and not within the region.

    Raises:
        ForceFieldError: a site depends on atoms of the region and on others.
    """
    found = []
    for index in range(system.getNumParticles()):
        if not system.isVirtualSite(index):
            continue
        site = system.getVirtualSite(index)
        parents = {site.getParticle(i) for i in range(site.getNumParticles())}
        if parents <= members:
            found.append(index)
        elif parents & members:
            raise ForceFieldError(
                f"found the virtual site {index} on atoms {sorted(parents)}, of which the region "
                f"holds {sorted(parents & members)}; allowed: sites on atoms of the region alone: "
                "select whole molecules"
            )
    return np.array(found, dtype=np.int64)


def constrained_pairs(system: openmm.System) -> list[Pair]:
    """Return the atoms of each constraint of a system."""
    return [system.getConstraintParameters(k)[:2] for k in range(system.getNumConstraints())]


def constrained_rows(system: openmm.System, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the constraints among some atoms, (n,), as pairs of rows of these, (m, 2)."""
    rows = {atom: row for row, atom in enumerate(atoms.tolist())}
    found = [(rows[i], rows[j]) for i, j in constrained_pairs(system) if i in rows and j in rows]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def release_constraints(
    system: openmm.System, members: set[int], hydrogens: set[int], *, keep: bool
) -> list[Pair]:
    """Remove constraints inside a region, in place; return the pairs that are free now.

    Args:
        system: the system to change.
        members: atoms of the region.
        hydrogens: those of them that are hydrogen.
        keep: leave bonds between hydrogen and another element constrained.
    """
    released = []
    for index in reversed(range(system.getNumConstraints())):
        i, j, _ = system.getConstraintParameters(index)
        if i not in members or j not in members:
            continue
        if keep and (i in hydrogens) != (j in hydrogens):
            continue
        system.removeConstraint(index)
        released.append(sorted_pair(i, j))
    return sorted(released)
