"""GRO and Amber coordinates, and box entries that mean no box: shared by all readers."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openmm import app, unit

from nnpmm.core.errors import InputFileError, shortened
from nnpmm.core.geometry import reduced_box
from nnpmm.core.units import in_md_units

__all__ = ["GroFile", "read_gro", "read_inpcrd", "usable_box", "without_unset_cell"]

logger = logging.getLogger(__name__)

# No crystal of molecules repeats over less than this (nm): diamond, the densest, has 0.25 nm.
_SHORTEST_EDGE = 0.2
# Nor does it contain an atom in less than this (nm^3): diamond has 0.0057, water 0.010.
_SMALLEST_VOLUME_PER_ATOM = 0.004
_AMBER_TOPOLOGY_START = b"%VERSION"
_FIRST_COORDINATE = 20  # column, after residue number, residue name, atom name and atom number


class GroFile(NamedTuple):
    """Content of the first frame of a GRO file.

    Args:
        names: atom names.
        residue_ids: residue number of each atom.
        residue_names: residue name of each atom.
        positions: (n, 3) nm.
        box: periodic box vectors as rows (3, 3) nm in OpenMM's reduced form, or None.
    """

    names: list[str]
    residue_ids: list[int]
    residue_names: list[str]
    positions: NDArray[np.float64]
    box: NDArray[np.float64] | None


def read_gro(path: str | os.PathLike[str]) -> GroFile:
    """Read the first frame of a GRO file with any number of decimals.

    The distance between decimal points gives the width of the coordinate columns, as in GROMACS.
    A box of three zeros means no box.

    Args:
        path: the file.

    Raises:
        InputFileError: the file cannot be read; the message names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(
            f"{path}: cannot be read as a text file ({shortened(error)})"
        ) from error
    try:
        n_atoms = int(lines[1])
    except (IndexError, ValueError):
        found = repr(lines[1][:60]) if len(lines) > 1 else "the end of the file"
        raise InputFileError(
            f"{path}, line 2: found {found}, expected the number of atoms of a GRO file"
        ) from None
    if n_atoms < 1:
        raise InputFileError(f"{path}: contains no atoms")
    if len(lines) < n_atoms + 3:
        raise InputFileError(
            f"{path}: ends at line {len(lines)}, expected {n_atoms} atoms (its second line) and a "
            "box; the file is truncated"
        )
    width = _width(lines[2], path)
    atoms = [_atom(lines[2 + i], 3 + i, width, path) for i in range(n_atoms)]
    residue_ids, residue_names, names, positions = map(list, zip(*atoms, strict=True))
    if any(line.strip() for line in lines[n_atoms + 3 :]):
        logger.warning("%s: contains several frames; the first is taken", path)
    box = usable_box(_box(lines[n_atoms + 2], n_atoms + 3, path), n_atoms, origin=path)
    return GroFile(names, residue_ids, residue_names, np.array(positions), box)


