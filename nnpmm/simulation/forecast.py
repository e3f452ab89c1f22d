"""Everything up to the first step of a run, and how long its stages will take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import unit

from nnpmm.errors import SimulationError
from nnpmm.simulation import narration, storage
from nnpmm.simulation.config import RunConfig, load_config
from nnpmm.simulation.platforms import choose_platform
from nnpmm.simulation.protocol import check_prepared
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages import create_stage_context, plan_stages

__all__ = ["Forecast", "StageForecast", "dry_run"]

_LEAST_SECONDS = 1.0  # of the measurement that counts
# Steps so much shorter move nothing and cost the same; the starting structure need not be relaxed.
_SHORTER = 1e-4


@dataclass(frozen=True)
class StageForecast:
    """A stage, its length in ps, and the seconds that it will take."""

    name: str
    length_ps: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """What a run will cost.

    Attributes:
        potential_energy: of the starting structure, kJ/mol, without self energies.
        seconds_per_step: measured here; output and neighbour lists come on top.
        ns_per_day: simulated time per day at that rate.
        stages: the stages of dynamics; the minimisation is not measured.
        holds_run: the output folder holds a run.
    """

    potential_energy: float
    seconds_per_step: float
    ns_per_day: float
    stages: tuple[StageForecast, ...]
    holds_run: bool


def dry_run(config: RunConfig | str | Path) -> Forecast:
    """Prepare a run as `nnpmm.simulation.run` does, time some steps, and write nothing.

    Args:
        config: settings, or the YAML file that holds them.

    Raises:
        NnpmmError: wrong settings or input, or a starting structure without a finite energy.
    """
    settings = config if isinstance(config, RunConfig) else load_config(config)
    narration.tell_settings(settings, None if isinstance(config, RunConfig) else Path(config))
    prepared = prepare_system(settings)
    check_prepared(prepared, settings)
    platform = choose_platform(settings.platform)
    narration.tell_platform(*platform)
    narration.working("first forces (the network is compiled at its first use on a machine)")
    plan = plan_stages(settings)
    if plan:
        context = create_stage_context(
            prepared, plan[-1], _with_tiny_steps(settings), platform, reference=prepared.positions
        )
    else:
        verlet = openmm.VerletIntegrator(settings.timestep * _SHORTER)
        context = openmm.Context(prepared.system, verlet, *platform)
        if prepared.box_vectors is not None:
            context.setPeriodicBoxVectors(*prepared.box_vectors)
    context.setPositions(prepared.positions)
    context.computeVirtualSites()
    energy = _energy(context)
    narration.working("timing some steps")
    seconds = _seconds_per_step(context)
    dt = settings.timestep
    stages = (StageForecast(s.name, s.n_steps * dt, s.n_steps * seconds) for s in plan)
    return Forecast(
        potential_energy=energy,
        seconds_per_step=seconds,
        ns_per_day=dt / seconds * 86.4,
        stages=tuple(stages),
        holds_run=storage.has_run(settings.output.directory),
    )


def _with_tiny_steps(settings: RunConfig) -> RunConfig:
    """Return the settings with all time steps shortened."""
    steps = {"timestep": settings.timestep * _SHORTER}
    levels = {
        name: value * _SHORTER
        for name in ("inner", "middle", "outer")
        if (value := getattr(settings.integrator, name)) is not None
    }
    integrator = settings.integrator.model_copy(update=levels)
    return settings.model_copy(update={**steps, "integrator": integrator})


def _energy(context: openmm.Context) -> float:
    """Return the potential energy in kJ/mol.

    Raises:
        SimulationError: it is not finite, or a force cannot be computed.
    """
    try:
        state = context.getState(energy=True, forces=True)
    except openmm.OpenMMException as error:
        reason = " ".join(str(error).split())
        raise SimulationError(
            f"the forces of the starting structure cannot be computed: {reason}"
        ) from error
    energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
    forces = np.asarray(state.getForces(asNumpy=True)._value)
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise SimulationError(
            "the energy of the starting structure is not finite: look for atoms on top of each "
            "other in the coordinates"
        )
    return energy


def _seconds_per_step(context: openmm.Context) -> float:
    """Return the seconds that a step takes, from twice as many steps until they take a second."""
    integrator = context.getIntegrator()
    n_steps = 4
    try:
        integrator.step(1)
        context.getState(energy=True)
        while True:
            started = time.perf_counter()
            integrator.step(n_steps)
            context.getState(energy=True)  # waits for the device
            elapsed = time.perf_counter() - started
            if elapsed >= _LEAST_SECONDS:
                return elapsed / n_steps
            n_steps *= 2
    except openmm.OpenMMException as error:
        raise SimulationError(
            f"the first steps failed: {' '.join(str(error).split())}: minimise the structure"
        ) from error
