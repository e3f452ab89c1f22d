"""Trajectories that can be cut back to a checkpoint and continued."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.errors import SimulationError

__all__ = ["TrajectoryWriter", "cut_back", "open_trajectory"]

_DCD_FRAMES, _DCD_LAST_STEP = 8, 20  # byte offsets of the header's fields


class TrajectoryWriter(Protocol):
    """Writes frames one after the other."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def frames(self) -> int:
        """Frames that the file holds."""

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        """Append a frame: positions (n_atoms, 3) and box rows (3, 3) in nm."""

    def flush(self) -> None:
        """Hand everything to the operating system."""

    def close(self) -> None:
        """Close the file."""


def _vectors(box: NDArray[np.float64] | None) -> unit.Quantity | None:
    """Return box rows (3, 3) in nm the way OpenMM's writers want them."""
    return None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer


class _DcdWriter:
    """DCD through OpenMM's writer."""

    def __init__(self, path: Path, topology: app.Topology, dt: float, interval: int, frames: int):
        self.path, self.frames = path, frames
        self._handle: IO[bytes] = open(path, "r+b" if frames else "w+b")
        self._file = app.DCDFile(
            self._handle, topology, dt, firstStep=interval, interval=interval, append=frames > 0
        )

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        self._file.writeModel(positions, periodicBoxVectors=_vectors(box))
        self.frames += 1

    def flush(self) -> None:
        self._handle.flush()

    def close(self) -> None:
        self._handle.close()


class _XtcWriter:
    """XTC through OpenMM's writer, which opens and closes the file at every frame."""

    def __init__(self, path: Path, topology: app.Topology, dt: float, interval: int, frames: int):
        self.path, self.frames = path, frames
        if not frames:
            path.write_bytes(b"")
        self._file = app.XTCFile(
            str(path), topology, dt, firstStep=interval, interval=interval, append=frames > 0
        )

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        self._file.writeModel(positions, periodicBoxVectors=_vectors(box))
        self.frames += 1

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def open_trajectory(
    path: Path, topology: app.Topology, timestep: float, interval: int, frames: int = 0
) -> TrajectoryWriter:
    """Open a trajectory for writing.

    Args:
        path: file, ``.dcd`` or ``.xtc``.
        topology: of all atoms; its box says whether frames hold one.
        timestep: in ps.
        interval: steps between frames; the first frame is written after that many steps.
        frames: frames that the file holds already; 0 begins a new file.
    """
    writer = _DcdWriter if path.suffix == ".dcd" else _XtcWriter
    return writer(path, topology, timestep, interval, frames)


def cut_back(path: Path, size: int, frames: int | None = None, interval: int = 1) -> None:
    """Cut a file back to its size at a checkpoint and mend a DCD header's counts.

    Args:
        path: trajectory or log.
        size: its size in bytes at the checkpoint.
        frames: frames at the checkpoint, for a trajectory.
        interval: steps between frames.

    Raises:
        SimulationError: the file is missing or shorter than at the checkpoint.
    """
    found = path.stat().st_size if path.is_file() else -1
    if found < size:
        state = "is missing" if found < 0 else f"has {found} bytes"
        raise SimulationError(
            f"{path}: {state}, the checkpoint says {size} bytes: restore the file, or start again "
            "with --overwrite"
        )
    with open(path, "r+b") as handle:
        handle.truncate(size)
        if path.suffix == ".dcd" and frames is not None:
            handle.seek(_DCD_FRAMES)
            handle.write(struct.pack("<i", frames))
            # OpenMM counts the last step from the first frame's, which is one interval.
            handle.seek(_DCD_LAST_STEP)
            handle.write(struct.pack("<i", frames * interval))
