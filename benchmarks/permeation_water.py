"""Measure density and hydration free energies of single beads, with and without antifreeze.

Hydration free energies are calculated by decoupling (MBAR) and by Widom insertion of the bead into
frames of water. The two methods share only the force field.

Run: python benchmarks/permeation_water.py [--length 2] [--beads C1,P4]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from common import write_results
from permeation_lipids import Estimate, mean_and_error
from rich.console import Console
from rich.table import Table
from scipy.spatial import cKDTree

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.permeation.labels.decoupling import DecouplingSettings, decouple
from nnpmm.permeation.martini import (
    Configuration,
    MartiniSystem,
    MoleculeType,
    interaction,
    parse_solute,
    water,
)
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.engines import Stage, StageResult, read_frames
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.pair_energy import unit_lennard_jones
from nnpmm.permeation.runs.simulations import run_stages

KT = GAS_CONSTANT * 300.0
EDGE = 3.5  # nm
# Insertions in each frame; those closer to a bead than CORE, nm, count as zero.
INSERTIONS, CORE = 20_000, 0.33


def box_of_water(
    antifreeze: bool, solute: MoleculeType | None = None
) -> tuple[MartiniSystem, Configuration]:
    """Return a cube of water with a tenth of antifreeze, or without."""
    system, start = build_water_box(solute, edge=EDGE)
    if antifreeze:
        return system, start
    beads = sum(count for kind, count in system.molecules if kind.role == "water")
    rest = tuple(pair for pair in system.molecules if pair[0].role != "water")
    return MartiniSystem(((water(), beads), *rest)), start


def simulate(
    antifreeze: bool, length: float, engine: GromacsEngine, work: Path
) -> tuple[MartiniSystem, StageResult]:
    """Relax and run water; return the system and the result."""
    system, start = box_of_water(antifreeze)
    common = {"timestep": 0.02, "ensemble": "NPT", "isotropic": True}
    relax = Stage(name="relax", length=300.0, relaxing=True, **common)
    run = Stage(name="run", length=1000.0 * length, frame_interval=20.0, **common)
    return system, run_stages(system, start, [relax, run], engine, work)


def insert(
    bead: str, system: MartiniSystem, trajectory: Path, rng: np.random.Generator
) -> Estimate:
    """Return the free energy of inserting a bead into frames of water, and its error, kJ/mol."""
    types, factors = np.array(system.types), []
    for frame in read_frames(trajectory):
        others = frame.positions % frame.box
        trials = rng.uniform(0.0, 1.0, (INSERTIONS, 3)) * frame.box
        free = cKDTree(others, boxsize=frame.box).query(trials)[0] > CORE
        vectors = trials[free][:, None] - others[None]
        vectors -= frame.box * np.round(vectors / frame.box)
        r = np.sqrt(np.einsum("tox,tox->to", vectors, vectors))
        energy = np.zeros(len(r))
        for kind in set(system.types):
            epsilon, sigma = interaction(bead, kind)
            energy += epsilon * unit_lennard_jones(r[:, types == kind], sigma).sum(axis=1)
        factors.append(np.exp(-energy / KT).sum() / INSERTIONS)
    mean, error = mean_and_error(factors)
    return -KT * np.log(mean), KT * error / mean


def hydrate(bead: str, antifreeze: bool, engine: GromacsEngine, work: Path) -> Estimate:
    """Return the hydration free energy by decoupling, and its error, kJ/mol."""
    work.mkdir(parents=True)
    system, start = box_of_water(antifreeze, parse_solute(bead))
    relaxed = engine.minimize(system, start, work)
    found = decouple(system, relaxed, engine, work, DecouplingSettings(production=1_000.0))
    return -found.free_energy, found.error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=float, default=2.0, help="ns of each run of water")
    parser.add_argument("--beads", default="C1,P4")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    engine, rng, results = GromacsEngine(threads=options.threads), np.random.default_rng(1), {}
    for name, antifreeze in (("W", False), ("W + 10 % WF", True)):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            system, made = simulate(antifreeze, options.length, engine, work)
            assert made.trajectory is not None  # the last stage saves frames
            density = system.masses.sum() / made.observables["volume"][1:] * 1.66053907
            row = {"density / kg m^-3": mean_and_error(density)}
            for bead in options.beads.split(","):
                row[f"{bead}, decoupling"] = hydrate(bead, antifreeze, engine, work / bead)
                row[f"{bead}, insertion"] = insert(bead, system, made.trajectory, rng)
        results[name] = row
    table = Table("quantity", *results, title="300 K, 1 bar; free energies in kJ/mol")
    for quantity in results["W"]:
        cells = (f"{m:.1f} ± {e:.1f}" for m, e in (row[quantity] for row in results.values()))
        table.add_row(quantity, *cells)
    Console().print(table)
    print(write_results("permeation_water", {"options": vars(options), "water": results}))


if __name__ == "__main__":
    main()
