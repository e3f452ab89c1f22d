"""One ladder of one potential: coupled, made alchemical, equilibrated, and sampled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from nnpmm.core.errors import SimulationError
from nnpmm.core.platforms import choose_platform
from nnpmm.coupling import Mechanical, couple
from nnpmm.freeenergy.alchemy import decouple, decoupling_schedule
from nnpmm.freeenergy.solvation.settings import PotentialName, SolvationSettings
from nnpmm.integrators import bound_region_motion, choose_mass_factor, scale_masses
from nnpmm.models import load_model
from nnpmm.models.ani.threads import thread_count
from nnpmm.sampling import ExchangeRecord, ExchangeSettings, ReplicaExchange, separate_groups
from nnpmm.structures import MMSystem

__all__ = ["Report", "create_alchemical_system", "sample_leg"]

#: Is told what is being done, how much of it is done, and how much there is.
Report = Callable[[str, int, int], None]

_BAROSTAT_INTERVAL = 25  # steps
# What may change when a calculation goes on.
_MAY_CHANGE = {"potentials", "repeats", "platform", "threads", "ladder"}
_CHUNK = 1000  # steps between two reports
_MINIMIZATION_TOLERANCE = 50.0  # kJ/mol/nm; enough to part atoms of a built box


def create_alchemical_system(
    settings: SolvationSettings, box: MMSystem, potential: PotentialName
) -> openmm.System:
    """Return the System of a ladder, with masses that the time step allows.

    Args:
        settings: of the calculation.
        box: the solvated solute.
        potential: what describes the inside of the solute.

    Raises:
        NnpmmError: the network or the coupling is not usable, or the time step is too long.
    """
    assert box.ligand_atoms is not None  # the box was built around it
    if potential == "force field":
        system = decouple(box.system, box.ligand_atoms)
    else:
        model = load_model(settings.model, settings.members, threads=settings.threads)
        coupling = Mechanical(constraints="keep")
        hybrid = couple(box.system, box.topology, box.ligand_atoms, model, coupling=coupling)
        motion = bound_region_motion(
            hybrid.system, box.topology, hybrid.region, hybrid.evaluator, box.positions
        )
        factor = choose_mass_factor(motion, "auto", settings.timestep)
        scale_masses(hybrid.system, box.ligand_atoms.tolist(), factor)
        system = decouple(hybrid.system, box.ligand_atoms)
    states = _states(settings)
    separate_groups(system, states[0])
    return system


def sample_leg(
    settings: SolvationSettings,
    box: MMSystem,
    potential: PotentialName,
    repeat: int,
    directory: Path,
    *,
    resume: bool = False,
    report: Report = lambda *_: None,
) -> None:
    """Sample one ladder into its folder, or go on with it.

    Args:
        settings: of the calculation.
        box: the solvated solute.
        potential: what describes the inside of the solute.
        repeat: number of the repeat, from 0; each has random numbers of its own.
        directory: of this ladder.
        resume: go on with what is there.
        report: is told the progress.

    Raises:
        NnpmmError: the folder has another calculation, the system cannot be made, or the
            simulation blew up.
    """
    ladder, seed = settings.ladder, settings.seed + repeat
    steps = max(1, round(ladder.interval / settings.timestep))
    iterations = max(1, round(ladder.time / (steps * settings.timestep)))
    exchange = ExchangeSettings(
        states=_states(settings),
        temperature=settings.temperature,
        timestep=settings.timestep,
        steps=steps,
        n_atoms=box.system.getNumParticles(),
        seed=seed,
        fingerprint=_fingerprint(settings, potential),
    )
    record = ExchangeRecord(directory, exchange, resume=resume)
    system = create_alchemical_system(settings, box, potential)
    barostat = openmm.MonteCarloBarostat(
        settings.pressure * unit.bar, settings.temperature, _BAROSTAT_INTERVAL
    )
    barostat.setRandomNumberSeed(seed)
    system.addForce(barostat)
    simulation = _simulation(settings, box, system, seed)
    sampler = ReplicaExchange(simulation, record)
    if not sampler.restored:
        _equilibrate(settings, sampler, report)
    try:
        sampler.sample(iterations, report=lambda done: report("sampling", done, iterations))
    except openmm.OpenMMException as error:
        raise SimulationError(f"{directory}: sampling ended: {error}") from error


def _states(settings: SolvationSettings) -> tuple[dict[str, float], ...]:
    schedule = decoupling_schedule(settings.ladder.electrostatics, settings.ladder.sterics)
    return tuple(state.parameters for state in schedule)


def _fingerprint(settings: SolvationSettings, potential: PotentialName) -> str:
    """Of everything but what may change when a run goes on: its length, repeats and machine."""
    fixed = settings.model_dump_json(exclude=_MAY_CHANGE)
    return hashlib.sha256(f"{potential} {fixed}".encode()).hexdigest()


def _simulation(
    settings: SolvationSettings, box: MMSystem, system: openmm.System, seed: int
) -> app.Simulation:
    integrator = openmm.LangevinMiddleIntegrator(
        settings.temperature, settings.friction, settings.timestep
    )
    integrator.setRandomNumberSeed(seed)
    integrator.setConstraintTolerance(1e-6)
    thread_count(settings.threads)  # before a context starts so many
    platform, properties = choose_platform(settings.platform, threads=settings.threads)
    simulation = app.Simulation(box.topology, system, integrator, platform, properties)
    if box.box_vectors is not None:
        simulation.context.setPeriodicBoxVectors(*np.asarray(box.box_vectors))
    simulation.context.setPositions(box.positions)
    simulation.context.setVelocitiesToTemperature(settings.temperature, seed)
    return simulation


def _equilibrate(settings: SolvationSettings, sampler: ReplicaExchange, report: Report) -> None:
    """Relax the box at full interaction, then bring one replica into each state."""
    context, step = sampler.simulation.context, settings.timestep
    ladder, count = settings.ladder, len(sampler.states)
    total = round(ladder.equilibration / step)
    sampler.energies.apply(0)
    report("equilibrating", 0, total)
    try:
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMIZATION_TOLERANCE)
        context.setVelocitiesToTemperature(settings.temperature, sampler.record.settings.seed)
        for done in range(0, total, _CHUNK):
            sampler.simulation.integrator.step(min(_CHUNK, total - done))
            report("equilibrating", min(done + _CHUNK, total), total)
        sampler.equilibrate(
            round(ladder.state_equilibration / step),
            lambda done: report("equilibrating states", done, count),
        )
    except openmm.OpenMMException as error:
        raise SimulationError(f"equilibration blew up: {error}") from error
