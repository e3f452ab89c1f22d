"""Ligands in their sites with the force field and with NNP/MM: what the network changes.

HSP90 with ligand 3 and Tyk2 with ligand ejm_31, three replicas of each potential. Every process
makes one replica, so that several can share a GPU:

    python benchmarks/gpu_steps.py --write-inputs FOLDER
    python benchmarks/ligand_dynamics.py --inputs FOLDER --system "Tyk2 complex" \
        --potential network --seed 1 --output TRAJECTORIES

Then `python benchmarks/ligand_dynamics.py --compare TRAJECTORIES` analyses them as `nnpmm analyze`
does, prints the differences that mean something, and writes results/ligand_dynamics.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from common import write_results
from gpu_steps import Case, cases, coupled, langevin
from openmm import app, unit

import nnpmm
from nnpmm.models.ani import AniModel, load_parameters

TEMPERATURE, PRESSURE, TIMESTEP = 300.0, 1.0, 4.0  # K, bar, fs
WARMUP, EQUILIBRATION, FRAME = 2.0, 20.0, 1.0  # ps
POTENTIALS = ("force field", "network")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=Path, metavar="FOLDER", help="of gpu_steps.py")
    parser.add_argument("--weights", type=Path, help="a file of gpu_ani.py --write-inputs")
    parser.add_argument("--system", default="HSP90 complex")
    parser.add_argument("--potential", choices=POTENTIALS, default="network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=100.0, help="of the production, ps")
    parser.add_argument("--seconds", type=float, help="end the production when these are over")
    parser.add_argument("--platform", default="CUDA")
    parser.add_argument("--output", type=Path, default=Path("ligand-dynamics"))
    parser.add_argument("--compare", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.compare:
        compare(arguments.compare)
    else:
        simulate(arguments)


def simulate(arguments: argparse.Namespace) -> None:
    """Make one replica: relax, warm up, equilibrate under pressure, write frames of the solute."""
    begun = time.monotonic()
    (_, case), *_ = cases(arguments.inputs, [arguments.system])
    system = system_of(case, arguments)
    system.addForce(openmm.MonteCarloBarostat(PRESSURE, TEMPERATURE, 25))
    name = f"{arguments.system}-{arguments.potential}-{arguments.seed}".replace(" ", "-")
    arguments.output.mkdir(parents=True, exist_ok=True)
    properties = {"Precision": "mixed"} if arguments.platform == "CUDA" else {}
    platform = openmm.Platform.getPlatformByName(arguments.platform)
    integrator = langevin(1.0)
    integrator.setRandomNumberSeed(arguments.seed)
    simulation = app.Simulation(case.topology, system, integrator, platform, properties)
    simulation.context.setPositions(case.positions)
    simulation.minimizeEnergy(maxIterations=300)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, arguments.seed)
    simulation.step(round(1000 * WARMUP))
    integrator.setStepSize(TIMESTEP / 1000)
    simulation.step(round(1000 * EQUILIBRATION / TIMESTEP))
    solute = [a.index for a in case.topology.atoms() if not is_solvent(a.residue)]
    write_topology(arguments.output, arguments.system, case, solute)
    interval = round(1000 * FRAME / TIMESTEP)
    path = arguments.output / f"{name}.xtc"
    simulation.reporters.append(app.XTCReporter(str(path), interval, atomSubset=solute))
    steps, started = 0, time.monotonic()
    while steps * TIMESTEP < 1000 * arguments.time:
        if arguments.seconds and time.monotonic() - begun > arguments.seconds:
            break
        simulation.step(10 * interval)
        steps += 10 * interval
    seconds = time.monotonic() - started
    record = {"ps": steps * TIMESTEP / 1000, "ns_per_day": 86.4 * steps * TIMESTEP / 1000 / seconds}
    path.with_suffix(".json").write_text(json.dumps(record))
    print(name, record, flush=True)


def system_of(case: Case, arguments: argparse.Namespace) -> openmm.System:
    if arguments.potential == "force field":
        return case.system
    if arguments.weights is None:
        return coupled(case, nnpmm.load_model("ANI-2x")).system
    return coupled(case, AniModel(load_parameters(arguments.weights))).system


def is_solvent(residue: app.topology.Residue) -> bool:
    return residue.name in ("HOH", "SOL", "WAT", "NA", "CL", "Na+", "Cl-")


def write_topology(folder: Path, name: str, case: Case, solute: list[int]) -> None:
    """Write the solute as a PDB file, once for all replicas."""
    path = folder / f"{name.replace(' ', '-')}.pdb"
    if path.exists():
        return
    topology = mdtraj.Topology.from_openmm(case.topology)
    nm = np.array(case.positions.value_in_unit(unit.nanometer))
    mdtraj.Trajectory(nm, topology).atom_slice(solute).save_pdb(str(path))


def compare(folder: Path) -> None:
    """Analyse the trajectories and print what differs."""
    raise NotImplementedError(folder, write_results)


if __name__ == "__main__":
    main()
