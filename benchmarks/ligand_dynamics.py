"""Compare ligands in their binding sites with the force field and with NNP/MM.

The systems are HSP90 with ligand 3 and Tyk2 with ligand ejm_31, with three replicas of each
potential from one starting structure. The network, ANI-2x, describes the ligand with mechanical
embedding; the force field describes the rest: Amber99SB-ILDN and GAFF2 for HSP90, Amber14 and
nnpmm's fallback parameters for Tyk2. Time steps are 4 fs with hydrogens of 3 amu. With the network,
constraints are kept and the ligand has three times its mass, so that rates of the two potentials
are not comparable. Each run starts with 2 ps at 1 fs and 20 ps of equilibration. Frames of the
solute are written every 1 ps. Each process runs one replica, so that several can share a GPU:

    python benchmarks/gpu_steps.py --write-inputs FOLDER
    python benchmarks/ligand_dynamics.py --inputs FOLDER --system "Tyk2 complex" \
        --potential network --seed 1 --output TRAJECTORIES

Then `python benchmarks/ligand_dynamics.py --compare TRAJECTORIES` analyses them like `nnpmm
analyze`. It prints the averages and the differences that are significant or larger than three
standard errors, and writes results/ligand_dynamics.json and docs/images/ligand-dynamics.png.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import openmm
from common import save_image, write_results
from gpu_steps import Case, cases, coupled, langevin
from matplotlib.figure import Figure
from openmm import app, unit
from scipy.stats import circstd

import nnpmm
from nnpmm import analysis
from nnpmm.analysis.quantities import angles_of
from nnpmm.analysis.tables import comparison_data, with_error
from nnpmm.analysis.torsions import circular_density
from nnpmm.models.ani import AniModel, load_parameters
from nnpmm.plots import style
from nnpmm.plots.style import axis_label

TEMPERATURE, PRESSURE, TIMESTEP = 300.0, 1.0, 4.0  # K, bar, fs
WARMUP, EQUILIBRATION, FRAME = 2.0, 20.0, 1.0  # ps
POTENTIALS = ("force field", "network")
FORCE_FIELDS = {
    "HSP90 complex": "Amber99SB-ILDN, GAFF2 and TIP3P: the GROMACS files of a published ABFE set",
    "Tyk2 complex": "Amber14 (ff14SB) and TIP3P; of the ligand MMFF94 charges and bonded terms and "
    "GAFF Lennard-Jones, nnpmm's parameters where no openff-toolkit is installed",
}
NOTABLE = 0.05  # lowest probability of a contact that is recorded
COLORS, WINDOW = (style.BLUE, style.RED), 11  # of the potentials; frames of a running average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--inputs", type=Path, metavar="FOLDER", help="inputs written by gpu_steps.py"
    )
    parser.add_argument("--weights", type=Path, help="weights written by gpu_ani.py --write-inputs")
    parser.add_argument("--system", default="HSP90 complex")
    parser.add_argument("--potential", choices=POTENTIALS, default="network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=100.0, help="length of the production, ps")
    parser.add_argument("--seconds", type=float, help="time limit of the whole process")
    parser.add_argument("--platform", default="CUDA")
    parser.add_argument("--output", type=Path, default=Path("ligand-dynamics"))
    parser.add_argument("--compare", type=Path, metavar="FOLDER")
    parser.add_argument("--made-on", help="machine that made the trajectories")
    arguments = parser.parse_args()
    if arguments.compare:
        compare(arguments.compare, arguments.made_on)
    else:
        simulate(arguments)


def simulate(arguments: argparse.Namespace) -> None:
    """Run one replica: relax, warm up, equilibrate at constant pressure, write solute frames."""
    begun = time.monotonic()
    (_, case), *_ = cases(arguments.inputs, [arguments.system])
    system = system_of(case, arguments)
    system.addForce(openmm.MonteCarloBarostat(PRESSURE, TEMPERATURE, 25))
    name = f"{arguments.system}-{arguments.potential}-{arguments.seed}".replace(" ", "-")
    arguments.output.mkdir(parents=True, exist_ok=True)
    properties = {"Precision": "mixed"} if arguments.platform == "CUDA" else {}
    platform = openmm.Platform.getPlatformByName(arguments.platform)
    integrator = langevin(1.0)
    integrator.setRandomNumberSeed(arguments.seed)
    simulation = app.Simulation(case.topology, system, integrator, platform, properties)
    simulation.context.setPositions(case.positions)
    simulation.minimizeEnergy(maxIterations=300)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, arguments.seed)
    simulation.step(round(1000 * WARMUP))
    integrator.setStepSize(TIMESTEP / 1000)
    simulation.step(round(1000 * EQUILIBRATION / TIMESTEP))
    solute = [a.index for a in case.topology.atoms() if not is_solvent(a.residue)]
    write_topology(arguments.output, arguments.system, case, solute)
    interval = round(1000 * FRAME / TIMESTEP)
    path = arguments.output / f"{name}.xtc"
    simulation.reporters.append(app.XTCReporter(str(path), interval, atomSubset=solute))
    steps, started = 0, time.monotonic()
    while steps * TIMESTEP < 1000 * arguments.time:
        if arguments.seconds and time.monotonic() - begun > arguments.seconds:
            break
        simulation.step(10 * interval)
        steps += 10 * interval
    seconds = time.monotonic() - started
    record = {"ps": steps * TIMESTEP / 1000, "ns_per_day": 86.4 * steps * TIMESTEP / 1000 / seconds}
    path.with_suffix(".json").write_text(json.dumps(record))
    print(name, record, flush=True)


def system_of(case: Case, arguments: argparse.Namespace) -> openmm.System:
    """Return the System of the chosen potential."""
    if arguments.potential == "force field":
        return case.system
    if arguments.weights is None:
        return coupled(case, nnpmm.load_model("ANI-2x")).system
    return coupled(case, AniModel(load_parameters(arguments.weights))).system


def is_solvent(residue: app.topology.Residue) -> bool:
    """Return whether a residue is water or an ion."""
    return residue.name in ("HOH", "SOL", "WAT", "NA", "CL", "Na+", "Cl-")


def write_topology(folder: Path, name: str, case: Case, solute: list[int]) -> None:
    """Write the solute as a PDB file, once for all replicas."""
    path = folder / f"{name.replace(' ', '-')}.pdb"
    if path.exists():
        return
    topology = mdtraj.Topology.from_openmm(case.topology)
    nm = np.array(case.positions.value_in_unit(unit.nanometer))
    mdtraj.Trajectory(nm, topology).atom_slice(solute).save_pdb(str(path))


def compare(folder: Path, made_on: str | None) -> None:
    """Analyse the trajectories, print differences, and write the results and the picture."""
    found = {
        topology.stem.replace("-", " "): compare_potentials(topology)
        for topology in sorted(folder.glob("*.pdb"))
    }
    for name, comparison in found.items():
        report(name, comparison)
    rows = [record(folder, name, comparison) for name, comparison in found.items()]
    results = {"trajectories_made_on": made_on, "temperature_K": TEMPERATURE, "systems": rows}
    print(write_results("ligand_dynamics", results))
    print(save_image(draw(found), "ligand-dynamics"))


def compare_potentials(topology: Path) -> analysis.Comparison:
    """Analyse the replicas of both potentials; differences are network minus force field."""
    systems = []
    for potential in POTENTIALS:
        paths = trajectories(topology, potential)
        sources = [
            analysis.read_source(topology, path, name=f"{potential} {number}")
            for number, path in enumerate(paths, start=1)
        ]
        systems.append(analysis.analyze(sources, name=potential))
    return analysis.compare(*systems)


def trajectories(topology: Path, potential: str) -> list[Path]:
    """Return the trajectories of one potential."""
    return sorted(topology.parent.glob(f"{topology.stem}-{potential.replace(' ', '-')}-*.xtc"))


def report(system: str, comparison: analysis.Comparison) -> None:
    """Print the averages and the differences that are significant or nearly so."""
    known = known_differences(comparison)
    count = sum(bool(d.significant) for d in known)
    print(f"{system}: {count} of {len(known)} differences are significant")
    swings = [widths(comparison.first), widths(comparison.second)]
    for label in swings[0]:
        values = [with_error(*swing[label]) for swing in swings]
        name = f"{label}, standard deviation / °"
        print(f"  {name:42s}", *(f"{value:>18s}" for value in values))
    for d in comparison.differences:
        clear = d.significant or abs(d.value) > 3 * d.error
        if d.first.kind == "overall" or clear:
            columns = [(q.average.value, q.average.error) for q in (d.first, d.second)]
            values = [with_error(*pair) for pair in [*columns, (d.value, d.error)]]
            label = axis_label(d.first.name, d.first.unit)
            print(f"  {label:42s}", *(f"{value:>18s}" for value in values), f"  {d.verdict}")


def known_differences(comparison: analysis.Comparison) -> list[analysis.Difference]:
    """Return the differences whose error is known."""
    return [d for d in comparison.differences if d.significant is not None]


def record(folder: Path, name: str, comparison: analysis.Comparison) -> dict[str, Any]:
    """Return the record of one system."""
    notable = {
        (d.first.kind, d.first.name)
        for d in comparison.differences
        if d.first.kind != "fluctuation"
        and (d.first.kind != "contact" or _often(d.first) or _often(d.second))
    }
    data = comparison_data(comparison)
    fluctuations = comparison.of_kind("fluctuation")
    verdicts = {(d.first.kind, d.first.name): d.verdict for d in comparison.differences}
    row: dict[str, Any] = {"system": name, "force_field": FORCE_FIELDS[name], "potentials": {}}
    for potential, key in zip(POTENTIALS, ("first", "second"), strict=True):
        paths = trajectories(folder / f"{name.replace(' ', '-')}.pdb", potential)
        row["potentials"][potential] = {
            "replicas": [json.loads(path.with_suffix(".json").read_text()) for path in paths],
            "torsions": data[key]["torsions"],
            "standard_deviations_deg": widths(getattr(comparison, key)),
            "averages": [
                concise(average)
                for average in data[key]["averages"]
                if (average["kind"], average["quantity"]) in notable
            ],
        }
    row["start_deg"] = start_torsions(folder / f"{name.replace(' ', '-')}.pdb", comparison)
    row["smiles"] = data["first"]["trajectories"][0]["smiles"]
    row["differences"] = [
        d | {"verdict": verdicts[d["kind"], d["quantity"]]}
        for d in data["differences"]
        if (d["kind"], d["quantity"]) in notable
    ]
    row["fluctuations"] = {
        "residues": len(fluctuations),
        "significant": [d.first.name for d in fluctuations if d.significant],
    }
    row["differences_in_all"] = len(known_differences(comparison))
    return row


def start_torsions(topology: Path, comparison: analysis.Comparison) -> dict[str, float]:
    """Return the torsions of the starting structure in degrees."""
    whole = mdtraj.load(str(topology))
    ligand = whole.atom_slice(whole.topology.select("resname LIG"))
    rows = {atom.name: atom.index for atom in ligand.topology.atoms}
    labels = list(comparison.first.rotamers)
    angles = mdtraj.compute_dihedrals(
        ligand, [[rows[name] for name in label.split("-")] for label in labels], periodic=False
    )
    return dict(zip(labels, np.rad2deg(angles[0]).round(1).tolist(), strict=True))


def widths(system: analysis.Analysis) -> dict[str, list[float]]:
    """Return the standard deviation of torsions that stay in one rotamer, with its error."""
    found = {}
    for label, rotamers in system.rotamers.items():
        if len(rotamers.peaks) == 1:
            each = [
                np.rad2deg(circstd(np.deg2rad(angles_of(replica, label))))
                for replica in system.replicas
            ]
            error = np.std(each, ddof=1) / np.sqrt(len(each))
            found[label] = [float(np.mean(each)), float(error)]
    return found


def concise(average: dict[str, Any]) -> dict[str, Any]:
    """Return an average with its error, and only the means of the replicas."""
    kept = {key: average[key] for key in ("kind", "quantity", "unit", "mean", "standard_error")}
    return kept | {"replicas": [replica["mean"] for replica in average["trajectories"]]}


def _often(quantity: analysis.Quantity) -> bool:
    return quantity.average.value >= NOTABLE


def draw(found: dict[str, analysis.Comparison]) -> Figure:
    """Draw the ligand RMSD against time, and the torsions whose distributions differ most."""
    figure, panels = style.create_panels(len(found), 3, width=8.6, height=2.5 * len(found) + 0.3)
    for row, (name, comparison) in enumerate(found.items()):
        places = panels[3 * row : 3 * row + 3]
        systems = dict(zip((comparison.first, comparison.second), COLORS, strict=True))
        for system, color in systems.items():
            for number, replica in enumerate(system.replicas):
                angstrom = 10 * replica.series["ligand_rmsd"]
                label = system.name if number == 0 else None
                places[0].plot(replica.time, angstrom, color=color, linewidth=0.4, alpha=0.3)
                smooth = np.convolve(angstrom, np.ones(WINDOW) / WINDOW, mode="valid")
                middle = replica.time[WINDOW // 2 :][: len(smooth)]
                places[0].plot(middle, smooth, color=color, linewidth=1.3, label=label)
        style.dress(places[0], xlabel="time / ps", ylabel="ligand RMSD in the site / Å", title=name)
        places[0].set_ylim(bottom=0)
        for place, label in zip(places[1:], most_different(comparison), strict=True):
            for system, color in systems.items():
                each = densities(system, label)
                grid = -180.0 + 360.0 / each.shape[1] * (np.arange(each.shape[1]) + 0.5)
                place.plot(grid, each.T, color=color, linewidth=0.6, alpha=0.6)
                place.plot(grid, each.mean(axis=0), color=color, linewidth=1.8)
            place.set(xlim=(-180, 180), ylim=(0, None), xticks=(-120, 0, 120), yticks=[])
            style.dress(place, xlabel="angle / °", ylabel="density", title=label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=style.SMALL
    )
    return figure


def most_different(comparison: analysis.Comparison) -> list[str]:
    """Return the two torsions whose distributions overlap least."""

    def shared(label: str) -> float:
        means = [densities(s, label).mean(axis=0) for s in (comparison.first, comparison.second)]
        return float(np.minimum(*means).sum())

    return sorted(comparison.first.rotamers, key=shared)[:2]


def densities(system: analysis.Analysis, label: str) -> np.ndarray:
    """Return the density of a torsion (replicas, angles) in each replica."""
    return np.array([circular_density(angles_of(r, label))[1] for r in system.replicas])


if __name__ == "__main__":
    main()
