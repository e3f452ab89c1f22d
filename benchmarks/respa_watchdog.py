"""Measure what the watchdog of multiple time steps reads in normal runs and in unstable ones.

The systems are benzene, methanol and malonaldehyde in water with one ANI-2x network at 300 K. Every
five outer steps, the watchdog checks the kick, the force difference, and the extremes of bonded and
other distances relative to covalent radii. Some settings blow up, and the script reports when the
first warning comes. It also checks malonaldehyde with the proton moved to its other oxygen. It
prints a table, and writes results/respa_watchdog.json and docs/images/respa_watchdog.png.
Usage: python benchmarks/respa_watchdog.py [--ps 40]
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import NamedTuple

import numpy as np
import openmm
from common import save_image, write_results

import nnpmm
from nnpmm import structures
from nnpmm.core.errors import SimulationError
from nnpmm.coupling import Mechanical, MultipleTimeSteps
from nnpmm.integrators import (
    RespaWatchdog,
    WatchdogRanges,
    apply_hydrogen_mass,
    create_respa_integrator,
    split_time_scales,
)
from nnpmm.integrators.bond_graph import BondGraph
from nnpmm.models import Potential
from nnpmm.plots import style

TEMPERATURE = 300.0
MOLECULES = {"benzene": "c1ccccc1", "methanol": "CO", "malonaldehyde": "O=C/C=C\\O"}
OUTER_STEPS = 5  # between two checks


class Setting(NamedTuple):
    """Inner and outer time step in fs; whether hydrogens have 3 amu and constraints are kept."""

    inner: float
    outer: float
    heavy: bool
    kept: bool


SETTINGS = {
    "0.5/2": Setting(0.5, 2, False, False),
    "2/4 HMR kept": Setting(2, 4, True, True),
    "0.5/4 HMR": Setting(0.5, 4, True, False),
    "2/6 HMR kept": Setting(2, 6, True, True),
}


class Run(NamedTuple):
    """A running system with its watchdog."""

    context: openmm.Context
    box: structures.MMSystem
    watchdog: RespaWatchdog
    bonds: BondGraph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=40.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    model = nnpmm.load_model("ANI-2x", members=0)
    rows, traces = {}, {}
    print(f"{'':<28}{'kick':>22}{'dF, kJ/mol/nm':>18}{'bonds':>8}{'others':>8}")
    for molecule, smiles in MOLECULES.items():
        for name, setting in SETTINGS.items():
            key = f"{molecule}, {name}"
            rows[key], traces[key] = watch(prepared(smiles, model, setting), setting, arguments.ps)
            print(line(key, rows[key]), flush=True)
    setting = SETTINGS["2/4 HMR kept"]
    rows["proton moved"] = moved_proton(prepared(MOLECULES["malonaldehyde"], model, setting))
    print("proton moved:", rows["proton moved"])
    ranges = str(WatchdogRanges())
    print(write_results("respa_watchdog", {"ranges": ranges, "ps": arguments.ps, "rows": rows}))
    plot(traces)


def prepared(smiles: str, model: Potential, setting: Setting) -> Run:
    """Return a relaxed system with velocities, and its watchdog."""
    molecule = structures.molecule_from_smiles(smiles, seed=1)
    box = structures.solvate(
        molecule,
        structures.parameterize(molecule),
        padding=0.6,
        nonbonded_cutoff=0.7,
        seed=1,
        constrain_hydrogens=setting.kept,
    )
    coupling = Mechanical(
        constraints="keep" if setting.kept else "none", inside=MultipleTimeSteps()
    )
    region = np.array(box.ligand_atoms)
    system = nnpmm.create_hybrid_system(box.system, box.topology, region, model, coupling=coupling)
    if setting.heavy:
        apply_hydrogen_mass(system, box.topology, 3.0)
    inner, outer = setting.inner / 1000, setting.outer / 1000  # ps
    splitting = split_time_scales(system, inner=inner, outer=outer)
    integrator = create_respa_integrator(
        system, splitting, temperature=TEMPERATURE, friction=1.0, seed=1
    )
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(box.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 100)
    context.setVelocitiesToTemperature(TEMPERATURE, 1)
    watchdog = RespaWatchdog(system, box.topology, region, timestep=outer, temperature=TEMPERATURE)
    bonds = BondGraph(system, box.topology, region, broken=1.5, formed=1.2)
    return Run(context, box, watchdog, bonds)


def watch(run: Run, setting: Setting, length: float) -> tuple[dict, np.ndarray]:
    """Run; return statistics without the first fifth, and times (ps) and kicks of all, (2, k)."""
    samples, seconds, warned, died = [], [0.0, 0.0], None, None
    for step in range(OUTER_STEPS, round(1000 * length / setting.outer) + 1, OUTER_STEPS):
        now = step * setting.outer / 1000
        try:
            started = time.perf_counter()
            run.context.getIntegrator().step(OUTER_STEPS)
            positions, box = geometry(run)
            seconds[0] += time.perf_counter() - started
            started = time.perf_counter()
            reading = run.watchdog.check(positions, box, step=step)
            seconds[1] += time.perf_counter() - started
        except (openmm.OpenMMException, SimulationError):
            died = now
            break
        ratios = run.bonds.distances(positions[run.watchdog.region], box)[1]
        bonded = run.bonds.bonded
        extremes = ratios[bonded].max(), ratios[~bonded].min()
        samples.append((now, reading.gap.kick, reading.gap.rms_force, *extremes))
        if warned is None and reading.complaints:
            warned = now
    table = np.array(samples).T
    settled = table[:, len(samples) // 5 :]
    row = {
        "looks": len(samples),
        "kick": {"mean": settled[1].mean(), "sd": settled[1].std(), "max": settled[1].max()},
        "rms_force_kj_mol_nm": {"mean": settled[2].mean(), "max": settled[2].max()},
        "longest_bond": settled[3].max(),
        "shortest_other": settled[4].min(),
        "warned_ps": warned,
        "died_ps": died,
        "ms_per_outer_step": 1e3 * seconds[0] / (OUTER_STEPS * len(samples)),
        "ms_per_look": 1e3 * seconds[1] / len(samples),
    }
    return row, table[:2]


def geometry(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return current positions (n, 3) and box rows (3, 3), nm."""
    state = run.context.getState(positions=True)
    vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
    return state.getPositions(asNumpy=True)._value, vectors


