"""Divide the cost of a hybrid step into parts, for HSP90's ligand 3 in water with ANI-2x.

Steps of four systems take turns: the force field; the hybrid system without its network; the hybrid
system with a network that returns zeros, which measures the cost of the callback from OpenMM; and
the hybrid system with ANI-2x. The script times the network within these steps and between them, and
the checks of the callback alone. All times are processor times of one thread, which other programs
disturb little. The script prints a table and writes results/step_parts.json.
Usage: python benchmarks/step_parts.py [--rounds 60] [--steps 5]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import openmm
from common import write_results
from md_step import read

import nnpmm
from nnpmm.benchmarking import step_contexts
from nnpmm.core.geometry import WholeRegion
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.callback import RegionCallback, spans_less_than_half
from nnpmm.models import FunctionModel
from nnpmm.models.protocol import at_each_step


class Clocked:
    """A callback of OpenMM that records the time of each call, s."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call
        self.seconds: list[float] = []

    def __call__(self, state: openmm.State) -> Any:
        """Call the function and record the time."""
        start = time.thread_time()
        found = self.call(state)
        self.seconds.append(time.thread_time() - start)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--model", default="ANI-2x")
    arguments = parser.parse_args()
    topology, mm_system, positions, box = read("gromacs", "hsp90/ligand-3/ligand/ligand")
    region = nnpmm.select_atoms(topology, "resname LIG")
    model = nnpmm.load_model(arguments.model, backend="cpu", threads=1)
    hybrid = nnpmm.couple(mm_system, topology, region, model)
    zeros = FunctionModel(lambda positions, *_: (0.0, np.zeros_like(positions)), "zeros")
    network = Clocked(callback(hybrid, hybrid.evaluator))
    bridge = Clocked(callback(hybrid, zeros.bind(hybrid.evaluator.atomic_numbers)))
    systems = {
        "MM": mm_system,
        "hybrid, no network": with_callback(hybrid, None),
        "hybrid, zeros": with_callback(hybrid, bridge),
        "NNP/MM": with_callback(hybrid, network),
    }
    contexts = step_contexts(systems, positions, box, platform="CPU", properties={"Threads": "1"})
    for clock in (network, bridge):
        clock.seconds.clear()
    calls = {
        name: partial(context.getIntegrator().step, arguments.steps)
        for name, context in contexts.items()
    }
    parts = callback_parts(hybrid, contexts["MM"], region)
    seconds: dict[str, list[float]] = {name: [] for name in (*calls, *parts)}
    for _ in range(arguments.rounds):
        for name, call in calls.items():
            seconds[name].append(processor_time(call) / arguments.steps)
        for name, part in parts.items():
            seconds[name].append(processor_time(part, repeats=5) / 5)
    seconds |= {"network, in its step": network.seconds, "zeros, in its step": bridge.seconds}
    times = {name: quartiles(found) for name, found in seconds.items()}
    mm = times["MM"]["median"]
    for name, found in times.items():
        print(
            f"{name:28s} {found['median']:8.4f} ms ({found['low']:.4f}-{found['high']:.4f})  "
            f"{found['median'] / mm:.3f} x MM"
        )
    results = {
        "model": arguments.model,
        "atoms": mm_system.getNumParticles(),
        "region": len(region),
        "threads": 1,
        "processor_ms": times,
        "step_over_mm": times["NNP/MM"]["median"] / mm,
        "mm_and_network_alone_over_mm": (mm + times["network alone"]["median"]) / mm,
    }
    print({key: results[key] for key in ("step_over_mm", "mm_and_network_alone_over_mm")})
    print(write_results("step_parts", results))


def processor_time(call: Callable[[], Any], repeats: int = 1) -> float:
    """Return the processor time of some calls over all threads, s."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return time.process_time() - start


def quartiles(seconds: list[float]) -> dict[str, float]:
    """Return the median and the quartiles, ms."""
    low, median, high = 1000 * np.percentile(seconds, (25, 50, 75))
    return {"median": float(median), "low": float(low), "high": float(high)}


def callback(hybrid: nnpmm.HybridSystem, evaluator: Any) -> RegionCallback:
    """Return the callback of a hybrid system with a given evaluator."""
    bonds = hybrid.region.bonded_rows
    return RegionCallback(evaluator, bonds, periodic=True, exact_to_half_box=True)


def with_callback(
    hybrid: nnpmm.HybridSystem, call: Clocked | RegionCallback | None
) -> openmm.System:
    """Return the hybrid System with another callback, or without one."""
    system = copy.deepcopy(hybrid.system)
    for index in reversed(range(system.getNumForces())):
        if role_of(system.getForce(index)) is Role.NETWORK:
            system.removeForce(index)
    if call is not None:
        force = openmm.PythonForce(call)
        force.setParticles([int(atom) for atom in hybrid.region.network_atoms])
        force.setUsesPeriodicBoundaryConditions(True)
        system.addForce(force)
    return system


def callback_parts(
    hybrid: nnpmm.HybridSystem, context: openmm.Context, region: Any
) -> dict[str, Callable[[], Any]]:
    """Return the parts of the callback as functions, at the positions of a context."""
    state = context.getState(positions=True)
    box = np.array(state.getPeriodicBoxVectors(asNumpy=True)._value)
    positions = np.array(state.getPositions(asNumpy=True)._value)[region]
    whole = WholeRegion(len(region), hybrid.region.bonded_rows)
    joined = whole(positions, box)
    return {
        "region is whole, below half a box": lambda: spans_less_than_half(positions, box),
        "network alone": partial(at_each_step(hybrid.evaluator), joined),
    }


if __name__ == "__main__":
    main()
