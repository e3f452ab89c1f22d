"""Measure the cost of a bias per step: torsions, other variables, and a learned one.

    python benchmarks/sampling_cost.py
    python benchmarks/sampling_cost.py --table  # write the table of the results into the docs

The system is alanine dipeptide with Amber's ff14SB in vacuum, on one thread of the Reference
platform, the fastest for 22 atoms. The script reports the median and the least processor time per
step in microseconds, over rounds in which all biases take turns. The learned variable is a network
of 32 and 16 tanh units on the features of `choose_features`, with random weights.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from typing import Any

import numpy as np
import openmm
from common import RESULTS, write_results, write_section
from openmm import unit
from sampling_alanine import VARIABLES, alanine_dipeptide
from sampling_alanine_comparison import PAGE

from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.learned import Projection, choose_features
from nnpmm.sampling.learned.gradient import CompiledGradient
from nnpmm.sampling.learned.projection import ProjectionRecord
from nnpmm.sampling.variables import Coordination, Rmsd, Structure, Variable, bind_variables

ROUNDS, STEPS = 9, 300


def random_projection(structure: Structure, count: int) -> Projection:
    """Return a network with random weights."""
    features = choose_features(structure, np.arange(len(structure.masses)))
    rng = np.random.default_rng(1)
    sizes = [features.count, 32, 16, count]
    arrays: dict[str, np.ndarray] = {"shift": np.zeros(sizes[0]), "scale": np.ones(sizes[0])}
    for layer, size in enumerate(sizes[1:]):
        arrays[f"weight{layer}"] = rng.normal(size=(size, sizes[layer])) / sizes[layer] ** 0.5
        arrays[f"bias{layer}"] = np.zeros(size)
    arrays["output_shift"], arrays["output_matrix"] = np.zeros(count), np.eye(count)
    atoms = list(structure.topology.atoms())
    record = ProjectionRecord(
        kind="autoencoder",
        features=features,
        elements=tuple(atoms[i].element.symbol for i in features.atoms),
        n_atoms=len(atoms),
        variables=count,
        low=(-1.0,) * count,
        high=(1.0,) * count,
    )
    return Projection(record, arrays)


def learned(structure: Structure, count: int) -> list[Variable]:
    """Return the variables of a network with random weights."""
    projection = random_projection(structure, count)

    def variable(index: int) -> Variable:
        def create_force() -> openmm.Force:
            return projection.create_force(index, periodic=False)

        return Variable(f"learned{index}", "", None, None, create_force, lambda p, box: 0.0)

    return [variable(index) for index in range(count)]


def variables_of(structure: Structure) -> dict[str, list[Variable]]:
    """Return the compared sets of variables by name."""
    torsions = bind_variables(VARIABLES, structure)
    others = {
        "RMSD of 10 atoms": Rmsd(atoms="not element H").bind("r", structure),
        "coordination, 50 pairs": Coordination(
            atoms=((0, 1, 2, 3, 4), (8, 9, 10, 11, 12, 13, 14, 15, 16, 17)), distance="0.3 nm"
        ).bind("c", structure),
    }
    network = learned(structure, 2)
    return {
        "no bias": [],
        "phi": [torsions["phi"]],
        "phi and psi": list(torsions.values()),
        **{name: [each] for name, each in others.items()},
        "one learned": network[:1],
        "two learned": network,
    }


def create_context(
    system: openmm.System, positions: np.ndarray, variables: list[Variable]
) -> openmm.Context:
    """Return a context in which variables are biased."""
    copied = copy.deepcopy(system)
    if variables:
        grids = [
            grid_of(v, 0.3 if v.unit != "nm" else 0.02,
                    None if v.period else (0.0, 20.0 if not v.unit else 0.5), temperature=300.0)
            for v in variables
        ]  # fmt: skip
        WellTempered(copied, grids, temperature=300.0, bias_factor=5.0, height=1.0)
    integrator = openmm.LangevinMiddleIntegrator(300, 1 / unit.picosecond, 0.001)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(copied, integrator, platform)
    context.setPositions(positions)
    integrator.step(10)
    return context


def main() -> None:
    """Measure, print and write the costs."""
    topology, positions, system = alanine_dipeptide()
    contexts = {
        name: create_context(system, positions, variables)
        for name, variables in variables_of(Structure.of(topology, positions, system)).items()
    }
    times: dict[str, list[float]] = {name: [] for name in contexts}
    for _ in range(ROUNDS):
        for name, context in contexts.items():
            started = time.process_time()
            context.getIntegrator().step(STEPS)
            times[name].append(1e6 * (time.process_time() - started) / STEPS)
    gradients = gradient_times(Structure.of(topology, positions, system))
    data: dict[str, Any] = {
        "median_us": {name: float(np.median(each)) for name, each in times.items()},
        "least_us": {name: float(np.min(each)) for name, each in times.items()},
        "gradient_median_us": gradients,
        "rounds": ROUNDS,
    }
    for name, value in data["median_us"].items():
        print(f"{name:24} {value:.0f} us per step (least {data['least_us'][name]:.0f})")
    print("gradient alone", gradients)
    write_results("sampling_cost", data)


def gradient_times(structure: Structure) -> dict[str, float]:
    """Return microseconds of one gradient of a learned variable, compiled and with torch."""
    projection = random_projection(structure, 1)
    positions = structure.positions[list(projection.record.features.atoms)]
    compiled = CompiledGradient(projection.record.features, projection.arrays, 0)
    ways = {
        "compiled": lambda: compiled(positions),
        "torch": lambda: projection.gradient(positions, 0),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, evaluate in ways.items():
            started = time.process_time()
            for _ in range(STEPS // 3):
                evaluate()
            found[name].append(1e6 * (time.process_time() - started) / (STEPS // 3))
    return {name: float(np.median(each)) for name, each in found.items()}


def table() -> None:
    """Write the table into the documentation."""
    results = json.loads((RESULTS / "sampling_cost.json").read_text())["results"]
    medians = results["median_us"]
    lines = ["| bias on | us per step | least | more than without bias |"]
    lines.append("| --- | --- | --- | --- |")
    for name, value in medians.items():
        more = "" if name == "no bias" else f"{value - medians['no bias']:.0f}"
        lines.append(f"| {name} | {value:.0f} | {results['least_us'][name]:.0f} | {more} |")
    write_section(PAGE, "cost of a bias", lines)
    print("Gradient alone:", {k: round(v) for k, v in results["gradient_median_us"].items()})


if __name__ == "__main__":
    table() if "--table" in sys.argv else main()
