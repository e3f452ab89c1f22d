"""Measure energy conservation in NVE runs of a ligand in vacuum, as drift per degree of freedom.

The script prints a table, and writes results/nve_drift.json and docs/images/nve_drift.png with the
traces of this call. A replica takes a quarter of an hour. The script therefore keeps replicas with
other seeds and the same settings that are already in the results, and includes them in the mean.
Usage: python benchmarks/nve_drift.py [--smiles S] [--model ANI-2x] [--ps 50] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import logging
import time

import numpy as np
import openmm
from common import RESULTS, save_image, write_results

import nnpmm
from nnpmm.models import Potential
from nnpmm.plots import style
from nnpmm.structures import (
    create_ligand_system,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)

TIMESTEP_FS, TEMPERATURE, TARGET = 0.5, 300.0, 0.1
STEPS_PER_SAMPLE = 100
NAME = "nve_drift"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smiles", default="CC(=O)Nc1ccc(O)cc1")
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--precision", default="single")
    parser.add_argument("--ps", type=float, default=50.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    system, positions, model = hybrid_ligand(arguments)
    freedom = 3 * system.getNumParticles() - 6
    runs = {seed: replica(system, positions, arguments.ps, seed) for seed in arguments.seeds}
    settings = {
        "smiles": arguments.smiles,
        "model": model.name,
        "backend": model.provenance["backend"],
        "precision": model.provenance["precision"],
        "timestep_fs": TIMESTEP_FS,
        "length_ps": arguments.ps,
    }
    drifts = earlier(settings)
    drifts |= {str(seed): drift(*run) / freedom for seed, run in runs.items()}
    values = np.array(list(drifts.values()))
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    print(f"{'seed':>8} {'drift, kJ/mol/ns per degree of freedom':>40}")
    for seed, value in drifts.items():
        print(f"{seed:>8} {value:40.4f}")
    print(f"{'mean':>8} {values.mean():31.4f} ± {error:.4f} (target: under {TARGET})")
    summary = {"mean": float(values.mean()), "standard_error": float(error), "target": TARGET}
    results = {"settings": settings, "drift_kj_per_mol_ns_dof": drifts, **summary}
    print(write_results(NAME, results))
    plot(runs, settings["model"], summary, len(values))


def earlier(settings: dict) -> dict[str, float]:
    """Return drifts in the results that were measured with the same settings."""
    path = RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text())["results"] if path.is_file() else {}
    return found["drift_kj_per_mol_ns_dof"] if found.get("settings") == settings else {}


def hybrid_ligand(arguments: argparse.Namespace) -> tuple[openmm.System, np.ndarray, Potential]:
    """Return system, positions and model of the ligand in vacuum, all of it in the region."""
    molecule = molecule_from_smiles(arguments.smiles, seed=1)
    topology, positions = to_openmm_topology(molecule)
    mm_system = create_ligand_system(molecule, parameterize(molecule))
    model = nnpmm.load_model(arguments.model, precision=arguments.precision)
    region = nnpmm.select_atoms(topology, "all")
    return nnpmm.create_hybrid_system(mm_system, topology, region, model), positions, model


def replica(
    system: openmm.System, positions: np.ndarray, length_ps: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ps) and total energies (kJ/mol) of one NVE run from a thermalised start."""
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
    """Return the slope of the total energy, kJ/mol/ns."""
    return 1000.0 * float(np.polyfit(times, energies, 1)[0])


def plot(runs: dict, model: str, summary: dict, count: int) -> None:
    """Draw the total energy of every replica of this call against time."""
    figure, (axes,) = style.create_panels(width=6, height=3.2)
    for seed, (times, energies) in runs.items():
        axes.plot(times, energies - energies[0], lw=0.7, label=f"seed {seed}")
    drift = f"{summary['mean']:.3f} $\\pm$ {summary['standard_error']:.3f}"
    style.dress(
        axes,
        xlabel="time / ps",
        ylabel="total energy, shifted / (kJ/mol)",
        title=f"{model}, {TIMESTEP_FS} fs: {drift} kJ/mol/ns per degree of freedom "
        f"({count} replicas)",
    )
    style.legend(axes)
    save_image(figure, "nve_drift")


if __name__ == "__main__":
    main()
