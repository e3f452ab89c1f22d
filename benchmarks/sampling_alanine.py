"""Free-energy surfaces of alanine dipeptide in vacuum by metadynamics in (phi, psi).

    python benchmarks/sampling_alanine.py network KNOWN  # ANI-2x, one network; goes on
    python benchmarks/sampling_alanine.py learn KNOWN LEARNED KIND  # a variable of that run, biased
    python benchmarks/sampling_alanine.py force-field FOLDER LEARNED/cv.json  # Amber's ff14SB
    python benchmarks/sampling_alanine.py results KNOWN LEARNED  # of the network, and pictures
    python benchmarks/sampling_alanine.py table  # of all results, as in docs

The force field alone is sampled from Python, the network by nnpmm run.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openmm
import yaml
from common import RESULTS, save_image, write_results
from openmm import app, unit
from rdkit import Chem

from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.surfaces import (
    Axis,
    WeightedSamples,
    convergence_of,
    difference_below,
    find_minima,
    metadynamics_offsets,
    pooled,
    surface_of,
)
from nnpmm.plots import plot_surface
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.variables import LearnedVariable, Structure, Torsion, bind_variables
from nnpmm.structures import molecule_from_smiles

TEMPERATURE, HEIGHT, FACTOR = 300.0, 1.0, 8.0  # K, kJ/mol each 0.2 ps with the network
# Of the force field alone: ns; kJ/mol every so many steps of 2 fs.
LENGTH_NS, RUNS, FORCE_FIELD_HEIGHT, EVERY = 1.0, 2, 2.5, 500
SAVED = 50  # Gaussians
NAMES = (
    *(("ACE", "CH3"), ("ACE", "C"), ("ACE", "O"), ("ALA", "N"), ("ALA", "CA")),
    *(("ALA", "CB"), ("ALA", "C"), ("ALA", "O"), ("NME", "N"), ("NME", "C")),
)
VARIABLES = {
    "phi": Torsion(
        atoms=("resname ACE and name C", "resname ALA and name N", "name CA",
               "resname ALA and name C")
    ),
    "psi": Torsion(
        atoms=("resname ALA and name N", "name CA", "resname ALA and name C",
               "resname NME and name N")
    ),
}  # fmt: skip
WIDTH = np.radians(20.0)
LEARNED_WIDTH = 0.25  # standard deviations of the training data


def alanine_dipeptide() -> tuple[app.Topology, np.ndarray, openmm.System]:
    """Return topology, positions (22, 3) nm, and the System with Amber's ff14SB."""
    molecule = Chem.RemoveHs(molecule_from_smiles("CC(=O)N[C@@H](C)C(=O)NC", seed=1))
    topology, residues, atoms = app.Topology(), {}, []
    chain = topology.addChain()
    for (residue, name), atom in zip(NAMES, molecule.GetAtoms(), strict=True):
        if residue not in residues:
            residues[residue] = topology.addResidue(residue, chain)
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        atoms.append(topology.addAtom(name, element, residues[residue]))
    for bond in molecule.GetBonds():
        topology.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    positions = molecule.GetConformer().GetPositions() / 10
    modeller = app.Modeller(topology, positions * unit.nanometer)
    force_field = app.ForceField("amber14/protein.ff14SB.xml")
    modeller.addHydrogens(force_field)
    system = force_field.createSystem(modeller.topology, constraints=app.HBonds)
    return (
        modeller.topology,
        np.array(modeller.positions.value_in_unit(unit.nanometer)),
        system,
    )


def sample_force_field(folder: Path, seed: int, cv: Path | None = None) -> WeightedSamples:
    """Return the samples in (phi, psi) of one run with the force field, from its file if there.

    Args:
        folder: of the files.
        seed: of the run.
        cv: file of two learned variables to bias; None: phi and psi.
    """
    path = folder / f"force_field_{'known' if cv is None else 'learned'}_{seed}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        for found in run_force_field(seed, cv):
            np.savez(partial, **found)
        partial.rename(path)
    with np.load(path) as stored:
        values, logs, times = stored["values"], stored["logs"], stored["times"]
    axes = tuple(Axis(n, "rad", 2 * np.pi, (-np.pi, np.pi)) for n in VARIABLES)
    runs = np.zeros(len(times), dtype=np.int64)
    return WeightedSamples(axes, values, times, runs, TEMPERATURE, lambda m: logs[m])


