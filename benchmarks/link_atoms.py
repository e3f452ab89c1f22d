"""Energy conservation with link atoms: NVE runs of alanine dipeptide with a capped region.

The region is its side chain or its residue. Prints a table and writes results/link_atoms.json:
drift per degree of freedom and fluctuation of the total energy, beside those of the force field
alone.
Usage: python benchmarks/link_atoms.py [--ps 20] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
import openmm
from common import data_folder, write_results
from openmm import app

import nnpmm
from nnpmm.coupling import Mechanical

TIMESTEP_FS, TEMPERATURE = 0.5, 300.0
REGIONS = {
    "side chain": "resname ALA and name CB HB1 HB2 HB3",
    "residue": "(resname ACE and name C O) or (resname ALA and not name C O)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    pdb = app.PDBFile(str(data_folder() / "toluene" / "alanine-dipeptide-explicit.pdb"))
    solute = app.Modeller(pdb.topology, pdb.positions)
    solute.deleteWater()
    force_field = app.ForceField("amber14-all.xml")
    mm_system = force_field.createSystem(solute.topology, removeCMMotion=False)
    systems = {"force field": mm_system}
    model = nnpmm.load_model("ANI-2x", members=0)
    for name, selection in REGIONS.items():
        region = nnpmm.select_atoms(solute.topology, selection)
        coupling = Mechanical(link_atoms=True)
        systems[name] = nnpmm.create_hybrid_system(
            mm_system, solute.topology, region, model, coupling=coupling
        )
    freedom = 3 * mm_system.getNumParticles() - 6
    rows = {}
    print(f"{'region':<14} {'drift, kJ/mol/ns/dof':>26} {'fluctuation, kJ/mol':>22}")
    for name, system in systems.items():
        runs = [trace(system, solute.positions, arguments.ps, seed) for seed in arguments.seeds]
        drifts = np.array([1000 * np.polyfit(*run, 1)[0] / freedom for run in runs])
        noise = np.mean([np.std(e - np.polyval(np.polyfit(t, e, 1), t)) for t, e in runs])
        error = drifts.std(ddof=1) / np.sqrt(len(drifts))
        rows[name] = {"drifts": drifts.tolist(), "standard_error": error, "fluctuation": noise}
        print(f"{name:<14} {drifts.mean():18.4f} +- {error:.4f} {noise:18.4f}", flush=True)
    settings = {"timestep_fs": TIMESTEP_FS, "length_ps": arguments.ps, "model": "ANI-2x, member 0"}
    print(write_results("link_atoms", {"settings": settings, "rows": rows}))


def trace(
    system: openmm.System, positions: object, length_ps: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times (ps) and total energies (kJ/mol) of an NVE run after 4 ps at constant temperature."""
    reference = openmm.Platform.getPlatformByName("Reference")
    heat = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, TIMESTEP_FS / 1000)
    heat.setRandomNumberSeed(seed + 1)
    context = openmm.Context(system, heat, reference)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, seed + 1)
    heat.step(8000)
    start = context.getState(positions=True, velocities=True)
    context = openmm.Context(system, openmm.VerletIntegrator(TIMESTEP_FS / 1000), reference)
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    times, energies = [], []
    for sample in range(round(length_ps * 20)):
        state = context.getState(energy=True)
        energies.append((state.getKineticEnergy() + state.getPotentialEnergy())._value)
        times.append(sample * 0.05)
        context.getIntegrator().step(round(50 / TIMESTEP_FS))
    return np.array(times), np.array(energies)


if __name__ == "__main__":
    main()
