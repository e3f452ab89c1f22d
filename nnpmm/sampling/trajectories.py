"""Trajectories of a replica exchange, one for each replica or state, that survive a crash.

::

    topology.pdb                atoms and start
    trajectories/replica-00.dcd frames of one replica, whose state in each is in energies.bin
    trajectories/state-00.dcd   or frames of one state, from whichever replica was in it

Frame n belongs to iteration n times the interval. A frame counts only after a checkpoint; later
frames are deleted when the run continues.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import openmm
from openmm import app

from nnpmm.core.errors import InputFileError
from nnpmm.core.files import write_atomically, writing
from nnpmm.sampling.record import ExchangeSettings
from nnpmm.structures.dcd import dcd_problem, dcd_size, set_frame_count

__all__ = ["Trajectories"]

_FOLDER, _TOPOLOGY = "trajectories", "topology.pdb"


class Trajectories:
    """The DCD files of one replica exchange.

    Args:
        directory: of the run.
        settings: of the run, which write trajectories.
        simulation: with the topology; its positions are those of ``topology.pdb``.
        iteration: after which the run continues; 0 begins new files.

    Raises:
        InputFileError: a file is missing, damaged, or shorter than at the checkpoint.
        UnwritableError: the folder cannot be written.
    """

    def __init__(
        self,
        directory: Path,
        settings: ExchangeSettings,
        simulation: app.Simulation,
        iteration: int,
    ) -> None:
        self._settings, self._topology = settings, simulation.topology
        self._box = simulation.topology.getPeriodicBoxVectors() is not None
        sampled = settings.sampled or range(len(settings.states))
        by_state = settings.trajectories == "states"
        names = (
            [f"state-{state:02d}" for state in sampled]
            if by_state
            else [f"replica-{index:02d}" for index in range(len(sampled))]
        )
        self._paths = [directory / _FOLDER / f"{name}.dcd" for name in names]
        if not (directory / _TOPOLOGY).exists():
            _write_topology(directory / _TOPOLOGY, simulation)
        with writing(directory / _FOLDER):
            (directory / _FOLDER).mkdir(exist_ok=True)
        frames = iteration // settings.trajectory_every
        self._handles = [self._open(path, frames) for path in self._paths]
        interval = settings.trajectory_every * settings.steps * settings.timestep
        self._files = [
            app.DCDFile(handle, self._topology, interval, firstStep=1, append=frames > 0)
            for handle in self._handles
        ]

    def write(
        self, iteration: int, conformations: Sequence[openmm.State], states: Sequence[int]
    ) -> None:
        """Add the frames of an iteration, unless the settings skip this iteration.

        Args:
            iteration: counted from 1.
            conformations: of the replicas.
            states: of the replicas, by index.

        Raises:
            UnwritableError: a frame cannot be written.
        """
        if iteration % self._settings.trajectory_every:
            return
        order = list(range(len(states)))
        if self._settings.trajectories == "states":
            order.sort(key=lambda index: states[index])
        for path, file, index in zip(self._paths, self._files, order, strict=True):
            state = conformations[index]
            box = state.getPeriodicBoxVectors() if self._box else None
            with writing(path):
                file.writeModel(state.getPositions(), periodicBoxVectors=box)

    def sync(self) -> None:
        """Force all frames to the disk, so that they survive a crash of the machine."""
        for path, handle in zip(self._paths, self._handles, strict=True):
            with writing(path):
                handle.flush()
                os.fsync(handle.fileno())

    def _open(self, path: Path, frames: int) -> IO[bytes]:
        """Open a file and truncate it to a number of frames."""
        if not frames:
            with writing(path):
                return open(path, "w+b")
        n_atoms = self._settings.n_atoms
        size = dcd_size(frames, n_atoms, box=self._box)
        found = path.stat().st_size if path.exists() else -1
        if found < size:
            raise InputFileError(
                f"{path}: found {max(found, 0)} bytes, the checkpoint says {size}; restore the "
                "file, or remove the folder and start again"
            )
        with writing(path):
            handle = open(path, "r+b")
            problem = dcd_problem(handle, size, frames, n_atoms)
            if problem is not None:
                handle.close()
                raise InputFileError(f"{path}: {problem}; remove the folder and start again")
            handle.truncate(size)
            set_frame_count(handle, frames)
            handle.flush()
            handle.seek(0)
        return handle


def _write_topology(path: Path, simulation: app.Simulation) -> None:
    text = io.StringIO()
    state = simulation.context.getState(positions=True)
    app.PDBFile.writeFile(simulation.topology, state.getPositions(), text, keepIds=True)
    write_atomically(path, text.getvalue())
