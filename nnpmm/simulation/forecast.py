"""Prepare a run up to its first step, and estimate the duration of its stages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import openmm

from nnpmm.core.errors import SimulationError
from nnpmm.simulation.preparation import narration
from nnpmm.simulation.preparation.start_checks import check_start
from nnpmm.simulation.protocol import check_prepared, open_platform
from nnpmm.simulation.record import storage
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.settings.config import RunConfig, load_config
from nnpmm.simulation.stages.stages import create_context, create_stage_context, plan_stages

__all__ = ["Forecast", "StageForecast", "dry_run"]

_MIN_SECONDS = 1.0  # of the measurement
# Steps so much shorter cost the same but hardly move atoms, so that the measurement is stable for
# starting structures that are not minimised.
_STEP_FACTOR = 1e-4


@dataclass(frozen=True)
class StageForecast:
    """A stage, its length in ps, and the seconds that it will take."""

    name: str
    length_ps: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """The estimated cost of a run.

    Attributes:
        potential_energy: energy of the starting structure, kJ/mol, without self energies; the
            constraints are those of the first stage, unless that is a minimisation.
        seconds_per_step: measured on this machine, without output and updates of neighbour lists.
        ns_per_day: simulated time per day at this rate.
        stages: the stages of dynamics; the minimisation is not measured.
        holds_run: the output folder contains a run.
    """

    potential_energy: float
    seconds_per_step: float
    ns_per_day: float
    stages: tuple[StageForecast, ...]
    holds_run: bool


def dry_run(config: RunConfig | str | Path) -> Forecast:
    """Prepare a run as `nnpmm.simulation.run` does, time some steps, and write nothing.

    Args:
        config: settings, or the path of a YAML file.

    Raises:
        NnpmmError: wrong settings or input, or a starting structure without a finite energy.
    """
    settings = config if isinstance(config, RunConfig) else load_config(config)
    narration.tell_settings(settings, None if isinstance(config, RunConfig) else Path(config))
    prepared = prepare_system(settings)
    check_prepared(prepared, settings)
    platform = open_platform(settings)
    energy = check_start(prepared, settings, platform)
    narration.working("timing some steps")
    plan, tiny = plan_stages(settings), _with_tiny_steps(settings)
    if plan:
        context = create_stage_context(prepared, plan[-1], tiny, platform, prepared.mm.positions)
    else:
        verlet = openmm.VerletIntegrator(tiny.timestep)
        context = create_context(prepared, prepared.hybrid.system, verlet, platform)
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
    levels = {
        name: value * _STEP_FACTOR
        for name in ("inner", "middle", "outer")
        if (value := getattr(settings.integrator, name)) is not None
    }
    integrator = settings.integrator.model_copy(update=levels)
    timestep = settings.timestep * _STEP_FACTOR
    return settings.model_copy(update={"timestep": timestep, "integrator": integrator})


def _seconds_per_step(context: openmm.Context) -> float:
    """Return the seconds per step; the number of steps is doubled until they take a second."""
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
            if elapsed >= _MIN_SECONDS:
                return elapsed / n_steps
            n_steps *= 2
    except openmm.OpenMMException as error:
        raise SimulationError(
            f"the first steps failed: {' '.join(str(error).split())}: minimise the structure"
        ) from error
