"""Compare BAR on switching work with MBAR for the free energy from the force field to NNP/MM.

The system is methanol in water. BAR uses works of switching from snapshots of equilibrium runs at
both ends. MBAR uses equilibrium runs at five values of lambda_nnp, whose energies differ only by
lambda_nnp (V_NNP - V_MM). Both estimates must agree. The script prints a table, and writes
results/mm_to_nnp.json and docs/images/mm_to_nnp.png.
Usage: python benchmarks/mm_to_nnp.py [--smiles CO] [--switches 60] [--mbar-ps 40]
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
import openmm
from common import save_image, write_results

import nnpmm
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.coupling import LAMBDA_NNP, Interpolated, Mechanical, nnp_derivative
from nnpmm.freeenergy import bar, forward_protocol, reverse_protocol, reweight, switch
from nnpmm.plots import style
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate

TEMPERATURE, TIMESTEP = 300.0, 0.002  # K, ps; bonds to hydrogen are constrained
KT = GAS_CONSTANT * TEMPERATURE
CHANGES, STEPS_PER_CHANGE, STEPS_BETWEEN = 50, 5, 250
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smiles", default="CO")
    parser.add_argument("--switches", type=int, default=60)
    parser.add_argument("--mbar-ps", type=float, default=40.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    system, start = interpolated_ligand(ligand_in_water(arguments.smiles))
    forward = works(system, start, forward_protocol(CHANGES), arguments.switches, seed=1)
    reverse = works(system, start, reverse_protocol(CHANGES), arguments.switches, seed=2)
    found = bar(forward, reverse, temperature=TEMPERATURE).between()
    mbar = direct(system, start, round(arguments.mbar_ps / TIMESTEP))
    estimates = {
        "BAR on works": (found.value, found.error),
        "MBAR": mbar,
    }
    print(f"{'estimator':<16} {'dG(MM -> NNP/MM), kJ/mol':>28}")
    for name, (value, error) in estimates.items():
        print(f"{name:<16} {value:18.2f} ± {error:.2f}")
    sigma = np.hypot(estimates["BAR on works"][1], mbar[1])
    distance = abs(estimates["BAR on works"][0] - mbar[0]) / sigma
    print(f"difference: {distance:.2f} standard errors")
    results = {
        "settings": vars(arguments) | {"switch_ps": CHANGES * STEPS_PER_CHANGE * TIMESTEP},
        "estimates_kj_mol": {k: {"value": v, "error": e} for k, (v, e) in estimates.items()},
        "standard_errors_apart": distance,
        "works_forward_kj_mol": forward.tolist(),
        "works_reverse_kj_mol": reverse.tolist(),
    }
    print(write_results("mm_to_nnp", results))
    plot(forward, reverse, estimates)


def ligand_in_water(smiles: str) -> MMSystem:
    """Return a molecule in a small box of water with the force field."""
    molecule = molecule_from_smiles(smiles, seed=1)
    return solvate(molecule, parameterize(molecule), padding=0.6, nonbonded_cutoff=0.7, seed=1)


def interpolated_ligand(box: MMSystem) -> tuple[openmm.System, openmm.State]:
    """Return the interpolated system, and a state equilibrated with the force field."""
    coupling = Mechanical(inside=Interpolated(), constraints="keep")
    model = nnpmm.load_model("ANI-2x", members=0)
    region = np.array(box.ligand_atoms)
    system = nnpmm.create_hybrid_system(box.system, box.topology, region, model, coupling=coupling)
    context = context_of(system, seed=7)
    context.setPeriodicBoxVectors(*np.array(box.box_vectors, dtype=float))
    context.setPositions(np.array(box.positions))
    context.setParameter(LAMBDA_NNP, 0.0)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, 7)
    context.getIntegrator().step(10_000)
    return system, context.getState(positions=True, velocities=True)


def context_of(system: openmm.System, seed: int) -> openmm.Context:
    """Return a context of Langevin dynamics."""
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 2.0, TIMESTEP)
    integrator.setRandomNumberSeed(seed)
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))


def equilibrated(
    system: openmm.System, start: openmm.State, value: float, seed: int
) -> openmm.Context:
    """Return a context after 10 ps at a value of lambda_nnp."""
    context = context_of(system, seed)
    context.setPeriodicBoxVectors(*start.getPeriodicBoxVectors())
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    context.setParameter(LAMBDA_NNP, value)
    context.getIntegrator().step(5000)
    return context


def works(
    system: openmm.System, start: openmm.State, protocol: np.ndarray, number: int, *, seed: int
) -> np.ndarray:
    """Return works of switches from snapshots 0.5 ps apart, kJ/mol."""
    context, found = equilibrated(system, start, protocol[0], seed), []
    for index in range(number):
        context.setParameter(LAMBDA_NNP, protocol[0])
        context.getIntegrator().step(STEPS_BETWEEN)
        snapshot = context.getState(positions=True, velocities=True)
        found.append(switch(context, protocol, steps_per_change=STEPS_PER_CHANGE)[-1])
        context.setPositions(snapshot.getPositions())
        context.setVelocities(snapshot.getVelocities())
        if index % 20 == 0:
            print(f"switch {index} from {protocol[0]:g}: {found[-1]:.2f} kJ/mol", flush=True)
    return np.array(found)


def direct(system: openmm.System, start: openmm.State, n_steps: int) -> tuple[float, float]:
    """Return difference and error by MBAR over equilibrium runs at all LAMBDAS, kJ/mol."""
    slopes: dict[float, list[float]] = {value: [] for value in LAMBDAS}
    for seed, (value, found) in enumerate(slopes.items(), start=11):
        context = equilibrated(system, start, value, seed)
        for _ in range(n_steps // 50):
            context.getIntegrator().step(50)
            found.append(nnp_derivative(context))
    result = reweight(slopes.pop(0.0), slopes.pop(1.0), temperature=TEMPERATURE, between=slopes)
    print(f"independent samples: {result.independent_samples}", flush=True)
    return result.difference, result.error


def plot(forward: np.ndarray, reverse: np.ndarray, estimates: dict) -> None:
    """Draw both distributions of the work and the estimated free energies."""
    figure, (axes,) = style.create_panels(width=6, height=3.2)
    bins = np.histogram_bin_edges(np.concatenate([forward, -reverse]), 25).tolist()
    axes.hist(forward, bins, alpha=0.6, label="W, MM to NNP/MM")
    axes.hist(-reverse, bins, alpha=0.6, label="-W, NNP/MM to MM")
    for color, (name, (value, error)) in zip(
        (style.BLACK, style.GREEN), estimates.items(), strict=True
    ):
        axes.axvline(value, color=color, lw=1, label=f"{name}: {value:.2f} $\\pm$ {error:.2f}")
        axes.axvspan(value - error, value + error, color=color, alpha=0.15)
    style.dress(axes, xlabel="work / (kJ/mol)", ylabel="switches")
    style.legend(axes)
    save_image(figure, "mm_to_nnp")


if __name__ == "__main__":
    main()
