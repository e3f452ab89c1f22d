"""Hybrid systems, and the function that creates them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import InputFileError
from nnpmm.coupling.binding import BoundRegion, Region
from nnpmm.coupling.elements import check_masses
from nnpmm.coupling.mechanical import Mechanical
from nnpmm.coupling.roles import Role, forces_by_role, groups_by_role
from nnpmm.models.protocol import Evaluator, Potential
from nnpmm.structures.amoeba_terms import copied_system

__all__ = ["Coupling", "HybridSystem", "couple", "create_hybrid_system"]


class Coupling(Protocol):
    """How a region described by a network interacts with its surroundings."""

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> BoundRegion:
        """Turn an MM system into a hybrid one, in place, and return the region with its network.

        Args:
            system: a complete MM system, which the caller has copied.
            topology: that it was made from, with elements.
            region: sorted 0-based indices of the region's atoms.
            potential: the network.
        """


@dataclass(frozen=True, eq=False)
class HybridSystem:
    """A system whose region a network describes.

    Attributes:
        system: the OpenMM System.
        topology: atoms with elements, residues and bonds.
        mm_system: the MM System that it was made from.
        region: atoms, elements, bonds, cut bonds and charge of the region.
        evaluator: the network bound to ``region.network_atoms``.
        provenance: a record of the model and the coupling, from which the system can be recreated.
    """

    system: openmm.System
    topology: Topology
    mm_system: openmm.System
    region: Region
    evaluator: Evaluator
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def forces(self) -> dict[Role, list[openmm.Force]]:
        """Forces of the system by their role; several regions have several forces of a role."""
        return forces_by_role(self.system)

    @property
    def groups(self) -> dict[Role, set[int]]:
        """Current force groups of the system by the role of their forces."""
        return groups_by_role(self.system)


def couple(
    mm_system: openmm.System,
    topology: Topology,
    region: Iterable[int] | NDArray[Any],
    model: Potential,
    *,
    coupling: Coupling | None = None,
) -> HybridSystem:
    """Describe a region of an MM system with a network.

    The MM system is not changed. The network's force has a separate force group. Atomic self
    energies are not part of the energy. For several regions, each with its own model, call this
    again with the system of the first result.

    Args:
        mm_system: a complete MM system from any source, with charges and Lennard-Jones
            parameters on the region's atoms; or a hybrid system with other regions.
        topology: the topology that it was made from, with elements.
        region: 0-based indices of the region's atoms, or a boolean mask over all atoms.
        model: the network, for example from `nnpmm.load_model`.
        coupling: how region and rest interact; mechanical embedding by default.

    Raises:
        InputFileError: topology and system differ in their number of atoms, or a mass is not that
            of its element.
        RegionError: the region is empty, cuts a bond, or the model cannot describe it.
        ForceFieldError: the system contains a force that cannot be coupled, or lacks parameters.
        ModelError: the model does not support the coupling's transport.
        OptionalDependencyError: that transport's package is not installed.
    """
    if topology.getNumAtoms() != mm_system.getNumParticles():
        raise InputFileError(
            f"the topology has {topology.getNumAtoms()} atoms, but the system has "
            f"{mm_system.getNumParticles()} particles; give the topology that the system was made "
            "from"
        )
    check_masses(mm_system, topology)
    atoms = atom_indices(region, mm_system.getNumParticles())
    system = copied_system(mm_system)
    coupling = Mechanical() if coupling is None else coupling
    bound = coupling.couple(system, topology, atoms, model)
    provenance = {"model": model.provenance, "coupling": repr(coupling)}
    return HybridSystem(system, topology, mm_system, bound.region, bound.evaluator, provenance)


def create_hybrid_system(
    mm_system: openmm.System,
    topology: Topology,
    region: Iterable[int] | NDArray[Any],
    model: Potential,
    *,
    coupling: Coupling | None = None,
) -> openmm.System:
    """Return only the System of `couple`.

    Args:
        mm_system: see `couple` for all arguments.
        topology: with elements.
        region: 0-based indices, or a boolean mask.
        model: the network.
        coupling: mechanical embedding by default.

    Raises:
        NnpmmError: see `couple`.
    """
    return couple(mm_system, topology, region, model, coupling=coupling).system
