"""A bond that the network makes four times as stiff: a free energy difference that is known."""

from __future__ import annotations

import numpy as np
import openmm
from openmm import app

from nnpmm import create_hybrid_system
from nnpmm.coupling import Interpolated, Mechanical
from nnpmm.models import FunctionModel

KT = 2.4943387854  # kJ/mol at 300 K
K_MM, K_NNP, LENGTH = 4e4, 1.6e5, 0.11


def stiff_bond(positions, numbers, charge):
    """k/2 (r - r0)^2 of the only bond, with the network's force constant."""
    bond = positions[1] - positions[0]
    r = np.linalg.norm(bond)
    pull = K_NNP * (r - LENGTH) / r * bond
    return 0.5 * K_NNP * (r - LENGTH) ** 2, np.array([pull, -pull])


STIFF = FunctionModel(stiff_bond, "stiff bond")


def mm_bond() -> tuple[openmm.System, app.Topology]:
    """Carbon monoxide with the soft bond."""
    topology, system = app.Topology(), openmm.System()
    residue = topology.addResidue("MOL", topology.addChain())
    nonbonded, bonds = openmm.NonbondedForce(), openmm.HarmonicBondForce()
    atoms = []
    for symbol, charge in (("C", 0.1), ("O", -0.1)):
        element = app.Element.getBySymbol(symbol)
        atoms.append(topology.addAtom(symbol, element, residue))
        system.addParticle(element.mass)
        nonbonded.addParticle(charge, 0.3, 0.4)
    topology.addBond(*atoms)
    nonbonded.addException(0, 1, 0.0, 1.0, 0.0)
    bonds.addBond(0, 1, LENGTH, K_MM)
    system.addForce(nonbonded)
    system.addForce(bonds)
    return system, topology


def interpolated_bond() -> openmm.System:
    """The same, interpolated between the two force constants."""
    coupling = Mechanical(inside=Interpolated())
    return create_hybrid_system(*mm_bond(), [0, 1], STIFF, coupling=coupling)


def boltzmann_density(k, r):
    """r^2 exp(-V/kT), not normalised, of the bond length with a force constant."""
    return r**2 * np.exp(-0.5 * k * (r - LENGTH) ** 2 / KT)


def exact_difference() -> float:
    """-kT ln of the ratio of the integrals of r^2 exp(-V/kT), kJ/mol."""
    r = np.linspace(0.05, 0.17, 20001)
    integrals = [np.sum(boltzmann_density(k, r)) for k in (K_MM, K_NNP)]
    return -KT * np.log(integrals[1] / integrals[0])


def samples(rng, k, n):
    """Independent frames (n, 2, 3) of the bond with a force constant, in random directions."""
    r = np.linspace(0.05, 0.17, 20001)
    cumulated = np.cumsum(boltzmann_density(k, r))
    lengths = np.interp(rng.random(n), cumulated / cumulated[-1], r)
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return np.stack([np.zeros((n, 3)), lengths[:, None] * directions], axis=1)
