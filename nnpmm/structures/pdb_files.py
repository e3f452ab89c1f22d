"""PDB and mmCIF files: check what OpenMM's readers silently ignore."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

from openmm import app

from nnpmm.core.errors import InputFileError

__all__ = ["PDB_ATOMS", "check_atoms_read", "read_pdb_lines"]

_LOGGER = logging.getLogger(__name__)

PDB_ATOMS = ("ATOM  ", "HETATM")
_WIDEST = 1e5  # angstrom; a larger number includes digits of the next column


def read_pdb_lines(path: Path) -> list[str]:
    """Return the lines of a PDB file after a check that its coordinates fit their columns.

    Raises:
        InputFileError: no atoms, coordinates that are not numbers, or so many digits that they
            shift the columns.
    """
    lines = path.read_text(errors="replace").splitlines()
    if not any(line.startswith(PDB_ATOMS) for line in lines):
        raise InputFileError(f"{path}: contains no atoms (no ATOM or HETATM records of a PDB file)")
    for number, line in enumerate(lines, start=1):
        if not line.startswith(PDB_ATOMS):
            continue
        columns = [line[30:38], line[38:46], line[46:54]]
        if line[53:54].isdigit() and line[54:55].isdigit():  # z runs on into the occupancy
            columns.append(line[54:60])
        if not all(abs(_number(column)) < _WIDEST for column in columns):
            raise InputFileError(
                f"{path}, line {number}: found {line[30:60]!r} in columns 31 to 60, expected x, y "
                "and z as finite numbers of 8 columns each and the occupancy in 6; write larger "
                "coordinates as mmCIF"
            )
    return lines


def check_atoms_read(file: app.PDBFile | app.PDBxFile, lines: Iterable[str], path: Path) -> None:
    """Warn of models and alternate locations that are not used, and refuse atoms that were lost.

    OpenMM merges all atoms of a residue in a PDB file that have the same name.

    Args:
        file: as OpenMM read it.
        lines: of the file.
        path: its name, for the messages.

    Raises:
        InputFileError: several atoms of a residue have the same name.
    """
    n_models = file.getNumFrames()
    if n_models > 1:
        _LOGGER.warning("%s: contains %d models; the first is taken", path, n_models)
    records = [line for line in lines if line.startswith(("ATOM", "HETATM"))]
    n_read = sum(len(file.getPositions(frame=model)) for model in range(n_models))
    n_left_out = len(records) - n_read
    if n_left_out <= 0:
        return
    if isinstance(file, app.PDBFile) and not any(line[16:17].strip() for line in records):
        raise InputFileError(
            f"{path}: {n_left_out} atoms have the name of another atom of their residue, and "
            "OpenMM would leave them out: give every atom of a residue its own name"
        )
    _LOGGER.warning(
        "%s: contains alternate locations; the first of each atom is taken (left out: %d)",
        path,
        n_left_out,
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
