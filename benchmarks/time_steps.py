"""Test which time steps are stable, in steps per period of the region's fastest vibration.

Part "periods" runs molecules in vacuum with one ANI-2x network and Langevin middle dynamics at
300 K and 1/ps. Bonds to hydrogen are free or constrained, and hydrogens have 1 or 3 amu. The time
step is the period of the fastest vibration divided by 4 to 7. A run counts as blown up if OpenMM
stops it or a bond exceeds 1.5 times its length at the minimum. The energy error comes from a second
run without a thermostat, relative to the mean kinetic energy.

Part "hot" runs the same molecules with one network of two models, hydrogens of 3 amu and
constrained bonds. The fastest vibration starts with a kinetic energy of 5, 10 or 15 kT, which every
run reaches at some time (see `time_to_reach`).

Part "molecules" runs the same molecules in vacuum with one network and in water with all eight,
with hydrogens of 3 amu and constrained X-H bonds. The masses are the least that the time step
allows, at 4 fs and, in water, at 5 fs. In vacuum, means are compared with those at 1 fs.

The script skips finished runs. Part "summary" collects them in results/time_steps.json and writes
the tables of docs/validation/time-steps.md.
Usage: python benchmarks/time_steps.py periods|hot|molecules|summary [--ps 100]
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import logging
from typing import Any

import numpy as np
import openmm
import pymbar
import scipy.special
from common import ROOT, write_results, write_section

import nnpmm
from nnpmm import structures
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.coupling import Mechanical, Role, role_of
from nnpmm.integrators import (
    RegionMotion,
    Vibration,
    apply_hydrogen_mass,
    choose_mass_factor,
    region_motion,
    scale_masses,
)
from nnpmm.integrators.mass_factor import LARGEST_MASS_FACTOR
from nnpmm.structures.bonds import constrained_rows

TEMPERATURE, FRICTION = 300.0, 1.0
STEPS_PER_PERIOD = (4.0, 4.5, 5.0, 6.0, 7.0)
HYDROGENS = {
    "free, 1 amu": (None, False),
    "free, 3 amu": (3.0, False),
    "constrained, 1 amu": (None, True),
    "constrained, 3 amu": (3.0, True),
}
HOT_MODELS = {"ANI-2x": {"H", "C", "N", "O", "F", "S", "Cl"}, "ANI-1x": {"H", "C", "N", "O"}}
HOT_HYDROGENS = "constrained, 3 amu"
HOT_STEPS = (5.0, 5.5, 6.0, 6.5, 7.0, 8.0)
HOT_ENERGIES = (5, 10, 15)  # kT
HOT_LENGTH = 5.0  # ps; the thermostat removes most of the extra energy in the first ps
MOLECULES = {
    "acetonitrile": "CC#N",
    "acetone": "CC(C)=O",
    "acetamide": "CC(N)=O",
    "acetic acid": "CC(=O)O",
    "propene": "CC=C",
    "propyne": "CC#C",
    "methyl azide": "CN=[N+]=[N-]",
    "dimethyl sulfoxide": "CS(C)=O",
    "dimethyl sulfone": "CS(C)(=O)=O",
    "nitrobenzene": "O=[N+]([O-])c1ccccc1",
    "fluorobenzene": "Fc1ccccc1",
    "chloroform": "ClC(Cl)Cl",
    "benzene": "c1ccccc1",
    "methanol": "CO",
    "4-cyanobenzaldehyde": "N#Cc1ccc(C=O)cc1",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
}
BROKEN = 1.5  # bond length over that at the minimum
PAGE = ROOT / "docs" / "validation" / "time-steps.md"
# Name of a row, whether it is in water, time step (fs), and whether masses are scaled.
ROWS = (
    ("vacuum, 4 fs, own masses", False, 4.0, False),
    ("vacuum, 4 fs", False, 4.0, True),
    ("vacuum, 1 fs", False, 1.0, True),
    ("water, 4 fs", True, 4.0, True),
    ("water, 5 fs", True, 5.0, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("periods", "hot", "molecules", "summary"))
    parser.add_argument("--ps", type=float, help="length of a run; default: 20, 5 and 100")
    parser.add_argument("--names", nargs="*", default=list(MOLECULES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=list(HOT_MODELS), help="models of part hot")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.part == "summary":
        found = summary()
        print(write_results("time_steps", found))
        for name, lines in tables(found).items():
            write_section(PAGE, name, lines)
        return
    results = Results(arguments.part)
    for name in arguments.names:
        if arguments.part == "periods":
            measure_periods(results, name, arguments.ps or 20.0, arguments.seeds)
        elif arguments.part == "hot":
            length = arguments.ps or HOT_LENGTH
            for model in arguments.models:
                measure_hot(results, name, model, length, arguments.seeds)
        else:
            measure_molecule(results, name, arguments.ps or 100.0)


class Results:
    """Rows by their keys, in one file each in a folder that git ignores.

    Several processes can share the work, because an existing row is not measured again.
    """

    def __init__(self, part: str) -> None:
        self.folder = ROOT / "time-step-runs" / part

    @property
    def rows(self) -> dict[str, Any]:
        """Return all rows in the order of the molecules."""
        found = [json.loads(path.read_text()) for path in self.folder.glob("*.json")]
        order = list(MOLECULES)
        found.sort(key=lambda entry: (order.index(entry["key"].split(" | ")[0]), entry["key"]))
        return {entry["key"]: entry["row"] for entry in found}

    def add(self, key: str, measure: Any) -> None:
        """Measure a row unless it exists, and print it."""
        path = self.folder / f"{key.replace(' | ', '_').replace(' ', '-')}.json"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key, "row": measure()}))
        print(path.read_text(), flush=True)


class Bench:
    """A molecule, in vacuum or in water, as a hybrid system."""

    def __init__(
        self, smiles: str, members: int | None, *, water: bool = False, model: str = "ANI-2x"
    ) -> None:
        molecule = structures.molecule_from_smiles(smiles, seed=1)
        parameters = structures.parameterize(molecule)
        if water:
            box = structures.solvate(
                molecule, parameters, padding=0.6, nonbonded_cutoff=0.7, seed=1
            )
            self.mm, self.topology, self.positions = box.system, box.topology, box.positions
            self.region, self.box = np.array(box.ligand_atoms), box.box_vectors
        else:
            self.mm = structures.create_ligand_system(molecule, parameters)
            self.topology, self.positions = structures.to_openmm_topology(molecule)
            self.region, self.box = np.arange(molecule.GetNumAtoms()), None
        self.model = nnpmm.load_model(model, backend="cpu", members=members, threads=1)
        self.atoms = list(self.topology.atoms())
        members_of_region = set(self.region.tolist())
        self.bonds = [
            (a.index, b.index) for a, b in self.topology.bonds() if a.index in members_of_region
        ]

    def system(self, mass: float | None, constrained: bool) -> openmm.System:
        """Return the hybrid system with a hydrogen mass and free or constrained X-H bonds."""
        mm = copy.deepcopy(self.mm)
        if constrained and not len(constrained_rows(mm, self.region)):
            for i, j in self.bonds:
                if 1 in (self.number(i), self.number(j)):
                    length = float(np.linalg.norm(self.positions[i] - self.positions[j]))
                    mm.addConstraint(i, j, length)
        coupling = Mechanical(constraints="keep" if constrained else "none")
        system = nnpmm.create_hybrid_system(
            mm, self.topology, self.region, self.model, coupling=coupling
        )
        if mass is not None:
            apply_hydrogen_mass(system, self.topology, mass)
        return system

    def number(self, atom: int) -> int:
        """Return an atomic number."""
        return int(self.atoms[atom].element.atomic_number)

    def motion(self, system: openmm.System) -> RegionMotion:
        """Return the fastest vibration of the region."""
        return region_motion(system, self.topology, self.region, self.model, self.positions)

    def context(self, system: openmm.System, integrator: Any, seed: int) -> openmm.Context:
        """Return a context at the minimum with velocities at 300 K."""
        name = "Reference" if self.box is None else "CPU"
        platform = openmm.Platform.getPlatformByName(name)
        properties = {"Threads": "1"} if name == "CPU" else {}
        context = openmm.Context(system, integrator, platform, properties)
        if self.box is not None:
            context.setPeriodicBoxVectors(*self.box)
        context.setPositions(self.positions)
        openmm.LocalEnergyMinimizer.minimize(context, 10, 500)
        context.applyConstraints(1e-6)
        context.setVelocitiesToTemperature(TEMPERATURE, seed)
        return context


def summary() -> dict[str, Any]:
    """Return the runs by steps per period, and those of each molecule."""
    periods: dict[str, dict[str, Any]] = {}
    fastest: dict[str, dict[str, float]] = {}
    for key, row in Results("periods").rows.items():
        name, hydrogens, steps, _ = key.split(" | ")
        fastest.setdefault(name, {})[hydrogens] = round(row["period_fs"], 2)
        periods.setdefault(hydrogens, {}).setdefault(steps, []).append((name, row))
    molecules: dict[str, dict[str, Any]] = {}
    for key, row in Results("molecules").rows.items():
        name, setting = key.split(" | ")
        molecules.setdefault(name, {})[setting] = row
    return {
        "fastest_vibration_fs": fastest,
        "by_steps_per_period": {
            hydrogens: {steps: count(rows) for steps, rows in sorted(found.items())}
            for hydrogens, found in periods.items()
        },
        "time_to_reach_ps": {str(energy): time_to_reach(energy) for energy in HOT_ENERGIES},
        "hot": summary_of_hot_runs(),
        "molecules": molecules,
    }


def summary_of_hot_runs() -> dict[str, Any]:
    """Return the number of runs that blew up by network, energy (kT) and steps per period.

    A model counts two runs of every molecule. A molecule with more runs also has rows of its own,
    which count all of its runs.
    """
    runs: dict[tuple[str, str, str], list[tuple[str, Any]]] = {}
    rows = [(*key.split(" | "), row) for key, row in Results("hot").rows.items()]
    more = {(name, model) for name, _, model, _, _, seed, _ in rows if int(seed) > 2}
    for name, _, model, steps, energy, seed, row in rows:
        if int(seed) <= 2:
            runs.setdefault((model, energy, steps), []).append((name, row))
        if (name, model) in more:
            runs.setdefault((f"{model}, {name}", energy, steps), []).append((name, row))
    hot: dict[str, Any] = {}
    for (network, energy, steps), found in sorted(runs.items()):
        blew_up = [name for name, row in found if row["blew_up_at_ps"] is not None]
        hot.setdefault(network, {}).setdefault(energy, {})[steps] = {
            "runs": len(found),
            "blew_up": len(blew_up),
            "molecules_that_blew_up": sorted(set(blew_up)),
        }
    return hot


def count(rows: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the number of runs that blew up, and the energy errors without a thermostat."""
    blew_up = [name for name, row in rows if row["blew_up_at_ps"] is not None]
    errors = [row["energy_error"] for _, row in rows if row["energy_error"] is not None]
    return {
        "runs": len(rows),
        "blew_up": len(blew_up),
        "molecules_that_blew_up": sorted(set(blew_up)),
        "blew_up_without_thermostat": len(rows) - len(errors),
        "median_energy_error": float(np.median(errors)) if errors else None,
        "largest_energy_error": max(errors, default=None),
    }