def run_force_field(seed: int, cv: Path | None) -> Iterator[dict[str, np.ndarray]]:
    """Yield phi and psi (n, 2), logarithms of their weights (n,) and times (n,) of one run so far.

    On the Reference platform, which is the fastest for 22 atoms on one thread.
    """
    topology, positions, system = alanine_dipeptide()
    structure = Structure.of(topology, positions, system)
    known = bind_variables(VARIABLES, structure)
    if cv is None:
        grids = [grid_of(v, WIDTH, None, temperature=TEMPERATURE) for v in known.values()]
    else:
        grids = learned_grids(cv, structure)
    bias = WellTempered(
        system, grids, temperature=TEMPERATURE, bias_factor=FACTOR, height=FORCE_FIELD_HEIGHT
    )
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, 0.002)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, seed)
    integrator.step(5000)
    records, values = [], []
    for _ in range(round(LENGTH_NS * 1000 / (EVERY * 0.002))):
        integrator.step(EVERY)
        records.append(bias.deposit(simulation.context))
        state = simulation.context.getState(positions=True)
        here = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        values.append([variable.evaluate(here, None) for variable in known.values()])
        if len(records) % SAVED == 0:
            yield weighted(grids, records, values)


def weighted(grids: list, records: list, values: list) -> dict[str, np.ndarray]:
    """Return what is known of a run by metadynamics so far."""
    offsets = metadynamics_offsets(
        grids,
        np.array([record.values for record in records]),
        [record.height for record in records],
        temperature=TEMPERATURE,
        bias_factor=FACTOR,
    )
    logs = (np.array([r.bias for r in records]) - offsets) / thermal_energy(TEMPERATURE)
    times = np.arange(1, len(records) + 1) * EVERY * 0.002
    return {"values": np.array(values), "logs": logs, "times": times}


def learned_grids(cv: Path, structure: Structure) -> list:
    """Return the grids of two learned variables."""
    low, high = learned_range(cv)
    names = {f"cv{k}": LearnedVariable(file=cv, component=k + 1) for k in range(2)}
    return [
        grid_of(variable, LEARNED_WIDTH, (low[k] - 0.5, high[k] + 0.5), temperature=TEMPERATURE)
        for k, variable in enumerate(bind_variables(names, structure).values())
    ]


def tell(samples: WeightedSamples, name: str) -> tuple[dict, object]:
    """Print and return minima, convergence and the surface of samples."""
    kept = samples.after(0.2)
    surface = surface_of(kept, ["phi", "psi"], bins=36)
    minima = find_minima(kept, surface)
    convergence = convergence_of(kept, ["phi", "psi"], bins=36)
    rows = []
    for minimum in minima:
        phi, psi = np.degrees(minimum.place)
        share = minimum.population
        rows.append(
            {
                "phi_degrees": float(phi),
                "psi_degrees": float(psi),
                "free_energy_kj_mol": minimum.free_energy,
                "population": share.value,
                "population_error": share.error,
                "visits": minimum.visits,
            }
        )
        print(f"{name:12} {phi:6.0f} {psi:6.0f} {minimum.free_energy:6.2f} kJ/mol "
              f"{share.value:7.4f} +- {share.error:.4f}, {minimum.visits} visits")  # fmt: skip
    below = surface.free_energy <= 20
    data = {
        "minima": rows,
        "mean_error_below_20_kj_mol": float(np.nanmean(surface.error[below])),
        "convergence_ps": convergence.times.tolist(),
        "rms_difference_from_the_end_kj_mol": convergence.differences.tolist(),
    }
    degrees = [np.degrees(c) for c in surface.bins.centres]
    figure = plot_surface(
        *degrees,
        surface.free_energy,
        xlabel="phi / degrees",
        ylabel="psi / degrees",
        minima=[(r["phi_degrees"], r["psi_degrees"]) for r in rows],
    )
    save_image(figure, f"sampling_alanine_{name.replace(' ', '_')}")
    return data, surface


