"""The stages of a run, and the forces, integrator and context of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from openmm.app.topology import Atom

from nnpmm.core.time_steps import count_steps
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.settings.config import EnsembleConfig, ProtocolConfig
from nnpmm.simulation.settings.sampling_config import ExchangeConfig
from nnpmm.simulation.stages.integration import create_integrator
from nnpmm.structures.amoeba_terms import copied_system
from nnpmm.structures.selection import is_water, select_atoms

__all__ = [
    "PRODUCTION",
    "Stage",
    "barostat",
    "constant_from",
    "create_context",
    "create_stage_context",
    "plan_stages",
    "ramp_interval",
    "ramp_temperature",
    "restrained_atoms",
    "restraint_force",
    "solute_atoms",
    "stage_seed",
]

PRODUCTION = "production"
_RAMP_SEGMENTS = 100
# The system lags behind the thermostat, so heating ends with a period of constant temperature.
_RAMP_FRACTION = 0.8


@dataclass(frozen=True)
class Stage:
    """A stretch of dynamics.

    Attributes:
        name: warmup, equilibrate or production.
        index: position in the protocol, for seeds.
        n_steps: its length.
        friction: Langevin collision rate (1/ps).
        start_temperature: where a heating begins (K); None at constant temperature.
        restrained: position restraints act.
        constant_pressure: the barostat acts.
        writes_frames: the trajectory is written.
    """

    name: str
    index: int
    n_steps: int
    friction: float = 1.0
    start_temperature: float | None = None
    restrained: bool = False
    constant_pressure: bool = False
    writes_frames: bool = False


def plan_stages(settings: ProtocolConfig) -> list[Stage]:
    """Return the stages of dynamics in their order."""
    plan, dt = [], settings.timestep
    npt = settings.ensemble.type == "NPT"
    warmup = settings.stages.warmup
    if warmup is not None:
        steps = count_steps(warmup.length, dt)
        plan.append(
            Stage("warmup", 0, steps, warmup.friction, warmup.start_temperature, restrained=True)
        )
    friction = settings.ensemble.friction
    if settings.stages.equilibrate is not None:
        steps = count_steps(settings.stages.equilibrate.length, dt)
        plan.append(Stage("equilibrate", 1, steps, friction, constant_pressure=npt))
    if settings.stages.production is not None:
        steps = count_steps(settings.stages.production.length, dt)
        frames = not isinstance(settings.sampling, ExchangeConfig)  # whose replicas write their own
        plan.append(
            Stage(PRODUCTION, 2, steps, friction, constant_pressure=npt, writes_frames=frames)
        )
    return plan


def stage_seed(seed: int, stage: Stage, purpose: int) -> int:
    """Return a separate seed for each stage and purpose; 0 would mean a random one to OpenMM."""
    state = np.random.SeedSequence([seed, stage.index, purpose]).generate_state(1)[0]
    return int(state) % (2**31 - 2) + 1


def ramp_temperature(stage: Stage, step: int, final: float) -> float:
    """Return the thermostat's temperature (K) at a step of a stage; heating has 100 equal steps."""
    ramp_steps = constant_from(stage)
    if stage.start_temperature is None or step >= ramp_steps:
        return final
    segments = min(_RAMP_SEGMENTS, ramp_steps)
    stair = step * segments // ramp_steps
    fraction = stair / (segments - 1) if segments > 1 else 1.0
    return stage.start_temperature + (final - stage.start_temperature) * fraction


def constant_from(stage: Stage) -> int:
    """Return the step of a stage from which on the thermostat's temperature is the final one."""
    return 0 if stage.start_temperature is None else math.ceil(_RAMP_FRACTION * stage.n_steps)