def tables(results: dict[str, Any]) -> dict[str, list[str]]:
    """Return the lines of each table of the documentation."""
    return {
        "runs by steps per period": steps_table(results["by_steps_per_period"]),
        "hot runs": hot_table(results["hot"], results["time_to_reach_ps"]),
        "runs by molecule": molecules_table(results["molecules"], results["fastest_vibration_fs"]),
    }


def steps_table(by_steps: dict[str, Any]) -> list[str]:
    """Return the table of runs that blew up, and of energy errors without a thermostat."""
    steps = list(next(iter(by_steps.values())))
    lines = [
        "| X-H bonds, hydrogens | " + " | ".join(f"{step} steps" for step in steps) + " |",
        "| --- |" + " --- |" * len(steps),
    ]
    for hydrogens, found in by_steps.items():
        cells = []
        for step in steps:
            row = found[step]
            error = row["median_energy_error"]
            cells.append(
                f"{row['blew_up']} of {row['runs']}; {row['blew_up_without_thermostat']}"
                + ("" if error is None else f", {error:.1%}")
            )
        lines.append(f"| {hydrogens} | " + " | ".join(cells) + " |")
    return lines


def hot_table(hot: dict[str, Any], times: dict[str, float]) -> list[str]:
    """Return the table of runs that start hot."""
    steps = [f"{step:g}" for step in HOT_STEPS]
    lines = [
        "| network | energy at the start (reached in) | "
        + " | ".join(f"{step} steps" for step in steps)
        + " |",
        "| --- |" + " --- |" * (len(steps) + 1),
    ]
    for network, energies in hot.items():
        for energy, time in times.items():
            found = [energies[energy][step] for step in steps]
            cells = [f"{row['blew_up']} of {row['runs']}" for row in found]
            lines.append(
                "| " + " | ".join([network, f"{energy} kT ({readable(time)})", *cells]) + " |"
            )
    return lines