def force_field(folder: Path, cv: Path) -> None:
    """Sample the force field along (phi, psi) and along learned variables, and compare."""
    known, found = [], []
    for seed in range(1, RUNS + 1):
        known.append(sample_force_field(folder, seed))
        found.append(sample_force_field(folder, seed, cv))
    data, surface = tell(pooled(known), "force field")
    save_surface(surface)
    data["learned"], _ = tell(pooled(found), "force field learned")
    data["learned"] |= compare(known, found)
    for name, parts in (("known_runs_ns", known), ("learned_runs_ns", found)):
        data[name] = [float(part.times.max() / 1000) for part in parts]
    write_results("sampling_alanine_force_field", data)


def compare(known: Sequence[WeightedSamples], found: Sequence[WeightedSamples]) -> dict:
    """Return RMS differences below 20 kJ/mol of surfaces along (phi, psi), and print them.

    Args:
        known: runs biased along phi and psi, the reference.
        found: other runs.
    """

    def free_energy(parts: Sequence[WeightedSamples]) -> np.ndarray:
        return surface_of(pooled(parts).after(0.2), ["phi", "psi"], bins=36).free_energy

    def pairs(parts: Sequence[WeightedSamples]) -> list[float]:
        each = [free_energy([part]) for part in parts]
        return [difference_below(a, b) for a, b in itertools.combinations(each, 2)]

    reference = free_energy(known)
    left_out = [
        difference_below(free_energy([p for p in found if p is not one]), reference)
        for one in found
        if len(found) > 1
    ]
    data = {
        "rms_difference_kj_mol": difference_below(free_energy(found), reference),
        "rms_difference_each_run_left_out_kj_mol": left_out,
        "rms_differences_of_single_known_runs_kj_mol": pairs(known),
        "rms_differences_of_single_learned_runs_kj_mol": pairs(found),
    }
    for name, value in data.items():
        print(name, np.round(value, 2))
    return data


def save_surface(surface) -> None:
    """Keep the force field's surface for the comparison with the network."""
    folder = Path(__file__).parent / "data"
    np.savez(folder / "sampling_alanine_force_field.npz", free_energy=surface.free_energy,
             error=surface.error)  # fmt: skip


