"""Mechanical embedding: the network inside the region, the force field between region and rest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.coupling.bonded import BONDED, connect_region, silence_terms
from nnpmm.coupling.nonbonded import EWALD_METHODS, check_parameters, exclude_region_pairs
from nnpmm.coupling.transports import add_in_own_group, check_transport, create_region_force
from nnpmm.errors import ForceFieldError, InputFileError, RegionError
from nnpmm.models.protocol import Potential
from nnpmm.selection import atom_label

__all__ = ["Mechanical", "create_hybrid_system"]

# Forces that act on no bonded or non-bonded terms and pass through as they are.
_UNTOUCHED = (
    openmm.CMMotionRemover,
    openmm.AndersenThermostat,
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.MonteCarloFlexibleBarostat,
)


@dataclass(frozen=True)
class Mechanical:
    """Mechanical embedding (Lahey and Rowley, Chem. Sci. 2020, 11, 2362; Galvelis et al., 2022).

    V = V_NNP(region) + V_MM(rest) + sum over region atoms i and other atoms j of the force field's
    Coulomb and Lennard-Jones terms. Every bonded term and every pair inside the region is the
    network's; the region's bonds and angles are no longer constrained.

    Args:
        transport: the force that calls the network: ``"python"`` (OpenMM's PythonForce),
            ``"torchscript"`` (openmm-torch's TorchForce) or ``"torch"`` (its PythonTorchForce).

    Raises:
        ConfigError: no such transport.
    """

    transport: str = "python"

    def __post_init__(self) -> None:
        check_transport(self.transport)

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> None:
        """Turn an MM system into a hybrid one, in place. See `create_hybrid_system`."""
        atoms = list(topology.atoms())
        elements = [atoms[i].element for i in region]
        if any(element is None for element in elements):
            raise RegionError(
                "the region holds virtual sites or unknown elements; select atoms only"
            )
        _refuse_unknown_forces(system)
        bonds = _region_bonds(system, topology, region)
        _release_constraints(system, region)
        nonbonded = _nonbonded_force(system)
        symbols = [element.symbol for element in elements]
        check_parameters(nonbonded, region, symbols, neutral=potential.neutral_only)
        for force in system.getForces():
            if type(force) in BONDED:
                silence_terms(force, region)
        exclude_region_pairs(nonbonded, region)
        connect_region(system, region, bonds)
        force = create_region_force(
            potential.bind(np.array([element.atomic_number for element in elements])),
            region,
            np.searchsorted(region, np.array(sorted(bonds), dtype=np.int64).reshape(-1, 2)),
            periodic=system.usesPeriodicBoundaryConditions(),
            exact_to_half_box=nonbonded.getNonbondedMethod() in EWALD_METHODS,
            transport=self.transport,
        )
        add_in_own_group(system, force)


def create_hybrid_system(
    mm_system: openmm.System,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    model: Potential,
    *,
    coupling: Mechanical | None = None,
) -> openmm.System:
    """Return a new system in which a region is described by a network potential.

    The network's force is named ``"NNP"`` and has a force group of its own. The MM system is not
    changed. Atomic self energies are not part of the energy.

    Args:
        mm_system: a complete MM system from any source, with charges and Lennard-Jones
            parameters on the region's atoms.
        topology: the topology that it was made from, with elements.
        region: 0-based indices of the region's atoms.
        model: the potential, for example from `nnpmm.load_model`.
        coupling: how region and rest interact; mechanical embedding by default.

    Raises:
        InputFileError: topology and system differ in their number of atoms.
        RegionError: the region is empty, cuts a bond, or the model cannot describe it.
        ForceFieldError: the system holds a force that cannot be coupled, or lacks parameters.
        ModelError: the model does not exist in the form that the coupling's transport needs.
        OptionalDependencyError: that transport's package is not installed.
    """
    if topology.getNumAtoms() != mm_system.getNumParticles():
        raise InputFileError(
            f"the topology has {topology.getNumAtoms()} atoms, the system "
            f"{mm_system.getNumParticles()} particles; give the topology that the system was "
            "made from"
        )
    atoms = np.unique(np.asarray(region, dtype=np.int64))
    if atoms.size == 0 or atoms[0] < 0 or atoms[-1] >= mm_system.getNumParticles():
        raise RegionError(
            f"the region's indices must lie in 0..{mm_system.getNumParticles() - 1} and be at "
            "least one"
        )
    system = copy.deepcopy(mm_system)
    (coupling or Mechanical()).couple(system, topology, atoms, model)
    return system


def _refuse_unknown_forces(system: openmm.System) -> None:
    known = (*BONDED, *_UNTOUCHED, openmm.NonbondedForce)
    for force in system.getForces():
        if type(force) not in known:
            raise ForceFieldError(
                f"found a {type(force).__name__} named {force.getName()!r}, which mechanical "
                "embedding "
                f"does not support; supported: {', '.join(kind.__name__ for kind in known)}"
            )


def _nonbonded_force(system: openmm.System) -> openmm.NonbondedForce:
    found = [f for f in system.getForces() if type(f) is openmm.NonbondedForce]
    if len(found) != 1:
        raise ForceFieldError(
            f"found {len(found)} NonbondedForces, expected one with charges and Lennard-Jones "
            "parameters for every atom"
        )
    return found[0]


def _region_bonds(
    system: openmm.System, topology: Topology, region: NDArray[np.int64]
) -> set[tuple[int, int]]:
    """Bonded pairs inside the region, from topology, bonds and constraints; none may be cut."""
    pairs = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
    for force in system.getForces():
        if type(force) is openmm.HarmonicBondForce:
            pairs += [tuple(force.getBondParameters(i)[:2]) for i in range(force.getNumBonds())]
    pairs += [
        tuple(system.getConstraintParameters(i)[:2]) for i in range(system.getNumConstraints())
    ]
    members = set(region.tolist())
    cut = sorted({tuple(sorted(p)) for p in pairs if (p[0] in members) != (p[1] in members)})
    if cut:
        names = [atom_label(atom) for atom in topology.atoms()]
        listed = ", ".join(f"{names[i]}-{names[j]}" for i, j in cut[:5])
        raise RegionError(
            f"the region cuts {len(cut)} covalent bond{'s' if len(cut) > 1 else ''} ({listed}"
            f"{', ...' if len(cut) > 5 else ''}); select whole molecules"
        )
    return {(min(p), max(p)) for p in pairs if p[0] in members}


def _release_constraints(system: openmm.System, region: NDArray[np.int64]) -> None:
    members = set(region.tolist())
    for index in reversed(range(system.getNumConstraints())):
        if system.getConstraintParameters(index)[0] in members:
            system.removeConstraint(index)