def readable(time: float) -> str:
    """Return a time (ps) with two digits."""
    return f"{time:.0f} ps" if time < 100 else f"{float(f'{time / 1000:.2g}'):g} ns"


def molecules_table(molecules: dict[str, Any], fastest: dict[str, Any]) -> list[str]:
    """Return the table of 100 ps of each molecule with the least allowed masses."""
    titles = (
        "molecule",
        "fastest vibration, fs",
        "vacuum, 4 fs, own masses",
        "least factor for 4 fs",
        "vacuum, 4 fs",
        "network energy, 4 fs - 1 fs, kJ/mol",
        "water, 4 fs",
        "least factor for 5 fs",
        "water, 5 fs",
        "auto, 4 fs",
        "auto, 5 fs",
    )
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " --- |" * (len(titles) - 1)]
    for name, rows in molecules.items():
        short, long = rows["vacuum, 1 fs"], rows["vacuum, 4 fs"]
        (a, error), (b, other) = short["network_energy_kj_mol"], long["network_energy_kj_mol"]
        period = fastest[name]["constrained, 3 amu"] / 1000
        cells = [
            name,
            f"{1000 * period:.1f}",
            outcome(rows["vacuum, 4 fs, own masses"]),
            f"{long['mass_factor']:g}",
            outcome(long),
            f"{b - a:+.1f} ± {np.hypot(error, other):.1f}",
            outcome(rows["water, 4 fs"]),
            f"{rows['water, 5 fs']['mass_factor']:g}",
            outcome(rows["water, 5 fs"]),
            heavier(period, 0.004),
            heavier(period, 0.005),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def heavier(period: float, step: float) -> str:
    """Return the factor of `mass_factor: auto`, and the steps per period if it is the largest.

    Args:
        period: period of the fastest vibration, ps.
        step: time step, ps.
    """
    motion = RegionMotion(Vibration(period, (0, 1)), ("", ""), False)
    factor = choose_mass_factor(motion, "auto", step)
    steps = motion.scaled(factor).vibration.period / step
    return f"{factor:g}" + (f" ({steps:.1f} steps)" if factor == LARGEST_MASS_FACTOR else "")


def outcome(row: dict[str, Any]) -> str:
    """Return the mean temperature of the region, or when the run blew up."""
    if row["blew_up_at_ps"] is not None:
        return f"blew up after {row['blew_up_at_ps']:.1f} ps"
    mean, error = row["temperature_K"]
    return f"{mean:.0f} ± {error:.0f} K"


def measure_periods(results: Results, name: str, length: float, seeds: int) -> None:
    """Run a molecule in vacuum at time steps that are fractions of the period."""
    bench = Bench(MOLECULES[name], 0)
    for hydrogens, (mass, constrained) in HYDROGENS.items():
        system = bench.system(mass, constrained)
        period = bench.motion(system).vibration.period
        for per_period in STEPS_PER_PERIOD:
            for seed in range(1, seeds + 1):
                key = f"{name} | {hydrogens} | {per_period:g} | {seed}"
                results.add(
                    key,
                    lambda s=seed, n=per_period, sy=system, p=period: {
                        "period_fs": 1000 * p,
                        **run(bench, sy, p / n, length, s),
                        "energy_error": energy_error(bench, sy, p / n, s),
                    },
                )


def measure_hot(results: Results, name: str, model: str, length: float, seeds: int) -> None:
    """Run a molecule in vacuum from starts with several kT in the fastest vibration."""
    bench = Bench(MOLECULES[name], 0, model=model)
    if not {atom.element.symbol for atom in bench.atoms} <= HOT_MODELS[model]:
        return
    system = bench.system(*HYDROGENS[HOT_HYDROGENS])
    vibration = bench.motion(system).vibration
    for per_period, energy, seed in itertools.product(HOT_STEPS, HOT_ENERGIES, range(1, seeds + 1)):
        results.add(
            f"{name} | {HOT_HYDROGENS} | {model} | {per_period:g} | {energy} | {seed}",
            lambda n=per_period, e=energy, s=seed: {
                "period_fs": 1000 * vibration.period,
                **run(bench, system, vibration.period / n, length, s, hot=(vibration.pair, e)),
            },
        )


def heat(context: openmm.Context, masses: np.ndarray, pair: tuple[int, int], energy: float) -> None:
    """Give the stretch of two atoms a kinetic energy (kT); other motions keep theirs.

    The direction is a momentum along the line between the atoms, projected on the constraints.
    """
    state = context.getState(positions=True, velocities=True)
    positions = state.getPositions(asNumpy=True)._value
    thermal = state.getVelocities(asNumpy=True)._value
    first, second = pair
    along = positions[second] - positions[first]
    direction = np.zeros_like(thermal)
    direction[first], direction[second] = -along / masses[first], along / masses[second]
    context.setVelocities(direction)
    context.applyVelocityConstraints(1e-8)
    direction = context.getState(velocities=True).getVelocities(asNumpy=True)._value
    direction /= np.sqrt((masses[:, None] * direction**2).sum())
    own = (masses[:, None] * direction * thermal).sum()
    wanted = np.sqrt(2 * energy * GAS_CONSTANT * TEMPERATURE)
    context.setVelocities(thermal + (wanted - own) * direction)


def time_to_reach(energy: float) -> float:
    """Return the mean time (ps) in which a vibration reaches an energy (kT) from zero.

    For weak friction gamma, the energy of a harmonic vibration obeys
    dE = gamma (kT - E) dt + sqrt(2 gamma kT E) dW. Its mean first passage time (C. W. Gardiner,
    Stochastic Methods, 2009, 5.5) is the integral of (exp(u) - 1) / (gamma u) du from 0 to E/kT.
    Any coupling to other vibrations shortens it.
    """
    return float(scipy.special.expi(energy) - np.log(energy) - np.euler_gamma) / FRICTION


def measure_molecule(results: Results, name: str, length: float) -> None:
    """Run a molecule in vacuum and in water with the masses that each time step needs."""
    benches = {
        water: Bench(MOLECULES[name], None if water else 0, water=water) for water in (False, True)
    }
    for row, water, step, scaled in ROWS:
        results.add(
            f"{name} | {row}",
            lambda b=benches[water], step=step, scaled=scaled: long_run(b, step, scaled, length),
        )


def long_run(bench: Bench, step: float, scaled: bool, length: float) -> dict[str, Any]:
    """Run with hydrogens of 3 amu, constrained bonds to hydrogen, and scaled or own masses."""
    system = bench.system(3.0, True)
    motion = bench.motion(system)
    factor = motion.mass_factor(step / 1000, motion.steps_per_period()) if scaled else 1.0
    scale_masses(system, bench.region.tolist(), factor)
    return {
        "mass_factor": factor,
        "steps_per_period": 1000 * motion.scaled(factor).vibration.period / step,
        **run(bench, system, step / 1000, length, 1, warmup=length / 10),
    }


def run(
    bench: Bench,
    system: openmm.System,
    dt: float,
    length: float,
    seed: int,
    warmup: float = 2.0,
    hot: tuple[tuple[int, int], float] | None = None,
) -> dict[str, Any]:
    """Return when a run blew up, or its mean temperature and network energy with errors.

    `hot` is a pair of atoms, in vacuum, and the energy (kT) of their stretch at the start.
    """
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, dt)
    integrator.setRandomNumberSeed(seed)
    integrator.setConstraintTolerance(1e-6)
    context = bench.context(system, integrator, seed)
    pairs = np.array(bench.bonds)
    start = lengths(context, pairs)
    group = {f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK}
    masses = np.array([system.getParticleMass(int(i))._value for i in bench.region])
    if hot is not None:
        heat(context, masses, *hot)
    freedom = 3 * len(bench.region) - len(constrained_rows(system, bench.region))
    every = max(1, round(0.04 / dt))
    temperatures, energies = [], []
    for sample in range(round(length / dt / every)):
        try:
            integrator.step(every)
        except openmm.OpenMMException:
            return {"blew_up_at_ps": sample * every * dt}
        if not (lengths(context, pairs) < BROKEN * start).all():
            return {"blew_up_at_ps": (sample + 1) * every * dt}
        if sample * every * dt < warmup:
            continue
        state = context.getState(velocities=True, energy=True, groups=group)
        velocities = state.getVelocities(asNumpy=True)._value[bench.region]
        temperatures.append((masses[:, None] * velocities**2).sum() / freedom / GAS_CONSTANT)
        energies.append(state.getPotentialEnergy()._value)
    return {
        "blew_up_at_ps": None,
        "temperature_K": mean_and_error(temperatures),
        "network_energy_kj_mol": mean_and_error(energies),
    }


