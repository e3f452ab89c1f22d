"""Measure energy conservation from the end of finished runs, with NNP/MM and the force field alone.

The script reads folders of `nnpmm run`. It starts from the last frame of each with velocities of
several seeds, and runs a short stretch of Langevin dynamics. It then runs leapfrog Verlet without
thermostat or barostat, with the constraints and masses of the run. It reports the slope of the
total energy for the hybrid system and for the force field alone, with means and standard errors
over the seeds. It prints a table and updates results/run_drift.json, keeping the other rows.
Usage: python benchmarks/run_drift.py FOLDER ... [--ps 4] [--timestep 2] [--seeds 1 2 3]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import openmm
from common import RESULTS, write_results
from nve_drift import drift

from nnpmm.simulation import load_config, prepare_system
from nnpmm.simulation.record.storage import load_mm_system

NAME = "run_drift"
TEMPERATURE = 300.0  # K
EQUILIBRATION, SAMPLE = 0.5, 0.02  # ps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--ps", type=float, default=4.0)
    parser.add_argument("--timestep", type=float, default=2.0, help="fs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    path = RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text())["results"]["rows"] if path.exists() else []
    for folder in arguments.folders:
        row = measure(folder, arguments)
        rows = [other for other in rows if other["run"] != row["run"]] + [row]
        write_results(NAME, {"rows": rows})
        print(
            f"{row['run']:20s} {row['atoms']:6d} atoms, charge {row['charge']:+d} e: "
            + ", ".join(
                f"{kind} {row[kind]['mean']:+.3f} ± {row[kind]['standard_error']:.3f}"
                for kind in ("nnp/mm", "mm")
            )
            + " kJ/mol/ns per degree of freedom",
            flush=True,
        )
    print(path)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the drifts of one run, kJ/mol/ns per degree of freedom."""
    config = load_config(folder / "settings.yaml")
    prepared = prepare_system(config, load_mm_system(folder))
    last = mdtraj.load(str(folder / "trajectory.dcd"), top=str(folder / "topology.pdb"))[-1]
    positions, box = last.xyz[0].astype(float), last.unitcell_vectors[0].astype(float)
    systems = {"nnp/mm": prepared.hybrid.system, "mm": prepared.mm.system}
    for index in range(len(positions)):  # the run may scale the masses of its region
        systems["mm"].setParticleMass(index, systems["nnp/mm"].getParticleMass(index))
    row: dict[str, Any] = {
        "run": folder.name.removesuffix("-output"),
        "atoms": len(positions),
        "charge": prepared.hybrid.region.charge,
        "coupling": config.coupling.type,
        "model": config.region.model,
        "timestep_fs": arguments.timestep,
        "ps": arguments.ps,
    }
    found: dict[str, list[float]] = {kind: [] for kind in systems}
    for seed in arguments.seeds:
        for kind, system in systems.items():
            found[kind].append(one_drift(system, positions, box, seed, arguments))
    for kind, values in found.items():
        error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
        row[kind] = {"mean": float(np.mean(values)), "standard_error": error, "seeds": values}
    return row


def one_drift(
    system: openmm.System,
    positions: np.ndarray,
    box: np.ndarray,
    seed: int,
    arguments: argparse.Namespace,
) -> float:
    """Return the drift of one run at constant energy, kJ/mol/ns per degree of freedom."""
    step = arguments.timestep / 1000
    langevin, free = (
        openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, step),
        openmm.CompoundIntegrator(),
    )
    langevin.setRandomNumberSeed(seed)
    free.addIntegrator(langevin)
    free.addIntegrator(openmm.VerletIntegrator(step))
    context = openmm.Context(system, free, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(TEMPERATURE, seed)
    free.step(round(EQUILIBRATION / step))
    free.setCurrentIntegrator(1)
    every = round(SAMPLE / step)
    energies = []
    for _ in range(round(arguments.ps / SAMPLE)):
        free.step(every)
        state = context.getState(energy=True)
        energies.append((state.getKineticEnergy() + state.getPotentialEnergy())._value)
    return drift(SAMPLE * np.arange(len(energies)), np.array(energies)) / freedom(system)


def freedom(system: openmm.System) -> int:
    """Return the number of unconstrained degrees of freedom."""
    moving = sum(system.getParticleMass(i)._value > 0 for i in range(system.getNumParticles()))
    return 3 * moving - system.getNumConstraints()


if __name__ == "__main__":
    main()