def read_inpcrd(
    path: str | os.PathLike[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Read the coordinates of Amber (inpcrd, rst7, NetCDF restart) and their box.

    Returns:
        Positions (n, 3) in nm, and box vectors as rows (3, 3) in nm, or None.

    Raises:
        InputFileError: the file is a topology, or edges or angles of its box are 0.
    """
    with open(path, "rb") as file:
        is_topology = file.read(1000).lstrip().startswith(_AMBER_TOPOLOGY_START)
    if is_topology:
        raise InputFileError(
            f"{path}: is an Amber topology, expected coordinates: give the inpcrd or rst7 file"
        )
    try:
        inpcrd = app.AmberInpcrdFile(str(path))
    except ZeroDivisionError as error:
        raise InputFileError(
            f"{path}: edges or angles of its periodic box are 0: remove the box from the file if "
            "the system has none, or write its edges and angles (in degrees)"
        ) from error
    positions = in_md_units(inpcrd.getPositions(asNumpy=True), unit.nanometer)
    return positions, usable_box(inpcrd.boxVectors, len(positions), origin=path)


def usable_box(
    vectors: ArrayLike | unit.Quantity | None,
    n_atoms: int = 1,
    *,
    origin: str | os.PathLike[str] = "the structure",
) -> NDArray[np.float64] | None:
    """Return periodic box vectors, or None if a file contains a box that means no box.

    Such boxes are zeros (GROMACS), the cell of 1 angstrom in NMR and cryo-EM entries of the PDB,
    and cells that are too small for the atoms. All but the zeros cause a warning.

    Args:
        vectors: rows (3, 3), a Quantity or in nm, or None.
        n_atoms: number of atoms in the box.
        origin: name of the source of the vectors in messages.

    Raises:
        InputFileError: the vectors are not finite numbers.
    """
    if vectors is None:
        return None
    box = np.array(in_md_units(vectors, unit.nanometer))
    if not np.isfinite(box).all():
        raise InputFileError(f"{origin}: the box contains values that are not finite numbers")
    if not box.any():
        return None
    edges, volume = np.linalg.norm(box, axis=1), abs(np.linalg.det(box))
    if (edges < _SHORTEST_EDGE).any() or volume < _SMALLEST_VOLUME_PER_ATOM * n_atoms:
        logger.warning(
            "%s: the box of %s nm cannot hold %d atoms and is read as no box",
            origin,
            " x ".join(f"{edge:.4g}" for edge in edges),
            n_atoms,
        )
        return None
    return box


def without_unset_cell(text: str) -> str:
    """Return the text of an mmCIF file without its cell if the cell has no lengths.

    Entries from NMR, cryo-EM and predictions have ``?``, ``.`` or 0 as lengths, which OpenMM's
    reader would parse as numbers.
    """
    lengths = re.findall(r"^_cell\.length_[abc]\s+(\S+)", text, flags=re.MULTILINE)
    if any(value in "?." or re.fullmatch(r"0*\.?0*", value) for value in lengths):
        return re.sub(r"^_cell\..*\n?", "", text, flags=re.MULTILINE)
    return text


def _width(line: str, path: Path) -> int:
    """Return the width of a coordinate column from the first atom's line."""
    first = line.find(".", _FIRST_COORDINATE)
    second = line.find(".", first + 1)
    if first < 0 or second < 0:
        raise InputFileError(
            f"{path}, line 3: found {line.strip()[:80]!r}, expected an atom of a GRO file: "
            "residue, atom name, number, and coordinates with decimal points from column 21 on"
        )
    return second - first


def _atom(
    line: str, number: int, width: int, path: Path
) -> tuple[int, str, str, tuple[float, float, float]]:
    """Return residue number, residue name, atom name and position (nm) from a line."""
    start = _FIRST_COORDINATE
    try:
        x, y, z = (float(line[start + i * width : start + (i + 1) * width]) for i in range(3))
        if not all(map(math.isfinite, (x, y, z))):
            raise ValueError
        return int(line[:5]), line[5:10].strip(), line[10:15].strip(), (x, y, z)
    except ValueError:
        raise InputFileError(
            f"{path}, line {number}: found {line.strip()[:80]!r}, expected residue, atom name, "
            f"number and coordinates in columns of {width} characters; GRO files have fixed columns"
        ) from None


def _box(line: str, number: int, path: Path) -> NDArray[np.float64]:
    """Return the box vectors of a GRO file as rows, (3, 3), nm."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    if len(values) not in (3, 9):
        raise InputFileError(
            f"{path}, line {number}: found {line.strip()[:80]!r}, expected the box: 3 or 9 numbers "
            "(0 0 0 for none) after the atoms that the second line counts"
        )
    ax, by, cz, ay, az, bx, bz, cx, cy = values + [0.0] * (9 - len(values))
    if ay or az or bz:
        raise InputFileError(
            f"{path}, line {number}: the first box vector must lie along x and the second in the "
            "xy plane; rotate the system (gmx editconf -align)"
        )
    box = np.array([[ax, 0, 0], [bx, by, 0], [cx, cy, cz]])
    return reduced_box(box) if (box.diagonal() > 0).all() else box
