"""Periodic systems from the files of the field."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nnpmm.core.errors import InputFileError
from nnpmm.engines.lammps.data_file import read_data_file
from nnpmm.engines.lammps.system import WholeSystem, system_from_topology
from nnpmm.structures.readers import read_structure

__all__ = ["DATA_SUFFIXES", "read_system"]

#: Of LAMMPS data files.
DATA_SUFFIXES = (".data", ".lmp", ".lammps", ".lmpdat")


def read_system(
    path: str | os.PathLike[str],
    *,
    atom_style: str | None = None,
    elements: Sequence[str] | None = None,
) -> WholeSystem:
    """Read a structure with a periodic box, or a LAMMPS data file.

    Args:
        path: PDB, mmCIF or GRO with a box; or a data file (.data, .lmp, .lammps, .lmpdat).
        atom_style: of a data file whose section Atoms does not say it.
        elements: of the types of a data file, in their order; None: by their masses.

    Raises:
        InputFileError: the file cannot be read, has no box or no positions, or has atoms without an
            element.
        ConfigError: the atom style of a data file is not known.
        OptionalDependencyError: a data file, and LAMMPS, MPI or mpi4py is missing.
    """
    path = Path(path)
    if path.suffix.lower() in DATA_SUFFIXES:
        return read_data_file(path, atom_style=atom_style, elements=elements)
    structure = read_structure(path)
    if structure.positions is None or structure.box is None:
        what = "positions" if structure.positions is None else "periodic box"
        raise InputFileError(
            f"{path}: found no {what}, expected a structure with a periodic box (CRYST1 in a PDB "
            "file): write one, or solvate the molecule"
        )
    return system_from_topology(
        structure.topology, structure.positions, structure.box, source=str(path)
    )
