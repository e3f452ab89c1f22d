"""The composition of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from openmm.app.topology import Atom

from nnpmm.core.geometry import make_whole, spanning_trees
from nnpmm.structures.elements import region_elements
from nnpmm.structures.formal_charge import perceive_charge
from nnpmm.structures.formula import hill_formula
from nnpmm.structures.link_bonds import check_cut_bonds, link_distance
from nnpmm.structures.readers import Structure
from nnpmm.structures.region_bonds import find_bonds
from nnpmm.structures.selection import atom_label

__all__ = ["LinkAtom", "Molecule", "RegionSummary", "describe_region"]

# Finding the charge of a larger molecule, such as a whole protein, would take minutes.
_LARGEST_PERCEIVED = 500
# Degrees: the angle at a carbon with two neighbours, and the sum of those at one with three. They
# are 180 and 360 where no hydrogen is missing, 120 and 328 where one is (up to 332 in molecules
# minimised with MMFF94). Vibrations bend linear and planar carbons, so that the margin is wider
# on their side.
_SMALLEST_LINEAR, _SMALLEST_PLANAR = 145.0, 341.0
# nm. C#N is 0.116 and C#C 0.120 long, C=N 0.128 and C=C 0.134.
_LONGEST_TRIPLE_BOND = 0.123
_NEED_NEIGHBOURS = frozenset("BCNOPS")


@dataclass(frozen=True)
class Molecule:
    """A molecule, or a part of one that is not bonded to the rest of the region.

    Args:
        residue: name and number of the residue of its first atom, for example ``"LIG1"``.
        formal_charge: e, or None if it cannot be determined.
        possible_charges: those that the structure allows, if it cannot be determined.
    """

    residue: str
    formal_charge: int | None
    possible_charges: tuple[int, ...] = ()


class LinkAtom(NamedTuple):
    """A hydrogen on a cut bond.

    Attributes:
        inside: 0-based index of the region's atom.
        outside: of its neighbour outside.
        distance: from the atom inside, nm.
    """

    inside: int
    outside: int
    distance: float


class _Capped(NamedTuple):
    """Symbols, bonds as rows and positions of a region, followed by its link atoms."""

    symbols: tuple[str, ...]
    bonds: NDArray[np.int64]
    positions: NDArray[np.float64] | None


@dataclass(frozen=True)
class RegionSummary:
    """A description of a selected region.

    Args:
        atoms: sorted 0-based indices, (n,).
        symbols: chemical symbol of each atom.
        residues: names with numbers, for example ``"LIG1"``.
        bonds: pairs of row numbers within the region, (m, 2).
        cut_bonds: labels of covalent bonds between region and rest.
        formal_charge: of all molecules together, e, or None if it cannot be determined.
        charge_source: how the charge was found.
        molecules: the region's molecules.
        without_hydrogens: labels of atoms that seem to lack hydrogens.
        link_atoms: hydrogens that cap the cut bonds; none if the bonds are not capped.
    """

    atoms: NDArray[np.int64]
    symbols: tuple[str, ...]
    residues: tuple[str, ...]
    bonds: NDArray[np.int64]
    cut_bonds: tuple[str, ...]
    formal_charge: int | None
    charge_source: str
    molecules: tuple[Molecule, ...]
    without_hydrogens: tuple[str, ...] = ()
    link_atoms: tuple[LinkAtom, ...] = ()

    @property
    def formula(self) -> str:
        """Hill formula: carbon, hydrogen, then the rest alphabetically."""
        return hill_formula(self.symbols)


def describe_region(
    structure: Structure,
    atoms: NDArray[np.int64],
    charge: int | None = None,
    *,
    link_bonds: Sequence[str] | None = None,
) -> RegionSummary:
    """Describe a region of a structure.

    Args:
        structure: the whole structure.
        atoms: sorted 0-based indices of the region.
        charge: the formal charge, e, if the caller knows it.
        link_bonds: kinds of bonds that link atoms cap, see
            `nnpmm.structures.link_bonds.checked_kinds`; None caps none.

    Raises:
        RegionError: a region atom has no element, or link atoms cannot cap a bond.
    """
    all_atoms = list(structure.topology.atoms())
    chosen = [all_atoms[i] for i in atoms]
    symbols = tuple(element.symbol for element in region_elements(structure.topology, atoms))
    found = find_bonds(structure, atoms)
    bonds = np.searchsorted(atoms, np.array(found.inside, dtype=np.int64).reshape(-1, 2))
    cut = tuple(f"{atom_label(all_atoms[i])}-{atom_label(all_atoms[j])}" for i, j in found.cut)
    positions = None
    if structure.positions is not None:
        positions = make_whole(structure.positions[atoms], structure.box, bonds)
    links: tuple[LinkAtom, ...] = ()
    capped = _Capped(symbols, bonds, positions)
    if link_bonds is not None:
        members = set(atoms.tolist())
        ends = sorted((i, j) if i in members else (j, i) for i, j in found.cut)
        check_cut_bonds(structure.topology, ends, link_bonds)
        links = tuple(_link_atom(all_atoms, *pair) for pair in ends)
        capped = _with_link_atoms(structure, atoms, capped, links)
    molecules, source = _molecules(structure, chosen, capped, cut=bool(links))
    total: int | None = None
    if charge is not None:
        total, source = charge, "stated"
    elif all(molecule.formal_charge is not None for molecule in molecules):
        total = sum(molecule.formal_charge or 0 for molecule in molecules)
    else:
        source = "unknown"
    lacking: tuple[str, ...] = ()
    charged = structure.formal_charges is not None or structure.partial_charges is not None
    if not charged:  # such files contain molecules with all hydrogens
        lacking = tuple(atom_label(chosen[row]) for row in _lacking(*capped) if row < len(chosen))
    residues = dict.fromkeys(_residue_label(atom) for atom in chosen)
    return RegionSummary(
        atoms,
        symbols,
        tuple(residues),
        bonds,
        cut,
        total,
        source,
        molecules,
        lacking,
        link_atoms=links,
    )


def _link_atom(all_atoms: list[Atom], inside: int, outside: int) -> LinkAtom:
    ends = (all_atoms[inside].element.symbol, all_atoms[outside].element.symbol)
    return LinkAtom(inside, outside, link_distance(*ends, {}))


def _with_link_atoms(
    structure: Structure,
    atoms: NDArray[np.int64],
    region: _Capped,
    links: tuple[LinkAtom, ...],
) -> _Capped:
    """Return the region with its link atoms as hydrogens at the end."""
    anchors = np.searchsorted(atoms, [link.inside for link in links])
    new = np.column_stack([anchors, len(atoms) + np.arange(len(links))])
    positions = region.positions
    if positions is not None and structure.positions is not None and links:
        ends = structure.positions[[link.outside for link in links]]
        pairs = np.concatenate([positions[anchors], ends])
        joined = np.column_stack([np.arange(len(links)), len(links) + np.arange(len(links))])
        whole = make_whole(pairs, structure.box, joined)
        vectors = whole[len(links) :] - whole[: len(links)]
        lengths = np.array([link.distance for link in links]) / np.linalg.norm(vectors, axis=1)
        positions = np.concatenate([positions, positions[anchors] + lengths[:, None] * vectors])
    return _Capped(
        region.symbols + ("H",) * len(links), np.concatenate([region.bonds, new]), positions
    )


def _molecules(
    structure: Structure,
    chosen: list[Atom],
    region: _Capped,
    *,
    cut: bool,
) -> tuple[tuple[Molecule, ...], str]:
    """Return the region's molecules with their charges, and how these were found.

    Sums of force-field charges are not used if bonds are cut, because they are not integers then.
    """
    symbols, bonds, positions = region
    indices = np.array([atom.index for atom in chosen])
    found = []
    for fragment in spanning_trees(len(symbols), bonds)[1]:
        rows = np.sort(fragment)
        own = rows[rows < len(chosen)]
        residue = _residue_label(chosen[rows[0]])
        if structure.formal_charges is not None:
            source = "stated in the file"
            found.append(Molecule(residue, int(structure.formal_charges[indices[own]].sum())))
            continue
        if structure.partial_charges is not None and not cut:
            source = "sum of force-field charges"
            total = float(structure.partial_charges[indices[own]].sum())
            found.append(Molecule(residue, round(total)))
            continue
        source = "perceived from bonds and elements"
        if len(rows) > _LARGEST_PERCEIVED:
            found.append(Molecule(residue, None))
            continue
        local = np.searchsorted(rows, bonds[np.isin(bonds[:, 0], rows)])
        whole = None if positions is None else positions[rows]
        charge = perceive_charge([symbols[row] for row in rows], local, whole)
        found.append(Molecule(residue, charge.charge, charge.possible))
    return tuple(found), source


def _lacking(
    symbols: tuple[str, ...], bonds: NDArray[np.int64], positions: NDArray[np.float64] | None
) -> list[int]:
    """Return the rows of atoms that seem to lack hydrogens."""
    if positions is None:
        return []
    neighbours: list[list[int]] = [[] for _ in symbols]
    for i, j in bonds.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    return [
        row
        for row, symbol in enumerate(symbols)
        if _lacks_hydrogens(symbol, positions[neighbours[row]] - positions[row])
    ]


def _lacks_hydrogens(symbol: str, vectors: NDArray[np.float64]) -> bool:
    """Return whether an atom seems to lack hydrogens, from vectors to neighbours, (k, 3), nm.

    A carbon with all hydrogens is linear if it has two neighbours, planar if it has three, and has
    a triple bond if it has one. Angles show this even if bonds are stretched. An atom without
    neighbours lacks all its hydrogens unless it is an ion.
    """
    if len(vectors) == 0:
        return symbol in _NEED_NEIGHBOURS
    if symbol != "C" or len(vectors) > 3:
        return False
    lengths = np.linalg.norm(vectors, axis=1)
    if len(vectors) == 1:
        return bool(lengths[0] > _LONGEST_TRIPLE_BOND)
    units = vectors / lengths[:, np.newaxis]
    pairs = np.triu_indices(len(units), 1)
    angles = np.degrees(np.arccos(np.clip((units @ units.T)[pairs], -1.0, 1.0)))
    return bool(angles.sum() < (_SMALLEST_LINEAR if len(vectors) == 2 else _SMALLEST_PLANAR))


def _residue_label(atom: Atom) -> str:
    return f"{atom.residue.name}{atom.residue.id}"
