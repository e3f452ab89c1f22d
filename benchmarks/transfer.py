"""Measure the cost of the network in an alchemical transfer, outside and inside the ATMForce.

Two ligands exchange places in water. The script times steps with the force field alone; with the
networks outside the ATMForce, where each is evaluated once; and inside it, where each is evaluated
before and after the transfer. For comparison, it also times the hybrid system without a transfer.
Run: python benchmarks/transfer.py [--threads 1] [--rounds 5] [--steps 20]
"""

from __future__ import annotations

import argparse

import numpy as np
import openmm
from common import write_results
from openmm import app
from rich.console import Console
from rich.table import Table

from nnpmm import create_hybrid_system, load_model
from nnpmm.benchmarking import time_in_turn
from nnpmm.core.platforms import choose_platform
from nnpmm.coupling import Mechanical
from nnpmm.freeenergy.relative import TransferState, create_transfer_system
from nnpmm.structures import molecule_from_smiles, parameterize, solvate

PAIRS = {
    "paracetamol, phenacetin": ("CC(=O)Nc1ccc(O)cc1", "CC(=O)Nc1ccc(OCC)cc1"),
    "two ligands of Tyk2": (
        "CC(=O)Nc1cc(NC(=O)c2c(Cl)cccc2Cl)ccn1",
        "CCC(=O)Nc1cc(NC(=O)c2c(Cl)cccc2Cl)ccn1",
    ),
}
APART = 1.7  # nm
MIDDLE = TransferState(1, 0.5, 0.5)
KINDS = ("force field", "hybrid", "outside", "inside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--platform", default="auto")
    arguments = parser.parse_args()
    results = {}
    table = Table("ligands", "atoms", *(f"{kind}, ms" for kind in KINDS), "inside / outside")
    for name, smiles in PAIRS.items():
        simulations = prepared(smiles, arguments.platform, arguments.threads)
        calls = {
            kind: lambda simulation=simulation: simulation.step(arguments.steps)
            for kind, simulation in simulations.items()
        }
        times = time_in_turn(calls, rounds=arguments.rounds)
        step = {kind: times[kind].median / arguments.steps for kind in KINDS}
        count = simulations["hybrid"].system.getNumParticles()
        table.add_row(
            *(name, str(count), *(f"{step[kind]:.1f}" for kind in KINDS)),
            f"{step['inside'] / step['outside']:.2f}",
        )
        results[name] = {
            "atoms": count,
            "ms_per_step": {kind: [t / arguments.steps for t in times[kind]] for kind in KINDS},
            "inside_over_outside": step["inside"] / step["outside"],
            "outside_over_force_field": step["outside"] / step["force field"],
        }
    Console().print(table)
    about = {"threads": arguments.threads, "model": "ANI-2x, eight networks", "timestep_fs": 1}
    print(write_results("transfer", {**about, "pairs": results}))


def prepared(smiles: tuple[str, str], platform: str, threads: int) -> dict[str, app.Simulation]:
    """Return a briefly relaxed simulation of each kind."""
    first, second = (molecule_from_smiles(text, seed=1) for text in smiles)
    conformer = second.GetConformer()
    for index, place in enumerate(conformer.GetPositions() + np.array([10 * APART, 0, 0])):
        conformer.SetAtomPosition(index, place.tolist())
    mm = solvate(
        first,
        parameterize(first),
        second=(second, parameterize(second), "SEC"),
        padding=0.3,
        hydrogen_mass=3.0,
        seed=1,
    )
    atoms = np.array(mm.ligand_atoms)
    ligands = (atoms, atoms[-1] + 1 + np.arange(second.GetNumAtoms()))
    anchors = (int(ligands[0][4]), int(ligands[1][4]))
    model = load_model("ANI-2x", threads=threads)
    hybrid = mm.system
    for region in ligands:
        coupling = Mechanical(constraints="keep")
        hybrid = create_hybrid_system(hybrid, mm.topology, region, model, coupling=coupling)
    systems = {
        "force field": create_transfer_system(mm.system, *ligands, anchors),
        "hybrid": hybrid,
        "outside": create_transfer_system(hybrid, *ligands, anchors),
        "inside": create_transfer_system(hybrid, *ligands, anchors, network_inside=True),
    }
    chosen, properties = choose_platform(platform, threads=threads)
    found = {}
    for kind, system in systems.items():
        integrator = openmm.LangevinMiddleIntegrator(298.15, 1.0, 0.001)
        simulation = app.Simulation(mm.topology, system, integrator, chosen, properties)
        simulation.context.setPositions(mm.positions)
        simulation.minimizeEnergy(tolerance=100, maxIterations=20)
        if kind != "hybrid":
            for name, value in MIDDLE.parameters.items():
                simulation.context.setParameter(name, value)
        simulation.context.setVelocitiesToTemperature(298.15, 1)
        simulation.step(5)
        found[kind] = simulation
    return found


if __name__ == "__main__":
    main()
