"""Frames of a trajectory in chunks, up to the first that cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mdtraj
import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.sources import Source
from nnpmm.core.errors import InputFileError, shortened
from nnpmm.core.streams import silent_libraries

__all__ = ["Chunk", "FrameReader", "first_frame"]

#: Largest number of positions in a chunk; 60 MB in single precision.
_CHUNK_ATOMS = 5_000_000
_LONGEST_CHUNK = 500
_WITH_TIMES = (".xtc", ".trr", ".nc", ".netcdf", ".ncdf", ".h5")


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some frames.

    Attributes:
        first: index of the first of them in the trajectory.
        positions: (f, n, 3) nm, of the requested atoms.
        boxes: (f, 3, 3) nm, box vectors as rows, or None.
        times: (f,) ps, or None if they are not known.
    """

    first: int
    positions: NDArray[np.float32]
    boxes: NDArray[np.float64] | None
    times: NDArray[np.float64] | None


class _Atoms:
    """The part of an mdtraj topology that readers use.

    mdtraj copies the topology for each chunk. For 47,000 atoms a full copy takes longer than
    reading and analysing a hundred frames.
    """

    def __init__(self, n_atoms: int) -> None:
        self.n_atoms = n_atoms
        self._numAtoms = n_atoms

    def subset(self, atoms: NDArray[np.int64]) -> _Atoms:
        return _Atoms(len(atoms))

    def copy(self) -> _Atoms:
        return self


class FrameReader:
    """Reads the frames of a trajectory in chunks; memory does not depend on their number.

    A frame that cannot be read, or has positions that are not numbers, ends the trajectory there:
    frames behind a damaged one cannot be trusted.

    Args:
        source: topology and trajectory.
        atoms: 0-based indices of the atoms to read, sorted.

    Attributes:
        announced: number of frames according to the file, 0 if it does not say; a damaged one has
            fewer.
        chunk: number of frames that are read at a time.
        problem: why reading ended before the announced end, or None.

    Raises:
        InputFileError: the file cannot be opened, has no frames, or has another number of atoms.
    """

    def __init__(self, source: Source, atoms: NDArray[np.int64]) -> None:
        self._path, self._atoms = source.trajectory, atoms
        self._interval, self._start = source.interval, source.start
        self._n_atoms = source.topology.getNumAtoms()
        self.problem: str | None = None
        with silent_libraries(), self._open() as handle:
            self.announced = self._announced(handle)
            self._check_atoms(handle)
        self.chunk = max(1, min(_LONGEST_CHUNK, _CHUNK_ATOMS // self._n_atoms))

    def _open(self) -> Any:
        options = {}
        if self._path.suffix.lower() in (".mdcrd", ".crd"):
            options["n_atoms"] = self._n_atoms
        try:
            return mdtraj.open(str(self._path), **options)
        except Exception as error:  # mdtraj's readers raise many kinds
            raise InputFileError(
                f"{self._path}: cannot be opened as a trajectory ({shortened(error)})"
            ) from error

    def _announced(self, handle: Any) -> int:
        found = 0
        with suppress(Exception):  # a damaged file, or a format without the number of frames
            found = len(handle)
        if self._path.suffix.lower() == ".dcd":
            # mdtraj's reader lowers the number of the header if the file is shorter.
            with open(self._path, "rb") as file:
                head = file.read(12)
            if len(head) == 12 and head[4:8] == b"CORD":
                found = max(found, struct.unpack("<i", head[8:12])[0])
        return found

    def _check_atoms(self, handle: Any) -> None:
        try:
            first = handle.read(n_frames=1)
        except Exception as error:  # mdtraj's readers raise many kinds
            raise InputFileError(
                f"{self._path}: the first frame cannot be read ({shortened(error)})"
            ) from error
        positions = np.asarray(first[0] if isinstance(first, tuple) else first.coordinates)
        if positions.ndim != 3 or not len(positions):
            raise InputFileError(f"{self._path}: found no frame in the trajectory")
        if positions.shape[1] != self._n_atoms:
            raise InputFileError(
                f"{self._path}: found {positions.shape[1]} atoms in the trajectory and "
                f"{self._n_atoms} in the topology; give a topology with exactly the atoms of the "
                "trajectory"
            )

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks in their order, up to the first frame that is damaged."""
        done = 0
        with silent_libraries():
            handle = self._open()
        try:
            while True:
                found = self._read(handle, done)
                if found is None or not len(found.xyz):
                    break
                good = np.isfinite(found.xyz).all(axis=(1, 2))
                keep = len(good) if good.all() else int(np.argmin(good))
                if keep:
                    yield self._as_chunk(found, done, keep)
                done += keep
                if keep < len(good):
                    self.problem = f"frame {done} has positions that are not finite numbers"
                    break
        finally:
            with silent_libraries():
                handle.close()
        if self.problem is None and done < self.announced:
            self.problem = f"the file announces {self.announced} frames and ends after {done}"

    def _read(self, handle: Any, done: int) -> mdtraj.Trajectory | None:
        """Return the next frames; of a damaged chunk those before the damage."""
        try:
            return self._load(handle, self.chunk)
        except Exception as error:  # mdtraj's readers raise many kinds
            frames = []
            with suppress(Exception), silent_libraries(), self._open() as again:
                for _ in range(0, done, self.chunk):
                    self._load(again, self.chunk)
                while len(frame := self._load(again, 1)):
                    frames.append(frame)
            self.problem = (
                f"frame {done + len(frames)} cannot be read ({shortened(error).rstrip(': ')})"
            )
            return mdtraj.join(frames, check_topology=False) if frames else None

    def _load(self, handle: Any, n_frames: int) -> mdtraj.Trajectory:
        with silent_libraries():
            return handle.read_as_traj(
                _Atoms(self._n_atoms), n_frames=n_frames, atom_indices=self._atoms
            )

    def _as_chunk(self, found: mdtraj.Trajectory, first: int, keep: int) -> Chunk:
        boxes = found.unitcell_vectors
        if boxes is not None:
            boxes = np.asarray(boxes, dtype=np.float64)[:keep]
            if not np.isfinite(boxes).all() or (np.diagonal(boxes, axis1=1, axis2=2) <= 0).any():
                boxes = None
        times: NDArray[np.float64] | None = None
        if self._interval is not None:
            times = np.asarray(self._start + self._interval * np.arange(first, first + keep))
        elif self._path.suffix.lower() in _WITH_TIMES:
            times = np.asarray(found.time[:keep], dtype=np.float64)
        return Chunk(first, found.xyz[:keep], boxes, times)


def first_frame(source: Source) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return the positions (n_atoms, 3) and the box (3, 3), or None, of the first frame, in nm.

    Raises:
        InputFileError: the frame cannot be read, or does not fit the topology.
    """
    reader = FrameReader(source, np.arange(source.topology.getNumAtoms()))
    reader.chunk = 1
    for chunk in reader:
        return chunk.positions[0], None if chunk.boxes is None else chunk.boxes[0]
    raise InputFileError(f"{source.trajectory}: found no frame that can be read ({reader.problem})")
