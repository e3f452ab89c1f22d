"""Read the common structure formats into one data structure."""

from __future__ import annotations

import io
import itertools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm.app as app
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import InputFileError
from nnpmm.core.units import in_md_units
from nnpmm.structures.coordinate_files import read_gro, read_inpcrd, usable_box, without_unset_cell
from nnpmm.structures.elements import fill_pdb_elements, guess_element
from nnpmm.structures.ligands import molecule_from_file, to_openmm_topology
from nnpmm.structures.pdb_files import check_atoms_read, read_pdb_lines

__all__ = ["READERS", "Structure", "read_structure"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Structure:
    """The content of a structure file.

    Args:
        topology: atoms with elements, residues, and bonds as far as the file or its residue names
            give them. Deuterium is hydrogen here.
        positions: (n, 3) nm, or None (an Amber topology without coordinates).
        box: periodic box vectors as rows (3, 3) nm, or None.
        formal_charges: (n,) e where the format states them (SDF, MOL2), else None.
        partial_charges: (n,) e where the format states them (Amber), else None.
        guesses: a description of what the reader guessed because the file does not state it, or
            None.
    """

    topology: app.Topology
    positions: NDArray[np.float64] | None
    box: NDArray[np.float64] | None
    formal_charges: NDArray[np.int64] | None = None
    partial_charges: NDArray[np.float64] | None = None
    guesses: str | None = None


def read_structure(
    path: str | os.PathLike[str], coordinates: str | os.PathLike[str] | None = None
) -> Structure:
    """Read a PDB, mmCIF, GRO, Amber, SDF or MOL2 structure.

    Args:
        path: the structure; its suffix determines the format.
        coordinates: for an Amber topology (prmtop, parm7, prm7), its inpcrd or rst7 file; optional.

    Raises:
        InputFileError: the suffix is unknown, a file is missing or unreadable, or the files
            disagree.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputFileError(
            f"{path}: unknown structure format {path.suffix!r}; known: {', '.join(READERS)}"
        )
    if coordinates is not None and reader is not _read_amber:
        raise InputFileError(f"{path}: separate coordinates are read only for an Amber topology")
    for file in (path, None if coordinates is None else Path(coordinates)):
        if file is not None and not file.is_file():
            raise InputFileError(f"{file}: no such file")
    try:
        if reader is _read_amber:
            structure = _read_amber(path, None if coordinates is None else Path(coordinates))
        else:
            structure = reader(path)
    except InputFileError:
        raise
    except Exception as error:  # the readers raise many kinds
        reason = " ".join(str(error).split())[:200]
        if not reason or isinstance(error, (AttributeError, LookupError, TypeError)):
            reason = f"truncated, or not of the format that {path.suffix} stands for"
        raise InputFileError(f"{path}: cannot be read ({reason})") from error
    return _checked(structure, path)


def _read_pdb(path: Path) -> Structure:
    lines, guessed = fill_pdb_elements(read_pdb_lines(path))
    note = _note_on_guesses(path, guessed) if guessed else None
    if note is not None:
        logger.warning("%s: %s", path, note)
    file = app.PDBFile(io.StringIO("\n".join(lines)))
    check_atoms_read(file, lines, path)
    return _from_openmm(file, path, note)


def _note_on_guesses(path: Path, guessed: list[tuple[str, str]]) -> str:
    # One example of each kind; ambiguous names first, such as NAA, which could be Na.
    kinds = {(name[:2].rstrip("0123456789"), symbol): name for name, symbol in reversed(guessed)}
    listed = sorted(kinds.items(), key=lambda item: len(item[0][0]), reverse=True)
    examples = ", ".join(f"{name} is {symbol}" for (_, symbol), name in listed[:6])
    return (
        f"{len(guessed)} atoms have no element in columns 77-78; elements were guessed from the "
        f"names ({examples})"
    )


def _read_cif(path: Path) -> Structure:
    text = path.read_text()
    if "_atom_site.type_symbol" not in text:
        raise InputFileError(
            f"{path}: contains no elements (_atom_site.type_symbol); write the structure with them"
        )
    file = app.PDBxFile(io.StringIO(without_unset_cell(text)))
    check_atoms_read(file, text.splitlines(), path)
    return _from_openmm(file, path)


def _from_openmm(
    file: app.PDBFile | app.PDBxFile, path: Path, guesses: str | None = None
) -> Structure:
    topology = file.topology
    positions = in_md_units(file.getPositions(asNumpy=True), unit.nanometer)
    box = usable_box(topology.getPeriodicBoxVectors(), len(positions), origin=path)
    if box is None:
        topology.setPeriodicBoxVectors(None)
    return Structure(topology, positions, box, guesses=guesses)


def _read_gro(path: Path) -> Structure:
    file = read_gro(path)
    topology = app.Topology()
    chain = topology.addChain()
    keys = list(zip(file.residue_ids, file.residue_names, strict=True))
    for (residue_id, residue_name), group in itertools.groupby(range(len(keys)), keys.__getitem__):
        members = list(group)
        residue = topology.addResidue(residue_name, chain, id=str(residue_id))
        for i in members:
            element = guess_element(file.names[i], residue_name, alone=len(members) == 1)
            topology.addAtom(file.names[i], element, residue)
    topology.setPeriodicBoxVectors(file.box)
    topology.createStandardBonds()
    guesses = "a GRO file contains no elements; they were guessed from the names"
    return Structure(topology, file.positions, file.box, guesses=guesses)


def _read_amber(path: Path, coordinates: Path | None = None) -> Structure:
    prmtop = app.AmberPrmtopFile(str(path))
    charges = np.array(
        [float(x) for x in prmtop._prmtop.getCharges()]  # e, already divided by Amber's factor
    )
    positions, box = None, None
    if coordinates is not None:
        positions, box = read_inpcrd(coordinates)
    return Structure(prmtop.topology, positions, box, partial_charges=charges)


def _read_molecule(path: Path) -> Structure:
    molecule = molecule_from_file(path)
    topology, positions = to_openmm_topology(molecule)
    formal = np.array([atom.GetFormalCharge() for atom in molecule.GetAtoms()], dtype=np.int64)
    return Structure(topology, positions, None, formal_charges=formal)


READERS: dict[str, Callable[..., Structure]] = {
    ".pdb": _read_pdb,
    ".cif": _read_cif,
    ".mmcif": _read_cif,
    ".pdbx": _read_cif,
    ".gro": _read_gro,
    ".prmtop": _read_amber,
    ".parm7": _read_amber,
    ".prm7": _read_amber,
    ".sdf": _read_molecule,
    ".mol": _read_molecule,
    ".mol2": _read_molecule,
}


def _checked(structure: Structure, path: Path) -> Structure:
    n_atoms = structure.topology.getNumAtoms()
    if n_atoms == 0:
        raise InputFileError(f"{path}: contains no atoms")
    if structure.positions is not None:
        if len(structure.positions) != n_atoms:
            raise InputFileError(
                f"{path}: {n_atoms} atoms, but {len(structure.positions)} coordinates; "
                "give the coordinates that belong to this topology"
            )
        if not np.isfinite(structure.positions).all():
            raise InputFileError(f"{path}: contains non-finite coordinates")
    for atom in structure.topology.atoms():
        if atom.element is not None and atom.element.atomic_number == 1:
            atom.element = app.element.hydrogen  # the chemistry of deuterium, named D, is the same
    return structure
