"""Find the longest stable outer time step from energy conservation of one molecule in vacuum.

The runs use all eight networks of ANI-2x for benzene or another molecule, at constant energy from
300 K, with inner steps of 0.5 fs, hydrogens of 1 or 3 amu, and free or constrained bonds to
hydrogen. Between evaluations of the network, the inner potential is nothing (single steps), the
bonded terms of the force field, terms fitted to the Hessian of the network, or one of the eight
networks. A setting counts as stable if the error of the total energy stays below a twentieth of the
kinetic energy for 5 ps from each of three starts. Crosses at the top of the picture mark runs that
blew up. Lines mark outer steps of a half, a third and a fourth of the period of the fastest
vibration, where impulses resonate with it; the latter two matter only for anharmonic forces. The
script prints a table, and writes results/respa_stability.json and docs/images/respa-stability.png.
Usage: python benchmarks/respa_stability.py [--smiles c1ccccc1] [--name benzene] [--plot]
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np
import openmm
from common import RESULTS, save_image, write_results

import nnpmm
from nnpmm import structures
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.coupling import InnerTerms, Mechanical, MultipleTimeSteps, Replaced
from nnpmm.integrators import (
    apply_hydrogen_mass,
    create_respa_integrator,
    fit_inner_potential,
    split_time_scales,
)
from nnpmm.models import Potential
from nnpmm.models.hessian import network_hessian
from nnpmm.plots import style

FEMTOSECOND = 0.001
INNER = 0.5
OUTER = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0)
LENGTH = 5.0  # ps
TEMPERATURE = 300.0
SEEDS = (5, 6, 7)
KT = GAS_CONSTANT * TEMPERATURE
LARGEST_ERROR = 0.05
SPEED_OF_LIGHT = 2.99792458e-5  # cm/fs
INNER_POTENTIALS = ("single steps", "force field", "fit", "one network")
HYDROGENS = {"free, 1 amu": (1, False), "free, 3 amu": (3, False), "kept, 3 amu": (3, True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smiles", default="c1ccccc1")
    parser.add_argument("--name", default="benzene")
    parser.add_argument("--plot", action="store_true", help="only draw the stored results")
    arguments = parser.parse_args()
    path = RESULTS / "respa_stability.json"
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    if arguments.plot:
        plot(results[arguments.name], arguments.name)
        return
    molecule = structures.molecule_from_smiles(arguments.smiles, seed=1)
    bench = Bench(molecule)
    rows: dict[str, Any] = {}
    for hydrogens, (mass, kept) in HYDROGENS.items():
        wavenumber = bench.fastest(mass, kept)
        rows[hydrogens] = {"fastest_cm-1": wavenumber, "errors": {}}
        print(f"{hydrogens}: fastest vibration {wavenumber:.0f} /cm", flush=True)
        for inner_potential in INNER_POTENTIALS:
            errors = bench.errors(inner_potential, mass, kept)
            longest = longest_stable(errors)
            rows[hydrogens]["errors"][inner_potential] = errors
            listed = " ".join(f"{step:g}: {error:.4f}" for step, error in errors.items())
            print(f"  {inner_potential:14s} up to {longest:g} fs   {listed}", flush=True)
    print(write_results("respa_stability", {**results, arguments.name: rows}))
    plot(rows, arguments.name)


class Bench:
    """A molecule with its networks and the inner potentials."""

    def __init__(self, molecule: Any) -> None:
        self.parameters = structures.parameterize(molecule)
        self.molecule = molecule
        self.topology, self.positions = structures.to_openmm_topology(molecule)
        self.atoms = list(range(molecule.GetNumAtoms()))
        self.network = nnpmm.load_model("ANI-2x", backend="cpu")
        self.one = nnpmm.load_model("ANI-2x", backend="cpu", members=[0])
        self.fit = fit_inner_potential(self.network, self.topology, self.atoms, self.positions)
        print(f"residual of the fit: {self.fit.residual:.1%} of the Hessian")

    def system(self, inner_potential: str, mass: float, kept: bool) -> openmm.System:
        """Return the hybrid system of the molecule alone."""
        mm = structures.create_ligand_system(self.molecule, self.parameters)
        if kept:
            for bond in self.topology.bonds():
                i, j = bond[0].index, bond[1].index
                if "H" in (bond[0].element.symbol, bond[1].element.symbol):
                    length = float(np.linalg.norm(self.positions[i] - self.positions[j]))
                    mm.addConstraint(i, j, length)
        inner: dict[str, InnerTerms | Potential] = {"fit": self.fit, "one network": self.one}
        steps = MultipleTimeSteps(inner.get(inner_potential))
        coupling = Mechanical(
            constraints="keep" if kept else "none",
            inside=Replaced() if inner_potential == "single steps" else steps,
        )
        system = nnpmm.create_hybrid_system(
            mm, self.topology, self.atoms, self.network, coupling=coupling
        )
        if mass != 1:
            apply_hydrogen_mass(system, self.topology, mass)
        return system

    def errors(self, inner_potential: str, mass: float, kept: bool) -> dict[float, float]:
        """Return the largest energy error over all starts for each outer step."""
        return {
            step: max(self.error(inner_potential, mass, kept, step, seed) for seed in SEEDS)
            for step in OUTER
        }

    def error(self, inner_potential: str, mass: float, kept: bool, step: float, seed: int) -> float:
        """Return the energy error relative to the mean kinetic energy, or inf if a run blows up.

        It is the larger of the standard deviation of the total energy and the range of its means
        over fifths of the run.
        """
        system = self.system(inner_potential, mass, kept)
        context = self.start(system, integrator_of(system, inner_potential, INNER, step), seed)
        expected = 0.5 * (3 * len(self.atoms) - system.getNumConstraints()) * KT
        energies = [total_energy(context)]
        for _ in range(round(LENGTH / (step * FEMTOSECOND) / 10)):
            try:
                context.getIntegrator().step(10)
            except openmm.OpenMMException:
                return np.inf
            energies.append(total_energy(context))
            if not abs(energies[-1] - energies[0]) < 10 * expected:  # nan too
                return np.inf
        blocks = [np.mean(block) for block in np.array_split(energies, 5)]
        return float(max(np.ptp(blocks), np.std(energies)) / expected)

    def start(self, system: openmm.System, integrator: Any, seed: int) -> openmm.Context:
        """Return a context at the minimum, with velocities that equilibrate to about 300 K."""
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, integrator, platform)
        context.setPositions(self.positions)
        openmm.LocalEnergyMinimizer.minimize(context, 1, 1000)
        context.setVelocitiesToTemperature(2 * TEMPERATURE, seed)  # half becomes potential energy
        return context

    def fastest(self, mass: float, kept: bool) -> float:
        """Return the wavenumber of the fastest vibration of the network, 1/cm."""
        system = self.system("single steps", mass, kept)
        masses = [system.getParticleMass(i)._value for i in self.atoms]
        numbers = [atom.element.atomic_number for atom in self.topology.atoms()]
        evaluator = self.network.bind(numbers)
        context = self.start(system, openmm.VerletIntegrator(0.001), SEEDS[0])
        positions = context.getState(positions=True).getPositions(asNumpy=True)._value
        weight = np.repeat(1 / np.sqrt(masses), 3)
        hessian = network_hessian(evaluator, positions) * np.outer(weight, weight)
        basis = free_directions(system, positions, weight)
        omega = np.sqrt(np.linalg.eigvalsh(basis.T @ hessian @ basis)[-1]) * 0.001  # rad/fs
        return float(omega / (2 * np.pi * SPEED_OF_LIGHT))


def integrator_of(system: openmm.System, inner_potential: str, inner: float, outer: float) -> Any:
    """Return velocity Verlet, or RESPA if there is an inner potential; steps in fs."""
    if inner_potential == "single steps":
        return openmm.VerletIntegrator(outer * FEMTOSECOND)
    splitting = split_time_scales(system, inner=inner * FEMTOSECOND, outer=outer * FEMTOSECOND)
    return create_respa_integrator(system, splitting)


def total_energy(context: openmm.Context) -> float:
    """Return potential and kinetic energy, kJ/mol."""
    state = context.getState(energy=True)
    return float((state.getPotentialEnergy() + state.getKineticEnergy())._value)


def longest_stable(errors: dict[float, float]) -> float:
    """Return the longest step below the first unstable one, or 0."""
    stable = itertools.takewhile(lambda step: errors[step] < LARGEST_ERROR, sorted(errors))
    return max(stable, default=0.0)


def free_directions(system: openmm.System, positions: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the mass-weighted motions that the constraints allow."""
    rows = np.zeros((system.getNumConstraints(), positions.size))
    for k in range(system.getNumConstraints()):
        i, j, _ = system.getConstraintParameters(k)
        apart = positions[i] - positions[j]
        rows[k, 3 * i : 3 * i + 3], rows[k, 3 * j : 3 * j + 3] = apart, -apart
    if not len(rows):
        return np.eye(positions.size)
    return np.linalg.svd(rows * weight)[2][len(rows) :].T


