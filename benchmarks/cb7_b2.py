"""Calculate the absolute binding free energy of B2 in cucurbit[7]uril, network and force field.

The script takes the Amber files of openmmtools (GAFF, AM1-BCC charges, TIP3P) and puts host and
guest into a new dodecahedron with 0.8 nm of water, which is less than half as large as the original
box. The experimental value is -13.4 kcal/mol. Each repeat has its own random numbers. The script
writes each ladder to the results as soon as it is complete, and continues an interrupted one.

Run: python benchmarks/cb7_b2.py --folder cb7-b2 --repeats 2 --time 100
Table alone: python benchmarks/cb7_b2.py --show
Repeats from both ends of the ladder: ... --equilibrate-from alternate --name cb7_b2_ends
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import openmm
from common import RESULTS, ROOT, data_folder, write_results, write_section
from openmm import app, unit

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import NnpmmError
from nnpmm.core.settings.reading import parse_settings
from nnpmm.freeenergy.binding import BindingResult, BindingSettings, run_binding
from nnpmm.freeenergy.binding.ladders import leg_states
from nnpmm.freeenergy.binding.parts import in_new_water
from nnpmm.freeenergy.binding.result import leg_name
from nnpmm.freeenergy.legs import Report, in_both_units, leg_directory, solve_leg
from nnpmm.structures import load_system, select_atoms
from nnpmm.structures.inputs import AmberSystem

EXPERIMENT = -56.07  # kJ/mol
PADDING = 0.8  # nm, of both boxes
CUTOFF = 0.9  # nm
LIGAND = "resname B2"
# The two ends of the guest are alike, and so are the two rims of the host, but the guest does not
# turn over inside the host. It does rotate about the axis of the host, so that the seven units of
# the host do not count.
SYMMETRY_NUMBER = 2


def prepare(folder: Path) -> dict[str, str]:
    """Write host and guest in their smaller box unless the files exist; return their paths."""
    paths = {"system": folder / "complex.xml", "structure": folder / "complex.pdb"}
    if not all(path.exists() for path in paths.values()):
        files = data_folder() / "cb7-b2"
        amber = AmberSystem(
            type="amber",
            topology=files / "complex-explicit.prmtop",
            coordinates=files / "complex-explicit.inpcrd",
            cutoff=CUTOFF,
        )
        mm = load_system(amber, ensemble="NPT")
        mm = replace(mm, ligand_atoms=select_atoms(mm.topology, LIGAND))
        solute = select_atoms(mm.topology, "not water")
        small = in_new_water(mm, solute, padding=PADDING, box_shape="dodecahedron")
        folder.mkdir(parents=True, exist_ok=True)
        paths["system"].write_text(openmm.XmlSerializer.serialize(small.system))
        with paths["structure"].open("w") as handle:
            app.PDBFile.writeFile(
                *(small.topology, small.positions * unit.nanometer, handle), keepIds=True
            )
    return {name: str(path.absolute()) for name, path in paths.items()}


def settings_of(folder: Path, arguments: argparse.Namespace) -> BindingSettings:
    """Return the settings of all repeats."""
    times = {
        "time": arguments.time,
        "equilibration": arguments.equilibration,
        "state_equilibration": min(3.0, arguments.equilibration / 10),
        "interval": min(1.0, arguments.time / 10),
    }
    from_ends = {"equilibrate_from": arguments.equilibrate_from}
    data = {
        "system": {"type": "openmm", **prepare(folder)},
        "selection": LIGAND,
        "symmetry_number": SYMMETRY_NUMBER,
        "padding": PADDING,
        "pilot": {
            "equilibration": arguments.equilibration,
            "length": arguments.pilot,
            "interval": min(1.0, arguments.pilot / 50),
        },
        "complex_ladder": {**times, **from_ends},
        "solvent_ladder": times,
        "route": arguments.route,
        "potentials": arguments.potential or ["network", "force field"],
        "repeats": arguments.repeats,
        "threads": arguments.threads,
    }
    return parse_settings(BindingSettings, data)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    """Run the ladders that are missing, and write each one as soon as it is complete."""
    settings = settings_of(folder, arguments)
    calculation = folder / "calculation"

    def announce(what: str, repeat: int, repeats: int) -> Report:
        print(f"{what}, repeat {repeat} of {repeats}", flush=True)
        save(arguments.name, settings, calculation, None)
        return lambda *_: None

    result = run_binding(settings, calculation, resume=True, announce=announce, explain=print)
    save(arguments.name, settings, calculation, result)


def save(
    name: str, settings: BindingSettings, calculation: Path, result: BindingResult | None
) -> None:
    """Write the complete ladders, and the result if there is one."""
    record = {
        "settings": json.loads(settings.model_dump_json(exclude={"system"})),
        "experiment_kJ/mol": EXPERIMENT,
        "ladders": complete_ladders(settings, calculation),
        "result": None if result is None else result.record,
    }
    write_results(name, record)


def complete_ladders(settings: BindingSettings, calculation: Path) -> list[dict[str, Any]]:
    """Return the value of each complete ladder, in kJ/mol and kcal/mol."""
    found = []
    for leg, times in settings.legs.items():
        for ladder in settings.ladders:
            names = [state.name for state in leg_states(settings, leg, ladder)]
            for repeat in range(settings.repeats):
                folder = leg_directory(calculation, leg_name(leg, ladder), repeat)
                try:
                    solved = solve_leg(folder, names)
                except NnpmmError:  # not started, or too short so far
                    continue
                if len(solved.samples.energies) < round(times.time / times.interval):
                    continue
                value = in_both_units(solved.free_energies.between(-1, 0))
                found.append({"leg": leg, "ladder": ladder, "repeat": repeat + 1, **value})
    return found


def show(name: str) -> None:
    """Write the table into the documentation."""
    results = json.loads((RESULTS / f"{name}.json").read_text())["results"]
    record = results["result"]
    if record is None:
        raise SystemExit("the calculation is not complete yet")
    settings = results["settings"]
    potentials = [each for each in ("force field", "network") if each in record]
    lines = [
        "| kcal/mol | complex | restraint | solvent | symmetry | binding |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in potentials:
        parts = " | ".join(text(part) for part in record[each]["parts"].values())
        lines.append(f"| {each} | {parts} | {text(record[each])} |")
    if "network minus force field" in record:
        lines.append(f"| difference | | | | | {text(record['network minus force field'])} |")
    lines.append(f"| experiment | | | | | {EXPERIMENT / KJ_PER_KCAL:.1f} |")
    lines += [
        "",
        f"{settings['repeats']} repeats, {settings['complex_ladder']['time']} for each state.",
        "",
        *repeats_table(results["ladders"], settings),
    ]
    write_section(ROOT / "docs" / "validation" / "binding.md", name.replace("_", "-"), lines)


def repeats_table(ladders: list[dict[str, Any]], settings: dict[str, Any]) -> list[str]:
    """Return a table of the ladders of each repeat, with the state that each started from."""
    lines = ["| ladder | repeat | began with | coupling, kcal/mol |", "| --- " * 4 + "|"]
    for each in ladders:
        start = settings[f"{each['leg']}_ladder"].get("equilibrate_from", "first")
        if start == "alternate":
            start = "last" if each["repeat"] % 2 == 0 else "first"
        end = {"first": "full interaction", "last": "no interaction"}[start]
        potential = "network" if each["ladder"] == "joint" else each["ladder"]
        lines.append(f"| {each['leg']}, {potential} | {each['repeat']} | {end} | {text(each)} |")
    return lines


def text(estimate: dict[str, float]) -> str:
    """Return an estimate and its error as text."""
    value, error = estimate["kcal/mol"], estimate["error_kcal/mol"]
    return f"{value:.2f} ± {error:.2f}" if error else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("cb7-b2"))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--time", type=float, default=100.0, help="ps for each state")
    parser.add_argument("--equilibration", type=float, default=50.0, help="ps")
    parser.add_argument("--pilot", type=float, default=200.0, help="length of the pilot run, ps")
    parser.add_argument("--route", choices=("joint", "separate"), default="joint")
    parser.add_argument(
        "--potential", action="append", help="network or force field; default: both"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--equilibrate-from", default="first", help="first, last or alternate")
    parser.add_argument("--name", default="cb7_b2", help="name of the results and their table")
    parser.add_argument("--show", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    if not arguments.show:
        run(arguments.folder, arguments)
    show(arguments.name)


if __name__ == "__main__":
    main()
