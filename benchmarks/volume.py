"""Compare volumes under a Monte Carlo barostat between NNP/MM and the force field.

The system is methanol in water, at 2 fs with kept constraints. The script also checks that the
region stays whole. It prints a table and writes results/volume.json.
Usage: python benchmarks/volume.py [--ps 100]
"""

from __future__ import annotations

import argparse
import copy
import logging

import numpy as np
import openmm
from common import mean_with_error, write_results

import nnpmm
from nnpmm.coupling import Mechanical, topology_bonds
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate

TEMPERATURE, TIMESTEP = 300.0, 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=100.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    molecule = molecule_from_smiles("CO", seed=1)
    box = solvate(molecule, parameterize(molecule), padding=0.75, nonbonded_cutoff=0.7, seed=1)
    mm_system = copy.deepcopy(box.system)
    mm_system.addForce(openmm.MonteCarloBarostat(1.0, TEMPERATURE, 25))
    model = nnpmm.load_model("ANI-2x", members=0)
    coupling = Mechanical(constraints="keep")
    region = np.array(box.ligand_atoms)
    hybrid = nnpmm.create_hybrid_system(mm_system, box.topology, region, model, coupling=coupling)
    rows = {}
    for name, system in (("force field", mm_system), ("NNP/MM", hybrid)):
        volumes, longest = run(system, box, arguments.ps)
        mean, error = mean_with_error(volumes)
        rows[name] = {"mean_nm3": mean, "error": error, "longest_bond_nm": longest}
        print(f"{name:<12} {mean:.4f} ± {error:.4f} nm^3, longest bond {longest:.4f} nm")
    difference = rows["NNP/MM"]["mean_nm3"] - rows["force field"]["mean_nm3"]
    sigma = float(np.hypot(rows["force field"]["error"], rows["NNP/MM"]["error"]))
    print(f"difference {difference:+.4f} nm^3, {difference / sigma:+.2f} standard errors")
    print(write_results("volume", {"length_ps": arguments.ps, "rows": rows}))


def run(system: openmm.System, box: MMSystem, length_ps: float) -> tuple[np.ndarray, float]:
    """Return volumes (nm^3) every 0.1 ps after 20 ps, and the longest ligand bond, nm."""
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 2.0, TIMESTEP)
    integrator.setRandomNumberSeed(3)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*np.array(box.box_vectors, dtype=float))
    context.setPositions(np.array(box.positions))
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 100)
    context.setVelocitiesToTemperature(TEMPERATURE, 3)
    integrator.step(round(20 / TIMESTEP))
    ligand = np.array(box.ligand_atoms)
    bonds = topology_bonds(box.topology, ligand)
    volumes, longest = [], 0.0
    for _ in range(round(length_ps / 0.1)):
        integrator.step(round(0.1 / TIMESTEP))
        state = context.getState(positions=True)
        volumes.append(state.getPeriodicBoxVolume()._value)
        x = state.getPositions(asNumpy=True)._value[ligand]
        lengths = np.linalg.norm(x[bonds[:, 0]] - x[bonds[:, 1]], axis=1)
        longest = max(longest, float(lengths.max()))
    return np.array(volumes), longest


if __name__ == "__main__":
    main()
