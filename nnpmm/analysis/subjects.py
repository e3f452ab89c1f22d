"""The parts of a system that are analysed: the ligand, its receptor, the water."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mdtraj
import numpy as np
from numpy.typing import NDArray
from openmm import app

from nnpmm.analysis.sources import Source
from nnpmm.core.errors import InputFileError, SelectionError
from nnpmm.core.geometry import nearest_image
from nnpmm.structures.readers import Structure
from nnpmm.structures.region_bonds import find_bonds
from nnpmm.structures.residues import LIPIDS, candidate_ligands, is_amino_acid
from nnpmm.structures.selection import atom_label, is_water, select_atoms

__all__ = ["NO_LIGAND", "Residue", "Subject", "check_bond_lengths", "find_subject"]

#: The selection that means that there is no ligand.
NO_LIGAND = "none"
_BACKBONE = ("N", "CA", "C", "O")
_LONGEST_BOND = 0.3  # nm; I-I is 0.27
_LISTED = 8


@dataclass(frozen=True, eq=False)
class Residue:
    """A residue of the receptor.

    Attributes:
        label: name and number, with the chain where there are several.
        name: its name.
        rows: of its atoms among the solute's.
        center: rows whose fluctuation stands for the residue's: CA, else all heavy atoms.
        amino_acid: whether it has a peptide backbone.
    """

    label: str
    name: str
    rows: NDArray[np.int64]
    center: NDArray[np.int64]
    amino_acid: bool


@dataclass(frozen=True, eq=False)
class Subject:
    """The solute (ligand and receptor) and the water around it; rows count the solute's atoms.

    Attributes:
        atoms: (n,) sorted 0-based indices of the solute in the topology.
        names: of the atoms.
        symbols: their elements.
        masses: (n,) amu.
        bonds: (m, 2) rows.
        ligand: rows of the ligand, in the order of its atoms; empty if there is none.
        ligand_name: residue name and number of the ligand.
        receptor: its residues.
        backbone: rows that frames are aligned on: N, CA, C and O of amino acids, else the heavy
            atoms of the receptor.
        water: (w,) indices of the water molecules' oxygens in the topology.
        notes: remarks for the report, a sentence each.
    """

    atoms: NDArray[np.int64]
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    masses: NDArray[np.float64]
    bonds: NDArray[np.int64]
    ligand: NDArray[np.int64]
    ligand_name: str
    receptor: tuple[Residue, ...]
    backbone: NDArray[np.int64]
    water: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def heavy(self) -> NDArray[np.bool_]:
        """Which atoms are not hydrogens, (n,)."""
        return np.array([symbol != "H" for symbol in self.symbols], dtype=bool)

    @property
    def ligand_heavy(self) -> NDArray[np.int64]:
        """Rows of the ligand's heavy atoms; of all its atoms where it has no others."""
        heavy = self.ligand[self.heavy[self.ligand]]
        return heavy if len(heavy) else self.ligand


def find_subject(
    source: Source,
    first: NDArray[np.floating],
    box: NDArray[np.float64] | None,
    selection: str | None = None,
) -> Subject:
    """Return the parts of a system that are analysed.

    Args:
        source: the trajectory.
        first: (n_atoms, 3) nm, its first frame.
        box: (3, 3) nm, of that frame, or None.
        selection: the ligand in mdtraj's language; ``"none"``: there is none; None: the ligand of
            the source, else the only residue that may be one.

    Raises:
        SelectionError: the selection matches nothing, or there is no one ligand to be found.
        InputFileError: bonds are so long in the first frame that topology and trajectory cannot
            belong together.
    """
    topology = source.topology
    ligand = _ligand_atoms(source, selection)
    members = set(ligand.tolist())
    residues = [r for r in topology.residues() if _is_receptor(r, members)]
    solute = members | {atom.index for residue in residues for atom in residue.atoms()}
    if not solute:
        raise SelectionError(
            "found neither a ligand nor a receptor: every residue is water, an ion or a lipid; "
            "select the ligand, or give a liquid with its periodic box"
        )
    atoms = np.array(sorted(solute), dtype=np.int64)
    row_of = {int(atom): row for row, atom in enumerate(atoms)}
    structure = Structure(topology, np.asarray(first, dtype=np.float64), box)
    bonds = _bonds(structure, atoms, row_of)
    every = list(topology.atoms())
    check_bond_lengths(structure, atoms, bonds)
    chains = len({residue.chain.index for residue in residues}) > 1
    receptor = tuple(_residue(r, row_of, members, chains=chains) for r in residues)
    symbols = tuple(a.element.symbol if a.element else "" for a in (every[i] for i in atoms))
    return Subject(
        atoms=atoms,
        names=tuple(every[i].name for i in atoms.tolist()),
        symbols=symbols,
        masses=np.array([_mass(every[i]) for i in atoms.tolist()]),
        bonds=bonds,
        ligand=np.array([row_of[i] for i in ligand.tolist()], dtype=np.int64),
        ligand_name=_name_of(every, ligand),
        receptor=receptor,
        backbone=_backbone(every, atoms, receptor, symbols),
        water=_water_oxygens(topology),
        notes=_notes(receptor),
    )


