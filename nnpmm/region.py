"""What a region is made of, and whether a neutral closed-shell model can describe it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from nnpmm.errors import RegionError
from nnpmm.formula import hill_formula
from nnpmm.models.protocol import Potential
from nnpmm.selection import atom_label
from nnpmm.structures import Structure

__all__ = ["RegionSummary", "check_region", "describe_region", "perceive_charge"]

# Two atoms are bonded when closer than this times the sum of their covalent radii.
_BOND_TOLERANCE = 1.25
# Assigning bond orders is a combinatorial search: beyond these sizes it is not tried.
_LARGEST_PERCEIVED = 150
_PERCEPTION_ITERATIONS = 20_000


@dataclass(frozen=True)
class RegionSummary:
    """What was selected.

    Args:
        atoms: sorted 0-based indices, (n,).
        symbols: chemical symbol of each atom.
        residues: names with numbers, for example ``"LIG1"``.
        bonds: pairs of row numbers within the region, (m, 2).
        cut_bonds: labels of covalent bonds between region and rest.
        formal_charge: e, or None where it cannot be told.
        charge_source: how the charge was found.
    """

    atoms: NDArray[np.int64]
    symbols: tuple[str, ...]
    residues: tuple[str, ...]
    bonds: NDArray[np.int64]
    cut_bonds: tuple[str, ...]
    formal_charge: int | None
    charge_source: str

    @property
    def formula(self) -> str:
        """Hill formula: carbon, hydrogen, then the rest by the alphabet."""
        return hill_formula(self.symbols)


def describe_region(
    structure: Structure, atoms: NDArray[np.int64], charge: int | None = None
) -> RegionSummary:
    """Describe a region of a structure.

    Args:
        structure: the whole structure.
        atoms: sorted 0-based indices of the region.
        charge: the formal charge in e if the caller knows it.

    Raises:
        RegionError: a region atom has no element.
    """
    all_atoms = list(structure.topology.atoms())
    chosen = [all_atoms[i] for i in atoms]
    unknown = [atom.name for atom in chosen if atom.element is None]
    if unknown:
        raise RegionError(
            f"the region holds atoms without an element ({', '.join(unknown[:5])}); "
            "leave virtual sites out and name elements in the structure"
        )
    symbols = tuple(atom.element.symbol for atom in chosen)
    bonds, cut = _bonds(structure, atoms)
    if charge is None:
        charge, source = _formal_charge(structure, atoms, symbols, bonds)
    else:
        source = "stated"
    residues = dict.fromkeys(f"{atom.residue.name}{atom.residue.id}" for atom in chosen)
    return RegionSummary(atoms, symbols, tuple(residues), bonds, cut, charge, source)


def check_region(summary: RegionSummary, model: Potential) -> None:
    """Check that a model can describe a region.

    Raises:
        RegionError: a covalent bond is cut, an element is unknown to the model, or the region is
            charged, or of unknown charge, and the model describes neutral molecules only.
    """
    if summary.cut_bonds:
        raise RegionError(
            f"the region cuts {len(summary.cut_bonds)} covalent bonds "
            f"({', '.join(summary.cut_bonds[:5])}); select whole molecules"
        )
    if model.elements is not None:
        unknown = sorted(set(summary.symbols) - set(model.elements))
        if unknown:
            raise RegionError(
                f"the region holds {', '.join(unknown)}, {model.name} knows "
                f"{', '.join(model.elements)}; select other atoms or take another model"
            )
    if not model.neutral_only:
        return
    if summary.formal_charge is None:
        raise RegionError(
            f"the formal charge of the region ({summary.formula}) cannot be told from this "
            f"structure, {model.name} describes neutral molecules only; state it with --charge"
        )
    if summary.formal_charge != 0:
        raise RegionError(
            f"the region ({summary.formula}) has formal charge {summary.formal_charge:+d} "
            f"({summary.charge_source}), {model.name} describes neutral molecules only; "
            "select a neutral molecule"
        )


def perceive_charge(symbols: tuple[str, ...], bonds: NDArray[np.int64]) -> int | None:
    """Return the smallest formal charge for which every atom has a normal valence, or None.

    rdkit's assignment of bond orders (Kim and Kim, Bull. Korean Chem. Soc. 2015, 36, 1769) is tried
    for charges 0, +1, -1, +2, -2; an answer with radicals or charged carbons does not count.

    Args:
        symbols: chemical symbols.
        bonds: (m, 2) row numbers, all hydrogens among them.
    """
    if len(symbols) > _LARGEST_PERCEIVED:
        return None
    skeleton = Chem.RWMol()
    for symbol in symbols:
        atom = Chem.Atom(symbol)
        atom.SetNoImplicit(True)
        skeleton.AddAtom(atom)
    for i, j in bonds.tolist():
        skeleton.AddBond(i, j, Chem.BondType.SINGLE)
    electrons = sum(atom.GetAtomicNum() for atom in skeleton.GetAtoms())
    with rdBase.BlockLogs():
        for charge in (0, 1, -1, 2, -2):
            if (electrons - charge) % 2 == 0 and _has_normal_valences(skeleton, charge):
                return charge
    return None


def _has_normal_valences(skeleton: Chem.RWMol, charge: int) -> bool:
    molecule = Chem.RWMol(skeleton)
    try:
        rdDetermineBonds.DetermineBondOrders(
            molecule, charge=charge, maxIterations=_PERCEPTION_ITERATIONS, embedChiral=False
        )
        Chem.SanitizeMol(molecule)
    except (
        ValueError,
        RuntimeError,
    ):  # no bond orders give this charge, or none were found in time
        return False
    return all(
        atom.GetNumRadicalElectrons() == 0
        and not (atom.GetSymbol() in ("C", "H") and atom.GetFormalCharge())
        for atom in molecule.GetAtoms()
    )


def _formal_charge(
    structure: Structure,
    atoms: NDArray[np.int64],
    symbols: tuple[str, ...],
    bonds: NDArray[np.int64],
) -> tuple[int | None, str]:
    if structure.formal_charges is not None:
        return int(structure.formal_charges[atoms].sum()), "stated in the file"
    if structure.partial_charges is not None:
        return round(float(structure.partial_charges[atoms].sum())), "sum of force-field charges"
    charge = perceive_charge(symbols, bonds)
    return charge, "unknown" if charge is None else "perceived from bonds and elements"


def _bonds(
    structure: Structure, atoms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Bonds inside the region, and labels of those that leave it.

    A residue without any bond in the topology (a ligand in a PDB file without CONECT records, or in
    a GRO file) gets its bonds from distances. Bonds out of the region are looked for by distance in
    any case, since a file need not list the one between a ligand and its protein.
    """
    topology, members = structure.topology, set(atoms.tolist())
    pairs = {tuple(sorted((b.atom1.index, b.atom2.index))) for b in topology.bonds()}
    bonded = {atom for pair in pairs for atom in pair}
    all_atoms = list(topology.atoms())
    bare = {
        atom
        for atom in members
        if not any(other.index in bonded for other in all_atoms[atom].residue.atoms())
    }
    if structure.positions is not None:
        close = _close_pairs(structure, all_atoms, atoms.tolist())
        pairs |= {p for p in close if not members.issuperset(p) or not bare.isdisjoint(p)}
    inside = sorted(pair for pair in pairs if members.issuperset(pair))
    cut = sorted(pair for pair in pairs if len(members.intersection(pair)) == 1)
    labels = tuple(f"{atom_label(all_atoms[i])}-{atom_label(all_atoms[j])}" for i, j in cut)
    local = np.searchsorted(atoms, np.array(inside, dtype=np.int64).reshape(-1, 2))
    return local, labels


def _close_pairs(structure: Structure, all_atoms: list, atoms: list[int]) -> set[tuple[int, int]]:
    positions, box = structure.positions, structure.box
    if positions is None:
        return set()
    table = Chem.GetPeriodicTable()
    radii = np.array(
        [0.1 * table.GetRcovalent(a.element.atomic_number) if a.element else 0.0 for a in all_atoms]
    )
    found = set()
    for i in atoms:
        vectors = positions - positions[i]
        if box is not None:
            for axis in (2, 1, 0):  # nearest image in OpenMM's lower-triangular box
                vectors -= np.round(vectors[:, axis] / box[axis, axis])[:, None] * box[axis]
        distances = np.linalg.norm(vectors, axis=1)
        near = (distances < _BOND_TOLERANCE * (radii + radii[i])) & (radii > 0)
        near[i] = False
        found |= {(min(i, j), max(i, j)) for j in np.flatnonzero(near).tolist()}
    return found
