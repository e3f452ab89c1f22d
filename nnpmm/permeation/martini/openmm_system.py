"""A Martini system as an ``openmm.System``.

Martini's matrix of interactions follows no combination rule. It is written as a sum over its
eigenvectors, whose terms are products of per-particle parameters,

    C6(a, b) = sum over k of lambda_k v_k(a) v_k(b), and likewise for C12.

This takes half of the time of a lookup in a table of pairs.
"""

from __future__ import annotations

import math

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.permeation.martini.engines import (
    CUTOFF,
    RELATIVE_PERMITTIVITY,
    SWITCH_DISTANCE,
    Restraint,
)
from nnpmm.permeation.martini.force_field import interaction
from nnpmm.permeation.martini.pair_energy import force_switch_constants
from nnpmm.permeation.martini.system import MartiniSystem

__all__ = ["FORCE_GROUPS", "create_openmm_system"]

#: Force groups of the terms; one force contains both non-bonded terms unless they are split.
FORCE_GROUPS = {"bonds": 0, "angles": 1, "lennard_jones": 2, "coulomb": 3, "restraint": 4}

_NEGLIGIBLE = 1e-12  # of the largest eigenvalue


def create_openmm_system(
    system: MartiniSystem,
    box: NDArray[np.float64],
    *,
    restraint: Restraint | None = None,
    split_nonbonded: bool = False,
) -> openmm.System:
    """Create an ``openmm.System`` without barostat.

    Args:
        system: beads, bonds and angles.
        box: (3,) edges, nm.
        restraint: of the solute's height above the lipids, if any.
        split_nonbonded: put Lennard-Jones and Coulomb terms into separate forces. This is slower,
            but gives both energies.
    """
    openmm_system = openmm.System()
    openmm_system.setDefaultPeriodicBoxVectors(*np.diag(box).tolist())
    for mass in system.masses:
        openmm_system.addParticle(float(mass))
    _add_bonded(openmm_system, system)
    lj, rf = _lennard_jones_expression(system), _coulomb_expression()
    if split_nonbonded:
        _add_pairs(openmm_system, system, lj[0], lj[1], FORCE_GROUPS["lennard_jones"])
        charges = {"q": _scaled_charges(system)}
        _add_pairs(openmm_system, system, rf, charges, FORCE_GROUPS["coulomb"])
    else:
        expression = lj[0].replace(";", f"+{rf};", 1)
        parameters = lj[1] | {"q": _scaled_charges(system)}
        _add_pairs(openmm_system, system, expression, parameters, FORCE_GROUPS["lennard_jones"])
    _add_field_corrections(openmm_system, system)
    if restraint is not None:
        _add_restraint(openmm_system, system, restraint)
    openmm_system.addForce(openmm.CMMotionRemover(100))
    return openmm_system


def _add_bonded(openmm_system: openmm.System, system: MartiniSystem) -> None:
    bonds = openmm.HarmonicBondForce()
    for i, j, length, constant in system.bonds:
        bonds.addBond(i, j, length, constant)
    angles = openmm.CustomAngleForce("0.5*k*(cos(theta)-c0)^2")
    angles.addPerAngleParameter("k")
    angles.addPerAngleParameter("c0")
    for i, j, k, degrees, constant in system.angles:
        angles.addAngle(i, j, k, [constant, math.cos(math.radians(degrees))])
    for force, group in ((bonds, "bonds"), (angles, "angles")):
        force.setUsesPeriodicBoundaryConditions(True)
        force.setForceGroup(FORCE_GROUPS[group])
        openmm_system.addForce(force)


def _scaled_charges(system: MartiniSystem) -> NDArray[np.float64]:
    return system.charges * math.sqrt(COULOMB_CONSTANT / RELATIVE_PERMITTIVITY)


def _switched(power: int) -> str:
    a, b, c = force_switch_constants(power)
    return f"(r^(-{power})-({a / 3.0!r})*d^3-({b / 4.0!r})*d^4-({c!r}))"


def _coulomb_expression() -> str:
    return f"q1*q2*(1/r+({0.5 / CUTOFF**3!r})*r^2-({1.5 / CUTOFF!r}))"


def _lennard_jones_expression(
    system: MartiniSystem,
) -> tuple[str, dict[str, NDArray[np.float64]]]:
    """Return the force-switched potential, and its (n,) parameters by name."""
    index = {name: n for n, name in enumerate(system.type_names)}
    rows = np.array([index[name] for name in system.types])
    sums, parameters = {}, {}
    for power in (6, 12):
        matrix = np.array(
            [
                [4.0 * e * s**power for e, s in (interaction(a, b) for b in system.type_names)]
                for a in system.type_names
            ]
        )
        values, vectors = np.linalg.eigh(matrix)
        terms = []
        for n, value in enumerate(values):
            if abs(value) > _NEGLIGIBLE * np.abs(values).max():
                name = f"{'ab'[power == 12]}{n}x"
                parameters[name] = (math.sqrt(abs(value)) * vectors[:, n])[rows]
                terms.append(f"{'-' if value < 0 else '+'}{name}1*{name}2")
        sums[power] = "".join(terms)
    expression = (
        f"({sums[12]})*{_switched(12)}-({sums[6]})*{_switched(6)};d=max(0,r-{SWITCH_DISTANCE})"
    )
    return expression, parameters


def _add_pairs(
    openmm_system: openmm.System,
    system: MartiniSystem,
    expression: str,
    parameters: dict[str, NDArray[np.float64]],
    group: int,
) -> None:
    """Add a non-bonded force that leaves out bonded neighbours."""
    force = openmm.CustomNonbondedForce(expression)
    for name in parameters:
        force.addPerParticleParameter(name)
    for row in np.column_stack(list(parameters.values())).tolist():
        force.addParticle(row)
    for i, j, _, _ in system.bonds:
        force.addExclusion(i, j)
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF)
    force.setForceGroup(group)
    openmm_system.addForce(force)


def _add_field_corrections(openmm_system: openmm.System, system: MartiniSystem) -> None:
    """Add the reaction field of excluded pairs and of charges with themselves, as in GROMACS."""
    charges = _scaled_charges(system)
    field = openmm.CustomBondForce(f"qq*(({0.5 / CUTOFF**3!r})*r^2-({1.5 / CUTOFF!r}))")
    field.addPerBondParameter("qq")
    for i, j, _, _ in system.bonds:
        if charges[i] * charges[j] != 0.0:
            field.addBond(i, j, [charges[i] * charges[j]])
    own = openmm.CustomExternalForce("self")
    own.addPerParticleParameter("self")
    for n in np.flatnonzero(charges).tolist():
        own.addParticle(n, [-0.5 * charges[n] ** 2 * 1.5 / CUTOFF])
    field.setUsesPeriodicBoundaryConditions(True)
    for force in (field, own):
        force.setForceGroup(FORCE_GROUPS["coulomb"])
        openmm_system.addForce(force)


def _add_restraint(
    openmm_system: openmm.System, system: MartiniSystem, restraint: Restraint
) -> None:
    force = openmm.CustomCentroidBondForce(2, "0.5*k*(z2-z1-z0)^2")
    force.addGlobalParameter("k", restraint.force_constant)
    force.addGlobalParameter("z0", restraint.z)
    force.addGroup(system.select("lipid").tolist())
    force.addGroup(system.select("solute").tolist())
    force.addBond([0, 1], [])
    force.setForceGroup(FORCE_GROUPS["restraint"])
    openmm_system.addForce(force)
