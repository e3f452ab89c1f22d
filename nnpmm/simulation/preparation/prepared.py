"""The start of a run: an MM system and the hybrid system made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnpmm.coupling import HybridSystem
from nnpmm.integrators import RegionMotion
from nnpmm.simulation.preparation.density import ExpectedDensity
from nnpmm.structures.mm_system import MMSystem

__all__ = ["PreparedSystem"]


@dataclass(frozen=True, eq=False)
class PreparedSystem:
    """A hybrid system that is ready to be simulated.

    Attributes:
        mm: the MM system before coupling, with positions and box; it is stored with the output.
        hybrid: the system with its region and network; a stage that has its own forces adds
            them to a copy.
        model_provenance: name, members and origin of the network, for the record.
        motion: determines the longest time step that the region allows; None: the rules for force
            fields apply.
        expected_density: of a built box under pressure control; None: not known.
    """

    mm: MMSystem
    hybrid: HybridSystem
    model_provenance: dict[str, Any]
    motion: RegionMotion | None = None
    expected_density: ExpectedDensity | None = None