def ramp_interval(stage: Stage) -> int:
    """Return the number of steps after which the thermostat's temperature is updated."""
    if stage.start_temperature is None:
        return stage.n_steps
    return max(1, constant_from(stage) // _RAMP_SEGMENTS)


def restrained_atoms(topology: app.Topology, selection: str | None) -> NDArray[np.int64]:
    """Return the atoms that the warm-up restrains.

    Without a selection: the heavy atoms of the solute.
    """
    if selection is not None:
        return np.asarray(select_atoms(topology, selection), dtype=np.int64)
    heavy = [
        atom.index
        for atom in solute_atoms(topology)
        if atom.element is not None and atom.element.atomic_number > 1
    ]
    return np.array(heavy, dtype=np.int64)


def solute_atoms(topology: app.Topology) -> list[Atom]:
    """Return all atoms but those of water and of ions, which are residues of one atom."""
    return [
        atom
        for residue in topology.residues()
        if not is_water(residue) and len(list(residue.atoms())) > 1
        for atom in residue.atoms()
    ]


def restraint_force(
    atoms: NDArray[np.int64],
    reference: NDArray[np.float64],
    force_constant: float,
    *,
    periodic: bool,
) -> openmm.CustomExternalForce:
    r"""Restrain atoms to reference positions: V = k/2 |r - r0|^2, to the nearest image.

    Args:
        atoms: 0-based indices.
        reference: (n_atoms_of_the_system, 3) in nm.
        force_constant: k in kJ/mol/nm^2.
        periodic: the system has periodic boundaries.
    """
    distance = "periodicdistance(x, y, z, x0, y0, z0)^2"
    if not periodic:
        distance = "((x-x0)^2 + (y-y0)^2 + (z-z0)^2)"
    force = openmm.CustomExternalForce(f"0.5*restraint_k*{distance}")
    force.setName("PositionRestraint")
    force.addGlobalParameter("restraint_k", force_constant)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for atom in atoms.tolist():
        force.addParticle(atom, reference[atom].tolist())
    return force


def barostat(ensemble: EnsembleConfig, seed: int) -> openmm.MonteCarloBarostat:
    """Return the Monte Carlo barostat of an NPT ensemble."""
    force = openmm.MonteCarloBarostat(
        ensemble.pressure * unit.bar,
        ensemble.temperature * unit.kelvin,
        ensemble.barostat_interval,
    )
    force.setRandomNumberSeed(seed)
    return force


def create_stage_context(
    prepared: PreparedSystem,
    stage: Stage,
    settings: ProtocolConfig,
    platform: tuple[openmm.Platform, dict[str, str]],
    reference: NDArray[np.float64] | None = None,
    change: Callable[[openmm.System], None] | None = None,
) -> openmm.Context:
    """Return a context with the forces and the integrator of a stage, at the start of the run.

    Args:
        prepared: not changed; a stage with forces or force groups of its own gets a copy of the
            hybrid system.
        stage: which stage.
        settings: of the run.
        platform: platform and its properties.
        reference: (n_atoms, 3) in nm, where restraints hold their atoms.
        change: what sampling adds to a copy of the hybrid system, in place.
    """
    extra: list[openmm.Force] = []
    warmup = settings.stages.warmup
    if stage.restrained and warmup is not None and reference is not None:
        atoms = restrained_atoms(prepared.mm.topology, warmup.restraint)
        constant, periodic = warmup.restraint_force_constant, prepared.mm.box_vectors is not None
        if len(atoms) and constant > 0:
            extra.append(restraint_force(atoms, reference, constant, periodic=periodic))
    if stage.constant_pressure:
        extra.append(barostat(settings.ensemble, stage_seed(settings.seed, stage, 1)))
    several = settings.integrator.type == "respa"  # which sets force groups
    system = prepared.hybrid.system
    if extra or several or change is not None:
        system = copied_system(system)
    for force in extra:
        system.addForce(force)
    if change is not None:
        change(system)
    temperature = ramp_temperature(stage, 0, settings.ensemble.temperature)
    seed = stage_seed(settings.seed, stage, 0)
    integrator = create_integrator(
        system, settings, temperature=temperature, friction=stage.friction, seed=seed
    )
    return create_context(prepared, system, integrator, platform)


def create_context(
    prepared: PreparedSystem,
    system: openmm.System,
    integrator: openmm.Integrator,
    platform: tuple[openmm.Platform, dict[str, str]],
) -> openmm.Context:
    """Return a context with the starting positions and box.

    Args:
        prepared: what a run starts from.
        system: its hybrid system, or a copy with forces of a stage.
        integrator: of the context.
        platform: platform and its properties.
    """
    context = openmm.Context(system, integrator, *platform)
    if prepared.mm.box_vectors is not None:
        context.setPeriodicBoxVectors(*prepared.mm.box_vectors)
    context.setPositions(prepared.mm.positions)
    context.computeVirtualSites()
    return context
