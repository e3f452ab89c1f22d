"""Cost of a hybrid step: ms per step of plain MM, NNP/MM, and openmm-ml, in turn on one machine.

Systems: toluene in water, HSP90's ligand 3 in water, and its complex. Every round steps each
variant for a while, so that a slow spell of the machine hits all of them; medians over rounds are
printed.
Prints a table, writes results/md_step.json. Usage: python benchmarks/md_step.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import openmm
from common import data_folder, write_results
from openmm import app, unit

import nnpmm

SYSTEMS = {
    "toluene in water": ("amber", "toluene/toluene-explicit", "resname MBN", 200),
    "HSP90 ligand 3 in water": ("gromacs", "hsp90/ligand-3/ligand/ligand", "resname LIG", 200),
    "HSP90 ligand 3 complex": ("gromacs", "hsp90/ligand-3/complex/complex", "resname LIG", 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="ANI-2x")
    arguments = parser.parse_args()
    rows = []
    for name, (kind, stem, selection, steps) in SYSTEMS.items():
        topology, mm_system, positions, box = read(kind, stem)
        region = nnpmm.select_atoms(topology, selection)
        variants = {"MM": mm_system}
        for backend in ("reference", "torchani"):
            model = nnpmm.load_model(arguments.model, backend=backend)
            variants[f"NNP/MM {backend}"] = nnpmm.create_hybrid_system(
                mm_system, topology, region, model
            )
        peer = openmm_ml(topology, mm_system, region)
        if peer is not None:
            variants["openmm-ml"] = peer
        contexts = {key: context(system, positions, box) for key, system in variants.items()}
        row = measure(contexts, steps, arguments.rounds)
        rows.append({"system": name, "atoms": mm_system.getNumParticles(), **row})
        report(rows[-1])
    print(write_results("md_step", {"model": arguments.model, "rows": rows}))


def read(kind: str, stem: str) -> tuple[app.Topology, openmm.System, object, object]:
    """Topology, MM system (PME, 0.9 nm, X-H constraints), positions and box of a test system."""
    folder = data_folder()
    settings = {
        "nonbondedMethod": app.PME,
        "nonbondedCutoff": 0.9 * unit.nanometer,
        "constraints": app.HBonds,
    }
    if kind == "amber":
        prmtop = app.AmberPrmtopFile(str(folder / f"{stem}.prm7"))
        inpcrd = app.AmberInpcrdFile(str(folder / f"{stem}.rst7"))
        return (
            prmtop.topology,
            prmtop.createSystem(**settings),
            inpcrd.positions,
            inpcrd.boxVectors,
        )
    gro = app.GromacsGroFile(str(folder / f"{stem}.gro"))
    top = app.GromacsTopFile(
        str(folder / f"{stem}.top"),
        periodicBoxVectors=gro.getPeriodicBoxVectors(),
        includeDir=str(folder / "amber99sb-ildn"),
        defines={"HEAVY_H": ""},
    )
    return top.topology, top.createSystem(**settings), gro.positions, gro.getPeriodicBoxVectors()


def openmm_ml(
    topology: app.Topology, mm_system: openmm.System, region: np.ndarray
) -> openmm.System | None:
    """openmm-ml's mixed system with ANI-2x; None where openmm-ml or the weights are missing."""
    try:
        from openmmml import MLPotential
    except ImportError:
        return None
    folder = os.environ.get("NNPMM_MODEL_DIR")
    if folder is None:
        return None
    home = Path(tempfile.mkdtemp())
    (home / ".local").mkdir()
    (home / ".local" / "torchani").symlink_to(folder, target_is_directory=True)
    old, os.environ["HOME"] = os.environ.get("HOME", ""), str(home)  # where torchani looks
    try:
        return MLPotential("ani2x").createMixedSystem(topology, mm_system, region.tolist())
    finally:
        os.environ["HOME"] = old


def context(system: openmm.System, positions: object, box: object) -> openmm.Context:
    """A minimised context on the CPU platform with a 0.5 fs Langevin integrator."""
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    made = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    made.setPeriodicBoxVectors(*box)
    made.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(made, 100.0, 20)
    made.setVelocitiesToTemperature(300.0, 1)
    integrator.step(5)
    return made


def measure(contexts: dict[str, openmm.Context], steps: int, rounds: int) -> dict[str, object]:
    """Median ms per step of every variant, its spread, and its ratio to MM."""
    times: dict[str, list[float]] = {key: [] for key in contexts}
    for _ in range(rounds):
        for key, made in contexts.items():
            start = time.perf_counter()
            made.getIntegrator().step(steps)
            made.getState(getEnergy=False)
            times[key].append(1000 * (time.perf_counter() - start) / steps)
    median = {key: float(np.median(values)) for key, values in times.items()}
    return {
        "ms_per_step": median,
        "spread_ms": {key: float(np.ptp(values)) for key, values in times.items()},
        "ratio_to_mm": {key: value / median["MM"] for key, value in median.items()},
    }


def report(row: dict) -> None:
    """Print one system's rows."""
    print(f"{row['system']}, {row['atoms']} atoms")
    for key, value in row["ms_per_step"].items():
        spread, ratio = row["spread_ms"][key], row["ratio_to_mm"][key]
        print(
            f"  {key:20s} {value:8.2f} ms/step (spread {spread:.2f})  {ratio:5.2f} x MM", flush=True
        )


if __name__ == "__main__":
    main()