def lengths(context: openmm.Context, pairs: np.ndarray) -> np.ndarray:
    """Return the distances of pairs of atoms, nm."""
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    return np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Return a mean and its standard error from the statistical inefficiency."""
    array = np.array(values)
    inefficiency = pymbar.timeseries.statistical_inefficiency(array)
    return float(array.mean()), float(array.std(ddof=1) * np.sqrt(inefficiency / len(array)))


def energy_error(
    bench: Bench, system: openmm.System, dt: float, seed: int, length: float = 5.0
) -> float | None:
    """Return the energy error without a thermostat over the mean kinetic energy, or None.

    It is the larger of the standard deviation of the total energy and the range of its means over
    fifths of the run. None means that the run blew up.
    """
    context = bench.context(system, openmm.VerletIntegrator(dt), seed)
    context.setVelocitiesToTemperature(2 * TEMPERATURE, seed)  # half becomes potential energy
    freedom = 3 * system.getNumParticles() - system.getNumConstraints()
    expected = 0.5 * freedom * GAS_CONSTANT * TEMPERATURE
    energies = []
    for _ in range(round(length / dt / 10)):
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
        if not abs(energies[-1] - energies[0]) < 10 * expected:
            return None
        try:
            context.getIntegrator().step(10)
        except openmm.OpenMMException:
            return None
    blocks = [np.mean(block) for block in np.array_split(energies, 5)]
    return float(max(np.ptp(blocks), np.std(energies)) / expected)


if __name__ == "__main__":
    main()
