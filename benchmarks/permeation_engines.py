"""Compare GROMACS and OpenMM: single-point energies, and averages of a bilayer.

Run: python benchmarks/permeation_engines.py [--length 20]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from common import write_results
from permeation_lipids import Estimate, mean_and_error, measure
from rich.console import Console
from rich.table import Table

from nnpmm.permeation.martini import Configuration, MartiniSystem, parse_solute
from nnpmm.permeation.martini.builder import insert_solute
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Engine, Restraint, Stage
from nnpmm.permeation.martini.tables import LIPID_TAILS
from nnpmm.permeation.runs.protocol import ProtocolSettings, preset
from nnpmm.permeation.runs.simulations import equilibrated_bilayer


def compare_energies(
    options: argparse.Namespace,
    engines: Mapping[str, Engine],
    settings: ProtocolSettings,
    work: Path,
) -> dict[str, float]:
    """Return the largest relative difference of an energy term, for a solute in each lipid."""
    rows = {}
    for name in LIPID_TAILS if options.all_lipids else (options.lipid,):
        bilayer = equilibrated_bilayer(
            {name: settings.lipids_per_leaflet}, settings, engines["gromacs"], work
        )
        system, start = insert_solute(*bilayer, parse_solute(options.solute))
        relaxed = engines["gromacs"].minimize(system, start, work / name)
        a, b = (engine.energy(system, relaxed) for engine in engines.values())
        rows[name] = max(abs(x - y) / abs(x) for x, y in zip(a, b, strict=True) if x)
    return rows


def run_dynamics(
    engine: Engine,
    options: argparse.Namespace,
    bilayer: tuple[MartiniSystem, Configuration],
    work: Path,
) -> tuple[dict[str, Estimate], float]:
    """Return averages of a bilayer with a solute restrained at its midplane, and the speed."""
    lipids, positions = bilayer
    system, start = insert_solute(lipids, positions, parse_solute(options.solute))
    relaxed = engine.minimize(system, start, work)
    stage = Stage(
        name=engine.name,
        length=1000.0 * options.length,
        timestep=0.02,
        ensemble="NPT",
        frame_interval=100.0,
        restraint=Restraint(),
    )
    begin = time.monotonic()
    result = engine.run(system, relaxed, stage, work)
    speed = options.length / (time.monotonic() - begin) * 86400.0
    skipped = 0.1 * stage.length
    assert result.trajectory is not None  # the stage saves frames
    area, distance = measure(system, result.trajectory, skipped)
    kept = result.observables["time"] > skipped
    temperature = mean_and_error(result.observables["temperature"][kept])
    amu_per_nm3 = system.masses.sum() / result.observables["volume"][kept]
    density = mean_and_error(amu_per_nm3 * 1.66053907)
    return {
        "area / nm^2": area,
        "P-P / nm": distance,
        "temperature / K": temperature,
        "density / kg m^-3": density,
    }, speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=float, default=20.0, help="ns for each engine")
    parser.add_argument("--lipid", default="DOPC")
    parser.add_argument("--solute", default="C1-P4")
    parser.add_argument("--lipids-per-leaflet", type=int, default=64)
    parser.add_argument("--waters-per-lipid", type=float, default=15.0)
    parser.add_argument("--all-lipids", action="store_true", help="energies of every lipid")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    settings = preset(
        "short",
        lipids_per_leaflet=options.lipids_per_leaflet,
        waters_per_lipid=options.waters_per_lipid,
    )
    engines = {name: create_engine(name, threads=options.threads) for name in ("gromacs", "openmm")}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        energies = compare_energies(options, engines, settings, work)
        lipids = {options.lipid: settings.lipids_per_leaflet}
        bilayer = equilibrated_bilayer(lipids, settings, engines["gromacs"], work)
        runs = {
            name: run_dynamics(engine, options, bilayer, work / name)
            for name, engine in engines.items()
        }
    averages = {name: run[0] for name, run in runs.items()}
    speeds = {name: run[1] for name, run in runs.items()}
    table = Table("quantity", *engines, title=f"{options.solute} in {options.lipid}")
    for name, value in energies.items():
        table.add_row(f"energy terms differ, {name}", f"{value:.1e}", "(relative)")
    for quantity in averages["gromacs"]:
        cells = [averages[name][quantity] for name in engines]
        table.add_row(quantity, *(f"{mean:.4g} ± {error:.2g}" for mean, error in cells))
    table.add_row("speed / (ns/day)", *(f"{speed:.0f}" for speed in speeds.values()))
    Console().print(table)
    results = {
        "options": vars(options),
        "energies": energies,
        "averages": averages,
        "ns_a_day": speeds,
    }
    print(write_results("permeation_engines", results))


if __name__ == "__main__":
    main()
