"""Find how many weights of the network a joint ladder needs between force field and network.

A joint ladder goes from the force field, V_MM, to the network, V_NNP, inside the molecule:
V = (1 - w) V_MM + w V_NNP. Neighbouring weights a < b overlap well if their hysteresis,
(b - a) (<V_NNP - V_MM>_a - <V_NNP - V_MM>_b) / kT, is at most a few. This script samples it for
molecules of several sizes in vacuum, with one network of ANI-2x, GAFF2 and AM1-BCC charges.

Run: python benchmarks/network_weights.py
"""

from __future__ import annotations

import io
import itertools

import numpy as np
import openmm
from common import ROOT, data_folder, write_results, write_section
from openmm import app
from rdkit import Chem

import nnpmm
from nnpmm.coupling import Interpolated, Mechanical, nnp_derivative
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.relative.box import read_ligands
from nnpmm.integrators import apply_hydrogen_mass
from nnpmm.models import Potential
from nnpmm.structures import forcefield_xml, molecule_from_smiles, parameterize, to_openmm_topology

PAGE = ROOT / "docs" / "validation" / "binding.md"
SMILES = {
    "methanol": "CO",
    "phenol": "Oc1ccccc1",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "B2": "OCC12CCC(CO)(CC1)CC2",
}
LIGAND = "lig_ejm_31"
TEMPERATURE, TIMESTEP, HYDROGEN_MASS = 298.15, 0.002, 3.0  # K, ps, amu
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
EQUILIBRATION, INTERVAL, SAMPLES, REPEATS = 1500, 50, 100, 3  # steps, steps
COUNTS = (1, 2, 3, 4, 5)  # of equal steps


def molecules() -> dict[str, Chem.Mol]:
    """Return the molecules by name, smallest first."""
    found = {name: molecule_from_smiles(smiles, seed=1) for name, smiles in SMILES.items()}
    ligand = read_ligands(data_folder() / "tyk2/ligands.sdf", (LIGAND,))[LIGAND]
    return {**found, "ligand of Tyk2": ligand}


def mean_differences(molecule: Chem.Mol, model: Potential, seed: int) -> list[float]:
    """Return <V_NNP - V_MM> at each weight, kJ/mol, from one run through all weights."""
    topology, positions = to_openmm_topology(molecule, "LIG")
    parameters = parameterize(molecule, provider="amber")
    force_field = app.ForceField(io.StringIO(forcefield_xml(molecule, parameters, "LIG")))
    system = force_field.createSystem(topology, constraints=app.HBonds)
    apply_hydrogen_mass(system, topology, HYDROGEN_MASS)
    region = np.arange(system.getNumParticles())
    coupling = Mechanical(constraints="keep", inside=Interpolated())
    hybrid = nnpmm.couple(system, topology, region, model, coupling=coupling)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, TIMESTEP)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, hybrid.system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, seed)
    means = []
    for weight in WEIGHTS:
        simulation.context.setParameter("lambda_nnp", weight)
        simulation.step(EQUILIBRATION)
        values = []
        for _ in range(SAMPLES):
            simulation.step(INTERVAL)
            values.append(nnp_derivative(simulation.context))
        means.append(float(np.mean(values)))
    return means


def hysteresis(means: np.ndarray, count: int) -> float:
    """Return the largest hysteresis for a number of equal steps of the weight, kT."""
    edges = np.linspace(0.0, 1.0, count + 1)
    at_edges = np.interp(edges, WEIGHTS, means)
    steps = [(a - b) / count for a, b in itertools.pairwise(at_edges)]
    return float(max(steps) / thermal_energy(TEMPERATURE))


def main() -> None:
    model = nnpmm.load_model("ANI-2x", members=[0], threads=1)
    results = {}
    for name, molecule in molecules().items():
        runs = np.array([mean_differences(molecule, model, seed + 1) for seed in range(REPEATS)])
        found = np.array([[hysteresis(means, count) for count in COUNTS] for means in runs])
        results[name] = {
            "atoms": molecule.GetNumAtoms(),
            "mean_differences_kj_mol": runs.tolist(),
            "largest_hysteresis_kT": {
                str(count): {
                    "mean": float(values.mean()),
                    "error": float(values.std(ddof=1) / len(values) ** 0.5),
                }
                for count, values in zip(COUNTS, found.T, strict=True)
            },
        }
        print(name, results[name]["largest_hysteresis_kT"], flush=True)
        write_results("network_weights", results)
    write_section(PAGE, "network weights", table(results))


def table(results: dict[str, dict]) -> list[str]:
    """Return the hysteresis by molecule and number of steps as Markdown."""
    heads = " | ".join("one step" if count == 1 else f"{count} steps" for count in COUNTS)
    lines = [f"| | atoms | {heads} |", "| --- " * (2 + len(COUNTS)) + "|"]
    for name, each in results.items():
        values = each["largest_hysteresis_kT"].values()
        cells = " | ".join(f"{v['mean']:.1f} ± {v['error']:.1f}" for v in values)
        lines.append(f"| {name} | {each['atoms']} | {cells} |")
    return lines


if __name__ == "__main__":
    main()