def moved_proton(run: Run) -> dict:
    """Return readings before and after the proton moves to 0.1 nm from the other oxygen."""
    run.context.getIntegrator().step(250)
    positions, box = geometry(run)
    before = run.watchdog.check(positions, box, step=0)
    proton, acceptor, carbon = transfer(run.box.topology, run.watchdog.region.tolist())
    outward = positions[acceptor] - positions[carbon]
    positions[proton] = positions[acceptor] + 0.1 * outward / np.linalg.norm(outward)
    after = run.watchdog.check(positions, box, step=1)
    return {
        "kick_before": before.gap.kick,
        "kick_after": after.gap.kick,
        "rms_force_before": before.gap.rms_force,
        "rms_force_after": after.gap.rms_force,
        "complaints": list(after.complaints),
    }


def transfer(topology: openmm.app.Topology, region: list[int]) -> tuple[int, int, int]:
    """Return the hydroxyl's proton, the other oxygen, and the carbon of that oxygen."""
    atoms = list(topology.atoms())
    neighbours: dict[int, list[int]] = {i: [] for i in region}
    for first, second in topology.bonds():
        if first.index in neighbours:
            neighbours[first.index].append(second.index)
            neighbours[second.index].append(first.index)
    oxygens = [i for i in region if atoms[i].element.symbol == "O"]
    (acceptor,) = [i for i in oxygens if len(neighbours[i]) == 1]
    (donor,) = [i for i in oxygens if len(neighbours[i]) == 2]
    (proton,) = [i for i in neighbours[donor] if atoms[i].element.symbol == "H"]
    return proton, acceptor, neighbours[acceptor][0]


def line(key: str, row: dict) -> str:
    """Return the line of the printed table for one run."""
    kick, force = row["kick"], row["rms_force_kj_mol_nm"]
    end = ""
    if row["died_ps"] is not None:
        warned = "no warning" if row["warned_ps"] is None else f"warned at {row['warned_ps']:.2f}"
        end = f"  blew up at {row['died_ps']:.2f} ps, {warned}"
    return (
        f"{key:<28}{kick['mean']:8.2f} ± {kick['sd']:.2f} < {kick['max']:.2f}"
        f"{force['mean']:9.0f} < {force['max']:5.0f}{row['longest_bond']:9.3f}"
        f"{row['shortest_other']:8.3f}{row['ms_per_look']:7.1f} ms per check{end}"
    )


def plot(traces: dict[str, np.ndarray]) -> None:
    """Draw the kick of benzene against time for each setting."""
    figure, (axes,) = style.create_panels(width=6, height=3.2)
    for key, (times, kicks) in traces.items():
        if key.startswith("benzene"):
            axes.plot(times, kicks, lw=1, label=key)
    axes.axhline(WatchdogRanges().kick, color=style.BLACK, lw=0.8, ls="--", label="default limit")
    axes.set_yscale("log")
    style.dress(axes, xlabel="time / ps", ylabel="kick / thermal momentum")
    style.legend(axes)
    save_image(figure, "respa_watchdog")


if __name__ == "__main__":
    main()
