"""Measure how refitted torsions affect reweighting and multiple time steps.

The molecule is an anilide in vacuum, for which the force field overestimates the N-phenyl barrier
by 11 kcal/mol. From frames of each force field and of ANI-2x, the script calculates the spread of
d = V_NNP - V_MM, the effective fraction of samples, and the difference between the means of d in
both ensembles. It also tests outer steps of RESPA with the bonded terms of each force field as
inner potential, by the criteria of benchmarks/respa_stability.py over 3 ps.

python benchmarks/refitted_dynamics.py [--ps 50] [--network-ps 15]
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

import numpy as np
import openmm
import respa_stability
from common import write_results
from respa_stability import KT, LARGEST_ERROR, TEMPERATURE, Bench

import nnpmm
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy import reweight
from nnpmm.integrators.gap import GapMeter
from nnpmm.structures import create_ligand_system, molecule_from_smiles, parameterize
from nnpmm.torsions import find_rotatable_bonds, fit_torsions, scan_torsions, valence_terms
from nnpmm.torsions.fitting import bind_force_field

SMILES = "CC(=O)Nc1ccc(-c2ccccn2)cc1"
FRAME = 100  # steps of 1 fs
SEEDS = (1, 2)
OUTER = (2.0, 3.0, 4.0)
HYDROGENS = {"free, 3 amu": False, "kept, 3 amu": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ps", type=float, default=50.0, help="length of force-field runs")
    parser.add_argument("--network-ps", type=float, default=15.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    respa_stability.LENGTH = 3.0  # ps
    molecule = molecule_from_smiles(SMILES, seed=1)
    network = nnpmm.load_model("ANI-2x").bind([a.GetAtomicNum() for a in molecule.GetAtoms()])
    start = 0.1 * np.array(molecule.GetConformer().GetPositions())
    bonds, terms = find_rotatable_bonds(molecule), valence_terms(molecule)
    scan = scan_torsions(network, start, bonds, terms)
    usual = parameterize(molecule, provider="fallback")
    force_fields = {
        "force field": usual,
        "refitted": fit_torsions(molecule, usual, scan).parameters,
    }
    results: dict[str, Any] = {"settings": vars(arguments), "smiles": SMILES}
    results["reweighting"] = reweighting(molecule, network, force_fields, scan, arguments)
    results["respa"] = {
        name: longest_steps(molecule, parameters) for name, parameters in force_fields.items()
    }
    print(write_results("refitted_dynamics", results))


def reweighting(
    molecule: Any, network: Any, force_fields: dict[str, Any], scan: Any, arguments: Any
) -> dict[str, Any]:
    """Return the overlap of each force field's ensemble with the network's."""
    lowest = scan.positions[np.unravel_index(scan.energies.argmin(), scan.energies.shape)]
    topology, _ = nnpmm.structures.to_openmm_topology(molecule)
    atoms = list(range(molecule.GetNumAtoms()))
    table: dict[str, Any] = {}
    with_network = nnpmm.create_hybrid_system(
        create_ligand_system(molecule, force_fields["force field"]),
        *(topology, atoms, nnpmm.load_model("ANI-2x")),
    )
    others = frames(with_network, lowest, arguments.network_ps, 11)
    for name, parameters in force_fields.items():
        evaluator = bind_force_field(molecule, parameters)
        system = create_ligand_system(molecule, parameters)

        def differences(positions: np.ndarray, evaluator: Any = evaluator) -> np.ndarray:
            return network.batch(positions).energies - evaluator.batch(positions).energies

        series = [differences(frames(system, lowest, arguments.ps, seed)) for seed in SEEDS]
        theirs = differences(others)
        table[name] = {
            "spread_kj_mol": spread([float(d.std()) for d in series]),
            "effective_share": spread([kish(d) for d in series]),
            "means_apart_kt": spread([float((d.mean() - theirs.mean()) / KT) for d in series]),
            "two_sided_overlap": overlap(np.concatenate(series), theirs),
            "frames": [len(d) for d in series] + [len(theirs)],
        }
        print(name, table[name], flush=True)
    return table


def frames(system: openmm.System, positions: np.ndarray, length: float, seed: int) -> np.ndarray:
    """Return frames (k, n, 3), nm, of a run in vacuum after an equilibration of a fifth of it."""
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, 0.001)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(positions)
    context.setVelocitiesToTemperature(TEMPERATURE, seed)
    count = round(length * 1000 / FRAME)
    found = []
    for index in range(count + count // 5):
        integrator.step(FRAME)
        if index >= count // 5:
            found.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    return np.array(found)


def kish(d: np.ndarray) -> float:
    """Return the effective fraction of samples with the weights exp(-d/kT) (Kish)."""
    weights = np.exp(-(d - d.min()) / KT)
    return float(weights.sum() ** 2 / (weights**2).sum() / len(d))


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean over the seeds and its standard error."""
    array = np.array(values)
    return {"mean": float(array.mean()), "error": float(array.std(ddof=1) / np.sqrt(len(array)))}


def overlap(mm: np.ndarray, nnp: np.ndarray) -> float | str:
    """Return the overlap of both ensembles, or the reason why it is too small."""
    try:
        return reweight(mm, nnp, temperature=TEMPERATURE).overlap
    except SimulationError as error:
        return str(error)


def longest_steps(molecule: Any, parameters: Any) -> dict[str, Any]:
    """Return energy errors by outer step, and the remaining slow force at frames of the network."""
    bench = Bench(molecule)
    bench.parameters = parameters
    rows: dict[str, Any] = {}
    for hydrogens, kept in HYDROGENS.items():
        errors = {
            step: max(bench.error("force field", 3, kept, step, seed) for seed in SEEDS)
            for step in OUTER
        }
        system, network = (bench.system(k, 3, kept) for k in ("force field", "single steps"))
        meter = GapMeter(*(system, np.array(bench.atoms)), timestep=0.004, temperature=TEMPERATURE)
        left = [
            meter.measure(each, None).rms_force for each in frames(network, bench.positions, 2.0, 7)
        ]
        stable = [step for step, error in errors.items() if error < LARGEST_ERROR]
        rows[hydrogens] = {
            "errors": {step: e if np.isfinite(e) else None for step, e in errors.items()},
            "longest_fs": max(stable, default=None),
            "rms_force_left_kj_mol_nm": float(np.mean(left)),
        }
        print(hydrogens, rows[hydrogens], flush=True)
    return rows


if __name__ == "__main__":
    main()