def plot(rows: dict[str, Any], name: str) -> None:
    """Draw the error against the outer step, one panel for each treatment of the hydrogens."""
    figure, panels = style.create_panels(1, len(rows), width=4 * len(rows), height=3.6, sharey=True)
    for panel, (hydrogens, row) in zip(panels, rows.items(), strict=True):
        for inner_potential, errors in row["errors"].items():
            errors = {float(step): error for step, error in errors.items()}
            steps = [s for s, e in errors.items() if np.isfinite(e)]
            (line,) = panel.semilogy(
                steps, [errors[s] for s in steps], "o-", ms=4, label=inner_potential
            )
            blown = [s for s, e in errors.items() if not np.isfinite(e)]
            place = 6 / 1.35 ** INNER_POTENTIALS.index(inner_potential)
            panel.plot(blown, [place] * len(blown), "x", ms=4, color=line.get_color())
        period = 1 / (row["fastest_cm-1"] * SPEED_OF_LIGHT)
        for part in (part for part in (2, 3, 4) if period / part < OUTER[-1]):
            panel.axvline(period / part, color=style.LIGHT_GREY, lw=1, zorder=0)
            panel.text(
                period / part,
                6e-5,
                f"T/{part}",
                color=style.GREY,
                ha="center",
                fontsize=style.SMALL,
            )
        panel.axhline(LARGEST_ERROR, color=style.BLACK, ls=":", lw=1)
        style.dress(panel, xlabel="outer time step / fs", title=f"hydrogens {hydrogens}")
        panel.set(xlim=(0.5, 8.5), ylim=(5e-5, 10))
    style.dress(panels[0], ylabel="energy error / kinetic energy")
    style.legend(panels[0])
    figure.suptitle(f"{name} in vacuum, ANI-2x, inner steps {INNER:g} fs", fontsize=style.TEXT)
    print(save_image(figure, "respa-stability"))


if __name__ == "__main__":
    main()
