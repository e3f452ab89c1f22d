"""Compare hydration free energies of FreeSolv's molecules with experiment, network and force field.

The force field uses FreeSolv's own parameters (GAFF, AM1-BCC) in TIP3P water. For the first
molecules, one ladder gives the values of both potentials; comparing the force field's values with
FreeSolv's checks the alchemy. For the others, the script calculates only the difference between the
potentials and adds it to FreeSolv's value. Each repeat has its own box and random numbers. The
script skips repeats that are already in the results, and continues an interrupted ladder.

Run: python benchmarks/hydration.py --folder hydration --repeats 3
Tables and picture alone: python benchmarks/hydration.py --show
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, data_folder, save_image, write_results, write_section

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import NnpmmError
from nnpmm.freeenergy.estimators import Estimate, combine
from nnpmm.freeenergy.solvation import (
    SoluteSettings,
    SolvationLadder,
    SolvationSettings,
    run_solvation,
)
from nnpmm.plots.distributions import Pairs, draw_parity
from nnpmm.plots.style import create_panels

#: Small molecules, one of each kind. LADDERS gives both values, CORRECTIONS the difference.
LADDERS = {
    "mobley_7532833": "acetonitrile",
    "mobley_1967551": "acetaldehyde",
    "mobley_7326982": "propan-2-ol",
    "mobley_1231151": "2-chloropropane",
    "mobley_9121449": "1-butyne",
    "mobley_2837389": "pyrrole",
    "mobley_8578590": "dimethyl sulfoxide",
}
CORRECTIONS = {
    "mobley_7758918": "propionic acid",
    "mobley_1875719": "3-pentanone",
    "mobley_1659169": "morpholine",
    "mobley_2689721": "cyclohexane",
    "mobley_7142697": "pentan-1-amine",
    "mobley_9705941": "2-methylthiophene",
    "mobley_7943327": "ethyl propanoate",
}
MOLECULES = {**LADDERS, **CORRECTIONS}
VALUES = ("force field", "network", "difference")
PADDING = 0.8  # nm
PAGE = ROOT / "docs" / "validation" / "solvation.md"


def run(
    folder: Path, keys: list[str], repeats: int, ladder: SolvationLadder, **choices: Any
) -> None:
    """Run the molecules that are not in the results yet, repeat by repeat."""
    for repeat in range(1, repeats + 1):
        for key in keys:
            if any((row["molecule"], row["repeat"]) == (key, repeat) for row in rows()):
                continue
            row = run_molecule(folder, key, repeat, ladder, **choices)
            write_results("hydration", {"ladder": ladder.model_dump(), "runs": [*rows(), row]})
            print(json.dumps(row), flush=True)


def run_molecule(
    folder: Path, key: str, repeat: int, ladder: SolvationLadder, **choices: Any
) -> dict[str, Any]:
    """Return the record of one repeat, kcal/mol; ``choices`` are further settings."""
    amber = data_folder() / "freesolv" / "amber"
    settings = SolvationSettings(
        solute=SoluteSettings(
            topology=amber / f"{key}.prmtop", coordinates=amber / f"{key}.inpcrd"
        ),
        padding=PADDING,
        ladder=ladder,
        route="joint" if key in LADDERS else "correction",
        seed=repeat,
        **choices,
    )
    row: dict[str, Any] = {"molecule": key, "repeat": repeat}
    try:
        result = run_solvation(settings, folder / f"{key}-{repeat}", resume=True)
    except NnpmmError as error:
        return {**row, "failed": str(error)}
    assert result.difference is not None  # both routes give it
    for name, estimate in (*result.potentials.items(), ("difference", result.difference)):
        row[name] = [estimate.value / KJ_PER_KCAL, estimate.error / KJ_PER_KCAL]
    return {**row, "density": result.density}


def rows() -> list[dict[str, Any]]:
    """Return the records of finished repeats."""
    path = RESULTS / "hydration.json"
    return json.loads(path.read_text())["results"]["runs"] if path.exists() else []


def combined(reference: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the means over the repeats of each molecule, kcal/mol."""
    found: dict[str, dict[str, Any]] = {}
    for key in MOLECULES:
        done = [row for row in rows() if row["molecule"] == key and "failed" not in row]
        if not done:
            continue
        names = [name for name in VALUES if name in done[0]]
        means = {name: combine([Estimate(*row[name]) for row in done]) for name in names}
        if key in CORRECTIONS:
            known = reference[key]
            difference = means["difference"]
            error = float(np.hypot(known["d_calc"], difference.error))
            means["network"] = Estimate(known["calc"] + difference.value, error)
        found[key] = {**means, "repeats": len(done)}
    return found


