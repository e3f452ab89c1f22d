"""Structure files of the field, read into one form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm.app as app
from numpy.typing import NDArray
from openmm import unit

from nnpmm.errors import InputFileError
from nnpmm.ligands import molecule_from_file, to_openmm_topology

# Names of ions in CHARMM that do not begin with their symbol.
_CHARMM_IONS = {"SOD": "Na", "POT": "K", "CES": "Cs", "CAL": "Ca", "CLA": "Cl", "LIT": "Li"}
_TWO_LETTERS = ("CL", "BR", "FE", "SE", "SI", "ZN")

__all__ = ["READERS", "Structure", "guess_element", "read_structure"]


@dataclass(frozen=True)
class Structure:
    """What a structure file says.

    Args:
        topology: atoms with elements, residues, and bonds as far as the file or its residue names
            give them.
        positions: (n, 3) nm, or None (an Amber topology without coordinates).
        box: periodic box vectors as rows (3, 3) nm, or None.
        formal_charges: (n,) e where the format states them (SDF, MOL2), else None.
        partial_charges: (n,) e where the format states them (Amber), else None.
    """

    topology: app.Topology
    positions: NDArray[np.float64] | None
    box: NDArray[np.float64] | None
    formal_charges: NDArray[np.int64] | None = None
    partial_charges: NDArray[np.float64] | None = None


def read_structure(
    path: str | os.PathLike[str], coordinates: str | os.PathLike[str] | None = None
) -> Structure:
    """Read a PDB, mmCIF, GRO, Amber, SDF or MOL2 structure.

    Args:
        path: the structure; its suffix tells the format.
        coordinates: for an Amber topology (prmtop, parm7, prm7), its inpcrd or rst7 file; optional.

    Raises:
        InputFileError: unknown suffix, missing or unreadable file, or files that disagree.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputFileError(
            f"{path}: unknown structure format {path.suffix!r}; known: {', '.join(READERS)}"
        )
    if coordinates is not None and reader is not _read_amber:
        raise InputFileError(f"{path}: coordinates are given apart only for an Amber topology")
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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputFileError(f"{path}: cannot be read ({reason})") from error
    return _checked(structure, path)


def guess_element(atom_name: str, residue_name: str) -> app.Element | None:
    """Return the element of an atom known only by its name, as in a GRO file.

    An atom named like its residue is an ion; otherwise ``CL``, ``BR``, ``FE``, ``SE``, ``SI`` and
    ``ZN`` begin the names of those elements, and
    the first letter decides for the rest. Virtual sites (``M...``, ``EP...``, ``LP...``) have none.
    """
    letters = re.sub(r"[^A-Za-z]", "", atom_name)
    ion = re.sub(r"[^A-Za-z]", "", residue_name)
    if not letters or letters.upper().startswith(("EP", "LP", "MW", "MC")):
        return None
    if letters.upper() == ion.upper():
        if letters.upper() in _CHARMM_IONS:
            return app.Element.getBySymbol(_CHARMM_IONS[letters.upper()])
        candidates = [letters, letters[:2], letters[:1]]
    elif letters.upper()[:2] in _TWO_LETTERS:
        candidates = [letters[:2]]
    else:
        candidates = [letters[:1]]
    for symbol in candidates:
        try:
            return app.Element.getBySymbol(symbol.capitalize())
        except KeyError:
            continue
    return None


def _read_pdb(path: Path) -> Structure:
    return _from_openmm(app.PDBFile(str(path)))


def _read_cif(path: Path) -> Structure:
    return _from_openmm(app.PDBxFile(str(path)))


def _from_openmm(file: app.PDBFile | app.PDBxFile) -> Structure:
    positions = file.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    return Structure(file.topology, np.array(positions, dtype=float), _box(file.topology))


def _read_gro(path: Path) -> Structure:
    file = app.GromacsGroFile(str(path))
    topology = app.Topology()
    chain, residue, last = topology.addChain(), None, None
    for name, residue_id, residue_name in zip(
        file.atomNames, file.residueIds, file.residueNames, strict=True
    ):
        if (residue_id, residue_name) != last:
            residue = topology.addResidue(residue_name, chain, id=str(residue_id))
            last = (residue_id, residue_name)
        topology.addAtom(name, guess_element(name, residue_name), residue)
    topology.setPeriodicBoxVectors(file.getPeriodicBoxVectors())
    topology.createStandardBonds()
    positions = file.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    return Structure(topology, np.array(positions, dtype=float), _box(topology))


def _read_amber(path: Path, coordinates: Path | None = None) -> Structure:
    prmtop = app.AmberPrmtopFile(str(path))
    charges = np.array(
        [float(x) for x in prmtop._prmtop.getCharges()]  # e, already divided by Amber's factor
    )
    positions, box = None, None
    if coordinates is not None:
        inpcrd = app.AmberInpcrdFile(str(coordinates))
        positions = np.array(inpcrd.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        if inpcrd.boxVectors is not None:
            box = np.array([list(v) for v in inpcrd.boxVectors.value_in_unit(unit.nanometer)])
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


def _box(topology: app.Topology) -> NDArray[np.float64] | None:
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        return None
    return np.array([list(v) for v in vectors.value_in_unit(unit.nanometer)])


def _checked(structure: Structure, path: Path) -> Structure:
    n_atoms = structure.topology.getNumAtoms()
    if n_atoms == 0:
        raise InputFileError(f"{path}: holds no atoms")
    if structure.positions is not None:
        if len(structure.positions) != n_atoms:
            raise InputFileError(
                f"{path}: {n_atoms} atoms, but {len(structure.positions)} coordinates; "
                "give the coordinates that belong to this topology"
            )
        if not np.isfinite(structure.positions).all():
            raise InputFileError(f"{path}: holds non-finite coordinates")
    return structure
