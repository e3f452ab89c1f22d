"""Sampling of one leg: equilibration at one end of the ladder, then replica exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import RegionError, SimulationError
from nnpmm.core.platforms import choose_platform
from nnpmm.coupling import Interpolated, Replaced, couple
from nnpmm.coupling.settings import CouplingConfig, create_coupling
from nnpmm.freeenergy.legs.early_check import iterations_before_check, warn_of_gap
from nnpmm.freeenergy.legs.settings import LegTimes, PotentialName, SamplingSettings
from nnpmm.integrators import (
    bound_region_motion,
    choose_mass_factor,
    create_respa_integrator,
    scale_masses,
    split_time_scales,
)
from nnpmm.models import Potential, find_family, load_model
from nnpmm.models.threads import thread_count
from nnpmm.sampling import ExchangeRecord, ExchangeSettings, ReplicaExchange, separate_groups
from nnpmm.structures import MMSystem

__all__ = [
    "Leg",
    "Report",
    "create_leg_system",
    "create_simulation",
    "load_network",
    "require_network",
    "require_network_of_ions",
    "sample_leg",
]

#: Called with the name of an activity, how much of it is done, and the total.
Report = Callable[[str, int, int], None]

_BAROSTAT_INTERVAL = 25  # steps
_CHUNK = 1000  # steps between two reports
_MINIMIZATION_TOLERANCE = 50.0  # kJ/mol/nm; removes the close contacts of a built box


@dataclass(frozen=True)
class Leg:
    """An alchemical System, where it starts, and the states of its ladder.

    Attributes:
        system: without a barostat.
        mm: the MM system that it was made from, with topology, positions (nm) and box.
        states: values of the global parameters, in the order of the ladder.
        names: of the states, for messages.
        fingerprint: of the System and its settings; a resumed leg must have the same.
        evaluated: further states, in which energies are evaluated but nothing is sampled.
        watch: called with the context after every move of a replica; may raise an error.
        inner_timestep: of the valence terms, ps, with the settings' time step for all others; None
            for one time step.
    """

    system: openmm.System
    mm: MMSystem
    states: tuple[dict[str, float], ...]
    names: tuple[str, ...]
    fingerprint: str
    evaluated: tuple[dict[str, float], ...] = ()
    watch: Callable[[openmm.Context], None] = lambda _: None
    inner_timestep: float | None = None


def create_leg_system(
    settings: SamplingSettings,
    mm: MMSystem,
    potential: PotentialName | Literal["both"],
    regions: Sequence[NDArray[np.int64]] = (),
    *,
    coupling: CouplingConfig | None = None,
) -> openmm.System:
    """Return the System from which an alchemical one is made: the MM system, or a hybrid one.

    The atoms of a hybrid System have masses that allow the time step.

    Args:
        settings: settings of the calculation.
        mm: with the atoms of the ligand.
        potential: describes the internal energy of the ligand; with ``"both"`` the global parameter
            ``lambda_nnp`` goes from the force field (0) to the network (1).
        regions: atoms of several ligands, each its own region; by default those of the ligand.
        coupling: of the region with its surroundings; None for mechanical embedding.

    Raises:
        NnpmmError: the network or the coupling cannot be used, or the time step is too long.
    """
    if potential == "force field":
        return mm.system
    model = load_network(settings)
    inside = Interpolated() if potential == "both" else Replaced()
    how = create_coupling(coupling or CouplingConfig(), constraints="keep", inside=inside)
    system, factors = mm.system, []
    for region in regions or (mm.ligand_atoms,):
        assert region is not None  # the caller's system was built around it
        hybrid = couple(system, mm.topology, region, model, coupling=how)
        motion = bound_region_motion(
            hybrid.system, mm.topology, hybrid.region, hybrid.evaluator, mm.positions
        )
        factors.append((region.tolist(), choose_mass_factor(motion, "auto", settings.timestep)))
        system = hybrid.system
    for atoms, factor in factors:
        scale_masses(system, atoms, factor)
    return system


def load_network(settings: SamplingSettings) -> Potential:
    """Load the network of the settings.

    Args:
        settings: of the calculation. Their threads are those of nnpmm's own kernels; networks of
            other packages choose theirs.

    Raises:
        NnpmmError: see `nnpmm.load_model`.
    """
    _, family = find_family(settings.model)
    threads = settings.threads if "threads" in family.options else None
    return load_model(settings.model, settings.members, threads=threads)


def require_network(settings: SamplingSettings) -> None:
    """Check that the network, if requested, is known, before anything takes time.

    Args:
        settings: settings of the calculation.

    Raises:
        ModelError: no family of networks recognizes its name.
    """
    if "network" in settings.potentials:
        find_family(settings.model)


def require_network_of_ions(settings: SamplingSettings, charge: int) -> None:
    """Check that the network, if requested, supports the charge of a molecule.

    Args:
        settings: settings of the calculation.
        charge: of the molecule, e, not zero.

    Raises:
        RegionError: the network describes neutral molecules only.
        NnpmmError: the network cannot be used.
    """
    if "network" in settings.potentials and load_network(settings).neutral_only:
        raise RegionError(
            f"found a molecule with a charge of {charge:+d} e, but {settings.model} describes only "
            "neutral molecules; use a model that takes charges, such as AIMNet2, or the force "
            "field alone"
        )


def sample_leg(
    settings: SamplingSettings,
    times: LegTimes,
    leg: Leg,
    directory: Path,
    *,
    seed: int,
    from_last: bool = False,
    sampled: tuple[int, ...] | None = None,
    resume: bool = False,
    report: Report = lambda *_: None,
) -> None:
    """Sample one leg into its folder, or continue it.

    After a tenth of the iterations, states that overlap too little are reported in a warning.

    Args:
        settings: settings of the calculation.
        times: how long its states are equilibrated and sampled.
        leg: to sample. Its System is changed: it gets force groups, and a barostat if it has a box.
        directory: of this leg.
        seed: of its random numbers.
        from_last: equilibrate the last state first, and the others in reverse order.
        sampled: the states to sample here, by index; None for all, which exchange replicas.
        resume: continue an existing leg.
        report: called as the leg proceeds.

    Raises:
        NnpmmError: the folder has another calculation, or the simulation blew up.
    """
    steps = max(1, round(times.interval / settings.timestep))
    iterations = max(1, round(times.time / (steps * settings.timestep)))
    exchange = ExchangeSettings(
        states=leg.states,
        evaluated=leg.evaluated,
        sampled=sampled,
        trajectories=settings.trajectories,
        trajectory_every=_frame_interval(settings, steps),
        temperature=settings.temperature,
        timestep=settings.timestep,
        steps=steps,
        n_atoms=leg.system.getNumParticles(),
        seed=seed,
        fingerprint=leg.fingerprint,
    )
    record = ExchangeRecord(directory, exchange, resume=resume)
    inner = leg.inner_timestep
    if inner is None:  # multiple time steps need the groups for themselves
        separate_groups(leg.system, leg.states[0])
    simulation = create_simulation(settings, leg.system, leg.mm, seed, inner_timestep=inner)
    sampler = ReplicaExchange(simulation, record, watch=leg.watch)
    if not sampler.restored:
        _equilibrate(times, sampler, from_last, report)
    early = iterations_before_check(iterations)

    def observe(done: int) -> None:
        report("sampling", done, iterations)
        if done == early and sampled is None:
            warn_of_gap(directory, leg.names)

    try:
        sampler.sample(iterations, report=observe)
    except openmm.OpenMMException as error:
        raise SimulationError(f"{directory}: sampling ended: {error}") from error


def _frame_interval(settings: SamplingSettings, steps: int) -> int:
    """Return the iterations between two frames of the trajectories; 1 without any."""
    if settings.trajectories == "none":
        return 1
    return max(1, round(settings.trajectory_interval / (steps * settings.timestep)))


def create_simulation(
    settings: SamplingSettings,
    system: openmm.System,
    mm: MMSystem,
    seed: int,
    *,
    inner_timestep: float | None = None,
) -> app.Simulation:
    """Return a simulation at constant pressure, with positions, box and velocities.

    Args:
        settings: of the ensemble, the integrator and the machine.
        system: to simulate; it gets a barostat if it has a box.
        mm: with topology, positions and box.
        seed: of barostat, integrator and velocities.
        inner_timestep: see `Leg`.

    Raises:
        ConfigError: the platform is missing or does not work, or the time steps are not multiples
            of each other.
    """
    if mm.box_vectors is not None:
        barostat = openmm.MonteCarloBarostat(
            settings.pressure * unit.bar, settings.temperature, _BAROSTAT_INTERVAL
        )
        barostat.setRandomNumberSeed(seed)
        system.addForce(barostat)
    integrator: openmm.Integrator
    if inner_timestep is None:
        integrator = openmm.LangevinMiddleIntegrator(
            settings.temperature, settings.friction, settings.timestep
        )
    else:
        splitting = split_time_scales(system, inner=inner_timestep, outer=settings.timestep)
        integrator = create_respa_integrator(
            system, splitting, temperature=settings.temperature, friction=settings.friction
        )
    integrator.setRandomNumberSeed(seed)
    integrator.setConstraintTolerance(1e-6)
    thread_count(settings.threads)  # check the number before a context starts so many threads
    platform, properties = choose_platform(settings.platform, threads=settings.threads)
    simulation = app.Simulation(mm.topology, system, integrator, platform, properties)
    if mm.box_vectors is not None:
        simulation.context.setPeriodicBoxVectors(*np.asarray(mm.box_vectors))
    simulation.context.setPositions(mm.positions)
    simulation.context.setVelocitiesToTemperature(settings.temperature, seed)
    return simulation


def _equilibrate(
    times: LegTimes, sampler: ReplicaExchange, from_last: bool, report: Report
) -> None:
    """Relax the box in the first or the last state, then bring one replica into each state."""
    context, exchange = sampler.simulation.context, sampler.record.settings
    step, count = exchange.timestep, len(sampler.replicaStateIndex)
    total = round(times.equilibration / step)
    sampler.energies.apply(len(exchange.states) - 1 if from_last else 0)
    report("equilibrating", 0, total)
    try:
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMIZATION_TOLERANCE)
        context.setVelocitiesToTemperature(exchange.temperature, exchange.seed)
        for done in range(0, total, _CHUNK):
            sampler.simulation.integrator.step(min(_CHUNK, total - done))
            report("equilibrating", min(done + _CHUNK, total), total)
        sampler.equilibrate(
            round(times.state_equilibration / step),
            lambda done: report("equilibrating states", done, count),
            from_last=from_last,
        )
    except openmm.OpenMMException as error:
        raise SimulationError(f"equilibration blew up: {error}") from error
