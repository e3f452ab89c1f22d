"""An ANI model as openmm-ml's MLPotentialImpl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology
from openmmml.mlpotential import MLPotentialImpl

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ModelError, RegionError
from nnpmm.core.geometry import spanning_trees
from nnpmm.coupling.nonbonded import (
    EWALD_METHODS,
    check_parameters,
    has_lennard_jones_elsewhere,
)
from nnpmm.coupling.region_charge import charges_of, region_charge
from nnpmm.coupling.terms import connect_region
from nnpmm.coupling.transports import create_box_force, create_region_force
from nnpmm.models import load_model
from nnpmm.models.ani.family import ANI
from nnpmm.models.protocol import Potential
from nnpmm.structures.bonds import topology_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["AniPotential"]

# openmm-ml hands the arguments of its embeddings to the potential too.
_OF_OPENMM_ML = ("linkAtomDistances", "mlLongRange")


class AniPotential(MLPotentialImpl):
    """An ANI model in openmm-ml's systems; energies leave out the atomic self energies.

    Args:
        name: ``"nnpmm-"`` and the name of an ANI model.
        arguments: of `nnpmm.load_model`, by name.

    Raises:
        ModelError: an argument that `nnpmm.load_model` does not know.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name = name
        self._arguments = _checked(name, arguments)

    def addForces(
        self,
        topology: Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        **arguments: Any,
    ) -> None:
        """Add the network's force, named ``"NNP"``, to a system in place.

        Given atoms are treated as `nnpmm.create_hybrid_system` treats a region: made whole, and
        alone in vacuum. Without, the network takes the whole system, with its periodic images if
        there is a box. Zero-strength bonds tell OpenMM what the molecules are.

        Args:
            topology: with elements, bonds, and box vectors if the system is periodic.
            system: the system; openmm-ml gives an empty one where it interpolates.
            atoms: indices of the atoms to describe; None for all.
            forceGroup: group of the network's force.
            arguments: as for the constructor; these come first.

        Raises:
            ModelError: an unknown argument, or one that `nnpmm.load_model` refuses.
            RegionError: virtual sites, elements that the model does not know, or a charged region.
            ForceFieldError: atoms of a region without charges or Lennard-Jones parameters.
        """
        chosen = self._arguments | _checked(self.name, arguments)
        model = load_model(self.name.removeprefix("nnpmm-"), **chosen)
        number = topology.getNumAtoms()
        region = np.arange(number) if atoms is None else atom_indices(atoms, number)
        numbers = _atomic_numbers(topology, region)
        bonds = _bonds(topology, system, region)
        periodic = topology.getPeriodicBoxVectors() is not None
        periodic = periodic or system.usesPeriodicBoundaryConditions()
        if system.getNumParticles() == number:
            _check_region(topology, system, region, model)
            connect_region(system, {(min(p), max(p)) for p in region[bonds].tolist()})
        evaluator = model.bind(numbers)
        if atoms is None and periodic:
            force = create_box_force(evaluator)
        else:
            exact = periodic and _subtracts_pairs(system)
            force = create_region_force(
                evaluator, region, bonds, periodic=periodic, exact_to_half_box=exact
            )
        force.setForceGroup(forceGroup)
        system.addForce(force)

    def getMLLongRange(self) -> bool:
        """Return False: ANI sees nothing beyond its cutoff."""
        return False


def _checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(arguments) - {*ANI.options, *_OF_OPENMM_ML})
    if unknown:
        raise ModelError(
            f"{name}: found the argument{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}, "
            f"allowed: {', '.join(ANI.options)}"
        )
    chosen = {key: value for key, value in arguments.items() if key in ANI.options}
    if "device" in chosen:
        chosen["device"] = str(chosen["device"])  # openmm-ml also takes a torch.device
    return chosen


def _atomic_numbers(topology: Topology, region: NDArray[np.int64]) -> NDArray[np.int64]:
    elements = [atom.element for atom in topology.atoms()]
    without = [int(i) for i in region if elements[i] is None]
    if without:
        raise RegionError(
            f"found {len(without)} particles without an element (the first is {without[0]}), the "
            "network describes atoms only; leave virtual sites to the force field"
        )
    return np.array([elements[i].atomic_number for i in region], dtype=np.int64)


def _bonds(
    topology: Topology, system: openmm.System, region: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bonds as pairs of row numbers, (m, 2), with those of openmm-ml's caps, which are virtual."""
    row_of = {int(atom): row for row, atom in enumerate(region)}
    caps = [
        (row_of[system.getVirtualSite(atom).getParticle(0)], row)
        for atom, row in row_of.items()
        if atom < system.getNumParticles() and system.isVirtualSite(atom)
    ]
    pairs = np.array(caps, dtype=np.int64).reshape(-1, 2)
    return np.concatenate([topology_bonds(topology, region), pairs])


def _check_region(
    topology: Topology, system: openmm.System, region: NDArray[np.int64], model: Potential
) -> None:
    """Check charges and Lennard-Jones parameters of a region that cuts no bond."""
    members = set(region.tolist())
    if any((b.atom1.index in members) != (b.atom2.index in members) for b in topology.bonds()):
        return  # openmm-ml caps it; what is left of the charges need not add up to anything
    symbols = [element.symbol for element in region_elements(topology, region)]
    atoms = np.sort(region)
    bonds = topology_bonds(topology, atoms)
    for force in system.getForces():
        if type(force) is openmm.NonbondedForce:
            charges = charges_of(force, atoms.tolist())
            check_parameters(
                *(force, atoms, symbols, charges),
                lennard_jones=not has_lennard_jones_elsewhere(system, force),
            )
            molecules = spanning_trees(len(atoms), bonds)[1]
            region_charge(charges, atoms, symbols, bonds, molecules, neutral=model.neutral_only)


def _subtracts_pairs(system: openmm.System) -> bool:
    """True if the region's pairs are taken out of an Ewald sum, or if that cannot be seen."""
    forces = [f for f in system.getForces() if type(f) is openmm.NonbondedForce]
    return not forces or any(f.getNonbondedMethod() in EWALD_METHODS for f in forces)
