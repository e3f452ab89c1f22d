"""Compare replicas of one region that advance together with replicas that run one by one.

K contexts of one hybrid System run the same steps in two ways, in turn: each context on its own,
and all with their network calls joined into one batch (`nnpmm.sampling.step_together`). The systems
are HSP90's ligand 3 in vacuum and in water, 33 of 33 and of 3,705 atoms, with all eight networks of
ANI-2x. On the CPU platform every context has one thread, and times are processor times of all
threads together, which other programs disturb little. On a GPU they are wall times. The script
prints rows and writes results/replicas.json.

    python benchmarks/replicas.py
    python benchmarks/replicas.py --platform CUDA --inputs FOLDER --replicas 1 4 16 --output FILE

gpu.py --write-inputs writes the folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import RESULTS, commit
from gpu_steps import SYSTEMS, cases, coupled, langevin, relaxed

from nnpmm.benchmarking import write_record
from nnpmm.coupling import HybridSystem, topology_bonds
from nnpmm.coupling.transports import create_region_force
from nnpmm.models.ani import AniModel, load_parameters
from nnpmm.models.ani.family import load_ani
from nnpmm.sampling import step_together

PROPERTIES = {"CPU": {"Threads": "1"}, "CUDA": {"Precision": "mixed"}}
STEP = {"vacuum": 0.5, "water": 2.0}  # fs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="number of steps in each turn")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--platform", default="CPU", choices=list(PROPERTIES))
    parser.add_argument("--output", type=Path, default=RESULTS / "replicas.json")
    arguments = parser.parse_args()
    if arguments.inputs is not None:
        model = AniModel(load_parameters(arguments.inputs / "weights.safetensors"))
    else:
        model = load_ani("ANI-2x", backend="cpu", threads=1)
    platform = openmm.Platform.getPlatformByName(arguments.platform)
    target = (platform, PROPERTIES[arguments.platform])
    (_, case), *_ = cases(arguments.inputs, [SYSTEMS[0]])
    hybrid = coupled(case, model)
    start = relaxed(hybrid, case, target)
    positions = np.array(start.getPositions(asNumpy=True)._value)
    box = start.getPeriodicBoxVectors()
    rows: list[dict[str, Any]] = []
    for name, system, where, vectors in (
        ("vacuum", alone(hybrid), positions[hybrid.region.atoms], None),
        ("water", hybrid.system, positions, box),
    ):
        for count in arguments.replicas:
            contexts = [
                replica(system, where, vectors, seed, STEP[name], target)
                for seed in range(1, count + 1)
            ]
            row = {"system": name, "atoms": len(where), "replicas": count}
            rows.append(row | measure(contexts, arguments))
            print(rows[-1], flush=True)
    results = {"model": repr(model), "platform": arguments.platform, "rows": rows}
    results |= {"rounds": arguments.rounds, "steps": arguments.steps, "clock": clock_of(arguments)}
    write_record(arguments.output, results, commit=commit())


def alone(hybrid: HybridSystem) -> openmm.System:
    """Return the region in vacuum with its network alone."""
    atoms, system = hybrid.region.atoms, openmm.System()
    for atom in atoms.tolist():
        system.addParticle(hybrid.system.getParticleMass(atom))
    system.addForce(
        create_region_force(
            hybrid.evaluator,
            np.arange(len(atoms)),
            topology_bonds(hybrid.topology, atoms),
            periodic=False,
            exact_to_half_box=False,
        )
    )
    return system


def replica(
    system: openmm.System, positions: Any, box: Any, seed: int, fs: float, target: tuple[Any, ...]
) -> openmm.Context:
    """Return a context with its own velocities."""
    integrator = langevin(fs)
    integrator.setRandomNumberSeed(seed)
    context = openmm.Context(system, integrator, *target)
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, seed)
    return context


def measure(contexts: list[openmm.Context], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return ms per step and replica for both ways, and the ratio with its quartiles."""
    steps, clock = arguments.steps, getattr(time, clock_of(arguments))

    def in_turn() -> None:
        for context in contexts:
            context.getIntegrator().step(steps)

    ways: dict[str, Callable[[], None]] = {
        "in turn": in_turn,
        "together": lambda: step_together(contexts, steps),
    }
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds + 1):  # the first round is not counted
        for way, call in ways.items():
            start = clock()
            call()
            for context in contexts:  # waits for the GPU
                found = context.getState(positions=True).getPositions(asNumpy=True)._value
                assert np.isfinite(found).all()
            spent[way].append(1000 * (clock() - start) / steps / len(contexts))
    kept = {way: np.array(times[1:]) for way, times in spent.items()}
    ratios = kept["in turn"] / kept["together"]
    return {
        "ms": {way: float(np.median(times)) for way, times in kept.items()},
        "gain": float(np.median(ratios)),
        "gain_quartiles": np.percentile(ratios, [25, 75]).tolist(),
    }


def clock_of(arguments: argparse.Namespace) -> str:
    """Return the name of the clock in the module time."""
    return "process_time" if arguments.platform == "CPU" else "perf_counter"


if __name__ == "__main__":
    main()
