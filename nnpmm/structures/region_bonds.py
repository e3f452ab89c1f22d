"""The covalent bonds of a region: those in the file, and missing ones by distance."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from openmm.app.topology import Atom
from scipy.spatial import cKDTree

from nnpmm.core.geometry import images_around, wrapped
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.readers import Structure
from nnpmm.structures.selection import atom_label

__all__ = ["RegionBonds", "find_bonds"]

_LOGGER = logging.getLogger(__name__)
# Two atoms are bonded when closer than this times the sum of their covalent radii (rdkit's). In
# small molecules minimised with MMFF94 or UFF, with B, Si, P, S, halogens and cubane among them,
# bonds are up to 1.04 times that sum; the shortest distances without a bond are 1.26 times it (P-P
# in diphosphoric acid) and 1.42 (thiophene).
_BOND_TOLERANCE = 1.25
# Alkali and alkaline earth metals: their ions touch ligands and water without a covalent bond.
_IONIC = frozenset((3, 4, 11, 12, 19, 20, 37, 38, 55, 56, 87, 88))
_METALS = frozenset((13, *range(21, 32), *range(39, 51), *range(57, 84), *range(89, 113)))


class RegionBonds(NamedTuple):
    """Bonds as pairs of atom indices, sorted.

    Attributes:
        inside: between two atoms of the region.
        cut: between an atom of the region and another one.
    """

    inside: list[tuple[int, int]]
    cut: list[tuple[int, int]]


def find_bonds(structure: Structure, atoms: NDArray[np.int64]) -> RegionBonds:
    """Return the bonds inside a region, and those that leave it.

    Atoms for which the file lists no bond get theirs from distances: ligands in a PDB file without
    CONECT records or in a GRO file, and hydrogens that were added after these records. Bonds out of
    the region are looked for by distance in any case, since a file need not list the one between a
    ligand and its protein. Contacts of metal ions with the region are not bonds that it cuts.

    Args:
        structure: the whole structure.
        atoms: sorted 0-based indices of the region.
    """
    topology, members = structure.topology, set(atoms.tolist())
    pairs = {
        (min(b.atom1.index, b.atom2.index), max(b.atom1.index, b.atom2.index))
        for b in topology.bonds()
    }
    bonded = {atom for pair in pairs for atom in pair}
    all_atoms = list(topology.atoms())
    if structure.positions is not None:
        close = _close_pairs(structure, all_atoms, atoms.tolist())
        inside = {p for p in close if members.issuperset(p) and not bonded.issuperset(p)}
        leaving = {p for p in close if not members.issuperset(p)}
        contacts = {p for p in leaving - pairs if any(_number(all_atoms[i]) in _METALS for i in p)}
        _warn_of_contacts(sorted(contacts), all_atoms)
        pairs |= inside | (leaving - contacts)
    return RegionBonds(
        sorted(pair for pair in pairs if members.issuperset(pair)),
        sorted(pair for pair in pairs if len(members.intersection(pair)) == 1),
    )


def _close_pairs(
    structure: Structure, all_atoms: list[Atom], atoms: list[int]
) -> set[tuple[int, int]]:
    """Return the pairs with an atom of the region that are as close as bonded atoms."""
    positions, box = structure.positions, structure.box
    if positions is None:
        return set()
    numbers = [_number(atom) for atom in all_atoms]
    radii = np.array([covalent_radius(n) if n and n not in _IONIC else 0.0 for n in numbers])
    all_bonding = np.flatnonzero(radii)
    bonding = np.intersect1d(atoms, all_bonding)
    if not len(bonding):
        return set()
    points = positions if box is None else wrapped(positions, box)
    images = points[bonding] if box is None else images_around(points[bonding], box)
    farthest = _BOND_TOLERANCE * (radii[bonding].max() + radii.max())
    close = cKDTree(images.reshape(-1, 3)).sparse_distance_matrix(
        cKDTree(points[all_bonding]), farthest, output_type="ndarray"
    )
    i, j = bonding[close["i"] % len(bonding)], all_bonding[close["j"]]
    near = (close["v"] < _BOND_TOLERANCE * (radii[i] + radii[j])) & (i != j)
    pairs = np.sort(np.column_stack((i, j))[near], axis=1)
    return {(first, second) for first, second in pairs.tolist()}


def _number(atom: Atom) -> int:
    return 0 if atom.element is None else int(atom.element.atomic_number)


def _warn_of_contacts(contacts: list[tuple[int, int]], all_atoms: list[Atom]) -> None:
    if not contacts:
        return
    listed = ", ".join("-".join(atom_label(all_atoms[i]) for i in pair) for pair in contacts[:5])
    _LOGGER.warning(
        "%d contacts with metal ions leave the region (%s); they are not taken for covalent bonds, "
        "and only the force field describes them",
        len(contacts),
        listed,
    )
