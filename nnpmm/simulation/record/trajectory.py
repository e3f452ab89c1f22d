"""Trajectories that can be truncated to a checkpoint and continued."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import SimulationError
from nnpmm.core.files import create
from nnpmm.simulation.record.files import writing
from nnpmm.structures.dcd import dcd_problem, set_frame_count

__all__ = ["TrajectoryWriter", "cut_back", "open_trajectory"]

_AGAIN = "restore the file, or start again with overwrite=True"


class TrajectoryWriter(Protocol):
    """Writes frames one after the other."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def frames(self) -> int:
        """Frames that the file contains."""

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        """Append a frame: positions (n_atoms, 3) and box rows (3, 3) in nm.

        Raises:
            SimulationError: it cannot be written, or not as a whole.
        """

    def close(self) -> None:
        """Close the file."""


def _vectors(box: NDArray[np.float64] | None) -> unit.Quantity | None:
    """Return box rows (3, 3) in nm in the form that OpenMM's writers require."""
    return None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer


class _DcdWriter:
    """DCD through OpenMM's writer, which hands every frame to the operating system."""

    def __init__(self, path: Path, topology: app.Topology, interval: float, frames: int):
        self.path, self.frames = path, frames
        with writing(path):
            self._handle: IO[bytes] = open(path, "r+b") if frames else create(path)
            self._file = app.DCDFile(
                self._handle, topology, interval, firstStep=1, append=frames > 0
            )
            self._handle.flush()  # OpenMM flushes frames, not the header: checkpoints record sizes

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        with writing(self.path):
            self._file.writeModel(positions, periodicBoxVectors=_vectors(box))
        self.frames += 1

    def close(self) -> None:
        with suppress(OSError):  # errors of writing have been reported before
            self._handle.close()


class _XtcWriter:
    """XTC through OpenMM's writer, which opens and closes the file at every frame."""

    def __init__(self, path: Path, topology: app.Topology, interval: float, frames: int):
        self.path, self.frames = path, frames
        with writing(path):
            if not frames:
                create(path).close()
            self._file = app.XTCFile(str(path), topology, interval, firstStep=1, append=frames > 0)

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        problem: Exception | None = None
        with writing(self.path):
            before = self.path.stat().st_size
            try:
                self._file.writeModel(positions, periodicBoxVectors=_vectors(box))
            except (RuntimeError, ValueError) as error:
                problem = error
            # OpenMM's writer says nothing when the disk is full.
            with open(self.path, "rb") as handle:
                whole = before + _xtc_frame_size(handle, before)
            if problem is not None or self.path.stat().st_size != whole:
                raise SimulationError(
                    f"{self.path}: a frame could not be written "
                    f"({problem or 'only a part of it is there'}): free space on the disk, then "
                    "continue with resume=True; the last checkpoint is kept"
                ) from problem
        self.frames += 1

    def close(self) -> None:
        pass


def _xtc_frame_size(handle: IO[bytes], offset: int) -> int:
    """Return the size in bytes of the XTC frame at an offset from its header, -1 if truncated."""
    handle.seek(offset)
    header = handle.read(92)
    if len(header) < 56:
        return -1
    (n_atoms,) = struct.unpack_from(">i", header, 52)
    if n_atoms <= 9:  # not compressed
        return 56 + 12 * n_atoms
    if len(header) < 92:
        return -1
    (n_bytes,) = struct.unpack_from(">i", header, 88)
    return 92 + (n_bytes + 3) // 4 * 4


def open_trajectory(
    path: Path, topology: app.Topology, interval: float, frames: int = 0
) -> TrajectoryWriter:
    """Open a trajectory for writing.

    Its headers count frames, not time steps: both formats keep the number in 32 bits, which a long
    run exceeds.

    Args:
        path: file, ``.dcd`` or ``.xtc``.
        topology: of all atoms; its box says whether frames contain one.
        interval: time between frames in ps; the first frame is written after that time.
        frames: frames that the file contains already; 0 begins a new file.

    Raises:
        SimulationError: the file cannot be opened.
    """
    writer = _DcdWriter if path.suffix == ".dcd" else _XtcWriter
    try:
        return writer(path, topology, interval, frames)
    except SimulationError:
        raise
    except (RuntimeError, ValueError) as error:  # OpenMM cannot append to the file
        raise SimulationError(f"{path}: cannot be continued ({error}): {_AGAIN}") from error


def cut_back(path: Path, size: int, frames: int | None = None, n_atoms: int = 0) -> None:
    """Truncate a file to its size at a checkpoint and correct the counts in a DCD header.

    Args:
        path: trajectory or log.
        size: its size in bytes at the checkpoint.
        frames: frames at the checkpoint, for a trajectory.
        n_atoms: atoms in each of them.

    Raises:
        SimulationError: the file is missing, shorter than at the checkpoint or damaged.
    """
    found = path.stat().st_size if path.is_file() else -1
    if found < size:
        state = "is missing" if found < 0 else f"has {found} bytes"
        raise SimulationError(f"{path}: {state}, but the checkpoint says {size} bytes: {_AGAIN}")
    with writing(path), open(path, "r+b") as handle:
        if frames:
            problem = (dcd_problem if path.suffix == ".dcd" else _xtc_problem)(
                handle, size, frames, n_atoms
            )
            if problem is not None:
                raise SimulationError(f"{path}: {problem}: {_AGAIN}")
        handle.truncate(size)
        if path.suffix == ".dcd" and frames:
            set_frame_count(handle, frames)


def _xtc_problem(handle: IO[bytes], size: int, frames: int, n_atoms: int) -> str | None:
    """Return what is wrong with the headers of an XTC file's frames."""
    offset = count = 0
    while offset < size:
        length = _xtc_frame_size(handle, offset)
        handle.seek(offset)
        magic, found, *_, again = struct.unpack(">14i", handle.read(56).ljust(56))
        if (magic, found, again) != (1995, n_atoms, n_atoms) or length < 0:
            return f"the header of frame {count} is damaged"
        offset, count = offset + length, count + 1
    if offset != size or count != frames:
        return f"contains {count} frames, the checkpoint says {frames}"
    return None
