"""The cost of a step of hybrid dynamics, compared with a step of the force field alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import openmm

from nnpmm.benchmarking.timing import Timing, time_in_turn

__all__ = ["measure_steps", "step_contexts"]

_TIMESTEP = 0.0005  # ps; what a step costs does not depend on it
_MINIMISATION_STEPS = 20


def step_contexts(
    systems: Mapping[str, openmm.System],
    positions: Any,
    box_vectors: Any = None,
    *,
    platform: str | None = None,
    properties: Mapping[str, str] | None = None,
) -> dict[str, openmm.Context]:
    """Return a context for each system on the same platform, briefly minimised and thermalised.

    Args:
        systems: by name.
        positions: of all particles.
        box_vectors: periodic box vectors, or None.
        platform: OpenMM's name of it; the fastest if None.
        properties: of the platform, such as its number of threads.
    """
    chosen: tuple[Any, ...] = ()
    if platform is not None:
        chosen = (openmm.Platform.getPlatformByName(platform), dict(properties or {}))
    return {
        name: _context(system, positions, box_vectors, chosen) for name, system in systems.items()
    }


def measure_steps(
    contexts: Mapping[str, openmm.Context],
    *,
    steps: int,
    rounds: int,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Return milliseconds per step of Langevin dynamics, in turn, median over rounds.

    Args:
        contexts: of `step_contexts`.
        steps: in each turn.
        rounds: number of rounds.
        progress: called after every turn.
    """

    def advance(context: openmm.Context) -> Callable[[], None]:
        def call() -> None:
            context.getIntegrator().step(steps)
            context.getState()  # waits for a GPU to finish

        return call

    timings = time_in_turn(
        {name: advance(context) for name, context in contexts.items()},
        rounds=rounds,
        progress=progress,
    )
    return {name: Timing(*(t / steps for t in timing)) for name, timing in timings.items()}


def _context(
    system: openmm.System, positions: Any, box_vectors: Any, platform: tuple[Any, ...]
) -> openmm.Context:
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, _TIMESTEP)
    context = openmm.Context(system, integrator, *platform)
    if box_vectors is not None:
        context.setPeriodicBoxVectors(*box_vectors)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 100.0, _MINIMISATION_STEPS)
    context.setVelocitiesToTemperature(300.0, 1)
    return context
