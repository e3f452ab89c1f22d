"""The folder of a run: its files, which restart file counts, and the trajectory after a restart."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm._version import __version__
from nnpmm.core import run_folder
from nnpmm.core.errors import InputFileError, SimulationError
from nnpmm.core.files import replacing, write_atomically, writing
from nnpmm.engines.lammps.settings import LammpsConfig
from nnpmm.engines.lammps.system import WholeSystem
from nnpmm.structures.dcd import dcd_size, set_frame_count
from nnpmm.structures.readers import read_structure

__all__ = [
    "SETTINGS",
    "STAGES",
    "TRAJECTORY",
    "Restart",
    "check_folder",
    "cut_trajectory",
    "discard_old_restarts",
    "has_run",
    "join_trajectory",
    "last_restart",
    "load_structure",
    "log_path",
    "remove_run",
    "restart_name",
    "save_start",
]

SETTINGS = "settings.yaml"
_STRUCTURE = "structure.cif"
TRAJECTORY, _PART = "trajectory.dcd", "trajectory.part.dcd"
#: Stages that LAMMPS counts from step 0, in this order.
STAGES = ("equilibrate", "production")
_RESTART = re.compile(r"(equilibrate|production)\.(\d+)\.restart")
_END_OF_RESTART = b"LammpS RestartT"  # LAMMPS writes it last
# Settings that may differ between a run and its continuation.
_MAY_CHANGE = ("stages.production", "output.restart_interval", "network.threads")
_HEADER = 276  # bytes of a DCD file


class Restart(NamedTuple):
    """A restart file that LAMMPS has finished: stage and step (of the stage) that it holds."""

    stage: str
    step: int
    path: Path


def log_path(folder: Path, stage: str) -> Path:
    """Return the path of LAMMPS' log of a stage."""
    return folder / f"{stage}.log"


