"""Measure how electrostatic embedding with EMLE's charges changes hydration free energies.

Mechanical and electrostatic embedding share the same decoupled state. Their hydration free energies
therefore differ by the free energy of switching the molecule in water from one embedding to the
other. The script calculates it with a short ladder in `lambda_electrostatic_embedding` for ANI-2x,
FreeSolv's parameters and TIP3P water, and adds it to the network's value with mechanical embedding
from results/hydration.json. "electrostatic" uses EMLE's charges; "induction" also includes the
dipoles that the water induces. The script continues an interrupted ladder and skips ladders that
are already in the results.

Run: python benchmarks/electrostatic_hydration.py --emle FILE --folder FOLDER [--repeats 2]
Table alone: python benchmarks/electrostatic_hydration.py --show
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import RESULTS, data_folder, write_results
from hydration import combined as mechanical_values

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.coupling import LAMBDA_EMBEDDING
from nnpmm.coupling.settings import CouplingConfig
from nnpmm.freeenergy.estimators import Estimate, combine
from nnpmm.freeenergy.legs import Leg, create_leg_system, sample_leg, solve_leg
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationLadder, SolvationSettings
from nnpmm.freeenergy.solvation.solvent import solvated_solute
from nnpmm.structures.ligands.source import read_molecule

NAME = "electrostatic_hydration"
MOLECULES = {
    "mobley_7532833": "acetonitrile",
    "mobley_1967551": "acetaldehyde",
    "mobley_7326982": "propan-2-ol",
    "mobley_2837389": "pyrrole",
}
KINDS = ("electrostatic", "induction")
STATES = (0.0, 0.25, 0.5, 0.75, 1.0)
PADDING = 1.15  # nm; at constant pressure the box must stay wider than two cutoffs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emle", type=Path, help=".mat file of EMLE")
    parser.add_argument("--folder", type=Path, default=Path("electrostatic-hydration"))
    parser.add_argument("--molecules", nargs="+", choices=list(MOLECULES.values()))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--time", type=float, default=50.0, help="ps for each state")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--show", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    if not arguments.show:
        run(arguments)
    print("\n".join(table()))


def run(arguments: argparse.Namespace) -> None:
    """Run the ladders that are not in the results yet, repeat by repeat."""
    for repeat in range(1, arguments.repeats + 1):
        for kind in arguments.kinds:
            for key, name in MOLECULES.items():
                done = {(row["molecule"], row["kind"], row["repeat"]) for row in rows()}
                wanted = name in (arguments.molecules or MOLECULES.values())
                if wanted and (key, kind, repeat) not in done:
                    row = run_ladder(key, kind, repeat, arguments)
                    write_results(NAME, {"time_ps": arguments.time, "runs": [*rows(), row]})
                    print(json.dumps(row), flush=True)


def run_ladder(key: str, kind: str, repeat: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the record of one ladder, kcal/mol."""
    amber = data_folder() / "freesolv" / "amber"
    times = SolvationLadder(time=arguments.time, equilibration=30, state_equilibration=3)
    settings = SolvationSettings(
        solute=SoluteSettings(
            topology=amber / f"{key}.prmtop", coordinates=amber / f"{key}.inpcrd"
        ),
        padding=PADDING,
        ladder=times,
        potentials=["network"],
        coupling=CouplingConfig(
            type="electrostatic",
            charges="emle",
            emle_model=arguments.emle.resolve(),
            induction=kind == "induction",
        ),
        seed=repeat,
        threads=arguments.threads,
    )
    folder = arguments.folder / f"{MOLECULES[key]}-{kind}-{repeat}"
    molecule, parameters = read_molecule(settings.solute)
    box = solvated_solute(settings, folder, molecule, parameters, None)
    system = create_leg_system(settings, box, "network", coupling=settings.coupling)
    states = tuple({LAMBDA_EMBEDDING: value} for value in STATES)
    names = tuple(f"embedding {value:g}" for value in STATES)
    leg = Leg(system, box, states, names, f"{key} {kind} {arguments.emle.name} {PADDING}")
    sample_leg(settings, times, leg, folder / "ladder", seed=repeat, resume=True)
    free = solve_leg(folder / "ladder", names)
    change = free.free_energies.between(0, -1)
    return {
        "molecule": key,
        "kind": kind,
        "repeat": repeat,
        "change": [change.value / KJ_PER_KCAL, change.error / KJ_PER_KCAL],
    }


def rows() -> list[dict[str, Any]]:
    """Return the records of finished ladders."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["results"]["runs"] if path.exists() else []


def table() -> list[str]:
    """Return the lines of the table: experiment, mechanical and each kind of embedding."""
    reference = json.loads((data_folder() / "freesolv" / "database-subset.json").read_text())
    mechanical = mechanical_values(reference)
    lines = [
        "| molecule | experiment | mechanical | electrostatic | with induction | repeats |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key, name in MOLECULES.items():
        base = mechanical[key]["network"]
        cells, counts = [f"{base.value:.2f} ± {base.error:.2f}"], []
        for kind in KINDS:
            found = [r for r in rows() if (r["molecule"], r["kind"]) == (key, kind)]
            counts.append(str(len(found)))
            if not found:
                cells.append("not measured")
                continue
            change = combine([Estimate(*row["change"]) for row in found])
            cells.append(
                f"{base.value + change.value:.2f} ({change.value:+.2f} ± {change.error:.2f})"
            )
        known = reference[key]
        lines.append(
            f"| {name} | {known['expt']:.2f} ± {known['d_expt']:.2f} | {' | '.join(cells)} "
            f"| {', '.join(counts)} |"
        )
    return lines


if __name__ == "__main__":
    main()
