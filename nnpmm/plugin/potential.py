"""A model of nnpmm as openmm-ml's MLPotentialImpl."""

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
from nnpmm.models import find_family, load_model
from nnpmm.models.protocol import Potential
from nnpmm.structures.bonds import topology_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["NetworkPotential"]

_PREFIX = "nnpmm-"
# openmm-ml passes the arguments of its embeddings to the potential too.
_EMBEDDING_ARGUMENTS = ("linkAtomDistances", "mlLongRange")


class NetworkPotential(MLPotentialImpl):
    """A model of nnpmm in openmm-ml's systems; energies do not include the atomic self energies.

    Args:
        name: ``"nnpmm-"`` and the name of a model.
        arguments: of `nnpmm.load_model`, by name, and ``"charge"``, e, of the atoms described.

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
        alone in vacuum. Without ``atoms``, the network describes the whole system, with its
        periodic images if there is a box. Zero-strength bonds tell OpenMM what the molecules are.

        Args:
            topology: with elements, bonds, and box vectors if the system is periodic.
            system: the system; openmm-ml gives an empty one if it interpolates.
            atoms: indices of the atoms to describe; None for all.
            forceGroup: group of the network's force.
            arguments: as for the constructor, which they override.

        Raises:
            ModelError: an unknown argument, or one that `nnpmm.load_model` refuses.
            RegionError: virtual sites, unsupported elements, a charge that is unsupported, unknown
                or stated wrongly, or a whole periodic system and a model without periodic images.
            ForceFieldError: atoms of a region without charges or Lennard-Jones parameters.
        """
        chosen = self._arguments | _checked(self.name, arguments)
        stated = chosen.pop("charge", None)
        model = load_model(self.name.removeprefix(_PREFIX), **chosen)
        n_atoms = topology.getNumAtoms()
        region = np.arange(n_atoms) if atoms is None else atom_indices(atoms, n_atoms)
        numbers = _atomic_numbers(topology, region)
        bonds = _bonds(topology, system, region)
        periodic = topology.getPeriodicBoxVectors() is not None
        periodic = periodic or system.usesPeriodicBoundaryConditions()
        found = None
        if system.getNumParticles() == n_atoms:  # not the empty system of an interpolation
            found = _check_region(topology, system, region, model)
            connect_region(system, {(min(p), max(p)) for p in region[bonds].tolist()})
        evaluator = model.bind(numbers, charge=_charge(self.name, model, stated, found))
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
        """Return False: a region does not see its periodic images."""
        return False


def _checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    options = (*find_family(name.removeprefix(_PREFIX))[1].options, "charge")
    unknown = sorted(set(arguments) - {*options, *_EMBEDDING_ARGUMENTS})
    if unknown:
        raise ModelError(
            f"{name}: found the argument{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}, "
            f"allowed: {', '.join(options)}"
        )
    chosen = {key: value for key, value in arguments.items() if key in options}
    if "device" in chosen:
        chosen["device"] = str(chosen["device"])  # openmm-ml also takes a torch.device
    return chosen


def _atomic_numbers(topology: Topology, region: NDArray[np.int64]) -> NDArray[np.int64]:
    elements = [atom.element for atom in topology.atoms()]
    without = [int(i) for i in region if elements[i] is None]
    if without:
        raise RegionError(
            f"found {len(without)} particles without an element (the first is {without[0]}), but "
            "the network describes only atoms; leave virtual sites to the force field"
        )
    return np.array([elements[i].atomic_number for i in region], dtype=np.int64)


def _bonds(
    topology: Topology, system: openmm.System, region: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return bonds as pairs of rows, (m, 2), with those of openmm-ml's caps, virtual sites."""
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
) -> int | None:
    """Check charges and Lennard-Jones parameters of a region that cuts no bond.

    Returns:
        The region's charge in the force field, e; None where there is none.
    """
    members = set(region.tolist())
    if any((b.atom1.index in members) != (b.atom2.index in members) for b in topology.bonds()):
        return None  # openmm-ml caps it, and the charges left need not add up to an integer
    found = None
    symbols = [element.symbol for element in region_elements(topology, region)]
    atoms = np.sort(region)
    bonds = topology_bonds(topology, atoms)
    for force in system.getForces():
        if type(force) is openmm.NonbondedForce:
            charges = charges_of(force, atoms.tolist())
            check_parameters(
                force,
                atoms,
                symbols,
                charges,
                lennard_jones=not has_lennard_jones_elsewhere(system, force),
            )
            molecules = spanning_trees(len(atoms), bonds)[1]
            found = region_charge(
                charges, atoms, symbols, bonds, molecules, neutral=model.neutral_only
            ).charge
    return found


def _charge(name: str, model: Potential, stated: int | None, found: int | None) -> int:
    """Return the region's charge, as stated or as in the force field.

    Raises:
        RegionError: the two differ, or the model needs a charge and there is neither.
    """
    if stated is not None and found is not None and stated != found:
        raise RegionError(
            f"{name}: found charge={stated:+d}, but the force field gives the region {found:+d} e; "
            "correct one of the two"
        )
    if stated is None and found is None and not model.neutral_only:
        raise RegionError(
            f"{name}: the charge of its atoms, which {model.name} needs, is not known here; state "
            "it with charge=..."
        )
    return stated if stated is not None else found or 0


def _subtracts_pairs(system: openmm.System) -> bool:
    """Return whether the region's pairs are subtracted from an Ewald sum; True if not known."""
    forces = [f for f in system.getForces() if type(f) is openmm.NonbondedForce]
    return not forces or any(f.getNonbondedMethod() in EWALD_METHODS for f in forces)
