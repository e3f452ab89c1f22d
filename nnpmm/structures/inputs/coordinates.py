"""Coordinate files: positions, box, and information about the atoms."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import InputFileError
from nnpmm.core.units import in_md_units
from nnpmm.structures.coordinate_files import read_gro, read_inpcrd, usable_box
from nnpmm.structures.inputs.files import read_file
from nnpmm.structures.pdb_files import PDB_ATOMS, check_atoms_read, read_pdb_lines

__all__ = ["Coordinates", "read_coordinates"]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """What a coordinate file contains.

    Attributes:
        path: the file.
        positions: (n_atoms, 3) in nm.
        box: (3, 3) rows in nm, or None.
        atom_names: one per atom, or None where the format has none.
        residue_names: of the residue of each atom, or None.
        symbols: chemical symbol of each atom, None for an atom without an element; or None if the
            file contains no elements.
    """

    path: Path
    positions: NDArray[np.float64]
    box: NDArray[np.float64] | None
    atom_names: tuple[str, ...] | None = None
    residue_names: tuple[str, ...] | None = None
    symbols: tuple[str | None, ...] | None = None


def read_coordinates(path: Path) -> Coordinates:
    """Read a coordinate file of Amber, GROMACS, CHARMM or PDB; the suffix decides which.

    ``.crd`` is either Amber's or CHARMM's format: CHARMM's begins with a title line of asterisks.

    Raises:
        InputFileError: the file cannot be read or contains no coordinates.
    """
    found = read_file(path, "coordinates", lambda: _read(path))
    if found.positions.size == 0:
        raise InputFileError(f"{path}: contains no coordinates")
    return found


def _read(path: Path) -> Coordinates:
    suffix = path.suffix.lower()
    if suffix == ".pdb":
        return _read_pdb(path)
    if suffix == ".gro":
        gro = read_gro(path)
        names, residues = tuple(gro.names), tuple(gro.residue_names)
        return Coordinates(path, gro.positions, gro.box, names, residues)
    if suffix == ".cor" or (suffix == ".crd" and _first_line(path).startswith("*")):
        crd = app.CharmmCrdFile(str(path))
        positions = in_md_units(crd.positions, unit.nanometer)
        return Coordinates(path, positions, None, tuple(crd.attype), tuple(crd.resname))
    return Coordinates(path, *read_inpcrd(path))


def _read_pdb(path: Path) -> Coordinates:
    lines = read_pdb_lines(path)
    pdb = app.PDBFile(io.StringIO("\n".join(lines)))
    check_atoms_read(pdb, lines, path)
    atoms = list(pdb.topology.atoms())
    # OpenMM guesses elements that are blank, so its elements are those of the file only if none is.
    stated = all(line[76:78].strip() for line in lines if line.startswith(PDB_ATOMS))
    return Coordinates(
        path,
        in_md_units(pdb.getPositions(asNumpy=True), unit.nanometer),
        usable_box(pdb.topology.getPeriodicBoxVectors(), len(atoms), origin=path),
        tuple(atom.name for atom in atoms),
        tuple(atom.residue.name for atom in atoms),
        tuple(a.element and a.element.symbol for a in atoms) if stated else None,
    )


def _first_line(path: Path) -> str:
    """Return the first line of a file that is not empty; the file may be binary."""
    with open(path, "rb") as handle:
        lines = handle.read(1000).decode("latin-1").splitlines()
    return next((line.strip() for line in lines if line.strip()), "")
