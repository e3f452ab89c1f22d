"""Run metadynamics of a torsion of a Tyk2 ligand in vacuum, in water and in its site.

    python benchmarks/sampling_ligand.py run FOLDER --place vacuum --potential network --time 200
    python benchmarks/sampling_ligand.py results FOLDER

The torsion is C7-N1-C8-C9, from the amide of ejm_31 to its pyridine ring, where force field and
network differ most (ligand_dynamics_torsions.py). The network, ANI-2x, describes the ligand with
mechanical embedding. Both potentials use steps of 4 fs, hydrogens of 3 amu, constraints, and a
ligand of three times its mass. Runs are saved every 10 ps, and continue if interrupted. Different
seeds are replicas, and several can share a machine. A run in the site needs a GPU.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import ROOT, data_folder, save_image, write_results, write_section
from gpu_steps import HYDROGEN_MASS, MASS_FACTOR, Case, cases, coupled
from openmm import app, unit

import nnpmm
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.relative.box import read_ligands
from nnpmm.freeenergy.surfaces import (
    Axis,
    WeightedSamples,
    find_minima,
    metadynamics_offsets,
    pooled,
    surface_of,
)
from nnpmm.integrators import apply_hydrogen_mass, scale_masses
from nnpmm.plots import plot_surface_profile
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.variables import Structure, Torsion
from nnpmm.structures import forcefield_xml, parameterize, solvate, to_openmm_topology
from nnpmm.structures.providers import Provider

LIGAND, TORSION = "lig_ejm_31", (9, 11, 13, 14)  # C7-N1-C8-C9
TEMPERATURE, HEIGHT, FACTOR, EVERY = 300.0, 2.0, 12.0, 50  # K, kJ/mol, steps of 4 fs
TIMESTEP, WIDTH, SAVED = 0.004, np.radians(15.0), 50  # ps, rad, Gaussians
PAGE = ROOT / "docs" / "validation" / "sampling.md"
PLACES, POTENTIALS = ("vacuum", "water", "site"), ("force field", "network")


def case_of(place: str, parameters: Provider) -> Case:
    """Return the ligand with the force field in one of the places."""
    if place == "site":
        return next(cases(None, ["Tyk2 complex"]))[1]
    ligand = read_ligands(data_folder() / "tyk2/ligands.sdf", (LIGAND,))[LIGAND]
    found = parameterize(ligand, provider=parameters)
    if place == "water":
        mm = solvate(ligand, found, residue_name="LIG", hydrogen_mass=HYDROGEN_MASS, seed=1)
        topology, system, positions = mm.topology, mm.system, mm.positions
        region = nnpmm.select_atoms(topology, "resname LIG")
    else:
        topology, positions = to_openmm_topology(ligand, "LIG")
        force_field = app.ForceField(io.StringIO(forcefield_xml(ligand, found, "LIG")))
        system = force_field.createSystem(topology, constraints=app.HBonds)
        apply_hydrogen_mass(system, topology, HYDROGEN_MASS)
        region = np.arange(system.getNumParticles())
    return Case(topology, system, positions, topology.getPeriodicBoxVectors(), region)


def run(arguments: argparse.Namespace) -> None:
    """Start or continue one run, and save it regularly."""
    case = case_of(arguments.place, arguments.parameters)
    if arguments.potential == "network":
        system = coupled(case, nnpmm.load_model("ANI-2x")).system
    else:
        system = case.system
        scale_masses(system, case.region, MASS_FACTOR)
    if case.box is not None:
        system.addForce(openmm.MonteCarloBarostat(1.0, TEMPERATURE, 25))
    structure = Structure.of(case.topology, in_nm(case.positions), system)
    torsion = Torsion(atoms=tuple(int(case.region[i]) for i in TORSION)).bind("chi", structure)
    grid = grid_of(torsion, WIDTH, None, temperature=TEMPERATURE)
    bias = WellTempered(system, [grid], temperature=TEMPERATURE, bias_factor=FACTOR, height=HEIGHT)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, TIMESTEP)
    name = f"{arguments.place}-{arguments.potential}-{arguments.seed}".replace(" ", "-")
    path = arguments.folder / f"{name}.npz"
    integrator.setRandomNumberSeed(1_000_000 * arguments.seed + count_rows(path))
    platform = openmm.Platform.getPlatformByName(arguments.platform)
    simulation = app.Simulation(case.topology, system, integrator, platform)
    rows = start(simulation, bias, case, path, arguments.seed)
    wanted = round(arguments.time / (EVERY * TIMESTEP))
    while len(rows) < wanted:
        begun, count = time.process_time(), min(SAVED, wanted - len(rows))
        for _ in range(count):
            simulation.step(EVERY)
            record = bias.deposit(simulation.context)
            rows.append((record.values[0], record.height, record.bias))
        save(simulation, rows, path)
        spent = 1000 * (time.process_time() - begun) / (count * EVERY)
        print(f"{name}: {len(rows)} of {wanted} Gaussians, {spent:.2f} ms CPU time per step",
              flush=True)  # fmt: skip


def count_rows(path: Path) -> int:
    """Return the number of Gaussians of a run, so that a continuation has new random numbers."""
    if not path.exists():
        return 0
    with np.load(path) as data:
        return len(data["rows"])


def in_nm(positions: Any) -> np.ndarray:
    """Return positions (n, 3) in nm as numbers; they may have units."""
    if unit.is_quantity(positions):
        return np.array(positions.value_in_unit(unit.nanometer))
    return np.asarray(positions)


def start(
    simulation: app.Simulation, bias: WellTempered, case: Case, path: Path, seed: int
) -> list[tuple[float, ...]]:
    """Set up a run from its file, or relax and warm up a new one; return its Gaussians."""
    if path.exists():
        with np.load(path) as data:
            rows = [tuple(row) for row in data["rows"]]
            state = openmm.XmlSerializer.deserialize(str(data["state"]))
        simulation.context.setState(state)
        values, heights, _ = np.array(rows).T
        bias.restore(values[:, None], heights, simulation.context)
        return rows
    simulation.context.setPositions(case.positions)
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, seed)
    simulation.integrator.setStepSize(0.001)
    simulation.step(1000)
    simulation.integrator.setStepSize(TIMESTEP)
    simulation.step(2000)
    return []


def save(simulation: app.Simulation, rows: list[tuple[float, ...]], path: Path) -> None:
    """Write the Gaussians, and the state after the last one, to one file."""
    state = simulation.context.getState(positions=True, velocities=True)
    content = io.BytesIO()
    np.savez(content, rows=np.array(rows), state=openmm.XmlSerializer.serialize(state))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def samples_of(path: Path) -> WeightedSamples:
    """Return the weighted samples in the file of a run."""
    with np.load(path) as data:
        values, heights, biases = data["rows"].T
    ligand = read_ligands(data_folder() / "tyk2/ligands.sdf", (LIGAND,))[LIGAND]
    structure = Structure.of(*to_openmm_topology(ligand, "LIG"))
    grid = grid_of(
        Torsion(atoms=TORSION).bind("chi", structure), WIDTH, None, temperature=TEMPERATURE
    )
    offsets = metadynamics_offsets(
        [grid], values[:, None], list(heights), temperature=TEMPERATURE, bias_factor=FACTOR
    )
    logs = (biases - offsets) / thermal_energy(TEMPERATURE)
    axes = (Axis("chi", "rad", 2 * np.pi, (-np.pi, np.pi)),)
    times = np.arange(1, len(values) + 1, dtype=np.float64) * EVERY * TIMESTEP
    return WeightedSamples(
        axes=axes,
        values=values[:, None],
        times=times,
        runs=np.zeros(len(values), dtype=np.int64),
        temperature=TEMPERATURE,
        weigh=lambda mask: logs[mask],
    )


def flipped(part: WeightedSamples) -> float:
    """Return the population of |chi| > 90 degrees."""
    return float(part.weights() @ (np.abs(part.values[:, 0]) > np.pi / 2))


def results(folder: Path) -> None:
    """Print, write and draw the populations and surfaces of all runs in a folder."""
    found, lines = {}, {}
    for place in PLACES:
        for potential in POTENTIALS:
            stem = f"{place}-{potential}".replace(" ", "-")
            parts = [samples_of(path).after(0.2) for path in sorted(folder.glob(f"{stem}-*.npz"))]
            if not parts:
                continue
            samples = pooled(parts)
            surface = surface_of(samples, ["chi"], bins=36)
            shares = np.array([flipped(part) for part in parts])
            minima = find_minima(samples, surface)
            name = f"{place}, {potential}"
            found[name] = {
                "runs": len(parts),
                "ps_per_run": [float(part.times.max()) for part in parts],
                "flipped": float(shares.mean()),
                "flipped_of_each_run": shares.tolist(),
                "flipped_error": (
                    float(shares.std(ddof=1) / len(shares) ** 0.5) if len(shares) > 1 else None
                ),
                "minima": [
                    {
                        "degrees": float(np.degrees(minimum.place[0])),
                        "free_energy_kj_mol": minimum.free_energy,
                        "population": minimum.population.value,
                        "population_error": minimum.population.error,
                        "visits": minimum.visits,
                    }
                    for minimum in minima
                ],
                "degrees": np.degrees(surface.bins.centres[0]).tolist(),
                "free_energy_kj_mol": plain(surface.free_energy),
                "error_kj_mol": plain(surface.error),
            }
            lines[name] = (surface.free_energy, surface.error)
            print(f"{name}: {len(parts)} runs, flipped {shares.mean():.4f}, of each "
                  f"{np.round(shares, 4)}")  # fmt: skip
            for minimum in found[name]["minima"]:
                print("  ", {k: round(v, 4) for k, v in minimum.items()})
    degrees = np.degrees(surface.bins.centres[0])
    figure = plot_surface_profile(degrees, lines, xlabel="C7-N1-C8-C9 / degrees", limit=70.0)
    save_image(figure, "sampling_ligand")
    write_results("sampling_ligand", found)
    write_section(PAGE, "ligand torsion", table(found))


def table(found: dict[str, dict]) -> list[str]:
    """Return the populations of all places and potentials as Markdown."""
    lines = [
        "| | runs | population of the flipped ring | of each run | barrier / (kJ/mol) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, each in found.items():
        lengths = sorted({round(length) for length in each["ps_per_run"]})
        share, error = each["flipped"], each["flipped_error"]
        surface = np.array(each["free_energy_kj_mol"], dtype=float)
        lines.append(
            f"| {name} | {each['runs']} x {' to '.join(map(str, lengths))} ps | "
            f"{share:.3f}{'' if error is None else f' ± {error:.3f}'} | "
            f"{', '.join(f'{value:.3f}' for value in each['flipped_of_each_run'])} | "
            f"{barrier(each['degrees'], surface):.0f} |"
        )
    return lines


def barrier(degrees: list[float], surface: np.ndarray) -> float:
    """Return the lower of the two barriers between 0 and 180 degrees, kJ/mol."""
    angles = np.array(degrees)
    sides = [np.nanmax(surface[angles > 0]), np.nanmax(surface[angles < 0])]
    return float(min(sides) - np.nanmin(surface))


def plain(numbers: np.ndarray) -> list[float | None]:
    """Return numbers for JSON, with None for those that are not finite."""
    return [float(v) if np.isfinite(v) else None for v in numbers]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("run", "results"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--place", choices=PLACES, default="vacuum")
    parser.add_argument("--potential", choices=POTENTIALS, default="network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=200.0, help="length of the run, ps")
    parser.add_argument("--platform", default="CPU")
    parser.add_argument(
        "--parameters", default="fallback", help="provider of the ligand's force field"
    )
    given = parser.parse_args()
    run(given) if given.task == "run" else results(given.folder)
