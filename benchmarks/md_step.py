"""Compare the cost of a step of MM, NNP/MM and openmm-ml on one machine, in ms per step.

The systems are toluene in water, HSP90's ligand 3 in water, and its complex. Each round runs some
steps of every variant, so that a slow period of the machine affects all of them. The script prints
medians over rounds. Unless --systems selects some of the systems, it also writes
results/md_step.json and docs/images/md_step.png.
Usage: python benchmarks/md_step.py [--rounds 7] [--systems "toluene in water"]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import openmm
from common import data_folder, save_image, write_results
from openmm import app, unit

import nnpmm
from nnpmm.benchmarking import measure_steps, step_contexts
from nnpmm.plots import style

SYSTEMS = {
    "toluene in water": ("amber", "toluene/toluene-explicit", "resname MBN", 200),
    "HSP90 ligand 3 in water": ("gromacs", "hsp90/ligand-3/ligand/ligand", "resname LIG", 200),
    "HSP90 ligand 3 complex": ("gromacs", "hsp90/ligand-3/complex/complex", "resname LIG", 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--backends", nargs="+", default=["cpu", "reference", "torchani"])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS))
    arguments = parser.parse_args()
    rows = []
    for name in arguments.systems or SYSTEMS:
        kind, stem, selection, steps = SYSTEMS[name]
        topology, mm_system, positions, box = read(kind, stem)
        region = nnpmm.select_atoms(topology, selection)
        variants = {"MM": mm_system}
        for backend in arguments.backends:
            model = nnpmm.load_model(arguments.model, backend=backend)
            variants[f"NNP/MM {backend}"] = nnpmm.create_hybrid_system(
                mm_system, topology, region, model
            )
        peer = openmm_ml(topology, mm_system, region)
        if peer is not None:
            variants["openmm-ml"] = peer
        contexts = step_contexts(variants, positions, box, platform="CPU")
        timings = measure_steps(contexts, steps=steps, rounds=arguments.rounds)
        rows.append({"system": name, "atoms": mm_system.getNumParticles(), "region": len(region)})
        rows[-1]["ms_per_step"] = {key: t._asdict() for key, t in timings.items()}
        report(rows[-1])
    if not arguments.systems:
        print(write_results("md_step", {"model": arguments.model, "rows": rows}))
        draw(rows)


def read(
    kind: str, stem: str, constraints: object = app.HBonds
) -> tuple[app.Topology, openmm.System, unit.Quantity, unit.Quantity]:
    """Return topology, MM system (PME, 0.9 nm), positions and box of a test system."""
    folder = data_folder()
    settings = {
        "nonbondedMethod": app.PME,
        "nonbondedCutoff": 0.9 * unit.nanometer,
        "constraints": constraints,
    }
    if kind == "amber":
        prmtop = app.AmberPrmtopFile(str(folder / f"{stem}.prm7"))
        inpcrd = app.AmberInpcrdFile(str(folder / f"{stem}.rst7"))
        return (
            prmtop.topology,
            prmtop.createSystem(**settings),
            inpcrd.positions,
            inpcrd.boxVectors,
        )
    gro = app.GromacsGroFile(str(folder / f"{stem}.gro"))
    top = app.GromacsTopFile(
        str(folder / f"{stem}.top"),
        periodicBoxVectors=gro.getPeriodicBoxVectors(),
        includeDir=str(folder / "amber99sb-ildn"),
        defines={"HEAVY_H": ""},
    )
    return top.topology, top.createSystem(**settings), gro.positions, gro.getPeriodicBoxVectors()


def openmm_ml(
    topology: app.Topology, mm_system: openmm.System, region: np.ndarray
) -> openmm.System | None:
    """Return openmm-ml's mixed system with ANI-2x, or None if it or the weights are missing."""
    try:
        from openmmml import MLPotential
    except ImportError:
        return None
    folder = os.environ.get("NNPMM_MODEL_DIR")
    if folder is None:
        return None
    home = Path(tempfile.mkdtemp())
    (home / ".local").mkdir()
    (home / ".local" / "torchani").symlink_to(folder, target_is_directory=True)
    old, os.environ["HOME"] = os.environ.get("HOME", ""), str(home)  # torchani looks there
    try:
        return MLPotential("ani2x").createMixedSystem(topology, mm_system, region.tolist())
    finally:
        os.environ["HOME"] = old


def report(row: dict) -> None:
    """Add the ratios to MM to the row of a system, and print it."""
    print(f"{row['system']}, {row['atoms']} atoms, region of {row['region']}")
    times = row["ms_per_step"]
    row["ratio_to_mm"] = {key: t["median"] / times["MM"]["median"] for key, t in times.items()}
    for key, t in times.items():
        print(
            f"  {key:20s} {t['median']:8.2f} ms/step ({t['low']:.2f}-{t['high']:.2f})  "
            f"{row['ratio_to_mm'][key]:5.2f} x MM",
            flush=True,
        )


def draw(rows: list[dict]) -> None:
    """Draw the cost of a step relative to the force field as bars."""
    variants = [key for key in rows[0]["ratio_to_mm"] if key != "MM"]
    figure, (axes,) = style.create_panels(width=8, height=3.5)
    width = 0.8 / len(variants)
    for k, variant in enumerate(variants):
        places = np.arange(len(rows)) + (k - (len(variants) - 1) / 2) * width
        bars = axes.bar(places, [row["ratio_to_mm"][variant] for row in rows], width, label=variant)
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=3)
    axes.axhline(1, color=style.BLACK, linewidth=0.8, label="MM")
    labels = [f"{r['system']}\n{r['atoms']:,} atoms, region of {r['region']}" for r in rows]
    axes.set_xticks(range(len(rows)), labels)
    style.dress(axes, ylabel="cost of a step / MM")
    style.legend(axes)
    save_image(figure, "md_step")


if __name__ == "__main__":
    main()
