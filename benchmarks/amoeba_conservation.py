"""Check whether RESPA conserves the energy of a network in AMOEBA water like single short steps.

Phenol is described by ANI-2x in a small box of AMOEBA water, with subtractive coupling. All runs
start from the same equilibrated state and have no thermostat: velocity Verlet with steps of
0.25 fs, and RESPA with an inner step of 0.25 fs. The script reports the drift and the fluctuation
of the total energy, with errors from five blocks.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import openmm
from amoeba_common import SOLUTE, box_of, minimized, phenol_in_water
from common import write_results
from numpy.typing import NDArray
from openmm import unit

from nnpmm import couple, load_model
from nnpmm.coupling import MultipleTimeSteps, Subtractive
from nnpmm.integrators import RespaIntegrator, create_respa_integrator, split_time_scales

INNER = 0.00025  # ps
OUTER = {"V 0.25": INNER, "R 0.25/1": 0.001, "R 0.25/2": 0.002}
SAMPLE = 0.004  # ps between two samples of the energy
BLOCKS = 5


def main() -> None:
    """Equilibrate once, run each splitting, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=float, default=0.5, help="length of each run, ps")
    parser.add_argument("--edge", type=float, default=1.5, help="edge of the box, nm")
    parser.add_argument("--polarization", default="extrapolated")
    options = parser.parse_args()
    mm = phenol_in_water(options.edge, polarization=options.polarization)
    coupling = Subtractive(inside=MultipleTimeSteps())
    model = load_model("ANI-2x")
    hybrid = couple(mm.system, mm.topology, range(SOLUTE), model, coupling=coupling)
    system = hybrid.system
    print(f"{mm.topology.getNumAtoms()} atoms, {box_of(mm.topology)}", flush=True)
    start = _equilibrated(system, minimized(system, mm))
    rows = {}
    for name, outer in OUTER.items():
        rows[name] = _run(system, outer, start, options.length)
        row = rows[name]
        print(
            f"{name:10s} fluctuation {row['fluctuation']:.3f} ± {row['fluctuation_error']:.3f} "
            f"kJ/mol, drift {row['drift']:+.2f} ± {row['drift_error']:.2f} kJ/mol/ps, "
            f"{row['seconds']:.0f} s",
            flush=True,
        )
    write_results(
        "amoeba_conservation",
        {
            "atoms": mm.topology.getNumAtoms(),
            "edge_nm": options.edge,
            "polarization": options.polarization,
            "length_ps": options.length,
            "runs": rows,
        },
    )


def _integrator(system: openmm.System, outer: float, **bath: int) -> RespaIntegrator:
    if outer == INNER:
        groups = {force.getForceGroup() for force in system.getForces()}
        return create_respa_integrator(system, [(INNER, groups)], **bath)
    splitting = split_time_scales(system, inner=INNER, outer=outer)
    return create_respa_integrator(system, splitting, **bath)


def _context(system: openmm.System, integrator: openmm.Integrator) -> openmm.Context:
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))


def _equilibrated(system: openmm.System, positions: NDArray[np.float64]) -> openmm.State:
    integrator = _integrator(system, 0.002, temperature=300, friction=10, seed=1)
    context = _context(system, integrator)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(150)
    return context.getState(positions=True, velocities=True)


def _run(system: openmm.System, outer: float, start: openmm.State, length: float) -> dict[str, Any]:
    split_time_scales(system, inner=INNER, outer=0.002)
    integrator = _integrator(system, outer)
    context = _context(system, integrator)
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    began, energies = time.perf_counter(), []
    every = round(SAMPLE / outer)
    for _ in range(round(length / SAMPLE)):
        integrator.step(every)
        state = context.getState(energy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        energies.append(total.value_in_unit(unit.kilojoule_per_mole))
    times = SAMPLE * np.arange(len(energies))
    slope, offset = np.polyfit(times, energies, 1)
    rest = energies - (slope * times + offset)
    blocks = [np.std(block) for block in np.array_split(rest, BLOCKS)]
    slopes = [
        np.polyfit(t, e, 1)[0]
        for t, e in zip(
            np.array_split(times, BLOCKS), np.array_split(np.array(energies), BLOCKS), strict=True
        )
    ]
    return {
        "outer_fs": 1000 * outer,
        "fluctuation": float(np.std(rest)),
        "fluctuation_error": float(np.std(blocks, ddof=1) / np.sqrt(BLOCKS)),
        "drift": float(slope),
        "drift_error": float(np.std(slopes, ddof=1) / np.sqrt(BLOCKS)),
        "seconds": time.perf_counter() - began,
        "energies": [round(e, 4) for e in energies],
    }


if __name__ == "__main__":
    main()
