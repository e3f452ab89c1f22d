"""Subtractive embedding: the whole force field, and a network less the force field in the region.

V = V_FF(all) + V_NNP(R) - V_FF(R alone, without cutoff and box)

(Jaffrelot Inizan et al., Chem. Sci. 2023, 14, 5438). The force field describes all interactions
between region and rest, including their mutual polarization. The correction V_NNP(R) - V_FF(R)
depends only on the region's atoms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.errors import ConfigError
from nnpmm.coupling.binding import BoundRegion, Region, bind_region
from nnpmm.coupling.boundary import release_constraints
from nnpmm.coupling.forces import refuse_earlier_regions
from nnpmm.coupling.interpolation import LAMBDA_NNP
from nnpmm.coupling.roles import Role
from nnpmm.coupling.schemes import Interpolated, MultipleTimeSteps, Replaced, Scheme
from nnpmm.coupling.subtractive_system import bind_force_field
from nnpmm.coupling.terms import VALENCE, connect_region, refuse_missing_terms
from nnpmm.coupling.time_scales import DifferenceEvaluator
from nnpmm.coupling.transports import add_in_own_group, create_region_force
from nnpmm.models.protocol import Potential
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms

__all__ = ["Subtractive"]


@dataclass(frozen=True)
class Subtractive:
    """V_FF(all) + V_NNP(region) - V_FF(region alone), for any force field that OpenMM evaluates.

    The region consists of whole molecules. Its energy in vacuum comes from the same force field,
    extracted from the system: with AMOEBA its valence terms, multipoles with their frames, covalent
    maps and polarization groups, and buffered 14-7 pairs. With fixed charges and without cutoff the
    result is that of `Mechanical`.

    Args:
        constraints: what happens to the MM system's constraints inside the region: ``"none"``
            releases all; ``"keep"`` leaves bonds to hydrogen at their lengths, and releases the
            others.
        inside: `Replaced`; `Interpolated`, with the bracket times the global parameter
            ``lambda_nnp``; or `MultipleTimeSteps`, which lets the bracket have a longer time step
            than the valence terms. The last two need a valence term in place of each constraint
            that is released.

    Raises:
        ConfigError: unknown choice of constraints, or an inner potential: here it is always the
            force field.
    """

    constraints: Literal["none", "keep"] = "none"
    inside: Scheme = field(default_factory=Replaced)

    def __post_init__(self) -> None:
        if self.constraints not in ("none", "keep"):
            raise ConfigError(f"found constraints={self.constraints!r}, allowed: 'none', 'keep'")
        if not isinstance(self.inside, Scheme):
            raise ConfigError(
                f"found inside={self.inside!r}, allowed: Replaced(), Interpolated(), "
                "MultipleTimeSteps()"
            )
        if isinstance(self.inside, MultipleTimeSteps) and self.inside.inner_potential is not None:
            raise ConfigError(
                "found an inner_potential with Subtractive(), whose inner potential is the force "
                "field; allowed: MultipleTimeSteps()"
            )

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> BoundRegion:
        """Turn an MM system into a hybrid one, in place. See `nnpmm.coupling.couple`."""
        shorten_amoeba_terms(system)
        members = set(region.tolist())
        refuse_earlier_regions(system, members)
        bound = bind_region(system, topology, region, potential)
        force_field = bind_force_field(system, bound.region)
        self._release_constraints(system, bound.region)
        connect_region(system, set(bound.region.bonds))
        periodic = system.usesPeriodicBoundaryConditions()
        several = isinstance(self.inside, MultipleTimeSteps)
        force = create_region_force(
            DifferenceEvaluator(bound.evaluator, force_field),
            atoms=bound.region.atoms,
            bonds=bound.region.bonded_rows,
            periodic=periodic,
            exact_to_half_box=periodic,
            weight=LAMBDA_NNP if isinstance(self.inside, Interpolated) else None,
            role=Role.NETWORK_LESS_FORCE_FIELD if several else Role.NETWORK,
        )
        add_in_own_group(system, force)
        return bound

    def _release_constraints(self, system: openmm.System, region: Region) -> None:
        """Remove the region's constraints according to ``constraints``, in place."""
        members, hydrogens = set(region.atoms.tolist()), region.hydrogens
        released = release_constraints(system, members, hydrogens, keep=self.constraints == "keep")
        if not isinstance(self.inside, Replaced):
            terms = [force for force in system.getForces() if type(force) in VALENCE]
            refuse_missing_terms(released, terms, bonds=set(region.bonds), hydrogens=hydrogens)
