"""Mechanical embedding: the network inside the region, the force field between region and rest."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.errors import ConfigError
from nnpmm.coupling.binding import BoundRegion, Region, bind_region
from nnpmm.coupling.boundary import attached_sites, release_constraints
from nnpmm.coupling.capped_terms import CappedTerms
from nnpmm.coupling.custom_pairs import exclude_custom_pairs, region_custom_pairs
from nnpmm.coupling.forces import check_forces, find_nonbonded_force
from nnpmm.coupling.interpolation import LAMBDA_NNP, create_region_mm_force
from nnpmm.coupling.link_atoms import LinkAtoms
from nnpmm.coupling.nonbonded import EWALD_METHODS, exclude_region_pairs
from nnpmm.coupling.pairs import region_pairs
from nnpmm.coupling.region_charge import shift_charges
from nnpmm.coupling.roles import Role
from nnpmm.coupling.schemes import Interpolated, MultipleTimeSteps, Replaced, Scheme
from nnpmm.coupling.terms import connect_region, refuse_missing_terms, take_out_terms
from nnpmm.coupling.time_scales import DifferenceEvaluator, InnerTerms, create_negated_force
from nnpmm.coupling.transports import add_in_own_group, check_transport, create_region_force
from nnpmm.models.protocol import Potential
from nnpmm.structures.bonds import covalent_bonds

__all__ = ["Mechanical"]


@dataclass(frozen=True)
class Mechanical:
    """Mechanical embedding (Lahey and Rowley, Chem. Sci. 2020, 11, 2362; Galvelis et al., 2022).

    V = V_NNP(region) + V_MM(rest) + sum over region atoms i and other atoms j of the force field's
    Coulomb and Lennard-Jones terms. The network describes every bonded term and every pair inside
    the region.

    Args:
        transport: the force that calls the network: ``"python"`` (OpenMM's PythonForce),
            ``"torchscript"`` (openmm-torch's TorchForce) or ``"torch"`` (its PythonTorchForce).
        constraints: what happens to the MM system's constraints inside the region: ``"none"``
            releases all; ``"keep"`` leaves bonds to hydrogen at their lengths, for longer time
            steps, and releases the others.
        boundary: `LinkAtoms` cap the region where it cuts single bonds; otherwise a cut bond is
            an error.
        inside: what describes the region: `Replaced`, `Interpolated` or `MultipleTimeSteps`.

    Raises:
        ConfigError: no such transport or choice of constraints, an argument of another kind, or
            link atoms that shift charges with `Interpolated`.
    """

    transport: str = "python"
    constraints: Literal["none", "keep"] = "none"
    boundary: LinkAtoms | None = None
    inside: Scheme = field(default_factory=Replaced)

    def __post_init__(self) -> None:
        check_transport(self.transport)
        if self.constraints not in ("none", "keep"):
            raise ConfigError(f"found constraints={self.constraints!r}, allowed: 'none', 'keep'")
        if not isinstance(self.boundary, (LinkAtoms, type(None))):
            raise ConfigError(f"found boundary={self.boundary!r}, allowed: None, LinkAtoms()")
        if not isinstance(self.inside, Scheme):
            raise ConfigError(
                f"found inside={self.inside!r}, allowed: Replaced(), Interpolated(), "
                "MultipleTimeSteps()"
            )
        shifted = self.boundary is not None and self.boundary.charges == "shift"
        if shifted and isinstance(self.inside, Interpolated):
            raise ConfigError(
                "found LinkAtoms(charges='shift') with Interpolated(), whose lambda_nnp = 0 would "
                "not be the force field; allowed: charges='keep'"
            )

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> BoundRegion:
        """Turn an MM system into a hybrid one, in place. See `nnpmm.coupling.couple`."""
        check_forces(system, set(region.tolist()))
        bind = functools.partial(bind_region, system, topology, region, boundary=self.boundary)
        bound = bind(potential)
        inner_network = self.inside.network if isinstance(self.inside, MultipleTimeSteps) else None
        inner = None if inner_network is None else bind(inner_network).evaluator
        if self.boundary is not None and self.boundary.charges == "shift":
            shift_charges(system, bound.region.cut_bonds, bound.region.excess)
        self._take_out_region(system, topology, bound.region)
        connect_region(system, set(bound.region.bonds))
        method = find_nonbonded_force(system).getNonbondedMethod()
        create_force = functools.partial(
            create_region_force,
            atoms=bound.region.network_atoms,
            bonds=bound.region.bonded_rows,
            periodic=system.usesPeriodicBoundaryConditions(),
            exact_to_half_box=method in EWALD_METHODS,
            transport=self.transport,
            weight=LAMBDA_NNP if isinstance(self.inside, Interpolated) else None,
        )
        if inner is None:
            add_in_own_group(system, create_force(bound.evaluator))
        else:
            add_in_own_group(system, create_force(DifferenceEvaluator(bound.evaluator, inner)))
            add_in_own_group(system, create_force(inner, role=Role.INNER_NETWORK))
        return bound

    def _take_out_region(self, system: openmm.System, topology: Topology, region: Region) -> None:
        """Replace what the network describes by the forces inside the region that remain, if any.

        Constraints, bonded terms and pairs inside the region are removed, in place.
        """
        members, hydrogens = set(region.atoms.tolist()), region.hydrogens
        may_cut = bool(region.cut_bonds)
        released = release_constraints(system, members, hydrogens, keep=self.constraints == "keep")
        # Virtual sites of the region interact only with the rest, as its atoms do.
        particles = np.sort(np.concatenate([region.atoms, attached_sites(system, members)]))
        bonds = covalent_bonds(system, topology) if may_cut else ()
        terms = take_out_terms(system, CappedTerms(particles.tolist(), bonds))
        interpolated = isinstance(self.inside, Interpolated)
        pairs = _take_out_pairs(system, particles, may_cut=may_cut, extract=interpolated)
        if isinstance(self.inside, Replaced):
            return
        inner = self.inside.inner_potential if isinstance(self.inside, MultipleTimeSteps) else None
        if inner is None:
            refuse_missing_terms(released, terms, bonds=set(region.bonds), hydrogens=hydrogens)
        else:
            terms = inner.create_forces(region.atoms) if isinstance(inner, InnerTerms) else []
        if interpolated:
            if terms + pairs:
                add_in_own_group(system, create_region_mm_force(terms + pairs))
        elif terms:
            add_in_own_group(system, create_negated_force(terms))
            for term in terms:
                system.addForce(term)


def _take_out_pairs(
    system: openmm.System, particles: NDArray[np.int64], *, may_cut: bool, extract: bool
) -> list[openmm.Force]:
    """Exclude all pairs of some particles, in place; with ``extract`` return forces with them."""
    pairs: list[openmm.Force] = []
    for force in system.getForces():
        if type(force) is openmm.NonbondedForce:
            if extract:
                pairs += region_pairs(force, particles)
            exclude_region_pairs(force, particles, may_cut=may_cut)
        elif type(force) is openmm.CustomNonbondedForce:
            inner = region_custom_pairs(force, particles) if extract else None
            pairs += [inner] if inner is not None else []
            exclude_custom_pairs(force, particles, may_cut=may_cut)
    return pairs
