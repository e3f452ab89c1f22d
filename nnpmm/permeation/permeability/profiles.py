"""Where profiles come from: umbrella sampling in the folder of a data set, or a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.errors import ConfigError, InputFileError
from nnpmm.permeation.dataset import read_settings
from nnpmm.permeation.labels.direct import read_umbrella
from nnpmm.permeation.permeability.integral import CM2_PER_S, PermeationProfile

__all__ = ["COLUMNS", "read_profile_table", "umbrella_profile"]

#: Of a table; the errors may be left out, and the diffusivity if a constant one is given.
COLUMNS = (
    *("height_nm", "free_energy_kj", "free_energy_error_kj"),
    *("diffusivity_cm2_s", "diffusivity_error_cm2_s"),
)

#: In each correlation time: with fewer the integral of the correlation is too large.
_READINGS = 2.0


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
    records = read_umbrella(folder, lipid)
    if solute not in records:
        there = ", ".join(records) or "none"
        raise InputFileError(
            f"{folder}: found no profile of {solute} in {lipid} (there are: {there}); make it with "
            f"nnpmm permeation label umbrella --lipid {lipid} --solutes {solute}"
        )
    record = records[solute]
    values, errors = _diffusivities(record, f"{lipid}/{solute}", diffusivity)
    return PermeationProfile(
        heights=np.array(record["heights_nm"]),
        free_energies=np.array(record["profile_kj"]),
        free_energy_errors=np.array(record["errors_kj"]),
        diffusivities=values,
        diffusivity_errors=errors,
        temperature=temperature,
    )


def _diffusivities(
    record: dict[str, Any], name: str, constant: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (windows,) diffusivities and errors of a record, nm^2/ps, or a constant one."""
    if constant is not None:
        return _constant(constant, len(record["heights_nm"]))
    if "diffusivities_nm2_ps" not in record:
        raise ConfigError(
            f"{name}: the profile was made without diffusivities; make it again with label "
            "umbrella, or give --diffusivity"
        )
    interval = float(record["settings"]["sample_interval"].split()[0])
    shortest = min(record["correlation_times_ps"])
    if shortest < _READINGS * interval:
        raise ConfigError(
            f"{name}: heights every {interval:g} ps are too far apart for a correlation time of "
            f"{shortest:.2g} ps; repeat label umbrella with --set sample_interval="
            f"'{shortest / (2.0 * _READINGS):.1g} ps', or give --diffusivity"
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
        ConfigError: the values make no sense.
    """
    columns = _read_columns(path)
    needed = COLUMNS[:2] if diffusivity is not None else (*COLUMNS[:2], COLUMNS[3])
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputFileError(
            f"{path}: found no column {missing[0]}; columns are {', '.join(COLUMNS)}, in which "
            "errors may be left out, and the diffusivity if --diffusivity is given"
        )
    points = len(columns["height_nm"])
    zeros = np.zeros(points)
    if diffusivity is not None:
        values, errors = _constant(diffusivity, points)
    else:
        values = columns["diffusivity_cm2_s"] / CM2_PER_S
        errors = columns.get("diffusivity_error_cm2_s", zeros) / CM2_PER_S
    return PermeationProfile(
        heights=columns["height_nm"],
        free_energies=columns["free_energy_kj"],
        free_energy_errors=columns.get("free_energy_error_kj", zeros),
        diffusivities=values,
        diffusivity_errors=errors,
        temperature=temperature,
    )


def _constant(value: float, points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.full(points, value), np.zeros(points)


def _read_columns(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(f"{path}: cannot read the profile: {error}") from error
    if not rows:
        raise InputFileError(
            f"{path}: found no rows; expected a line of names, {', '.join(COLUMNS)}, and numbers"
        )
    columns = {}
    for name in (name for name in COLUMNS if name in rows[0]):
        try:
            columns[name] = np.array([float(row[name]) for row in rows])
        except (TypeError, ValueError) as error:
            raise InputFileError(f"{path}: column {name}: {error}") from error
    return columns
