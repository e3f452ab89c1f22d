"""Read a run on LAMMPS for analysis: trajectory, structure and thermodynamic output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from openmm import app

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.engines.lammps.force import FIX
from nnpmm.engines.lammps.record import SETTINGS, TRAJECTORY, load_structure, log_path
from nnpmm.engines.lammps.settings import OutputConfig
from nnpmm.engines.lammps.units import BAR_PER_ATM, PS_PER_FS

__all__ = ["LammpsRun", "read_log", "read_run"]

_NM3_PER_A3 = 1e-3
# Columns of LAMMPS' thermodynamic output: name in an analysis, and factor to its unit.
_COLUMNS = {
    "Temp": ("temperature", 1.0),
    "PotEng": ("potential_energy", KJ_PER_KCAL),
    "Press": ("pressure", BAR_PER_ATM),
    "Volume": ("volume", _NM3_PER_A3),
    "Density": ("density", 1.0),
    f"f_{FIX}[1]": ("network_spread", KJ_PER_KCAL),
}


@dataclass(frozen=True, eq=False)
class LammpsRun:
    """The production of a run.

    Attributes:
        topology: of the system.
        positions: (n, 3) nm, of the starting structure.
        box: (3, 3) nm, rows, of the starting structure.
        trajectory: DCD file; its first frame is at time 0.
        interval: ps between frames.
        time: (m,) ps, of what was logged.
        readings: (m,) each, by name: ``temperature`` (K), ``pressure`` (bar), ``density`` (g/ml),
            ``volume`` (nm^3), ``potential_energy`` and ``network_spread`` (kJ/mol).
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    box: NDArray[np.float64]
    trajectory: Path
    interval: float
    time: NDArray[np.float64]
    readings: dict[str, NDArray[np.float64]]


def read_run(folder: Path) -> LammpsRun:
    """Read what the production of a run has written.

    Raises:
        InputFileError: a file is missing or damaged.
        ConfigError: the settings cannot be read, or the run has no trajectory yet.
    """
    try:
        text = (folder / SETTINGS).read_text(encoding="utf-8")
        output = OutputConfig.model_validate(yaml.safe_load(text)["output"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"{folder / SETTINGS}: cannot be read: {error}") from error
    trajectory = folder / TRAJECTORY
    if not trajectory.is_file():
        raise ConfigError(f"{folder}: found no trajectory; the run has not reached its production")
    columns = read_log(log_path(folder, "production"))
    readings = {name: columns[key] * factor for key, (name, factor) in _COLUMNS.items()}
    time = columns["Time"] * PS_PER_FS
    return LammpsRun(
        *load_structure(folder), trajectory, output.trajectory_interval, time, readings
    )


def read_log(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of the thermodynamic output in a log of LAMMPS.

    If a run was resumed from an earlier step, the later row of each step is used.

    Args:
        path: the log; it may have several tables with the same columns.

    Raises:
        InputFileError: the file cannot be read, or has no table.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputFileError(
            f"{path}: cannot be read ({error.strerror}); check the path"
        ) from error
    names: list[str] = []
    rows: dict[float, list[float]] = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["Step"]:
            names = words
        elif names and len(words) == len(names):
            values = [_number(word) for word in words]
            if not any(map(math.isnan, values)):
                rows[values[0]] = values
    if not rows:
        raise InputFileError(f"{path}: found no thermodynamic output, expected a log of LAMMPS")
    table = np.array([rows[step] for step in sorted(rows)])
    return dict(zip(names, table.T, strict=True))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
