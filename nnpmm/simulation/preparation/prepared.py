"""What a run starts from: a hybrid system with its positions, its network and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app

from nnpmm.integrators import RegionMotion
from nnpmm.models.protocol import Evaluator
from nnpmm.simulation.preparation.density import ExpectedDensity
from nnpmm.structures.mm_system import MMSystem

__all__ = ["PreparedSystem"]


@dataclass(frozen=True, eq=False)
class PreparedSystem:
    """A hybrid system that is ready to be simulated.

    Attributes:
        topology: atoms, residues and bonds.
        positions: (n_atoms, 3) in nm.
        box_vectors: (3, 3) rows in nm, or None without periodic boundaries.
        system: the hybrid System; a stage adds its own forces for as long as it lasts.
        region: 0-based indices of the atoms that the network describes.
        evaluator: the network bound to ``network_atoms``, for the log; None leaves those columns
            empty.
        network_atoms: atoms whose positions it takes: the region and, where link atoms cap it, the
            neighbours that it was cut from; None: the region.
        mm_system: the MM system before coupling, kept with the output for continuations.
        model_provenance: name, members and origin of the network, for the record.
        motion: what decides how long a time step the region allows; None: the rules for force
            fields do.
        expected_density: what a built box should have under pressure control; None: not known.
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    box_vectors: NDArray[np.float64] | None
    system: openmm.System
    region: NDArray[np.int64]
    evaluator: Evaluator | None = None
    network_atoms: NDArray[np.int64] | None = None
    mm_system: MMSystem | None = None
    model_provenance: dict[str, Any] | None = None
    motion: RegionMotion | None = None
    expected_density: ExpectedDensity | None = None
