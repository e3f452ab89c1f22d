"""Measure time, energy and forces of minimising the HSP90 complex by number of iterations.

The script prints a table and writes results/minimization.json. It reports the forces on the heavy
atoms of protein and ligand, and on the region, whose bonds are not constrained. Forces on rigid
water would include parts that its constraints cancel.
Usage: python benchmarks/minimization.py [--iterations 100 200 400]
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import openmm
from common import write_results
from md_step import SYSTEMS, read

import nnpmm
from nnpmm.core.interrupts import StopFlag
from nnpmm.simulation import MinimizeConfig
from nnpmm.simulation.stages.minimization import minimize
from nnpmm.simulation.stages.progress import progress_display


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, nargs="+", default=[100, 200])
    arguments = parser.parse_args()
    kind, stem, selection, _ = SYSTEMS["HSP90 ligand 3 complex"]
    topology, mm_system, positions, box = read(kind, stem)
    region = nnpmm.select_atoms(topology, selection)
    heavy = nnpmm.select_atoms(topology, "(protein or resname LIG) and not element H")
    system = nnpmm.create_hybrid_system(mm_system, topology, region, nnpmm.load_model("ANI-2x"))
    rows = []
    for bound in (0, *arguments.iterations):
        context = openmm.Context(
            system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU")
        )
        context.setPeriodicBoxVectors(*box)
        context.setPositions(positions)
        context.getState(energy=True)  # excludes compilation and neighbour lists from the time
        started, cpu = time.perf_counter(), time.process_time()
        if bound:
            with progress_display(False) as display:
                minimize(context, MinimizeConfig(max_iterations=bound), display, StopFlag(), region)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        state = context.getState(energy=True, forces=True)
        forces = state.getForces(asNumpy=True)._value
        rows.append(
            {
                "iterations": bound,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "energy_kj_mol": state.getPotentialEnergy()._value,
                "rms_force_heavy_kj_mol_nm": rms(forces[heavy]),
                "rms_force_region_kj_mol_nm": rms(forces[region]),
                "largest_force_heavy_kj_mol_nm": float(np.linalg.norm(forces[heavy], axis=1).max()),
            }
        )
        print("  ".join(f"{key} {value:.1f}" for key, value in rows[-1].items()), flush=True)
    results = {"load_average": os.getloadavg(), "cores": os.cpu_count(), "rows": rows}
    print(write_results("minimization", results))


def rms(forces: np.ndarray) -> float:
    """Return the root mean square over components."""
    return float(np.sqrt((forces**2).mean()))


if __name__ == "__main__":
    main()
