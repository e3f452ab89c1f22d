"""Check whether forces are the negative gradient of the energy in openmm-ml's ani2x and nnpmm's.

The system is toluene in water in openmm-ml's mixed systems; the script evaluates only the network's
force group. It compares every force component of toluene's 15 atoms with the central difference of
the energy of the same potential. A line fitted to all pairs gives their ratio, which is 1 if the
forces are right. openmm-ml 1.8 differentiates with respect to angstrom but returns the result as
kJ/mol/nm, so that its ratio is 0.1.

The displacement is 1e-5 nm in double precision. In single precision it is 2e-4 nm, because it
divides the rounding errors of the energy. The script prints a table and writes
results/openmm_ml_forces.json. It needs NNPMM_MODEL_DIR, a folder with ANI-2x.
Usage: python benchmarks/openmm_ml_forces.py
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import openmm
from common import write_results
from md_step import SYSTEMS, openmm_ml, read
from openmm import unit
from openmmml import MLPotential

import nnpmm

GROUP = 20


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    kind, stem, selection, _ = SYSTEMS["toluene in water"]
    topology, mm_system, positions, box = read(kind, stem)
    region = nnpmm.select_atoms(topology, selection)
    built_in = openmm_ml(topology, mm_system, region)
    if built_in is None:
        raise SystemExit("openmm-ml needs ANI-2x: set NNPMM_MODEL_DIR to a folder with ani-2x_8x")
    for force in built_in.getForces():
        if isinstance(force, openmm.PythonForce):
            force.setForceGroup(GROUP)
    rows = [check("ani2x (openmm-ml)", built_in, region, positions, box, step=2e-4)]
    for precision, step in (("single", 2e-4), ("double", 1e-5)):
        system = MLPotential("nnpmm-ani2x", precision=precision).createMixedSystem(
            topology, mm_system, region.tolist(), forceGroup=GROUP
        )
        rows.append(check(f"nnpmm-ani2x, {precision}", system, region, positions, box, step))
    report(rows)
    print(write_results("openmm_ml_forces", {"system": "toluene in water", "rows": rows}))


def check(
    name: str,
    system: openmm.System,
    region: np.ndarray,
    positions: unit.Quantity,
    box: unit.Quantity,
    step: float,
) -> dict[str, Any]:
    """Return the row that compares forces with differences of the energy, for the region."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    start = context.getState(positions=True).getPositions(asNumpy=True)._value

    def energy(shifted: np.ndarray) -> float:
        context.setPositions(shifted)
        return context.getState(energy=True, groups={GROUP}).getPotentialEnergy()._value

    state = context.getState(energy=True, forces=True, groups={GROUP})
    returned = state.getForces(asNumpy=True)._value[region]
    numeric = np.empty_like(returned)
    for row, atom in enumerate(region):
        for axis in range(3):
            shift = np.zeros_like(start)
            shift[atom, axis] = step
            numeric[row, axis] = -(energy(start + shift) - energy(start - shift)) / (2 * step)
    largest = np.unravel_index(np.abs(numeric).argmax(), numeric.shape)
    return {
        "potential": name,
        "energy_kj_mol": state.getPotentialEnergy()._value,
        "displacement_nm": step,
        "largest_component": {"returned": returned[largest], "difference": numeric[largest]},
        "ratio": float((returned * numeric).sum() / (numeric * numeric).sum()),
        "rms_deviation_kj_mol_nm": float(np.sqrt(((returned - numeric) ** 2).mean())),
        "rms_force_kj_mol_nm": float(np.sqrt((numeric**2).mean())),
    }


def report(rows: list[dict]) -> None:
    """Print the table."""
    print(
        f"{'potential':22s} {'returned':>10s} {'-dE/dx':>10s} {'ratio':>8s} {'rms deviation':>14s}"
    )
    for row in rows:
        largest = row["largest_component"]
        print(
            f"{row['potential']:22s} {largest['returned']:10.1f} {largest['difference']:10.1f} "
            f"{row['ratio']:8.4f} {row['rms_deviation_kj_mol_nm']:14.3f}  (kJ/mol/nm)"
        )


if __name__ == "__main__":
    main()
