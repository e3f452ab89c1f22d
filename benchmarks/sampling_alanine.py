"""Free-energy surfaces of alanine dipeptide in vacuum with the network, by metadynamics.

    python benchmarks/sampling_alanine.py network KNOWN  # ANI-2x, one network; goes on
    python benchmarks/sampling_alanine.py learn KNOWN LEARNED KIND  # a variable of that run, biased
    python benchmarks/sampling_alanine.py results KNOWN LEARNED  # and pictures
    python benchmarks/sampling_alanine.py table  # of the results, into docs

The force field alone is sampled by sampling_alanine_force_field.py.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
import yaml
from common import RESULTS, ROOT, save_image, write_results, write_section
from openmm import app, unit
from rdkit import Chem

from nnpmm.freeenergy.surfaces import (
    WeightedSamples,
    convergence_of,
    difference_below,
    find_minima,
    pooled,
    surface_of,
)
from nnpmm.plots import plot_surface
from nnpmm.sampling.variables import Torsion
from nnpmm.structures import molecule_from_smiles

TEMPERATURE, HEIGHT, FACTOR = 300.0, 1.0, 8.0  # K, kJ/mol each 0.2 ps with the network
BINS = 36  # along phi and psi
PAGE = ROOT / "docs" / "validation" / "sampling.md"
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


def alanine_dipeptide(
    hydrogen_mass: float | None = None,
) -> tuple[app.Topology, np.ndarray, openmm.System]:
    """Return topology, positions (22, 3) nm, and the System with Amber's ff14SB.

    Args:
        hydrogen_mass: amu, taken from the heavy atoms that the hydrogens are bonded to; None: 1.
    """
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
    system = force_field.createSystem(
        modeller.topology, constraints=app.HBonds, hydrogenMass=hydrogen_mass
    )
    return (
        modeller.topology,
        np.array(modeller.positions.value_in_unit(unit.nanometer)),
        system,
    )


def tell(samples: WeightedSamples, name: str) -> tuple[dict, object]:
    """Print and return minima, convergence and the surface of samples."""
    kept = samples.after(0.2)
    surface = surface_of(kept, ["phi", "psi"], bins=BINS)
    minima = find_minima(kept, surface)
    convergence = convergence_of(kept, ["phi", "psi"], bins=BINS)
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


def compare(known: Sequence[WeightedSamples], found: Sequence[WeightedSamples]) -> dict:
    """Return RMS differences below 20 kJ/mol of surfaces along (phi, psi), and print them.

    Args:
        known: runs biased along phi and psi, the reference.
        found: other runs.
    """

    def free_energy(parts: Sequence[WeightedSamples]) -> np.ndarray:
        return surface_of(pooled(parts).after(0.2), ["phi", "psi"], bins=BINS).free_energy

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
    """Write the tables of the runs with the network into the documentation."""
    found = json.loads((RESULTS / "sampling_alanine_network.json").read_text())["results"]
    write_section(PAGE, "network", rows_of(found["minima"]))
    if "learned" in found:
        write_section(PAGE, "network learned", rows_of(found["learned"]["minima"]))


def rows_of(minima: list[dict]) -> list[str]:
    """Return the lines of a table of minima."""
    lines = ["| φ, ψ / degrees | free energy / (kJ/mol) | population |", "| --- | --- | --- |"]
    for each in minima:
        population, error = each["population"], each["population_error"]
        digits = max(1, -math.floor(math.log10(error))) if error > 0 else 3
        lines.append(f"| {each['phi_degrees']:.0f}, {each['psi_degrees']:.0f} | "
                     f"{each['free_energy_kj_mol']:.1f} | "
                     f"{population:.{digits}f} ± {error:.{digits}f} |")  # fmt: skip
    return lines


if __name__ == "__main__":
    task = sys.argv[1]
    if task == "network":
        network(Path(sys.argv[2]))
    elif task == "learn":
        learned(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    elif task == "table":
        table()
    else:
        results(Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
