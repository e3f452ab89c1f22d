"""Divide the time of a RESPA step into parts, on OpenMM's CPU platform.

The system is benzene in water with 2 fs inside and 4 fs outside and constrained bonds kept (the
setting "2/4 HMR kept" of respa.py). The script times the forces of the fast and slow force groups,
the constraints, the operations of a `CustomIntegrator` on all degrees of freedom, and the whole
step. For comparison it times single steps of OpenMM's own Langevin integrator in the same box. The
time of an operation is the difference between integrators with twelve of them and with none. All
measurements take turns; the script reports medians, prints a table and writes
results/respa_profile.json.
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
    # An outer step has two inner steps. Without constraints, each of them needs a fast kick and
    # half a slow one, two moves, noise, and a copy and a correction of the velocities, which cost
    # as much as a move each.
    parts["operations of an inner step"] = 1.5 * parts[KICK] + 4 * parts[MOVE] + parts[NOISE]
    print(f"benzene in water, {atoms} atoms")
    for name, milliseconds in parts.items():
        print(f"{name:36s}{milliseconds:8.3f} ms{1e6 * milliseconds / atoms:8.0f} ns per atom")
    print(write_results("respa_profile", {"atoms": atoms, "ms": parts}))


def stepper(context: openmm.Context, integrator: Any) -> Callable[[], None]:
    """Return a function that runs one step and keeps the context alive."""
    integrator.step(5)

    def step(context: openmm.Context = context) -> None:
        integrator.step(1)

    return step


def forces(like: openmm.Context, groups: set[int]) -> Callable[[], None]:
    """Return a tiny step that evaluates some force groups."""
    integrator = openmm.VerletIntegrator(1e-9)
    integrator.setIntegrationForceGroups(sum(1 << group for group in groups))
    return stepper(copied(like, integrator), integrator)


def operations(
    like: openmm.Context, count: int, expression: str = "", constrained: bool = False
) -> Callable[[], None]:
    """Return a step without forces that evaluates an expression per degree of freedom."""
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
    """Return a context with the system and state of another one."""
    context = openmm.Context(like.getSystem(), integrator, like.getPlatform())
    context.setState(like.getState(positions=True, velocities=True))
    return context


if __name__ == "__main__":
    main()
