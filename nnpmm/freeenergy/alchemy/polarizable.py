"""A System of AMOEBA in which a region can be decoupled from its environment, in two stages.

With M the energy of permanent multipoles and polarization, W(R, E) the buffered 14-7 pairs of
region R and environment E, and V the whole energy at full interaction, of the force field or of a
hybrid system with `nnpmm.coupling.Subtractive`:

electrostatics: V(le) = V - (1 - le) [M(R + E) - M(R) - M(E)]
sterics:        V(ls) = V - [M(R + E) - M(R) - M(E)] - W(R, E) + soft-core W(R, E; ls)

M(R) is the energy of the region alone in vacuum, as in V_FF(R) of the subtractive coupling. M(E) is
that of the environment, with the region's multipoles and polarizabilities at zero. The region's
internal energy is complete in every state, so (0, 0) is the molecule in vacuum next to the pure
environment, and no vacuum leg is needed. The two stages meet where le = 0 and ls = 1.

Scaling the interaction energy corresponds to a linear path in le. OpenMM's AmoebaMultipoleForce has
no parameter that could scale the multipoles themselves. M(R + E) must not be evaluated where atoms
overlap: closer than about 0.005 nm it falls to -1e10 kJ/mol and less, far below the finite wall of
the buffered 14-7, and such a sample of the second stage would have an infinite weight in the first.
The second stage is therefore a System without M(R + E), and each stage has its own ladder.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.callback import RegionCallback
from nnpmm.coupling.multipoles import find_multipole_force
from nnpmm.coupling.region_charge import CHARGE_ROUNDING
from nnpmm.coupling.subtractive_system import IMPLICIT_SOLVENT, create_region_system
from nnpmm.freeenergy.alchemy.amoeba_tail import create_amoeba_tail
from nnpmm.freeenergy.alchemy.decoupling import refuse_joined
from nnpmm.freeenergy.alchemy.states import LAMBDA_ELECTROSTATICS
from nnpmm.models.openmm_potential import OpenMMPotential
from nnpmm.structures.amoeba_terms import copied_system

__all__ = ["AMOEBA_STERICS", "STAGES", "Stage", "decouple_amoeba", "refuse_net_charge"]

Stage = Literal["electrostatics", "sterics"]
#: The two stages, in the order in which a molecule is decoupled.
STAGES: tuple[Stage, ...] = ("electrostatics", "sterics")
#: Global parameter of OpenMM's soft-core buffered 14-7: 1 is full interaction, 0 none.
AMOEBA_STERICS: str = openmm.AmoebaVdwForce.Lambda()

# le M(R + E) + (1 - le) M(E); a callback adds (1 - le) M(R).
_MIXED = f"{LAMBDA_ELECTROSTATICS}*total+(1-{LAMBDA_ELECTROSTATICS})*environment"
_REFUSED = (*IMPLICIT_SOLVENT, openmm.NonbondedForce, openmm.CustomNonbondedForce)


def decouple_amoeba(
    system: openmm.System,
    region: Iterable[int] | NDArray[Any],
    stage: Stage,
) -> openmm.System:
    """Return a System whose region can be decoupled from its environment, in one of two stages.

    In the stage ``"electrostatics"`` the global parameter `LAMBDA_ELECTROSTATICS` scales the
    interaction between region and environment by multipoles and induced dipoles. A step evaluates
    the multipoles twice. In the stage ``"sterics"`` this interaction is off, and `AMOEBA_STERICS`
    is the parameter of OpenMM's soft core (Jiao et al., Proc. Natl. Acad. Sci. USA 2008, 105, 6290,
    Eq. 2; alpha 0.7, power 5; method Decouple), and the region's contribution to the long-range
    correction is scaled linearly with it. Parameters are 1 in the new System. With PME the region's
    interaction with its own periodic images is scaled too. The region's own buffered 14-7 pairs
    keep the cutoff in every state.

    Args:
        system: AMOEBA, or a hybrid system made of it with `nnpmm.coupling.Subtractive`. It is not
            changed.
        region: 0-based indices of the atoms to decouple, whole molecules; or a mask.
        stage: one of `STAGES`.

    Raises:
        ConfigError: no such stage.
        RegionError: the region cuts a molecule, or has a net charge under PME.
        ForceFieldError: no AMOEBA, implicit solvent, fixed charges together with multipoles, or a
            system with a decoupled region.
    """
    if stage not in STAGES:
        raise ConfigError(f"found the stage {stage!r}, allowed: {', '.join(STAGES)}")
    atoms = atom_indices(region, system.getNumParticles())
    new = copied_system(system)
    _check(new)
    own = np.sort(np.concatenate([atoms, attached_sites(new, set(atoms.tolist()))])).tolist()
    refuse_joined(new, set(own))
    alone = _region_multipoles(new, atoms.tolist(), own)
    refuse_net_charge(new, own)
    if stage == "electrostatics":
        _scale_electrostatics(new, own)
    else:
        _soften(new, own)
    force = openmm.PythonForce(
        _RegionMultipoles(alone, scaled=stage == "electrostatics"),
        {LAMBDA_ELECTROSTATICS: 1.0} if stage == "electrostatics" else {},
    )
    force.setParticles(atoms.tolist())
    force.setName(Role.REGION_MULTIPOLES.value)
    force.setUsesPeriodicBoundaryConditions(alone.periodic)
    new.addForce(force)
    return new


class _RegionMultipoles:
    """Called by OpenMM; returns M(R), or (1 - le) M(R), with forces on the region's atoms.

    Args:
        callback: of M(R).
        scaled: whether the energy is multiplied by 1 - le.
    """

    def __init__(self, callback: RegionCallback, *, scaled: bool) -> None:
        self.callback, self.scaled = callback, scaled

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        weight = 1 - state.getParameters()[LAMBDA_ELECTROSTATICS] if self.scaled else 1.0
        if weight == 0:
            return 0.0, np.zeros_like(state.getPositions(asNumpy=True)._value)
        energy, forces = self.callback(state)
        return weight * energy, weight * forces


def _check(system: openmm.System) -> None:
    """Refuse a System that cannot be decoupled."""
    for force in system.getForces():
        if role_of(force) in (Role.ALCHEMICAL_MULTIPOLES, Role.REGION_MULTIPOLES):
            raise ForceFieldError(_DECOUPLED)
        if isinstance(force, _REFUSED):
            raise ForceFieldError(
                f"found a {type(force).__name__} together with AMOEBA, allowed: multipoles and "
                "buffered 14-7 pairs in explicit solvent, or none"
            )
    multipoles = find_multipole_force(system)
    sterics = [f for f in system.getForces() if type(f) is openmm.AmoebaVdwForce]
    if multipoles is None or len(sterics) != 1:
        raise ForceFieldError(
            f"found {len(sterics)} AmoebaVdwForces and {int(multipoles is not None)} "
            "AmoebaMultipoleForces, expected one of each; for fixed charges use decouple()"
        )
    if sterics[0].getAlchemicalMethod() != openmm.AmoebaVdwForce._None:
        raise ForceFieldError(_DECOUPLED)


_DECOUPLED = (
    "found a system with a decoupled region, allowed: one without; decouple all atoms in one call"
)


def refuse_net_charge(system: openmm.System, region: Iterable[int]) -> None:
    """Refuse a region whose net charge cannot be decoupled, as `decouple_amoeba` does.

    Args:
        system: AMOEBA.
        region: 0-based indices of its particles.

    Raises:
        RegionError: a net charge under PME.
    """
    force = find_multipole_force(system)
    if force is None or force.getNonbondedMethod() != openmm.AmoebaMultipoleForce.PME:
        return
    total = sum(force.getMultipoleParameters(atom)[0]._value for atom in map(int, region))
    if abs(total) > CHARGE_ROUNDING:
        raise RegionError(
            f"the region has a charge of {total:+.3f} e; allowed with AMOEBA: neutral regions, "
            "since the free energy of a net charge under PME depends on the size of the box, and "
            "its correction needs the mean second moment of the solvent's polarizable molecules, "
            "which is not calculated; a force field with fixed charges has the correction"
        )


def _region_multipoles(system: openmm.System, atoms: list[int], own: list[int]) -> RegionCallback:
    """Return M(R) as a function of the positions of the region's atoms.

    Args:
        system: AMOEBA or hybrid, before it is changed.
        atoms: of the region.
        own: these and the virtual sites on them.
    """
    sites = [index for index in own if index not in set(atoms)]
    region = create_region_system(system, [*atoms, *sites])
    for index in reversed(range(region.getNumForces())):
        if type(region.getForce(index)) is not openmm.AmoebaMultipoleForce:
            region.removeForce(index)
    numbers, charge = np.zeros(len(atoms), dtype=np.int64), _rounded_charge(region)
    periodic = system.usesPeriodicBoundaryConditions()
    return RegionCallback(
        OpenMMPotential(region, "multipoles of the region").bind(numbers, charge=charge),
        _bonds(region),
        periodic=periodic,
        exact_to_half_box=periodic,
    )


def _rounded_charge(region: openmm.System) -> int:
    force = find_multipole_force(region)
    assert force is not None
    indices = range(force.getNumMultipoles())
    return round(sum(force.getMultipoleParameters(index)[0]._value for index in indices))


def _bonds(region: openmm.System) -> NDArray[np.int64]:
    """Return the bonds of a region as the covalent maps of its multipoles list them, (m, 2)."""
    force = find_multipole_force(region)
    assert force is not None
    near = openmm.AmoebaMultipoleForce.Covalent12
    pairs = {
        (min(i, j), max(i, j))
        for i in range(force.getNumMultipoles())
        for j in force.getCovalentMap(i, near)
        if not (region.isVirtualSite(i) or region.isVirtualSite(j))
    }
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def _scale_electrostatics(system: openmm.System, own: list[int]) -> None:
    """Replace M(R + E) by le M(R + E) + (1 - le) M(E), in place."""
    index, force = _multipoles(system)
    mixed = openmm.CustomCVForce(_MIXED)
    mixed.addGlobalParameter(LAMBDA_ELECTROSTATICS, 1.0)
    mixed.addCollectiveVariable("total", copy.deepcopy(force))
    environment = copy.deepcopy(force)
    _switch_off(environment, own)
    mixed.addCollectiveVariable("environment", environment)
    mixed.setName(Role.ALCHEMICAL_MULTIPOLES.value)
    mixed.setForceGroup(force.getForceGroup())
    system.removeForce(index)
    system.addForce(mixed)


def _soften(system: openmm.System, own: list[int]) -> None:
    """Remove the region's multipoles and give its buffered 14-7 pairs a soft core, in place."""
    _switch_off(_multipoles(system)[1], own)
    (sterics,) = (f for f in system.getForces() if type(f) is openmm.AmoebaVdwForce)
    tail = create_amoeba_tail(sterics, own, AMOEBA_STERICS)
    sterics.setAlchemicalMethod(openmm.AmoebaVdwForce.Decouple)
    for atom in own:
        parent, sigma, epsilon, reduction, _, kind, scale = sterics.getParticleParameters(atom)
        sterics.setParticleParameters(atom, parent, sigma, epsilon, reduction, True, kind, scale)
    if tail is not None:
        system.addForce(tail)


def _multipoles(system: openmm.System) -> tuple[int, openmm.AmoebaMultipoleForce]:
    """Return the multipoles of a system with their index."""
    return next(
        (index, force)
        for index, force in enumerate(system.getForces())
        if type(force) is openmm.AmoebaMultipoleForce
    )


def _switch_off(force: openmm.AmoebaMultipoleForce, own: list[int]) -> None:
    """Set the multipoles and polarizabilities of some atoms to zero, in place."""
    for atom in own:
        _, dipole, quadrupole, *frame, _ = force.getMultipoleParameters(atom)
        zeros = (0.0, [0.0] * len(dipole), [0.0] * len(quadrupole))
        force.setMultipoleParameters(atom, *zeros, *frame, 0.0)
