"""Energy conservation: NVE runs of a ligand in vacuum, drift per degree of freedom with its error.

Prints a table, writes results/nve_drift.json and ../docs/images/nve_drift.png.
Usage: python benchmarks/nve_drift.py [--smiles S] [--model ANI-2x] [--ps 50] [--replicas 3]
"""

from __future__ import annotations

import argparse
import logging
import time

import numpy as np
import openmm
from common import IMAGES, write_results
from matplotlib.figure import Figure

import nnpmm
from nnpmm.ligands import (
    create_ligand_system,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)

TIMESTEP_FS, TEMPERATURE, TARGET = 0.5, 300.0, 0.1
STEPS_PER_SAMPLE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smiles", default="CC(=O)Nc1ccc(O)cc1")
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--precision", default="single")
    parser.add_argument("--ps", type=float, default=50.0)
    parser.add_argument("--replicas", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    system, positions, model = hybrid_ligand(arguments)
    freedom = 3 * system.getNumParticles() - 6
    runs = [replica(system, positions, arguments.ps, seed) for seed in range(arguments.replicas)]
    drifts = np.array([drift(times, energies) / freedom for times, energies in runs])
    error = drifts.std(ddof=1) / np.sqrt(len(drifts))
    summary = {
        "smiles": arguments.smiles,
        "model": model.provenance,
        "timestep_fs": TIMESTEP_FS,
        "length_ps": arguments.ps,
        "drifts_kj_per_mol_ns_dof": drifts.tolist(),
        "mean": float(drifts.mean()),
        "standard_error": float(error),
        "rms_fluctuation_kj_per_mol": float(np.mean([e.std() for _, e in runs])),
        "target": TARGET,
    }
    print(f"{'replica':>8} {'drift, kJ/mol/ns per degree of freedom':>40}")
    for index, value in enumerate(drifts):
        print(f"{index:8d} {value:40.4f}")
    print(f"{'mean':>8} {drifts.mean():31.4f} +- {error:.4f} (target: under {TARGET})")
    print(write_results("nve_drift", summary))
    plot(runs, summary)


def hybrid_ligand(arguments: argparse.Namespace) -> tuple[openmm.System, np.ndarray, object]:
    """The ligand alone, wholly described by the network."""
    molecule = molecule_from_smiles(arguments.smiles, seed=1)
    topology, positions = to_openmm_topology(molecule)
    mm_system = create_ligand_system(molecule, parameterize(molecule))
    model = nnpmm.load_model(arguments.model, precision=arguments.precision)
    region = nnpmm.select_atoms(topology, "all")
    return nnpmm.create_hybrid_system(mm_system, topology, region, model), positions, model


def replica(
    system: openmm.System, positions: np.ndarray, length_ps: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times (ps) and total energies (kJ/mol) of one NVE run from a thermalised start."""
    reference = openmm.Platform.getPlatformByName("Reference")
    heat = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, TIMESTEP_FS / 1000)
    heat.setRandomNumberSeed(seed + 1)
    context = openmm.Context(system, heat, reference)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, seed + 1)
    heat.step(4000)
    start = context.getState(getPositions=True, getVelocities=True)
    free = openmm.VerletIntegrator(TIMESTEP_FS / 1000)
    context = openmm.Context(system, free, reference)
    context.setState(start)
    samples = round(length_ps * 1000 / TIMESTEP_FS / STEPS_PER_SAMPLE)
    times, energies, began = [], [], time.time()
    for sample in range(samples + 1):
        state = context.getState(getEnergy=True)
        total = state.getKineticEnergy() + state.getPotentialEnergy()
        times.append(sample * STEPS_PER_SAMPLE * TIMESTEP_FS / 1000)
        energies.append(total._value)
        if sample % 50 == 0:
            print(f"replica {seed}: {times[-1]:6.1f} ps, {time.time() - began:5.0f} s", flush=True)
        free.step(STEPS_PER_SAMPLE)
    return np.array(times), np.array(energies)


def drift(times: np.ndarray, energies: np.ndarray) -> float:
    """Slope of the total energy, kJ/mol/ns."""
    return 1000.0 * float(np.polyfit(times, energies, 1)[0])


def plot(runs: list[tuple[np.ndarray, np.ndarray]], summary: dict) -> None:
    """Total energy of every replica against time."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for index, (times, energies) in enumerate(runs):
        axes.plot(times, energies - energies[0], lw=0.7, label=f"replica {index}")
    axes.set_xlabel("time / ps")
    axes.set_ylabel("total energy, shifted / kJ mol$^{-1}$")
    axes.set_title(
        f"{summary['model']['model']}, {TIMESTEP_FS} fs: drift {summary['mean']:.3f} "
        f"$\\pm$ {summary['standard_error']:.3f} kJ/mol/ns per degree of freedom",
        fontsize=9,
    )
    axes.legend(frameon=False, fontsize=8)
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / "nve_drift.png", dpi=150)


if __name__ == "__main__":
    main()
