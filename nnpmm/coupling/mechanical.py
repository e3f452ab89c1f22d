"""Mechanical embedding: the network inside the region, the force field between region and rest."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.atom_indices import atom_indices
from nnpmm.coupling.binding import BoundRegion, bind_region
from nnpmm.coupling.boundary import (
    attached_sites,
    covalent_bonds,
    region_elements,
    release_constraints,
)
from nnpmm.coupling.capped_terms import CappedTerms
from nnpmm.coupling.custom_pairs import exclude_custom_pairs, region_custom_pairs
from nnpmm.coupling.elements import check_masses
from nnpmm.coupling.forces import check_forces, find_nonbonded_force
from nnpmm.coupling.interpolation import LAMBDA_NNP, create_region_mm_force
from nnpmm.coupling.nonbonded import (
    EWALD_METHODS,
    exclude_region_pairs,
)
from nnpmm.coupling.pairs import region_pairs
from nnpmm.coupling.terms import connect_region, refuse_bare_bonds, take_out_terms
from nnpmm.coupling.time_scales import DifferenceEvaluator, InnerTerms, create_negated_force
from nnpmm.coupling.transports import (
    INNER_NNP_FORCE_NAME,
    add_in_own_group,
    check_transport,
    create_region_force,
)
from nnpmm.errors import ConfigError, InputFileError
from nnpmm.models.protocol import Potential

__all__ = ["Mechanical", "create_hybrid_system"]


@dataclass(frozen=True)
class Mechanical:
    """Mechanical embedding (Lahey and Rowley, Chem. Sci. 2020, 11, 2362; Galvelis et al., 2022).

    V = V_NNP(region) + V_MM(rest) + sum over region atoms i and other atoms j of the force field's
    Coulomb and Lennard-Jones terms. Every bonded term and every pair inside the region is the
    network's.

    Args:
        transport: the force that calls the network: ``"python"`` (OpenMM's PythonForce),
            ``"torchscript"`` (openmm-torch's TorchForce) or ``"torch"`` (its PythonTorchForce).
        constraints: what happens to the MM system's constraints inside the region: ``"none"``
            releases all; ``"keep"`` leaves bonds to hydrogen at their lengths, for longer time
            steps, and releases the others.
        interpolate: keep the force field's terms inside the region, weighted with 1 - lambda_nnp,
            and weight the network with lambda_nnp, a global parameter from 0 (MM) to 1 (NNP/MM,
            the default). See `nnpmm.coupling.nnp_derivative`. Needs the python transport.
        link_atoms: cap the region with hydrogens where it cuts single bonds between carbons, see
            `nnpmm.coupling.link_atoms`. Force-field terms with an atom outside the region stay, but
            for angles and torsions that the capped network has as well; charges stay too. Needs
            the python transport. Otherwise a cut bond is an error.
        time_scales: ``"respa"`` lets a stand-in for the network act inside the region, and takes it
            off again beside the network, so that the two can have different time steps
            (`nnpmm.integrators.split_time_scales`); ``"single"`` does not.
        inner_potential: that stand-in: None for the force field's bonded terms inside the region,
            the result of `nnpmm.integrators.fit_inner_potential`, or another network, such as one
            member of an ensemble (needs the python transport).

    Raises:
        ConfigError: no such transport or choice of constraints, or two that do not go together.
    """

    transport: str = "python"
    constraints: Literal["none", "keep"] = "none"
    interpolate: bool = False
    link_atoms: bool = False
    time_scales: Literal["single", "respa"] = "single"
    inner_potential: InnerTerms | Potential | None = None

    def __post_init__(self) -> None:
        check_transport(self.transport)
        if self.constraints not in ("none", "keep"):
            raise ConfigError(f"found constraints={self.constraints!r}, allowed: 'none', 'keep'")
        if self.time_scales not in ("single", "respa"):
            raise ConfigError(f"found time_scales={self.time_scales!r}, allowed: 'single', 'respa'")
        if self.interpolate and self.time_scales == "respa":
            raise ConfigError(
                "found interpolate=True and time_scales='respa'; allowed: one of them, as the fast "
                "terms would have no weight"
            )
        if self.inner_potential is not None and self.time_scales != "respa":
            raise ConfigError("found an inner_potential without time_scales='respa'; give both")
        if not isinstance(self.inner_potential, (InnerTerms, Potential, type(None))):
            raise ConfigError(
                f"found a {type(self.inner_potential).__name__} as inner_potential, allowed: None, "
                "the result of fit_inner_potential, or a model"
            )
        with_python = (self.interpolate, self.link_atoms, self._inner_network)
        if any(with_python) and self.transport != "python":
            raise ConfigError(
                f"found transport={self.transport!r} with interpolate, link_atoms or a network as "
                "inner_potential, allowed: 'python'"
            )

    @property
    def _inner_network(self) -> Potential | None:
        return self.inner_potential if isinstance(self.inner_potential, Potential) else None

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> None:
        """Turn an MM system into a hybrid one, in place. See `create_hybrid_system`."""
        members = set(region.tolist())
        check_forces(system, members)
        bind = functools.partial(bind_region, system, topology, region, link_atoms=self.link_atoms)
        bound = bind(potential)
        inner = None if self._inner_network is None else bind(self._inner_network).evaluator
        self._take_out_region(system, topology, region, bound)
        connect_region(system, set(bound.inner_bonds))
        method = find_nonbonded_force(system).getNonbondedMethod()
        create_force = functools.partial(
            create_region_force,
            atoms=bound.atoms,
            bonds=bound.bonded_rows,
            periodic=system.usesPeriodicBoundaryConditions(),
            exact_to_half_box=method in EWALD_METHODS,
            transport=self.transport,
            weight=LAMBDA_NNP if self.interpolate else None,
        )
        if inner is None:
            add_in_own_group(system, create_force(bound.evaluator))
        else:
            add_in_own_group(system, create_force(DifferenceEvaluator(bound.evaluator, inner)))
            add_in_own_group(system, create_force(inner, name=INNER_NNP_FORCE_NAME))

    def _take_out_region(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        bound: BoundRegion,
    ) -> None:
        """Take the constraints, bonded terms and pairs that are the network's out of the rest."""
        may_cut = bool(bound.cut_bonds)
        bonds = covalent_bonds(system, topology) if may_cut else ()
        hydrogens = {
            atom
            for atom, element in zip(
                region.tolist(), region_elements(topology, region), strict=True
            )
            if element.atomic_number == 1
        }
        released = release_constraints(
            system, set(region.tolist()), hydrogens, keep=self.constraints == "keep"
        )
        # The charge of a virtual site on the region acts on the rest only, as its atoms' do.
        sites = attached_sites(system, set(region.tolist()))
        own = np.sort(np.concatenate([region, sites]))
        terms = take_out_terms(system, CappedTerms(own.tolist(), bonds))
        if isinstance(self.inner_potential, InnerTerms):
            terms = self.inner_potential.create_forces(region)
        elif self._inner_network is not None:
            terms = []
        elif self.interpolate or self.time_scales == "respa":
            inner_bonds = set(bound.inner_bonds)
            refuse_bare_bonds(released, terms, bonds=inner_bonds, hydrogens=hydrogens)
        for force in system.getForces():
            if type(force) is openmm.NonbondedForce:
                if self.interpolate:
                    terms += region_pairs(force, own)
                exclude_region_pairs(force, own, may_cut=may_cut)
            elif type(force) is openmm.CustomNonbondedForce:
                inner = region_custom_pairs(force, own) if self.interpolate else None
                terms += [inner] if inner is not None else []
                exclude_custom_pairs(force, own, may_cut=may_cut)
        if self.interpolate and terms:
            add_in_own_group(system, create_region_mm_force(terms))
        if self.time_scales == "respa" and terms:
            add_in_own_group(system, create_negated_force(terms))
            for term in terms:
                system.addForce(term)


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
    changed. Atomic self energies are not part of the energy. For several regions, each with its own
    model, call this again with the system that it returned.

    Args:
        mm_system: a complete MM system from any source, with charges and Lennard-Jones
            parameters on the region's atoms; or a hybrid system with other regions.
        topology: the topology that it was made from, with elements.
        region: 0-based indices of the region's atoms, or a boolean mask over all atoms.
        model: the potential, for example from `nnpmm.load_model`.
        coupling: how region and rest interact; mechanical embedding by default.

    Raises:
        InputFileError: topology and system differ in their number of atoms, or a mass is not that
            of its element.
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
    check_masses(mm_system, topology)
    atoms = atom_indices(region, mm_system.getNumParticles())
    system = copy.deepcopy(mm_system)
    (coupling or Mechanical()).couple(system, topology, atoms, model)
    return system