def show() -> None:
    """Write the tables into the documentation, and draw the picture."""
    reference = json.loads((data_folder() / "freesolv" / "database-subset.json").read_text())
    found = combined(reference)
    write_section(PAGE, "hydration free energies", molecule_table(found, reference))
    experiment = np.array([reference[key]["expt"] for key in found])
    calculated = np.array([reference[key]["calc"] for key in found])
    network = np.array([means["network"].value for means in found.values()])
    write_section(
        PAGE, "hydration errors", error_table(network - experiment, calculated - experiment)
    )
    draw(found, reference)


def molecule_table(found: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Return the lines of the table of molecules."""
    lines = [
        "| molecule | experiment | FreeSolv's force field | force field | network | network minus "
        "force field | repeats |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, means in found.items():
        known = reference[key]
        cells = " | ".join(text(means[name]) if name in means else "" for name in VALUES)
        lines.append(
            f"| {MOLECULES[key]} | {known['expt']:.2f} ± {known['d_expt']:.2f} "
            f"| {known['calc']:.2f} ± {known['d_calc']:.2f} | {cells} | {means['repeats']} |"
        )
    return lines


def error_table(network: np.ndarray, force_field: np.ndarray) -> list[str]:
    """Return the lines of the table of errors of both potentials and of their difference.

    The bootstrap draws the same molecules for both, so that the error of the difference is paired.
    """
    random = np.random.default_rng(1)
    picked = random.integers(len(network), size=(5000, len(network)))
    values, draws = {}, {}
    for name, errors in {"network": network, "force field": force_field}.items():
        values[name] = np.sqrt((errors**2).mean())
        draws[name] = np.sqrt((errors[picked] ** 2).mean(axis=1))
    gap = values["network"] - values["force field"]
    spread = (draws["network"] - draws["force field"]).std()
    return [
        "| against experiment, kcal/mol | RMSE | mean error |",
        "| --- | --- | --- |",
        f"| network | {values['network']:.2f} ± {draws['network'].std():.2f} "
        f"| {network.mean():+.2f} |",
        f"| FreeSolv's force field | {values['force field']:.2f} "
        f"± {draws['force field'].std():.2f} | {force_field.mean():+.2f} |",
        f"| difference | {gap:+.2f} ± {spread:.2f} | {(network - force_field).mean():+.2f} |",
    ]


def text(estimate: Estimate) -> str:
    """Return an estimate and its error as text."""
    return f"{estimate.value:.2f} ± {estimate.error:.2f}"


def draw(found: dict[str, Any], reference: dict[str, Any]) -> None:
    """Draw the force field against FreeSolv's values, and both potentials against experiment."""
    figure, (left, right) = create_panels(1, 2, width=8.4, height=4.2)
    full = [key for key in found if key in LADDERS]
    draw_parity(
        left,
        {
            "force field": Pairs(
                [reference[key]["calc"] for key in full],
                [found[key]["force field"].value for key in full],
                [reference[key]["d_calc"] for key in full],
                [found[key]["force field"].error for key in full],
            )
        },
        xlabel="FreeSolv's calculated value / (kcal/mol)",
        ylabel="nnpmm / (kcal/mol)",
    )
    experiment = [reference[key]["expt"] for key in found]
    draw_parity(
        right,
        {
            "FreeSolv's force field": Pairs(experiment, [reference[key]["calc"] for key in found]),
            "network": Pairs(
                experiment,
                [means["network"].value for means in found.values()],
                [reference[key]["d_expt"] for key in found],
                [means["network"].error for means in found.values()],
            ),
        },
        xlabel="experiment / (kcal/mol)",
        ylabel="calculated / (kcal/mol)",
    )
    save_image(figure, "hydration")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("hydration"))
    parser.add_argument("--molecules", nargs="+", choices=list(MOLECULES.values()))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--time", type=float, default=100.0, help="ps for each state")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--platform", default="auto")
    parser.add_argument("--model", default="ANI-2x", help="name of the network, or a model.json")
    parser.add_argument("--show", action="store_true", help="only write tables and picture")
    arguments = parser.parse_args()
    if not arguments.show:
        ladder = SolvationLadder(time=arguments.time, equilibration=30, state_equilibration=3)
        names = arguments.molecules or list(MOLECULES.values())
        keys = [key for key, name in MOLECULES.items() if name in names]
        machine = {"threads": arguments.threads, "platform": arguments.platform}
        run(arguments.folder, keys, arguments.repeats, ladder, model=arguments.model, **machine)
    show()


if __name__ == "__main__":
    main()
