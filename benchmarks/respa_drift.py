"""Measure the drift of the total energy with multiple time steps and with velocity Verlet.

The system is benzene in vacuum with all eight networks of ANI-2x, at constant energy from several
starts at 300 K. Velocity Verlet uses the inner step. The drift is the slope of the total energy
over the run, per degree of freedom. Its error comes from the scatter over the starts. The script
prints a table and writes results/respa_drift.json.
Usage: python benchmarks/respa_drift.py [--ps 20] [--starts 4]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from common import write_results
from respa_stability import FEMTOSECOND, Bench, integrator_of, total_energy

from nnpmm import structures


class Case(NamedTuple):
    """Inner and outer step in fs (velocity Verlet if equal), inner potential, hydrogens."""

    inner: float
    outer: float
    inner_potential: str
    mass: float = 1.0
    kept: bool = False


CASES = {
    "Verlet 0.5": Case(0.5, 0.5, "single steps"),
    "0.5/1 force field": Case(0.5, 1, "force field"),
    "0.5/2 force field": Case(0.5, 2, "force field"),
    "0.5/2 fit": Case(0.5, 2, "fit"),
    "0.5/2 network": Case(0.5, 2, "one network"),
    "Verlet 1, HMR kept": Case(1, 1, "single steps", 3.0, True),
    "1/4 force field, HMR kept": Case(1, 4, "force field", 3.0, True),
    "1/4 fit, HMR kept": Case(1, 4, "fit", 3.0, True),
    "1/4 network, HMR kept": Case(1, 4, "one network", 3.0, True),
}
SAMPLE = 0.02  # ps between energies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--starts", type=int, default=4)
    arguments = parser.parse_args()
    bench = Bench(structures.molecule_from_smiles("c1ccccc1", seed=1))
    rows = {}
    for name, case in CASES.items():
        drifts = [drift(bench, case, arguments.ps, seed + 1) for seed in range(arguments.starts)]
        mean, error = np.mean(drifts), np.std(drifts, ddof=1) / np.sqrt(len(drifts))
        rows[name] = {"drift": float(mean), "error": float(error), "starts": drifts}
        print(f"{name:28s}{mean:+8.3f} ± {error:.3f} kJ/mol/ns per degree of freedom", flush=True)
    print(write_results("respa_drift", {"ps": arguments.ps, "rows": rows}))


def drift(bench: Bench, case: Case, length: float, seed: int) -> float:
    """Return the slope of the total energy in kJ/mol/ns per degree of freedom."""
    system = bench.system(case.inner_potential, case.mass, case.kept)
    integrator = integrator_of(system, case.inner_potential, case.inner, case.outer)
    context = bench.start(system, integrator, seed)
    every = round(SAMPLE / (case.outer * FEMTOSECOND))
    energies = []
    for _ in range(round(length / SAMPLE)):
        integrator.step(every)
        energies.append(total_energy(context))
    freedoms = 3 * len(bench.atoms) - system.getNumConstraints()
    slope = np.polyfit(SAMPLE * np.arange(len(energies)), energies, 1)[0]  # kJ/mol/ps
    return float(1000 * slope / freedoms)


if __name__ == "__main__":
    main()
