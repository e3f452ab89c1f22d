"""Reference energies of torsion profiles, from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL, KJ_PER_KCAL
from nnpmm.core.errors import InputFileError, shortened
from nnpmm.torsions.bonds import RotatableBond

__all__ = ["read_reference"]

_UNITS = {
    "energy_kj_mol": 1.0,
    "energy_kcal_mol": KJ_PER_KCAL,
    "energy_hartree": HARTREE_TO_KJ_PER_MOL,
}
_OFF_GRID = 0.1  # degrees, allowed for rounded angles


def read_reference(
    path: Path, bonds: Sequence[RotatableBond], angles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Read energies of torsion profiles.

    The file has the columns ``torsion`` (four 0-based atoms such as ``0-6-11-14``),
    ``angle_degrees``, and one of ``energy_kj_mol``, ``energy_kcal_mol`` and ``energy_hartree``.
    Their zero is arbitrary, one for each torsion.

    Args:
        path: CSV file.
        bonds: b bonds that are scanned.
        angles: degrees, (a,), of the scan.

    Returns:
        Energies (b, a), kJ/mol, NaN where the file has none.

    Raises:
        InputFileError: the file cannot be read, lacks a column, has something that is no number, a
            torsion that is not scanned, or an angle that is not one of the scan's.
    """
    energies = np.full((len(bonds), len(angles)), np.nan)
    rows, column = _rows(path)
    torsions = {bond.torsion: place for place, bond in enumerate(bonds)}
    torsions |= {torsion[::-1]: place for torsion, place in torsions.items()}
    for number, row in enumerate(rows, start=2):
        where = f"{path.name}, line {number}"
        try:
            torsion = tuple(int(part) for part in row["torsion"].split("-"))
            angle, energy = float(row["angle_degrees"]), float(row[column])
        except (ValueError, TypeError, AttributeError):
            raise InputFileError(f"{where}: found {list(row.values())}, expected numbers") from None
        if torsion not in torsions:
            known = ", ".join("-".join(map(str, bond.torsion)) for bond in bonds)
            raise InputFileError(
                f"{where}: found the torsion {row['torsion']}, but the scan has {known}; name it "
                "as a bond to scan"
            )
        off = np.abs((angles - angle + 180.0) % 360.0 - 180.0)
        if not off.min() < _OFF_GRID:
            raise InputFileError(
                f"{where}: found the angle {angle:g}, but the scan has {angles[0]:g} to "
                f"{angles[-1]:g} degrees in steps of {angles[1] - angles[0]:g}; use another spacing"
            )
        energies[torsions[torsion], off.argmin()] = energy * _UNITS[column]
    return energies


def _rows(path: Path) -> tuple[list[dict[str, str]], str]:
    try:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error
    names = reader.fieldnames or []
    units = [name for name in names if name in _UNITS]
    if "torsion" not in names or "angle_degrees" not in names or len(units) != 1:
        raise InputFileError(
            f"{path}: found the columns {', '.join(names)[:200]!r}, expected torsion, "
            f"angle_degrees and one of {', '.join(_UNITS)}"
        )
    return rows, units[0]
