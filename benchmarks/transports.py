"""Compare the transports of the network: agreement with PythonForce, and ms per step.

Each transport that the installed openmm-torch supports runs toluene in water and HSP90's ligand 3
in water, in turn on one machine. Before any step, the script compares the network's energy and
forces at the same positions on the Reference platform. The python transport runs twice: with the
reference backend, whose torch code TorchScript compiles, and with the backend that "auto" chooses.
torch uses one thread, because a TorchForce would otherwise use all of them and starve OpenMM's. The
script prints a table and writes results/<name>.json.
Usage: python benchmarks/transports.py [--name NAME]
"""

from __future__ import annotations

import argparse

import numpy as np
import openmm
import torch
from common import write_results
from md_step import SYSTEMS, read
from numpy.typing import NDArray
from openmm import app, unit

import nnpmm
from nnpmm.benchmarking import measure_steps, step_contexts
from nnpmm.coupling import Mechanical

CHOSEN = ("toluene in water", "HSP90 ligand 3 in water")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--name", default="transports")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in CHOSEN:
        kind, stem, selection, _ = SYSTEMS[name]
        topology, mm_system, positions, box = read(kind, stem)
        region = nnpmm.select_atoms(topology, selection)
        systems = hybrid_systems(mm_system, topology, region, arguments.model)
        agreement = compare(systems, positions, box)
        contexts = step_contexts({"MM": mm_system, **systems}, positions, box, platform="CPU")
        timings = measure_steps(contexts, steps=arguments.steps, rounds=arguments.rounds)
        times = {key: timing._asdict() for key, timing in timings.items()}
        rows.append({"system": name, "agreement": agreement, "ms_per_step": times})
        report(rows[-1])
    print(write_results(arguments.name, {"model": arguments.model, "rows": rows}))


def hybrid_systems(
    mm_system: openmm.System, topology: app.Topology, region: NDArray[np.int64], model_name: str
) -> dict[str, openmm.System]:
    """Return the hybrid system with every transport that is available."""
    reference = nnpmm.load_model(model_name, backend="reference")
    fastest = nnpmm.load_model(model_name)
    backend = fastest.provenance["backend"]
    systems = {}
    for key, model, transport in (
        ("python, reference", reference, "python"),
        (f"python, {backend}", fastest, "python"),
        ("torchscript", reference, "torchscript"),
        ("torch, reference", reference, "torch"),
        (f"torch, {backend}", fastest, "torch"),
    ):
        try:
            systems[key] = nnpmm.create_hybrid_system(
                mm_system, topology, region, model, coupling=Mechanical(transport=transport)
            )
        except nnpmm.NnpmmError as error:
            print(f"{key}: {error}")
    return systems


def compare(
    systems: dict[str, openmm.System], positions: unit.Quantity, box: unit.Quantity
) -> dict[str, dict[str, float]]:
    """Return the network's energies and the largest differences from the first system."""
    found = {}
    for key, system in systems.items():
        platform = openmm.Platform.getPlatformByName("Reference")
        made = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        made.setPeriodicBoxVectors(*box)
        made.setPositions(positions)
        (group,) = (f.getForceGroup() for f in system.getForces() if f.getName() == "NNP")
        state = made.getState(energy=True, forces=True, groups={group})
        found[key] = state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value
    energy, forces = next(iter(found.values()))
    return {
        key: {
            "network_energy_kj_mol": e,
            "energy_difference_kj_mol": abs(e - energy),
            "largest_force_difference_kj_mol_nm": float(np.abs(f - forces).max()),
        }
        for key, (e, f) in found.items()
    }


def report(row: dict) -> None:
    """Print one system's rows."""
    print(row["system"])
    for key, t in row["ms_per_step"].items():
        line = f"  {key:20s} {t['median']:7.2f} ms/step ({t['low']:.2f}-{t['high']:.2f})"
        if key in row["agreement"]:
            same = row["agreement"][key]
            line += (
                f"  dE {same['energy_difference_kj_mol']:.1e} kJ/mol"
                f"  dF {same['largest_force_difference_kj_mol_nm']:.1e} kJ/mol/nm"
            )
        print(line, flush=True)


if __name__ == "__main__":
    main()
