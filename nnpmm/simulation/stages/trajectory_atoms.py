"""A trajectory of some atoms only, with the topology that reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import SelectionError
from nnpmm.simulation.record.trajectory import TrajectoryWriter
from nnpmm.simulation.stages.stages import solute_atoms
from nnpmm.structures.selection import select_atoms

__all__ = ["PartialWriter", "part_of", "trajectory_atoms"]


def trajectory_atoms(topology: app.Topology, wanted: str) -> NDArray[np.int64] | None:
    """Return the atoms that a trajectory contains; None: all of them.

    Args:
        topology: of the system.
        wanted: ``"all"``, ``"solute"`` (all but water and ions, which are residues of one atom), or
            a selection in mdtraj's language.

    Raises:
        SelectionError: the selection cannot be read, or selects nothing.
    """
    if wanted == "all":
        return None
    if wanted != "solute":
        return np.asarray(select_atoms(topology, wanted), dtype=np.int64)
    chosen = [atom.index for atom in solute_atoms(topology)]
    if not chosen:
        raise SelectionError(
            "output.trajectory_atoms: found solute, but every residue is water or an ion: set all, "
            "or a selection"
        )
    return np.array(chosen, dtype=np.int64)


def part_of(topology: app.Topology, atoms: NDArray[np.int64]) -> app.Topology:
    """Return a topology of some atoms, in their order, with the box."""
    kept = set(atoms.tolist())
    modeller = app.Modeller(topology, [(0.0, 0.0, 0.0)] * topology.getNumAtoms() * unit.nanometer)
    modeller.delete([atom for atom in topology.atoms() if atom.index not in kept])
    return modeller.topology


class PartialWriter:
    """Writes some atoms of every frame with another writer.

    Args:
        writer: made for the topology of these atoms.
        atoms: 0-based indices, sorted.
    """

    def __init__(self, writer: TrajectoryWriter, atoms: NDArray[np.int64]):
        self._writer, self._atoms = writer, atoms

    @property
    def path(self) -> Path:
        """The file."""
        return self._writer.path

    @property
    def frames(self) -> int:
        """Frames that the file contains."""
        return self._writer.frames

    def write(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> None:
        """Append a frame from positions of all atoms (n, 3) and box rows (3, 3) in nm."""
        self._writer.write(positions[self._atoms], box)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
