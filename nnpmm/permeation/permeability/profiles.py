"""Read profiles from umbrella sampling in the folder of a data set, or from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.core.tables import Row, Table, excerpt, read_table
from nnpmm.permeation.dataset.folder import read_settings
from nnpmm.permeation.labels.direct import read_umbrella
from nnpmm.permeation.martini.solute import canonical_graph
from nnpmm.permeation.martini.tables import LIPID_TAILS
from nnpmm.permeation.permeability.integral import CM2_PER_S, PermeationProfile

__all__ = ["COLUMNS", "read_profile_table", "umbrella_profile"]

#: Columns of a table; the errors may be left out, and the diffusivity if a constant one is given.
COLUMNS = (
    *("height_nm", "free_energy_kj", "free_energy_error_kj"),
    *("diffusivity_cm2_s", "diffusivity_error_cm2_s"),
)

_ZERO = 1.0  # kJ/mol, largest free energy in water

#: Heights in a correlation time; with fewer, the integral of the correlation is too large.
_LEAST_HEIGHTS = 2.0


def umbrella_profile(
    folder: Path, lipid: str, solute: str, *, diffusivity: float | None = None
) -> PermeationProfile:
    """Return the profile of a solute from ``nnpmm permeation label umbrella``.

    Args:
        folder: of the data set.
        lipid: of the bilayer.
        solute: its graph.
        diffusivity: at all heights, nm^2/ps, in place of that of the windows.

    Raises:
        InputFileError: the folder is no data set, or has no such profile.
        ConfigError: the record has no diffusivities, or readings too far apart for them, and none
            is given.
    """
    temperature = read_settings(folder).protocol.temperature
    record = _find_record(folder, lipid, solute)
    values, errors = _diffusivities(record, f"{folder}: {lipid}/{solute}", diffusivity)
    return PermeationProfile(
        heights=np.array(record["heights_nm"]),
        free_energies=np.array(record["profile_kj"]),
        free_energy_errors=np.array(record["errors_kj"]),
        diffusivities=values,
        diffusivity_errors=errors,
        temperature=temperature,
    )


def _find_record(folder: Path, lipid: str, solute: str) -> dict[str, Any]:
    """Return the record of a profile; the solute may be written from either end."""
    try:
        usual = canonical_graph(solute)
    except ForceFieldError:
        usual = solute
    records = read_umbrella(folder, lipid)
    if usual in records:
        return records[usual]
    stored = [
        f"{name} in {place}" for place in LIPID_TAILS for name in read_umbrella(folder, place)
    ]
    raise InputFileError(
        f"{folder}: found no profile of {excerpt(usual)!r} in {lipid} (there are: "
        f"{', '.join(stored) or 'none'}); calculate it with nnpmm permeation label umbrella"
    )


def _diffusivities(
    record: dict[str, Any], name: str, constant: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (windows,) diffusivities and errors of a record, nm^2/ps, or a constant one."""
    if constant is not None:
        return _constant(constant, len(record["heights_nm"]))
    if not record.keys() >= {"diffusivities_nm2_ps", "interval_ps"}:
        raise ConfigError(
            f"{name}: the profile exists, but was made without diffusivities: give one for all "
            "heights (diffusivity), or delete the profile and calculate it again with nnpmm "
            "permeation label umbrella"
        )
    interval = float(record["interval_ps"])  # in whole time steps, unlike the requested one
    shortest = min(record["correlation_times_ps"])
    if shortest < _LEAST_HEIGHTS * interval:
        raise ConfigError(
            f"{name}: heights every {interval:g} ps are too far apart for a correlation time of "
            f"{shortest:.2g} ps; repeat label umbrella with a sample_interval of "
            f"{shortest / (2.0 * _LEAST_HEIGHTS):.1g} ps, or give one diffusivity for all heights"
        )
    return (
        np.array(record["diffusivities_nm2_ps"]),
        np.array(record["diffusivity_errors_nm2_ps"]),
    )


def read_profile_table(
    path: Path, *, temperature: float, diffusivity: float | None = None
) -> PermeationProfile:
    """Read a profile from a CSV file with some of the ``COLUMNS``.

    Args:
        path: the file.
        temperature: K.
        diffusivity: at all heights, nm^2/ps, in place of that of the file.

    Raises:
        InputFileError: the file cannot be read, lacks a column, or has a cell that is no number.
        ConfigError: the values make no sense, or the profile does not end in water.
    """
    table = read_table(path)
    needed = COLUMNS[:2] if diffusivity is not None else (*COLUMNS[:2], COLUMNS[3])
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise InputFileError(
            f"{path}: found no column {missing[0]} among {', '.join(table.columns) or 'none'}; "
            f"columns are {', '.join(COLUMNS)}, separated by commas; errors may be left out, and "
            "the diffusivity if one is given for all heights"
        )
    points = len(table.rows)
    if points < 2:
        raise InputFileError(f"{path}: found {points} lines of numbers, expected two or more")
    columns = _numbers(path, table)
    zeros = np.zeros(points)
    if diffusivity is not None:
        values, errors = _constant(diffusivity, points)
    else:
        values = columns["diffusivity_cm2_s"] / CM2_PER_S
        errors = columns.get("diffusivity_error_cm2_s", zeros) / CM2_PER_S
    profile = PermeationProfile(
        heights=columns["height_nm"],
        free_energies=columns["free_energy_kj"],
        free_energy_errors=columns.get("free_energy_error_kj", zeros),
        diffusivities=values,
        diffusivity_errors=errors,
        temperature=temperature,
    )
    _require_zero_in_water(path, profile)
    return profile


def _constant(value: float, points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.full(points, value), np.zeros(points)


def _numbers(path: Path, table: Table) -> dict[str, NDArray[np.float64]]:
    return {
        name: np.array([_number(path, row, name) for row in table.rows])
        for name in COLUMNS
        if name in table.columns
    }


def _number(path: Path, row: Row, column: str) -> float:
    try:
        return float(row.cells[column])
    except ValueError:
        raise InputFileError(
            f"{path}, line {row.line}: column {column}: found {excerpt(row.cells[column])!r}, "
            "expected a number"
        ) from None


def _require_zero_in_water(path: Path, profile: PermeationProfile) -> None:
    """Refuse a profile that does not begin and end in water, where its free energy is zero."""
    for n in (-1,) if profile.is_half else (0, -1):
        energy = float(profile.free_energies[n])
        if abs(energy) > max(_ZERO, 3.0 * float(profile.free_energy_errors[n])):
            raise ConfigError(
                f"{path}: the free energy at {profile.heights[n]:g} nm, the end of the profile, is "
                f"{energy:g} kJ/mol, expected 0, that of water: subtract what it is in water, or "
                "extend the profile into it"
            )
