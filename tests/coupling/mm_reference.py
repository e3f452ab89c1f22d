"""Internal energy of a region in the force field, summed term by term: a slow reference."""

from __future__ import annotations

import numpy as np
import openmm
from openmm import unit

COULOMB = 138.93545764438198  # kJ/mol nm / e^2, as in OpenMM


def internal_energy(system: openmm.System, region, positions: np.ndarray, hosts=()) -> float:
    """Bonded terms, pairs and 1-4 exceptions inside the region, kJ/mol.

    Args:
        system: an MM system with harmonic bonds and angles, periodic torsions, NonbondedForce.
        region: atom indices; the region must be whole in ``positions``.
        positions: (n, 3) nm of the whole system.
        hosts: atoms outside that link atoms replace. Angles and torsions that are centred on atoms
            of the region and end there belong to the region.
    """
    members = {int(i) for i in region}
    capped = members | {int(i) for i in hosts}
    bonds = bonded_pairs(system)
    energy = 0.0
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for i in range(force.getNumBonds()):
                a, b, r0, k = _plain(force.getBondParameters(i))
                if members >= {a, b}:
                    energy += 0.5 * k * (_distance(positions, a, b) - r0) ** 2
        elif isinstance(force, openmm.HarmonicAngleForce):
            for i in range(force.getNumAngles()):
                a, b, c, theta0, k = _plain(force.getAngleParameters(i))
                if b in members and capped >= {a, c}:
                    energy += 0.5 * k * (_angle(positions, a, b, c) - theta0) ** 2
        elif isinstance(force, openmm.PeriodicTorsionForce):
            for i in range(force.getNumTorsions()):
                a, b, c, d, n, phase, k = _plain(force.getTorsionParameters(i))
                # Amber's impropers have their centre, and proper torsions an inner atom, as third.
                improper = frozenset((a, b)) not in bonds
                if capped >= {a, b, c, d} and c in members and (improper or b in members):
                    energy += k * (1 + np.cos(n * _dihedral(positions, a, b, c, d) - phase))
        elif isinstance(force, openmm.NonbondedForce):
            energy += _pairs(force, sorted(members), positions)
    return energy


def bonded_pairs(system: openmm.System) -> set[frozenset[int]]:
    """Return the pairs of atoms that a HarmonicBondForce or a constraint joins."""
    pairs = [system.getConstraintParameters(i)[:2] for i in range(system.getNumConstraints())]
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            pairs += [force.getBondParameters(i)[:2] for i in range(force.getNumBonds())]
    return set(map(frozenset, pairs))


def _pairs(force: openmm.NonbondedForce, members: list[int], positions: np.ndarray) -> float:
    exceptions = {}
    for i in range(force.getNumExceptions()):
        a, b, qq, sigma, epsilon = _plain(force.getExceptionParameters(i))
        exceptions[min(a, b), max(a, b)] = (qq, sigma, epsilon)
    charge, sigma, epsilon = np.array(
        [_plain(force.getParticleParameters(i)) for i in members]
    ).T.reshape(3, -1)
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    method = force.getNonbondedMethod()
    cut = method != openmm.NonbondedForce.NoCutoff
    reaction_field = method in (
        openmm.NonbondedForce.CutoffPeriodic,
        openmm.NonbondedForce.CutoffNonPeriodic,
    )
    dielectric = force.getReactionFieldDielectric()
    krf = (dielectric - 1) / (2 * dielectric + 1) / cutoff**3
    crf = 3 * dielectric / (2 * dielectric + 1) / cutoff
    energy = 0.0
    for x, a in enumerate(members):
        for y, b in enumerate(members[:x]):
            r = _distance(positions, a, b)
            if (b, a) in exceptions:
                qq, s, e = exceptions[b, a]
                energy += COULOMB * qq / r + _lennard_jones(r, s, e)
                continue
            qq = charge[x] * charge[y]
            s, e = 0.5 * (sigma[x] + sigma[y]), np.sqrt(epsilon[x] * epsilon[y])
            inside = r < cutoff or not cut
            if reaction_field:
                energy += COULOMB * qq * (1 / r + krf * r**2 - crf) if inside else 0.0
            else:
                energy += COULOMB * qq / r
            energy += _lennard_jones(r, s, e) if inside else 0.0
    return energy


def _lennard_jones(r, sigma, epsilon):
    return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6) if epsilon else 0.0


def _plain(parameters):
    return [
        p.value_in_unit_system(unit.md_unit_system) if unit.is_quantity(p) else p
        for p in parameters
    ]


def _distance(x, a, b):
    return np.linalg.norm(x[b] - x[a])


def _angle(x, a, b, c):
    u, v = x[a] - x[b], x[c] - x[b]
    return np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))


def _dihedral(x, a, b, c, d):
    b1, b2, b3 = x[b] - x[a], x[c] - x[b], x[d] - x[c]
    n1, n2 = np.cross(b1, b2), np.cross(b2, b3)
    return np.arctan2(np.linalg.norm(b2) * (b1 @ n2), n1 @ n2)
