"""Populations of a torsion of HSP90's ligand 3 by metadynamics: force field against network.

    python benchmarks/sampling_hsp90_ligand.py run FOLDER POTENTIAL PLACE NS  # of one run; goes on
    python benchmarks/sampling_hsp90_ligand.py results FOLDER  # of all runs there

POTENTIAL is ``force-field`` (GAFF2) or ``network`` (one network of ANI-2x, on the whole ligand,
mechanical embedding), PLACE ``vacuum``, ``water`` or ``site``. The torsion is C12-N3-C10-C9, about
an N-ethyl bond of the diethylamide. 300 K, 2 fs; in water and in the site at constant volume.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openmm
from common import save_image, write_results
from ligand_dynamics_torsions import gaff_files
from matplotlib.figure import Figure
from md_step import read
from openmm import app, unit

import nnpmm
from nnpmm.coupling import Mechanical
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.surfaces import (
    Axis,
    WeightedSamples,
    find_minima,
    metadynamics_offsets,
    surface_of,
)
from nnpmm.plots import style
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.variables import Structure, Torsion, bind_variables

TEMPERATURE, HEIGHT, FACTOR, EVERY, SAVED = 300.0, 1.0, 6.0, 100, 250
TORSION = tuple(f"resname LIG and name {name}" for name in ("C12", "N3", "C10", "C9"))
WIDTH, BINS = np.radians(15.0), 48
SEED = 1


def load(folder: Path, place: str) -> tuple[app.Topology, openmm.System, np.ndarray]:
    """Return the ligand in vacuum, or in a box of water, or in its site."""
    if place == "vacuum":
        source = gaff_files(folder)
        parameters = app.AmberPrmtopFile(str(source.topology))
        coordinates = app.AmberInpcrdFile(str(source.coordinates))
        system = parameters.createSystem(constraints=app.HBonds)
        positions = coordinates.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        return parameters.topology, system, np.array(positions)
    part = {"water": "ligand", "site": "complex"}[place]
    topology, system, positions, _ = read("gromacs", f"hsp90/ligand-3/{part}/{part}")
    return topology, system, np.array(positions.value_in_unit(unit.nanometer))


def run(folder: Path, potential: str, place: str, length_ns: float) -> None:
    """Run, or go on with, one simulation, and keep samples and state after every 250 Gaussians."""
    folder.mkdir(parents=True, exist_ok=True)
    topology, system, positions = load(folder, place)
    if potential == "network":
        model = nnpmm.load_model("ANI-2x", members=[0])
        region = nnpmm.select_atoms(topology, "all" if place == "vacuum" else "resname LIG")
        system = nnpmm.couple(
            *(system, topology, region, model), coupling=Mechanical(constraints="keep")
        ).system
    structure = Structure.of(topology, positions, system)
    variable = bind_variables({"torsion": Torsion(atoms=TORSION)}, structure)["torsion"]
    grid = grid_of(variable, WIDTH, None, temperature=TEMPERATURE)
    bias = WellTempered(system, [grid], temperature=TEMPERATURE, bias_factor=FACTOR, height=HEIGHT)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, 0.002)
    integrator.setRandomNumberSeed(SEED)
    name = "Reference" if place == "vacuum" else nnpmm.fastest_platform().getName()
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(name))
    path, state = folder / f"{potential} {place}.npz", folder / f"{potential} {place}.xml"
    records = []
    if path.exists():
        with np.load(path) as stored:
            values, heights = stored["values"], stored["heights"]
            integrator.setRandomNumberSeed(SEED + len(values))
            records = list(zip(values, stored["biases"], heights, strict=True))
        bias.restore(values, heights, context)
        context.setState(openmm.XmlSerializer.deserialize(state.read_text()))
    else:
        context.setPositions(positions)
        openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
        context.setVelocitiesToTemperature(TEMPERATURE, SEED)
        integrator.step(5000)
    while len(records) * EVERY * 2e-6 < length_ns:
        for _ in range(SAVED):
            integrator.step(EVERY)
            found = bias.deposit(context)
            records.append((found.values, found.bias, found.height))
        state.write_text(
            openmm.XmlSerializer.serialize(context.getState(positions=True, velocities=True))
        )
        values, biases, heights = (np.array(each) for each in zip(*records, strict=True))
        offsets = metadynamics_offsets(
            [grid], values, heights, temperature=TEMPERATURE, bias_factor=FACTOR
        )
        logs = (biases - offsets) / thermal_energy(TEMPERATURE)
        np.savez(path, values=values, biases=biases, heights=heights, logs=logs)
        print(f"{potential}, {place}: {len(records) * EVERY * 0.002:g} ps", flush=True)


def samples_of(path: Path) -> WeightedSamples:
    """Return the samples of one run."""
    with np.load(path) as stored:
        values, logs = stored["values"], stored["logs"]
    times = np.arange(1, len(values) + 1) * EVERY * 0.002
    axes = (Axis("torsion", "rad", 2 * np.pi, (-np.pi, np.pi)),)
    runs = np.zeros(len(values), dtype=np.int64)
    return WeightedSamples(axes, values, times, runs, TEMPERATURE, lambda m: logs[m])


def results(folder: Path) -> None:
    """Print minima, populations and the surface of every run, and draw them."""
    data = {}
    figure = Figure(figsize=(6.0, 3.5), layout="constrained")
    axes = figure.subplots()
    for path in sorted(folder.glob("*.npz")):
        samples = samples_of(path)
        kept = samples.after(0.2)
        surface = surface_of(kept, ["torsion"], bins=BINS)
        degrees = np.degrees(surface.bins.centres[0])
        rows = []
        for minimum in find_minima(kept, surface):
            share = minimum.population
            rows.append(
                {
                    "degrees": float(np.degrees(minimum.place[0])),
                    "free_energy_kj_mol": minimum.free_energy,
                    "population": share.value,
                    "population_error": share.error,
                    "visits": minimum.visits,
                }
            )
            print(f"{path.stem:24} {rows[-1]['degrees']:6.0f} {minimum.free_energy:6.2f} kJ/mol "
                  f"{share.value:6.3f} +- {share.error:.3f}, {minimum.visits} visits")  # fmt: skip
        data[path.stem] = {
            "length_ps": float(samples.times.max()),
            "minima": rows,
            "degrees": degrees.tolist(),
            "free_energy_kj_mol": plain(surface.free_energy),
            "error_kj_mol": plain(surface.error),
        }
        color = (style.BLUE, style.RED)[path.stem.startswith("network")]
        axes.plot(degrees, surface.free_energy, color=color, label=path.stem)
    axes.set_xlabel("C12-N3-C10-C9 / degrees")
    axes.set_ylabel("free energy / (kJ/mol)")
    axes.legend(frameon=False)
    save_image(figure, "sampling_hsp90_ligand")
    write_results("sampling_hsp90_ligand", data)


def plain(values: np.ndarray) -> list:
    """Return numbers, None where nothing was sampled."""
    return [float(value) if np.isfinite(value) else None for value in values]


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(Path(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5]))
    else:
        results(Path(sys.argv[2]))
