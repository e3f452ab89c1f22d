"""The MM system that a run starts from, as one record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app

__all__ = ["MMSystem"]


@dataclass(frozen=True, eq=False)
class MMSystem:
    """An MM system ready to be coupled.

    Attributes:
        topology: atoms, residues and bonds; its box is that of ``box_vectors``.
        positions: (n_atoms, 3) in nm, no molecule split by the boundary.
        box_vectors: (3, 3) rows in nm, or None without periodic boundaries.
        system: the OpenMM System, without thermostat and barostat.
        ligand_atoms: 0-based indices of the ligand, if nnpmm built the system.
        ligand_parameters: one line with the source of its parameters, if nnpmm built the system.
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    box_vectors: NDArray[np.float64] | None
    system: openmm.System
    ligand_atoms: NDArray[np.int64] | None = None
    ligand_parameters: str | None = None
