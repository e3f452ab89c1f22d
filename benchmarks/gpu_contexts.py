"""Measure the cost of separate CUDA contexts of OpenMM and torch, and the effect of NVIDIA's MPS.

OpenMM's CUDA platform creates a context of its own; torch uses the device's primary context. A GPU
runs only one of them at a time and must switch between them in every step, unless the Multi-Process
Service (MPS) merges them. The script measures microseconds of an evaluation of the network, of a
step of the force field, and of both in turn. It also measures consecutive steps of NNP/MM, and the
callback with the network within them.

Run it twice, with and without MPS (`nvidia-cuda-mps-control -d` starts it, `echo quit |
nvidia-cuda-mps-control` ends it); the second run adds its column to results/gpu_contexts.json:

    python benchmarks/gpu_contexts.py --inputs FOLDER --label "own contexts"
    python benchmarks/gpu_contexts.py --inputs FOLDER --label MPS

gpu.py --write-inputs writes the folder.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import RESULTS, commit
from gpu_steps import SYSTEMS, cases, context_of, coupled, langevin, relaxed
from step_parts import Clocked, callback, with_callback

from nnpmm.benchmarking import write_record
from nnpmm.models.ani import AniModel, load_parameters
from nnpmm.models.protocol import at_each_step

STEPS = 50  # in a row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--system", default=SYSTEMS[0])
    parser.add_argument("--platform", default="CUDA")
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu_contexts.json")
    arguments = parser.parse_args()
    found = json.loads(arguments.output.read_text())["results"] if arguments.output.exists() else {}
    found.setdefault("us", {})[arguments.label] = measure(arguments)
    print(json.dumps(found, indent=1))
    write_record(arguments.output, found | {"system": arguments.system}, commit=commit())


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Return medians in microseconds."""
    properties = {"Precision": "mixed"} if arguments.platform == "CUDA" else {}
    platform = (openmm.Platform.getPlatformByName(arguments.platform), properties)
    (_, case), *_ = cases(arguments.inputs, [arguments.system])
    model = AniModel(load_parameters(arguments.inputs / "weights.safetensors"))
    hybrid = coupled(case, model)
    start = relaxed(hybrid, case, platform)
    positions = np.array(start.getPositions(asNumpy=True)._value)[case.region]
    evaluate = at_each_step(hybrid.evaluator)
    within = Clocked(callback(hybrid, hybrid.evaluator))
    mm, nnp = (
        context_of(system, langevin(2.0), start, platform)
        for system in (case.system, with_callback(hybrid, within))
    )

    def network_and_step() -> None:
        evaluate(positions)
        advance(mm, 1)

    found = {
        "network alone": median(lambda: evaluate(positions)),
        "one step of MM": median(lambda: advance(mm, 1)),
        "network and one step of MM": median(network_and_step),
        "step of MM in a row": median(lambda: advance(mm, STEPS)) / STEPS,
    }
    within.seconds.clear()
    found["step of NNP/MM in a row"] = median(lambda: advance(nnp, STEPS)) / STEPS
    return found | {"callback within it": 1e6 * float(np.median(within.seconds))}


def advance(context: openmm.Context, steps: int) -> None:
    """Run some steps and wait for the device."""
    context.getIntegrator().step(steps)
    context.getState(energy=True).getPotentialEnergy()


def median(call: Callable[[], Any], rounds: int = 50) -> float:
    """Return the median microseconds of a call."""
    samples = []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        call()
        samples.append(1e6 * (time.perf_counter() - begun))
    return float(np.median(samples[5:]))


if __name__ == "__main__":
    main()
