"""The chemistry of a ligand: bond orders, symmetry, rotatable bonds, rings, charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from nnpmm.analysis.subjects import Subject
from nnpmm.structures.formal_charge import perceive_charge

__all__ = ["Ligand", "Torsion", "describe_ligand"]

#: Largest number of symmetries; a molecule with many CF3 and t-butyl groups has more.
MOST_SYMMETRIES = 1000
_LABEL = 100  # isotope of an atom without hydrogens; each hydrogen adds 1


@dataclass(frozen=True)
class Torsion:
    """A rotatable bond.

    Attributes:
        rows: of four atoms of the solute; the bond is between the second and the third.
        label: names of the four atoms.
    """

    rows: tuple[int, int, int, int]
    label: str


@dataclass(frozen=True, eq=False)
class Ligand:
    """The chemistry of a ligand; rows count the solute's atoms.

    Attributes:
        heavy: (h,) rows of its heavy atoms.
        symmetries: (s, h) the same rows in each chemically equivalent order, the original one
            first.
        torsions: its rotatable bonds.
        rings: rows of each aromatic ring.
        charged: formal charges of atoms that have one, by row.
        smiles: of the molecule; empty without bond orders.
        molecule: with bond orders; None if they could not be determined.
        notes: remarks for the report.
    """

    heavy: NDArray[np.int64]
    symmetries: NDArray[np.int64]
    torsions: tuple[Torsion, ...]
    rings: tuple[tuple[int, ...], ...]
    charged: dict[int, int]
    smiles: str
    molecule: Chem.Mol | None
    notes: tuple[str, ...]


def describe_ligand(
    subject: Subject, positions: NDArray[np.floating], molecule: Chem.Mol | None = None
) -> Ligand:
    """Return the chemistry of the ligand.

    Args:
        subject: that holds the ligand.
        positions: (n, 3) nm of the solute, molecules whole.
        molecule: the ligand with its bond orders, atoms in the same order; None: bond orders are
            determined from bonds and geometry.
    """
    rows = subject.ligand
    local = {int(row): k for k, row in enumerate(rows)}
    bonds = [(local[i], local[j]) for i, j in subject.bonds.tolist() if i in local and j in local]
    symbols = [subject.symbols[row] for row in rows.tolist()]
    plain = _plain(symbols, bonds)
    notes: list[str] = []
    if molecule is None or [a.GetSymbol() for a in molecule.GetAtoms()] != symbols:
        molecule = _with_orders(plain, symbols, bonds, np.asarray(positions)[rows])
    if molecule is None:
        notes.append(
            "The ligand's bond orders could not be found from its bonds and geometry: double bonds "
            "outside of rings are listed as rotatable, and aromatic rings and charges are unknown."
        )
    symmetries = _symmetries(plain)
    if len(symmetries) == MOST_SYMMETRIES:
        notes.append(f"Only {MOST_SYMMETRIES} symmetries of the ligand were tried.")
    return Ligand(
        heavy=subject.ligand_heavy,
        symmetries=np.array([[rows[k] for k in order] for order in symmetries], dtype=np.int64),
        torsions=tuple(
            Torsion(
                (int(rows[i]), int(rows[j]), int(rows[k]), int(rows[m])),
                "-".join(subject.names[int(rows[n])] for n in (i, j, k, m)),
            )
            for i, j, k, m in _rotatable(molecule or plain)
        ),
        rings=_aromatic_rings(molecule, rows),
        charged=_charged(molecule, rows),
        smiles="" if molecule is None else Chem.MolToSmiles(Chem.RemoveHs(molecule)),
        molecule=molecule,
        notes=tuple(notes),
    )


def _plain(symbols: Sequence[str], bonds: Sequence[tuple[int, int]]) -> Chem.Mol:
    """Return a molecule of single bonds, which is not sanitised."""
    molecule = Chem.RWMol()
    for symbol in symbols:
        atom = Chem.Atom(symbol or 0)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for i, j in bonds:
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    found = molecule.GetMol()
    found.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(found)
    return found


def _with_orders(
    plain: Chem.Mol,
    symbols: Sequence[str],
    bonds: Sequence[tuple[int, int]],
    positions: NDArray[np.floating],
) -> Chem.Mol | None:
    """Return the molecule with bond orders, or None if they are ambiguous."""
    pairs = np.array(bonds, dtype=np.int64).reshape(-1, 2)
    charge = perceive_charge(symbols, pairs, np.asarray(positions, dtype=np.float64)).charge
    if charge is None or "" in symbols or len(Chem.GetMolFrags(plain)) != 1:
        return None
    molecule = Chem.RWMol(plain)
    conformer = Chem.Conformer(len(symbols))
    for row, position in enumerate(10 * np.asarray(positions, dtype=np.float64)):
        conformer.SetAtomPosition(row, position.tolist())
    molecule.AddConformer(conformer)
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBondOrders(molecule, charge=charge, maxIterations=20000)
            Chem.SanitizeMol(molecule)
    except (ValueError, RuntimeError):
        return None
    radicals = any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    if radicals or Chem.GetFormalCharge(molecule) != charge:
        return None
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule.GetMol()


def _symmetries(plain: Chem.Mol) -> list[list[int]]:
    """Return the heavy atoms in each order that keeps elements, bonds and numbers of hydrogens.

    Bond orders do not count: the oxygens of a carboxylate are equivalent, whichever has the double
    bond.
    """
    heavy = [a.GetIdx() for a in plain.GetAtoms() if a.GetAtomicNum() != 1]
    if not heavy:
        return [list(range(plain.GetNumAtoms()))]
    skeleton = Chem.RWMol()
    for index in heavy:
        atom = plain.GetAtomWithIdx(index)
        hydrogens = sum(n.GetAtomicNum() == 1 for n in atom.GetNeighbors())
        marked = Chem.Atom(atom.GetAtomicNum())
        marked.SetIsotope(_LABEL + hydrogens)
        skeleton.AddAtom(marked)
    place = {index: n for n, index in enumerate(heavy)}
    for bond in plain.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if i in place and j in place:
            skeleton.AddBond(place[i], place[j], Chem.BondType.SINGLE)
    graph = skeleton.GetMol()
    matches = graph.GetSubstructMatches(graph, uniquify=False, maxMatches=MOST_SYMMETRIES)
    orders = [[heavy[k] for k in match] for match in matches]
    orders.sort(key=lambda order: order != heavy)
    return orders


def _rotatable(molecule: Chem.Mol) -> list[tuple[int, int, int, int]]:
    """Return four atoms for each single bond outside rings with a further heavy atom at each end.

    Bonds to an atom of a triple bond are left out, because no torsion is defined about them. Of the
    further atoms the one of the highest atomic number is used, then the one of the lowest index.
    """
    found = []
    for bond in molecule.GetBonds():
        if bond.GetBondType() != Chem.BondType.SINGLE or bond.IsInRing():
            continue
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        outer = [_further(atom, other) for atom, other in (ends, ends[::-1])]
        if None in outer or any(_is_linear(atom) for atom in ends):
            continue
        found.append((outer[0], ends[0].GetIdx(), ends[1].GetIdx(), outer[1]))
    return found  # type: ignore[return-value]


def _further(atom: Chem.Atom, other: Chem.Atom) -> int | None:
    heavy = [
        n for n in atom.GetNeighbors() if n.GetIdx() != other.GetIdx() and n.GetAtomicNum() > 1
    ]
    best = min(heavy, key=lambda n: (-n.GetAtomicNum(), n.GetIdx()), default=None)
    return None if best is None else int(best.GetIdx())


def _is_linear(atom: Chem.Atom) -> bool:
    orders = [bond.GetBondType() for bond in atom.GetBonds()]
    return Chem.BondType.TRIPLE in orders or (
        orders.count(Chem.BondType.DOUBLE) > 1 and (atom.GetDegree() == 2)
    )


def _aromatic_rings(
    molecule: Chem.Mol | None, rows: NDArray[np.int64]
) -> tuple[tuple[int, ...], ...]:
    if molecule is None:
        return ()
    return tuple(
        tuple(int(rows[k]) for k in ring)
        for ring in molecule.GetRingInfo().AtomRings()
        if all(molecule.GetAtomWithIdx(k).GetIsAromatic() for k in ring)
    )


def _charged(molecule: Chem.Mol | None, rows: NDArray[np.int64]) -> dict[int, int]:
    """Return the charged atoms: both oxygens of a carboxylate, none of a nitro group."""
    if molecule is None:
        return {}
    net = {
        a.GetIdx(): a.GetFormalCharge()
        for a in molecule.GetAtoms()
        if a.GetFormalCharge()
        and not any(a.GetFormalCharge() * n.GetFormalCharge() < 0 for n in a.GetNeighbors())
    }
    acid = Chem.MolFromSmarts("[O-]-[#6,#15,#16]=O")
    for first, _, second in molecule.GetSubstructMatches(acid):
        if first in net:
            net[second] = net[first]
    return {int(rows[k]): charge for k, charge in net.items()}