def settings(folder: Path) -> Path:
    """Write the System, its structure and md.yaml of the run with the network."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "md.yaml"
    if path.exists():
        return path
    topology, positions, system = alanine_dipeptide()
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    with open(folder / "alanine.pdb", "w", encoding="utf-8") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle, keepIds=True)
    variables = {
        name: {"type": "torsion", "atoms": list(each.atoms)} for name, each in VARIABLES.items()
    }
    data = {
        "system": {"type": "openmm", "system": "system.xml", "structure": "alanine.pdb"},
        "region": {
            **{"selection": "all", "model": "ANI-2x", "members": [0]},
            "constraints": "keep",
        },
        "ensemble": {"type": "NVT"},
        "timestep": "2 fs",
        "stages": {"warmup": {"length": "5 ps"}, "equilibrate": {"length": "10 ps"},
                   "production": {"length": "1 ns"}},
        "sampling": {"type": "metadynamics", "variables": variables,
                     "widths": {"phi": "20 deg", "psi": "20 deg"}, "height": HEIGHT,
                     "bias_factor": FACTOR, "interval": "0.2 ps"},
        "output": {"directory": "run", "trajectory_interval": "1 ps", "log_interval": "1 ps",
                   "checkpoint_interval": "20 ps"},
        "platform": {"name": "CPU", "threads": 1},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def network(folder: Path) -> None:
    """Run, or go on with, the molecule described by the network."""
    from nnpmm.simulation import run

    run(settings(folder), resume=(folder / "run/settings.yaml").exists())


def learned(known: Path, folder: Path, kind: str) -> None:
    """Run, or go on with, metadynamics in two variables learned from the run in ``known``."""
    from nnpmm.sampling.learned import LearningSettings
    from nnpmm.simulation import run
    from nnpmm.simulation.learning_runs import learn_from_runs, write_learned

    path = settings(folder)
    if not (folder / "cv.json").exists():
        wanted = LearningSettings(kind=kind, variables=2)
        lag = None if kind == "autoencoder" else 1.0  # ps
        write_learned(folder / "cv.json", learn_from_runs([known / "run"], wanted, lag=lag))
        data = yaml.safe_load(path.read_text())
        low, high = learned_range(folder / "cv.json")
        for number, name in enumerate(("one", "two")):
            data["sampling"]["variables"][name] = {
                **{"type": "learned", "file": "cv.json", "component": number + 1}
            }
        data["sampling"]["widths"] = dict.fromkeys(("one", "two"), LEARNED_WIDTH)
        data["sampling"]["ranges"] = {
            name: [low[k] - 0.5, high[k] + 0.5] for k, name in enumerate(("one", "two"))
        }
        data["stages"]["production"]["length"] = "10 ns"  # ended when the surface is compared
        path.write_text(yaml.safe_dump(data, sort_keys=False))
    run(path, resume=(folder / "run/settings.yaml").exists())


def learned_range(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the least and the largest values of the learned variables in training."""
    from nnpmm.sampling.learned import load_projection

    record = load_projection(path).record
    return record.low, record.high


def results(folder: Path, other: Path | None) -> None:
    """Print what the runs with the network gave, compared with the force field.

    Args:
        folder: of the run along (phi, psi).
        other: of the run along learned variables.
    """
    from nnpmm.simulation.sampled import read_sampled, samples_of

    samples = samples_of(read_sampled(folder / "run"))
    data, surface = tell(samples, "network")
    data["length_ns"] = float(samples.times.max() / 1000)
    stored = Path(__file__).parent / "data/sampling_alanine_force_field.npz"
    if stored.exists():
        reference = np.load(stored)["free_energy"]
        data["rms_difference_from_force_field_kj_mol"] = difference_below(
            surface.free_energy, reference
        )
        print(f"network against force field: {data['rms_difference_from_force_field_kj_mol']:.2f}")
    if other is not None:
        found = samples_of(read_sampled(other / "run"))
        data["learned"], _ = tell(found, "network learned")
        data["learned"] |= compare([samples], [found])
        data["learned"]["length_ns"] = float(found.times.max() / 1000)
    write_results("sampling_alanine_network", data)


def table() -> None:
    """Print the tables of docs."""

    def rows(minima: list[dict]) -> None:
        print("| φ, ψ / degrees | free energy / (kJ/mol) | population |\n| --- | --- | --- |")
        for each in minima:
            population, error = each["population"], each["population_error"]
            digits = max(1, -math.floor(math.log10(error))) if error > 0 else 3
            print(f"| {each['phi_degrees']:.0f}, {each['psi_degrees']:.0f} | "
                  f"{each['free_energy_kj_mol']:.1f} | "
                  f"{population:.{digits}f} ± {error:.{digits}f} |")  # fmt: skip

    for name in ("network", "force_field"):
        path = RESULTS / f"sampling_alanine_{name}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_text())["results"]
        print(f"\n{name}, biased along (φ, ψ)\n")
        rows(found["minima"])
        if "learned" in found:
            print(f"\n{name}, biased along learned variables\n")
            rows(found["learned"]["minima"])
            for key, value in found["learned"].items():
                if "rms_difference" in key:
                    print(key, np.round(value, 2))


if __name__ == "__main__":
    task = sys.argv[1]
    if task == "force-field":
        force_field(Path(sys.argv[2]), Path(sys.argv[3]))
    elif task == "network":
        network(Path(sys.argv[2]))
    elif task == "learn":
        learned(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    elif task == "table":
        table()
    else:
        results(Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