def _ligand_atoms(source: Source, selection: str | None) -> NDArray[np.int64]:
    if selection == NO_LIGAND:
        return np.zeros(0, dtype=np.int64)
    if selection is not None:
        return select_atoms(source.topology, selection)
    if source.ligand is not None:
        return np.asarray(source.ligand, dtype=np.int64)
    found = candidate_ligands(source.topology)
    if len(found) == 1:
        return np.array([atom.index for atom in found[0].atoms()], dtype=np.int64)
    listed = ", ".join(f"{r.name} {r.id} ({len(r)} atoms)" for r in found[:_LISTED])
    more = ", ..." if len(found) > _LISTED else ""
    what = f"several possible ligands: {listed}{more}" if found else "no ligand"
    raise SelectionError(
        f'{source.name}: found {what}; select one, such as "resname LIG", or "{NO_LIGAND}" to '
        "look at the rest alone"
    )


def _is_receptor(residue: app.topology.Residue, ligand: set[int]) -> bool:
    atoms = list(residue.atoms())
    if len(atoms) == 1 or residue.name in LIPIDS or is_water(residue):
        return False
    return not all(atom.index in ligand for atom in atoms)


def _bonds(
    structure: Structure, atoms: NDArray[np.int64], row_of: dict[int, int]
) -> NDArray[np.int64]:
    """Return the solute's bonds as rows; by distance where the topology lists none."""
    pairs = {
        (min(b.atom1.index, b.atom2.index), max(b.atom1.index, b.atom2.index))
        for b in structure.topology.bonds()
        if b.atom1.index in row_of and b.atom2.index in row_of
    }
    bonded = {atom for pair in pairs for atom in pair}
    alone = {i for i in row_of if i not in bonded}
    unlisted = [
        atom.index
        for residue in structure.topology.residues()
        for atom in residue.atoms()
        if atom.index in row_of and any(a.index in alone for a in residue.atoms())
    ]
    if unlisted:
        pairs |= set(find_bonds(structure, np.array(sorted(unlisted))).inside)
    return np.array(sorted((row_of[i], row_of[j]) for i, j in pairs), dtype=np.int64).reshape(-1, 2)


def check_bond_lengths(
    structure: Structure, atoms: NDArray[np.int64], bonds: NDArray[np.int64]
) -> None:
    """Refuse a frame in which a bond is longer than any bond can be.

    Args:
        structure: topology, and the positions and the box of the frame.
        atoms: (n,) indices in the topology.
        bonds: (m, 2) rows of these.

    Raises:
        InputFileError: topology and trajectory cannot belong together.
    """
    positions = structure.positions
    if positions is None or not len(bonds):
        return
    apart = np.diff(positions[atoms][bonds], axis=1)[:, 0]
    if structure.box is not None:
        apart = nearest_image(apart, structure.box)
    length = np.linalg.norm(apart, axis=1)
    worst = int(length.argmax())
    if length[worst] > _LONGEST_BOND:
        every = list(structure.topology.atoms())
        first, second = (atom_label(every[index]) for index in atoms[bonds[worst]].tolist())
        raise InputFileError(
            f"found a bond of {length[worst]:.2f} nm between {first} and {second} in the first "
            "frame: topology and trajectory do not list the same atoms in the same order, or a "
            "molecule is split and the trajectory has no box"
        )


def _residue(
    residue: app.topology.Residue, row_of: dict[int, int], ligand: set[int], *, chains: bool
) -> Residue:
    atoms = [atom for atom in residue.atoms() if atom.index not in ligand]
    label = f"{residue.name}{residue.id}{residue.insertionCode.strip()}"
    if chains:
        label = f"{residue.chain.id or residue.chain.index}:{label}"
    amino = is_amino_acid(residue) or residue.name in ("ACE", "NME")
    centers = [a for a in atoms if a.name == "CA" and amino] or [
        a for a in atoms if a.element is not None and a.element.symbol != "H"
    ]
    return Residue(
        label,
        residue.name,
        np.array([row_of[a.index] for a in atoms], dtype=np.int64),
        np.array([row_of[a.index] for a in centers or atoms], dtype=np.int64),
        amino,
    )


def _backbone(
    every: Sequence[app.topology.Atom],
    atoms: NDArray[np.int64],
    receptor: Sequence[Residue],
    symbols: Sequence[str],
) -> NDArray[np.int64]:
    amino = [row for r in receptor if r.amino_acid for row in r.rows.tolist()]
    found = [row for row in amino if every[int(atoms[row])].name in _BACKBONE]
    if not found:
        found = [row for r in receptor for row in r.rows.tolist() if symbols[row] != "H"]
    return np.array(sorted(found), dtype=np.int64)


def _water_oxygens(topology: app.Topology) -> NDArray[np.int64]:
    return np.array(
        [
            atom.index
            for residue in topology.residues()
            if is_water(residue)
            for atom in residue.atoms()
            if atom.element is not None and atom.element.symbol == "O"
        ],
        dtype=np.int64,
    )


def _name_of(every: Sequence[app.topology.Atom], ligand: NDArray[np.int64]) -> str:
    if not len(ligand):
        return ""
    residue = every[int(ligand[0])].residue
    return f"{residue.name}{residue.id}{residue.insertionCode.strip()}"


def _mass(atom: app.topology.Atom) -> float:
    return 0.0 if atom.element is None else float(atom.element.mass._value)


def _notes(receptor: Sequence[Residue]) -> tuple[str, ...]:
    known = mdtraj.core.residue_names._PROTEIN_RESIDUES
    unknown = sorted({r.name for r in receptor if not r.amino_acid})
    renamed = sorted({r.name for r in receptor if r.amino_acid and r.name not in known})
    notes = []
    if renamed:
        notes.append(
            f"Residues {', '.join(renamed)} have a peptide backbone and count as amino acids."
        )
    if unknown:
        notes.append(
            f"Residues {', '.join(unknown)} are neither amino acids, water, ions nor lipids; they "
            "count as part of the receptor."
        )
    return tuple(notes)
