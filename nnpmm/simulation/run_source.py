"""The trajectory in a run's folder, in the form that an analysis reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm import app
from pydantic import ValidationError

from nnpmm.analysis.sources import Readings, Source
from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.run_folder import read_settings
from nnpmm.engines import lammps
from nnpmm.simulation.record.checkpoint import read_record
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.record.storage import SETTINGS, has_run, load_structure
from nnpmm.simulation.settings.config import OutputConfig
from nnpmm.simulation.stages.trajectory_atoms import part_of, trajectory_atoms

__all__ = ["create_source", "output_settings", "run_folders", "run_source"]

_COLUMNS = {
    "temperature": "temperature_k",
    "density": "density_g_ml",
    "volume": "volume_nm3",
    "potential_energy": "potential_energy_kj_mol",
    "network_energy": "nnp_energy_kj_mol",
    "network_spread": "nnp_std_kj_mol",
}
_PRODUCTION = "production"


def run_folders(folder: Path) -> list[Path]:
    """Return the folders of runs: the folder itself, or the run folders in it, sorted by name.

    Raises:
        InputFileError: there are none.
    """
    if has_run(folder):
        return [folder]
    found = sorted(path for path in folder.glob("*") if path.is_dir() and has_run(path))
    if not found:
        raise InputFileError(
            f"{folder}: found no folder of a run, nor folders of runs in it; give the output "
            "folder of nnpmm run"
        )
    return found


def run_source(folder: Path) -> Source:
    """Return the trajectory of a run, with the starting structure, the region and the log.

    A LAMMPS run, with a network on every atom, has no region.

    Raises:
        InputFileError: a file is missing or damaged.
        SimulationError: the checkpoint or the log is damaged.
        ConfigError: the settings cannot be read, or the run has no trajectory yet.
    """
    if lammps.has_run(folder):
        return _lammps_source(folder)
    output = output_settings(folder)
    record = read_record(folder)
    trajectory = folder / f"trajectory.{output.trajectory_format}"
    if record is None or not trajectory.is_file():
        raise ConfigError(f"{folder}: found no trajectory; the run has not reached its production")
    topology, positions, box = load_structure(folder)
    return create_source(
        trajectory,
        topology,
        positions,
        box,
        wanted=output.trajectory_atoms,
        interval=output.trajectory_interval,
        region=record.region,
        log=folder / "log.csv",
    )


def output_settings(folder: Path) -> OutputConfig:
    """Return the output section of a run's settings.

    Raises:
        ConfigError: the settings cannot be read.
    """
    try:
        return OutputConfig.model_validate(read_settings(folder / SETTINGS)["output"])
    except (ValidationError, KeyError) as error:
        raise ConfigError(f"{folder / SETTINGS}: cannot be read: {shortened(error)}") from error


def create_source(
    trajectory: Path,
    topology: app.Topology,
    positions: NDArray[np.float64],
    box: NDArray[np.float64] | None,
    *,
    wanted: str,
    interval: float,
    region: tuple[int, ...],
    log: Path,
) -> Source:
    """Return the trajectory of a run from its files and its starting structure.

    Args:
        trajectory: its file, in the folder after which it is named.
        topology: of the whole system.
        positions: starting positions, (n_atoms, 3), nm.
        box: periodic box vectors as rows, (3, 3), nm, or None.
        wanted: atoms of the trajectory, as in ``output.trajectory_atoms``.
        interval: ps between frames.
        region: 0-based indices of the region's atoms.
        log: CSV log.

    Raises:
        SelectionError: ``wanted`` selects no atoms.
        SimulationError: the log is damaged.
        ConfigError: the trajectory does not contain the region.
    """
    atoms, ligand = trajectory_atoms(topology, wanted), np.array(region, dtype=np.int64)
    if atoms is not None:
        rows = np.minimum(np.searchsorted(atoms, ligand), len(atoms) - 1)
        if (atoms[rows] != ligand).any():
            raise ConfigError(
                f"{trajectory}: does not contain the region (output.trajectory_atoms: {wanted}); "
                "select another ligand, or none"
            )
        topology, positions, ligand = part_of(topology, atoms), positions[atoms], rows
    return Source(
        name=trajectory.absolute().parent.name,
        topology=topology,
        trajectory=trajectory,
        interval=interval,
        start=interval,
        reference=positions,
        box=box,
        ligand=ligand,
        readings=_readings(log),
    )


def _lammps_source(folder: Path) -> Source:
    run = lammps.read_run(folder)
    return Source(
        name=folder.absolute().name,
        topology=run.topology,
        trajectory=run.trajectory,
        interval=run.interval,
        start=0.0,
        reference=run.positions,
        box=run.box,
        readings=Readings(run.time, run.readings),
    )


def _readings(log: Path) -> Readings:
    """Return the log's columns in production, without those that were not recorded."""
    stages, columns = read_log(log)
    chosen = np.array([stage == _PRODUCTION for stage in stages], dtype=bool)
    values: dict[str, Any] = {name: columns[column][chosen] for name, column in _COLUMNS.items()}
    recorded = {name: array for name, array in values.items() if np.isfinite(array).any()}
    return Readings(columns["time_ps"][chosen], recorded)
