"""Calculate hydration free energies of ions in boxes of two sizes, with finite-size corrections.

The ions are sodium and chloride of Joung and Cheatham in TIP3P water; the script writes their Amber
files. It skips ladders that are already in the results, and continues an interrupted one.

Run: python benchmarks/ion_hydration.py --folder ions --time 100
Table alone: python benchmarks/ion_hydration.py --show
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import parmed
from common import RESULTS, ROOT, write_results
from openmm import app

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.freeenergy.solvation import (
    SoluteSettings,
    SolvationLadder,
    SolvationSettings,
    run_solvation,
)
from nnpmm.sampling import read_samples

IONS = {"sodium": ("NA", "Na"), "chloride": ("CL", "Cl")}
PADDINGS = (0.7, 1.15)  # nm; half the width of the box
CUTOFF = 0.6  # nm, in both boxes
STERICS = (0.8, 0.6, 0.4, 0.2, 0.0)
TERMS = ("net charge", "undersolvation", "integrated potential", "discrete solvent")
NAME = "ion_hydration"


def write_ion(folder: Path, ion: str) -> tuple[Path, Path]:
    """Write Amber files of an ion with the parameters of OpenMM's TIP3P force field."""
    residue_name, symbol = IONS[ion]
    topology = app.Topology()
    residue = topology.addResidue(residue_name, topology.addChain())
    topology.addAtom(residue_name, app.Element.getBySymbol(symbol), residue)
    system = app.ForceField("amber14/tip3p.xml").createSystem(topology)
    folder.mkdir(parents=True, exist_ok=True)
    structure = parmed.openmm.load_topology(topology, system, xyz=[[0.0, 0.0, 0.0]])
    paths = folder / f"{ion}.prmtop", folder / f"{ion}.rst7"
    for path, kind in zip(paths, ("amber", "rst7"), strict=True):
        structure.save(str(path), format=kind, overwrite=True)
    return paths


def run_ion(folder: Path, ion: str, padding: float, time: float, threads: int) -> dict[str, Any]:
    """Return the record of one ladder, kcal/mol."""
    paths = [path.absolute() for path in write_ion(folder, ion)]
    settings = SolvationSettings(
        solute=SoluteSettings(topology=paths[0], coordinates=paths[1]),
        potentials=("force field",),
        padding=padding,
        cutoff=CUTOFF,
        ladder=SolvationLadder(
            sterics=STERICS, time=time, interval=0.2, equilibration=20.0, state_equilibration=2.0
        ),
        platform="CPU",
        threads=threads,
    )
    work = folder / f"{ion}-{padding:g}"
    result = run_solvation(settings, work, resume=True)
    total, correction = result.potentials["force field"], result.finite_size
    assert correction is not None  # ions are charged
    volumes = read_samples(work / "force-field" / "repeat-1").volumes[:, 0]
    return {
        "ion": ion,
        "padding_nm": padding,
        "width_nm": float((volumes ** (1 / 3)).mean()),
        "time_ps": time,
        "in_the_box": (total.value - correction.total) / KJ_PER_KCAL,
        "corrected": total.value / KJ_PER_KCAL,
        "error": total.error / KJ_PER_KCAL,
        **{name: value / KJ_PER_KCAL for name, value in correction.terms.items()},
    }


def rows() -> list[dict[str, Any]]:
    """Return the records of finished ladders."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["results"]["runs"] if path.exists() else []


def show() -> None:
    """Print the table of the documentation."""
    print(f"| ion | width / nm | in the box | {' | '.join(TERMS)} | corrected |")
    print("| --- " * (len(TERMS) + 4) + "|")
    for row in rows():
        terms = " | ".join(f"{row[name]:+.2f}" for name in TERMS)
        print(
            f"| {row['ion']} | {row['width_nm']:.2f} | {row['in_the_box']:.2f} | {terms} "
            f"| {row['corrected']:.2f} ± {row['error']:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "ion-hydration")
    parser.add_argument("--time", type=float, default=100.0, help="ps for each state")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if options.show:
        show()
        return
    for ion in IONS:
        for padding in PADDINGS:
            done = [(row["ion"], row["padding_nm"], row["time_ps"]) for row in rows()]
            if (ion, padding, options.time) not in done:
                row = run_ion(options.folder, ion, padding, options.time, options.threads)
                others = [r for r in rows() if (r["ion"], r["padding_nm"]) != (ion, padding)]
                write_results(NAME, {"unit": "kcal/mol", "runs": [*others, row]})
                print(json.dumps(row), flush=True)
    show()


if __name__ == "__main__":
    main()
