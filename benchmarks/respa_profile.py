"""Where the time of a step with several time steps goes, on OpenMM's CPU platform.

Benzene in water, 2 fs inside and 4 fs outside, constrained bonds kept (the setting "2/4 HMR kept"
of respa.py): forces of the fast and of the slow force groups, constraints, the operations of a
`CustomIntegrator` on all degrees of freedom, and the whole step; beside it the same box with single
steps of OpenMM's own Langevin integrator. Operations are timed as the difference between
integrators with twelve of them and with none. All in turn, medians.
Prints a table, writes results/respa_profile.json.
Usage: python benchmarks/respa_profile.py [--rounds 7]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import openmm
from common import write_results
from respa_settings import SETTINGS, Networks, benzene_box, create_context

from nnpmm.benchmarking import time_in_turn

REPEATED = 12
KICK, MOVE, NOISE = "v+dt*x1/m", "x+0.5*dt*v", "kept*v+drawn*sqrt(kT/m)*gaussian"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    box = benzene_box()
    networks = Networks(box)
    whole = create_context(box, networks, SETTINGS["2/4 HMR kept"])
    single = create_context(box, networks, SETTINGS["Langevin 4 HMR kept"])
    fast, slow = ({*level.groups} for level in reversed(whole.getIntegrator().levels))
    steps = {
        "one step of 2/4": stepper(whole, whole.getIntegrator()),
        "one Langevin step": stepper(single, single.getIntegrator()),
        "no forces": forces(whole, set()),
        "fast forces": forces(whole, fast),
        "slow forces": forces(whole, slow),
        "no operations": operations(whole, 0),
        **{name: operations(whole, REPEATED, name) for name in (KICK, MOVE, NOISE)},
        "constraints": operations(whole, 0, constrained=True),
    }
    timings = {
        name: timing.median for name, timing in time_in_turn(steps, rounds=arguments.rounds).items()
    }
    atoms = whole.getSystem().getNumParticles()
    parts = {
        "fast forces": timings["fast forces"] - timings["no forces"],
        "slow forces": timings["slow forces"] - timings["no forces"],
        **{
            name: (timings[name] - timings["no operations"]) / REPEATED
            for name in (KICK, MOVE, NOISE)
        },
        "constraints": timings["constraints"] - timings["no operations"],
        "one step of 2/4": timings["one step of 2/4"],
        "one Langevin step": timings["one Langevin step"],
    }
    # An inner step of the two: constraints, and two kicks (one in two of them slow), two moves,
    # noise, a copy and the velocities' correction, which cost as much as a move.
    parts["operations of an inner step"] = 1.5 * parts[KICK] + 4 * parts[MOVE] + parts[NOISE]
    print(f"benzene in water, {atoms} atoms")
    for name, milliseconds in parts.items():
        print(f"{name:36s}{milliseconds:8.3f} ms{1e6 * milliseconds / atoms:8.0f} ns per atom")
    print(write_results("respa_profile", {"atoms": atoms, "ms": parts}))


def stepper(context: openmm.Context, integrator: Any) -> Callable[[], None]:
    """Return a function that makes one step; the context lives as long as it does."""
    integrator.step(5)

    def step(context: openmm.Context = context) -> None:
        integrator.step(1)

    return step


def forces(like: openmm.Context, groups: set[int]) -> Callable[[], None]:
    """Return a step that evaluates some force groups and hardly moves."""
    integrator = openmm.VerletIntegrator(1e-9)
    integrator.setIntegrationForceGroups(sum(1 << group for group in groups))
    return stepper(copied(like, integrator), integrator)


def operations(
    like: openmm.Context, count: int, expression: str = "", constrained: bool = False
) -> Callable[[], None]:
    """Return a step without forces: an expression for all degrees of freedom, some times over."""
    integrator = openmm.CustomIntegrator(1e-9)
    integrator.addPerDofVariable("x1", 0)
    for name, value in {"kept": 1.0, "drawn": 0.0, "kT": 2.5}.items():
        integrator.addGlobalVariable(name, value)
    for _ in range(count):
        integrator.addComputePerDof(expression[0] if expression != NOISE else "v", expression)
    if constrained:
        integrator.addConstrainVelocities()
        integrator.addConstrainPositions()
    return stepper(copied(like, integrator), integrator)


def copied(like: openmm.Context, integrator: Any) -> openmm.Context:
    """Return a context with the system and state of another."""
    context = openmm.Context(like.getSystem(), integrator, like.getPlatform())
    context.setState(like.getState(positions=True, velocities=True))
    return context


if __name__ == "__main__":
    main()
