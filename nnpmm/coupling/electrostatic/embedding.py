"""Electrostatic embedding: the region's charges follow its geometry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Topology

from nnpmm.core.errors import ConfigError
from nnpmm.core.units import in_md_units
from nnpmm.coupling.binding import BoundRegion
from nnpmm.coupling.callback import RegionCallback, callback_of
from nnpmm.coupling.electrostatic.callback import ElectrostaticCallback, Embedding
from nnpmm.coupling.electrostatic.environment import check_environment, environment_charges
from nnpmm.coupling.electrostatic.scaling import create_embedded_force
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.interpolation import LAMBDA_EMBEDDING
from nnpmm.coupling.mechanical import Mechanical
from nnpmm.coupling.region_charge import charges_of
from nnpmm.coupling.roles import Role, role_of
from nnpmm.coupling.schemes import Replaced, Scheme
from nnpmm.models.charges import BoundCharges, ChargeModel, FunctionCharges, network_charges
from nnpmm.models.protocol import Potential

__all__ = ["Electrostatic"]


@dataclass(frozen=True)
class Electrostatic:
    """Electrostatic embedding: charges q(r) of the region's geometry in its environment's field.

    V = V(mechanical embedding) + lambda sum_i (q_i - q0_i) phi_i, where q0 are the force field's
    charges of the region, which stay in the NonbondedForce, whose Ewald sum describes the long
    range, and phi_i is the potential of the charges around the region within the cutoff. lambda is
    the global parameter ``lambda_electrostatic_embedding``, 1 by default; 0 is mechanical
    embedding. The network itself does not see the charges around it: without ``induction`` the
    region is not polarized.

    Args:
        charges: ``"network"`` for charges that the network predicts, as AIMNet2 does; a charge
            model, such as that of `nnpmm.models.load_emle`; or a function, see
            `nnpmm.models.FunctionCharges`. Their sum is the region's charge.
        induction: include dipoles that the environment within the cutoff induces in the region.
            This requires charges with polarizabilities, such as EMLE's.
        cutoff: of q - q0 with the environment, nm or a Quantity; the pair potential and its first
            two derivatives go to zero there (`reference.pair_potential`). Not used in a system
            whose NonbondedForce has no cutoff. At most half the box.
        constraints: see `nnpmm.coupling.Mechanical`.
        inside: see `nnpmm.coupling.Mechanical`.

    Raises:
        ConfigError: charges of another kind, induction without polarizabilities, or a cutoff that
            is not positive.
    """

    charges: Literal["network"] | ChargeModel | Callable[[NDArray[np.float64]], tuple[Any, Any]]
    induction: bool = False
    cutoff: Any = 1.2
    constraints: Literal["none", "keep"] = "none"
    inside: Scheme = field(default_factory=Replaced)

    def __post_init__(self) -> None:
        Mechanical(constraints=self.constraints, inside=self.inside)
        object.__setattr__(self, "charges", _checked(self.charges))
        if self.induction and not getattr(self.charges, "polarizable", False):
            raise ConfigError(
                f"found induction=True with charges={self.charges!r}, which have no "
                "polarizabilities; allowed: EMLE's charges, or induction=False"
            )
        cutoff = float(in_md_units(self.cutoff, unit.nanometer))
        if not (cutoff > 0 and math.isfinite(cutoff)):
            raise ConfigError(f"found cutoff={self.cutoff!r}, allowed: a positive length, nm")
        object.__setattr__(self, "cutoff", cutoff)

    def couple(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        potential: Potential,
    ) -> BoundRegion:
        """Turn an MM system into a hybrid one, in place. See `nnpmm.coupling.couple`.

        Raises:
            ModelError: charges of a network that has none.
            ForceFieldError: see `check_environment`, `environment_charges`.
            RegionError: see `check_environment`.
        """
        check_environment(system, region)
        around, environment = environment_charges(system, region)
        nonbonded = find_nonbonded_force(system)
        uncut = nonbonded.getNonbondedMethod() == openmm.NonbondedForce.NoCutoff
        fixed = charges_of(nonbonded, region.tolist())
        mechanical = Mechanical(constraints=self.constraints, inside=self.inside)
        bound = mechanical.couple(system, topology, region, potential)
        embedding = Embedding(
            charges=self._bind(bound),
            fixed=fixed,
            environment=environment,
            cutoff=math.inf if uncut else self.cutoff,
            factors=(LAMBDA_EMBEDDING,),
            induction=self.induction,
        )
        _embed(system, embedding, around)
        return bound

    def _bind(self, bound: BoundRegion) -> BoundCharges | None:
        """Return the charges bound to the region, None for those of a network that is called.

        With `Replaced`, the callback evaluates the network and its charges together. Otherwise it
        calls a difference or a weighted network, so the charges need an evaluation of their own.
        """
        if self.charges == "network":
            charges = network_charges(bound.evaluator)  # also checks that the network has charges
            return None if isinstance(self.inside, Replaced) else charges
        assert isinstance(self.charges, ChargeModel)
        numbers = [element.atomic_number for element in bound.region.elements]
        return self.charges.bind(numbers, bound.region.charge)


def _checked(charges: Any) -> Any:
    if charges == "network" or isinstance(charges, ChargeModel):
        return charges
    if callable(charges):
        return FunctionCharges(charges)
    raise ConfigError(
        f"found charges={charges!r}, allowed: 'network', a charge model (EmleCharges), or a "
        "function from positions to charges and their derivatives"
    )


def _embed(system: openmm.System, embedding: Embedding, around: NDArray[np.int64]) -> None:
    """Make the network's force also act on the environment, in place."""
    (index,) = [i for i, force in enumerate(system.getForces()) if role_of(force) is Role.NETWORK]
    mechanical = system.getForce(index)
    region: RegionCallback = callback_of(mechanical)
    force = create_embedded_force(
        ElectrostaticCallback(region, embedding), [*mechanical.getParticles(), *around.tolist()]
    )
    force.setForceGroup(mechanical.getForceGroup())
    force.setUsesPeriodicBoundaryConditions(mechanical.usesPeriodicBoundaryConditions())
    system.removeForce(index)
    system.addForce(force)
