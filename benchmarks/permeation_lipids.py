"""Measure area per lipid and thickness of coarse-grained bilayers, next to published areas.

Run: python benchmarks/permeation_lipids.py [--length 20] [--lipids DOPC,DPPC] [--engine auto]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from common import write_results
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

from nnpmm.permeation.martini import MartiniSystem
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Stage, read_frames
from nnpmm.permeation.martini.geometry import periodic_center
from nnpmm.permeation.martini.tables import LIPID_TAILS
from nnpmm.permeation.runs.protocol import preset
from nnpmm.permeation.runs.simulations import equilibrated_bilayer, run_stages

#: Experimental areas, nm^2, of fluid bilayers: Kucerka, Nieh, Katsaras, Biochim. Biophys. Acta
#: 2011, 1808, 2761 (DLPC, POPC 30 C; DPPC 50 C); Kucerka et al., Biophys. J. 2008, 95, 2356 (DOPC).
EXPERIMENT = {"DLPC": 0.608, "POPC": 0.643, "DPPC": 0.631, "DOPC": 0.674}
BLOCKS = 5
Estimate = tuple[float, float]  # a mean, and its standard error


def mean_and_error(values: ArrayLike) -> Estimate:
    """Return the mean, and its standard error from blocks."""
    series = np.asarray(values, dtype=np.float64)
    blocks = [block.mean() for block in np.array_split(series, BLOCKS)]
    return float(series.mean()), float(np.std(blocks, ddof=1) / np.sqrt(BLOCKS))


def measure(system: MartiniSystem, trajectory: Path, start_ps: float) -> tuple[Estimate, Estimate]:
    """Return area per lipid, nm^2, and distance between the leaflets' phosphates, nm."""
    phosphates = np.array([n for n, bead in enumerate(system.beads) if bead.name == "PO4"])
    lipids = system.select("lipid")
    areas, distances = [], []
    for frame in read_frames(trajectory):
        if frame.time <= start_ps:
            continue
        edge = frame.box[2]
        heights = frame.positions[phosphates, 2] - periodic_center(frame.positions[lipids, 2], edge)
        heights -= edge * np.round(heights / edge)
        areas.append(2 * frame.box[0] * frame.box[1] / system.count("lipid"))
        distances.append(heights[heights > 0].mean() - heights[heights < 0].mean())
    return mean_and_error(areas), mean_and_error(distances)


def run_lipid(name: str, options: argparse.Namespace) -> tuple[Estimate, Estimate]:
    """Relax and run one bilayer; return its area per lipid and thickness."""
    settings = preset(
        "short",
        lipids_per_leaflet=options.lipids_per_leaflet,
        waters_per_lipid=options.waters_per_lipid,
        bilayer_relaxation=1000.0 * options.relaxation,
    )
    engine = create_engine(options.engine, threads=options.threads)
    lipids = {name: options.lipids_per_leaflet}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        system, start = equilibrated_bilayer(lipids, settings, engine, work / "relax")
        stage = Stage(
            name="measure",
            length=1000.0 * options.length,
            timestep=settings.equilibration_timestep,
            ensemble="NPT",
            temperature=options.temperature,
            frame_interval=100.0,
        )
        result = run_stages(system, start, [stage], engine, work)
        skipped = 0.0 if options.temperature == settings.temperature else 2000.0
        assert result.trajectory is not None  # the stage saves frames
        return measure(system, result.trajectory, skipped)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lipids", default=",".join(LIPID_TAILS))
    parser.add_argument("--length", type=float, default=20.0, help="ns for each lipid")
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--lipids-per-leaflet", type=int, default=64)
    parser.add_argument("--waters-per-lipid", type=float, default=15.0)
    parser.add_argument("--relaxation", type=float, default=20.0, help="ns for each lipid")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    table = Table("lipid", "area / nm^2", "experiment", "P-P / nm", title="Bilayers")
    results = {}
    for name in options.lipids.split(","):
        area, distance = run_lipid(name, options)
        results[name] = {"area_nm2": area, "phosphate_distance_nm": distance}
        shown = [f"{mean:.3f} ± {error:.3f}" for mean, error in (area, distance)]
        table.add_row(name, shown[0], str(EXPERIMENT.get(name, "")), shown[1])
    Console().print(table)
    print(write_results("permeation_lipids", {"options": vars(options), "lipids": results}))


if __name__ == "__main__":
    main()
