"""The longest time step that a hybrid system allows, and the masses that a longer one needs.

Two motions determine it. Around the region, bonds to hydrogen and the other bonded terms of the
force field decide, and the limits are those in general use. Inside the region the network's fastest
vibration decides: its period must contain a number of steps that was measured on molecules with
C=O, C=C, C#N, C#C, S=O, nitro and azide groups (benchmarks/time_steps.py). Both limits apply to
configurational averages under a Langevin thermostat. Without a thermostat, the total energy at the
limit fluctuates by a few per cent of the kinetic energy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import openmm
from numpy.typing import ArrayLike
from openmm import unit
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.geometry import WholeRegion
from nnpmm.core.units import in_md_units
from nnpmm.coupling.binding import Region, bind_region
from nnpmm.coupling.link_atoms import LinkAtoms
from nnpmm.coupling.roles import Role, role_of
from nnpmm.coupling.terms import BONDED
from nnpmm.integrators.vibrations import Vibration, fastest_vibration
from nnpmm.models.protocol import Evaluator, Potential
from nnpmm.structures.bonds import constrained_pairs, constrained_rows
from nnpmm.structures.selection import atom_label

__all__ = [
    "LIGHT_HYDROGEN",
    "STEPS_PER_PERIOD",
    "RegionMotion",
    "TimestepLimit",
    "bound_region_motion",
    "longest_timestep",
    "region_limit",
    "region_motion",
    "surroundings_limit",
]

#: Steps per period of the region's fastest vibration, by whether its bonds to hydrogen are free:
#: the fewest of 4, 4.5, 5, 6 and 7 with which no run of benchmarks/time_steps.py that started at a
#: minimum blew up are 5 and 6; with free bonds one is added as a margin.
STEPS_PER_PERIOD = {"constrained": 5.0, "free": 7.0}
#: amu. Hydrogens below it count as light; repartitioned ones commonly have 3 amu.
LIGHT_HYDROGEN = 2.9
# ps. No longer step has been validated (benchmarks/respa_faithful.py).
_LONGEST = 0.005

Cause = Literal[
    "free hydrogen",
    "light hydrogen",
    "bonded terms",
    "vibration",
    "free vibration",
    "not validated",
]


@dataclass(frozen=True)
class TimestepLimit:
    """A longest time step.

    Attributes:
        longest: ps.
        cause: what determines it.
        reason: the same in words, for messages.
    """

    longest: float
    cause: Cause
    reason: str


@dataclass(frozen=True)
class RegionMotion:
    """What decides how long a time step a region allows.

    Attributes:
        vibration: the fastest one, with the masses and constraints of the system.
        atoms: labels of the two atoms whose distance changes most in it.
        free_hydrogens: some bond to hydrogen inside the region is not constrained.
    """

    vibration: Vibration
    atoms: tuple[str, str]
    free_hydrogens: bool

    def steps_per_period(self, *, impulse: bool = False) -> float:
        """Return the fewest time steps in a period; see `region_limit` for the argument."""
        return STEPS_PER_PERIOD["free" if self.free_hydrogens and not impulse else "constrained"]

    def scaled(self, mass_factor: float) -> RegionMotion:
        """Return the motion with all masses of the region multiplied by a factor."""
        period = self.vibration.period * math.sqrt(mass_factor)
        return RegionMotion(Vibration(period, self.vibration.pair), self.atoms, self.free_hydrogens)

    def mass_factor(self, timestep: float, steps: float) -> float:
        """Return the smallest mass factor with which a period has a given number of time steps.

        It is 1 or more, and rounded up to hundredths. Periods grow with its square root.

        Args:
            timestep: ps.
            steps: per period.
        """
        needed = (steps * timestep / self.vibration.period) ** 2
        return max(1.0, math.ceil(100 * needed - 1e-6) / 100)


def longest_timestep(
    system: openmm.System,
    topology: Topology,
    region: Iterable[int],
    model: Potential,
    positions: Any,
    *,
    boundary: LinkAtoms | None = None,
) -> TimestepLimit:
    """Return the longest single time step that a hybrid system allows.

    Args:
        system: see `region_motion`, as for all others.
        topology: with elements.
        region: 0-based indices.
        model: the network.
        positions: (n, 3), nm or a Quantity.
        boundary: link atoms of the coupling.

    Raises:
        NnpmmError: see `region_motion`.
    """
    limits = (
        region_limit(region_motion(system, topology, region, model, positions, boundary=boundary)),
        surroundings_limit(system, topology, region),
    )
    return min(limits, key=lambda limit: limit.longest)


def region_motion(
    system: openmm.System,
    topology: Topology,
    region: Iterable[int],
    model: Potential,
    positions: Any,
    *,
    boundary: LinkAtoms | None = None,
) -> RegionMotion:
    """Return the fastest vibration of a region, with the masses and constraints of its system.

    Args:
        system: the hybrid system, with the masses and constraints of the simulation.
        topology: with elements.
        region: 0-based indices of the atoms that the network describes.
        model: the network.
        positions: of all atoms, (n, 3), nm or a Quantity.
        boundary: link atoms of the coupling; None means `LinkAtoms()`.

    Raises:
        RegionError: the model cannot describe the region.
        SimulationError: the network's forces are not finite, or not smooth enough.
    """
    atoms = atom_indices(region, topology.getNumAtoms())
    bound = bind_region(system, topology, atoms, model, boundary=boundary or LinkAtoms())
    coordinates = in_md_units(positions, unit.nanometer)
    return bound_region_motion(system, topology, bound.region, bound.evaluator, coordinates)


def bound_region_motion(
    system: openmm.System,
    topology: Topology,
    region: Region,
    evaluator: Evaluator,
    positions: ArrayLike,
) -> RegionMotion:
    """Return the fastest vibration of a region to which a network is bound already.

    Args:
        system: the hybrid system, with the masses and constraints of the simulation.
        topology: with elements.
        region: of the hybrid system.
        evaluator: the network bound to it.
        positions: of all atoms, (n, 3), nm.

    Raises:
        SimulationError: the network's forces are not finite, or not smooth enough.
    """
    atoms = region.network_atoms
    pairs = constrained_rows(system, atoms)
    masses = np.array([system.getParticleMass(int(atom))._value for atom in atoms])
    masses[masses <= 0] = np.inf  # atoms that do not move
    whole = np.asarray(positions, dtype=np.float64)[atoms]
    box = topology.getPeriodicBoxVectors()
    if box is None and system.usesPeriodicBoundaryConditions():
        box = system.getDefaultPeriodicBoxVectors()
    if box is not None:
        vectors = in_md_units(box, unit.nanometer)
        whole = WholeRegion(len(atoms), region.bonded_rows)(whole, vectors)
    vibration = fastest_vibration(evaluator, whole, masses, pairs)
    all_atoms = list(topology.atoms())
    described = [all_atoms[atom] for atom in atoms]
    free = any(
        atom.element.atomic_number == 1 and row not in pairs for row, atom in enumerate(described)
    )
    first, second = (atom_label(described[row]) for row in vibration.pair)
    return RegionMotion(vibration, (first, second), free)


def region_limit(motion: RegionMotion, *, impulse: bool = False) -> TimestepLimit:
    """Return the longest time step that a region's fastest vibration allows.

    Args:
        motion: of the region.
        impulse: the step is that of RESPA's slow forces, whose inner forces have shorter steps.
    """
    period, steps = motion.vibration.period, motion.steps_per_period(impulse=impulse)
    reason = (
        f"the region's fastest vibration ({'-'.join(motion.atoms)}, {1000 * period:.1f} fs) needs "
        f"at least {steps:g} steps per period"
    )
    cause: Cause = "free vibration" if motion.free_hydrogens else "vibration"
    return TimestepLimit(period / steps, cause, reason)


def surroundings_limit(
    system: openmm.System, topology: Topology, region: Iterable[int] = (), *, impulse: bool = False
) -> TimestepLimit:
    """Return the longest time step that the atoms outside a region allow.

    1 fs with free hydrogens lighter than 2.9 amu, 2 fs with heavier ones or with every bond to
    hydrogen constrained, 4 fs with constrained hydrogens of 2.9 amu or more (Feenstra, Hess,
    Berendsen, J. Comput. Chem. 1999, 20, 786; Hopkins et al., J. Chem. Theory Comput. 2015, 11,
    1864). Rigid water may keep its masses. 5 fs where nothing but rigid molecules and ions
    surrounds the region (benchmarks/respa_faithful.py). For the slow forces of RESPA these limits
    are 2, 3, 4 and 5 fs.

    Args:
        system: the MM or the hybrid system.
        topology: with elements.
        region: 0-based indices of the atoms that the network describes.
        impulse: the step is that of RESPA's slow forces, whose inner forces have shorter steps.
    """
    inside = set(atom_indices(region, topology.getNumAtoms(), may_be_empty=True).tolist())
    constraints = dict.fromkeys(range(system.getNumParticles()), 0)
    for pair in constrained_pairs(system):
        for atom in pair:
            constraints[atom] += 1
    limits = [_heavy_atom_limit(system)]
    for atom in topology.atoms():
        index, element = atom.index, atom.element
        if element is None or element.atomic_number != 1 or index in inside:
            continue
        mass = system.getParticleMass(index).value_in_unit(unit.dalton)
        # A hydrogen with two constraints belongs to a rigid molecule, whose masses do not matter.
        if mass > 0 and constraints[index] < 2:
            constrained = bool(constraints[index])
            limits.append(_hydrogen_limit(atom_label(atom), mass, constrained, impulse))
    return min(limits, key=lambda limit: limit.longest)


def _hydrogen_limit(label: str, mass: float, constrained: bool, impulse: bool) -> TimestepLimit:
    light = mass < LIGHT_HYDROGEN
    name = f"the hydrogen {label} of {mass:.3f} amu"
    if not constrained:
        longest = (0.001 if light else 0.002) + (0.001 if impulse else 0.0)
        return TimestepLimit(longest, "free hydrogen", f"{name} moves without a constraint")
    if light:
        longest = 0.003 if impulse else 0.002
        return TimestepLimit(longest, "light hydrogen", f"{name} is constrained and light")
    return TimestepLimit(0.004, "bonded terms", f"{name} is part of a flexible molecule")


def _heavy_atom_limit(system: openmm.System) -> TimestepLimit:
    """Return the limit of a system without hydrogens: bonded terms of the force field, or none."""
    bonded = any(
        getattr(force, f"getNum{BONDED[type(force)]}")()
        for force in system.getForces()
        if type(force) in BONDED and role_of(force) is not Role.CONNECTIVITY
    )
    if bonded:
        reason = "flexible molecules surround the region"
        return TimestepLimit(0.004, "bonded terms", reason)
    reason = "no longer time step has been validated"
    return TimestepLimit(_LONGEST, "not validated", reason)