def has_run(folder: Path) -> bool:
    """Return whether a folder contains a run on LAMMPS."""
    try:
        text = (folder / SETTINGS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(r"^engine: lammps$", text, flags=re.MULTILINE) is not None


def check_folder(config: LammpsConfig, *, resume: bool, overwrite: bool) -> bool:
    """Return whether there is a run to continue; change nothing.

    Raises:
        ConfigError: the folder contains a run, and neither ``resume`` nor ``overwrite`` is set; or
            the settings differ from those of the run to be resumed.
    """
    folder = config.output.directory
    started = (folder / SETTINGS).exists()
    resuming = run_folder.check_resume(folder, has_run=started, resume=resume, overwrite=overwrite)
    if resuming:
        data = config.model_dump(mode="json", context={"base": folder})
        run_folder.require_same_settings(folder / SETTINGS, data, _MAY_CHANGE)
    return resuming


def save_start(config: LammpsConfig, system: WholeSystem | None) -> None:
    """Write the settings and the starting structure of a run.

    Raises:
        UnwritableError: the disk refuses.
    """
    assert system is not None, "rank 0 has the system"
    folder = config.output.directory
    remove_run(folder)
    structure = io.StringIO()
    positions = system.positions * unit.nanometer
    app.PDBxFile.writeFile(system.topology, positions, structure, keepIds=True)
    write_atomically(folder / _STRUCTURE, structure.getvalue())
    data = config.model_dump(mode="json", context={"base": folder})
    head = f"# resolved settings of this run, written by nnpmm {__version__}\n"
    write_atomically(folder / SETTINGS, head + yaml.safe_dump(data, sort_keys=False))


def load_structure(folder: Path) -> tuple[app.Topology, NDArray[np.float64], NDArray[np.float64]]:
    """Return topology, positions (n, 3) and box (3, 3), nm, that a run started from.

    Raises:
        InputFileError: the file is missing or damaged.
    """
    structure = read_structure(folder / _STRUCTURE)
    if structure.positions is None or structure.box is None:
        raise InputFileError(f"{folder / _STRUCTURE}: found no box; the file is damaged")
    return structure.topology, structure.positions, structure.box


def remove_run(folder: Path) -> None:
    """Delete the files of an earlier run, and nothing else, from a folder."""
    names = [SETTINGS, _STRUCTURE, TRAJECTORY, _PART, *(log_path(folder, s).name for s in STAGES)]
    with writing(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        for path in folder.glob("*.restart"):
            if _RESTART.fullmatch(path.name):
                path.unlink(missing_ok=True)


def restart_name(stage: str, step: int | str) -> str:
    """Return the name of a restart file; LAMMPS puts the step in place of ``*``."""
    return f"{stage}.{step}.restart"


def _restarts(folder: Path) -> list[Restart]:
    """Return the complete restart files, the oldest first."""
    found = []
    for path in folder.glob("*.restart"):
        match = _RESTART.fullmatch(path.name)
        if match and _is_complete(path):
            found.append(Restart(match.group(1), int(match.group(2)), path))
    return sorted(found, key=lambda each: (STAGES.index(each.stage), each.step))


def _is_complete(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - len(_END_OF_RESTART) - 1))
        return handle.read().rstrip(b"\0").endswith(_END_OF_RESTART)


def last_restart(folder: Path) -> Restart | None:
    """Return the last restart file that LAMMPS has finished, or None."""
    found = _restarts(folder)
    return found[-1] if found else None


def discard_old_restarts(folder: Path) -> None:
    """Delete all complete restart files but the last two."""
    for restart in _restarts(folder)[:-2]:
        restart.path.unlink(missing_ok=True)


def cut_trajectory(folder: Path, frames: int, n_atoms: int) -> Path:
    """Cut a trajectory to its first frames, and return the file for further frames.

    Frames of an earlier continuation are appended before, if they have not been. Called on one
    rank.

    Args:
        folder: of the run.
        frames: number of frames to keep.
        n_atoms: of a frame.

    Raises:
        SimulationError: the trajectory has fewer.
    """
    join_trajectory(folder, n_atoms)
    path = folder / TRAJECTORY
    if frames == 0:
        path.unlink(missing_ok=True)
        return path
    found = _count(path, n_atoms)
    if found < frames:
        raise SimulationError(
            f"{path}: found {found} frames, the restart file expects {frames}; start again with "
            "overwrite=True"
        )
    with writing(path), open(path, "r+b") as handle:
        handle.truncate(dcd_size(frames, n_atoms, box=True))
        set_frame_count(handle, frames)
    return folder / _PART


def join_trajectory(folder: Path, n_atoms: int) -> None:
    """Append the frames of a continuation, which LAMMPS writes to a file of its own.

    Raises:
        UnwritableError: the disk refuses; then both files are as they were.
    """
    path, part = folder / TRAJECTORY, folder / _PART
    if not part.exists():
        return
    before, more = _count(path, n_atoms), _count(part, n_atoms)
    size = dcd_size(more, n_atoms, box=True) - _HEADER
    with writing(path):
        if more:
            with replacing(path) as whole:
                with open(path, "rb") as old:
                    _copy(old, whole, dcd_size(before, n_atoms, box=True))
                with open(part, "rb") as new:
                    new.seek(_HEADER)
                    _copy(new, whole, size)
                set_frame_count(whole, before + more)
        part.unlink()


def _count(path: Path, n_atoms: int) -> int:
    """Return the number of complete frames in a file that LAMMPS wrote."""
    try:
        size = os.path.getsize(path)
    except OSError:
        return 0
    frame = dcd_size(1, n_atoms, box=True) - _HEADER
    return max(0, (size - _HEADER) // frame)


def _copy(source, target, size: int) -> None:  # type: ignore[no-untyped-def]
    while size:
        block = source.read(min(size, 1 << 22))
        if not block:
            raise OSError("the file is shorter than it was")
        target.write(block)
        size -= len(block)
