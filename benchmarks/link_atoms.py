"""Measure the stiffness of a bond cut by a link atom, and energy conservation of capped regions.

The first part cuts butane in vacuum between its first and second carbon. It calculates the stretch
of that bond and the tilt of the methyl group about its carbon, with the force field, with the
network on all atoms, and with the cut region, each at its own minimum. The second part runs alanine
dipeptide at constant energy, with its side chain or its residue as the region. It compares the
drift per degree of freedom and the fluctuation of the total energy with those of the force field
alone. The script prints two tables and writes results/link_atoms.json.
Usage: python benchmarks/link_atoms.py [--ps 20] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Callable

import numpy as np
import openmm
from common import data_folder, write_results
from openmm import app

import nnpmm
from nnpmm import structures
from nnpmm.coupling import LinkAtoms, Mechanical

TIMESTEP_FS, TEMPERATURE = 0.5, 300.0
BUTANE, METHYL = "CCCC", [0, 4, 5, 6]
REGIONS = {
    "side chain": "resname ALA and name CB HB1 HB2 HB3",
    "residue": "(resname ACE and name C O) or (resname ALA and not name C O)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    results = {
        "stiffness": {"settings": {"model": "ANI-2x, double precision"}, "rows": stiffness()},
        "conservation": conservation(arguments.ps, arguments.seeds),
    }
    print(write_results("link_atoms", results))


def stiffness() -> dict[str, dict[str, float]]:
    """Return force constants of butane's first C-C bond by potential, from second differences."""
    molecule = structures.molecule_from_smiles(BUTANE, seed=1)
    mm_system = structures.create_ligand_system(molecule, structures.parameterize(molecule))
    topology, positions = structures.to_openmm_topology(molecule)
    model = nnpmm.load_model("ANI-2x", precision="double")
    systems = {"force field": mm_system}
    for name, region in {"network": range(topology.getNumAtoms()), "cut": METHYL}.items():
        systems[name] = nnpmm.create_hybrid_system(
            mm_system, topology, region, model, coupling=Mechanical(boundary=LinkAtoms())
        )
    rows = {}
    print(f"{'butane':<14} {'stretch, kJ/mol/nm^2':>26} {'methyl tilt, kJ/mol/rad^2':>26}")
    for name, system in systems.items():
        stretch, tilt = stretch_and_tilt(system, positions)
        rows[name] = {"stretch": stretch, "tilt": tilt}
        print(f"{name:<14} {stretch:26.0f} {tilt:26.0f}", flush=True)
    return rows


def stretch_and_tilt(system: openmm.System, positions: object) -> tuple[float, float]:
    """Return stretch, kJ/mol/nm^2, and tilt, kJ/mol/rad^2, of the methyl group at the minimum."""
    context, x = relaxed(system, positions)
    return stiffness_of(context, x, METHYL, (0, 1))


def relaxed(system: openmm.System, positions: object) -> tuple[openmm.Context, np.ndarray]:
    """Return a context of a system, and its minimum from given positions, (n, 3), nm."""
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 0.01)
    return context, context.getState(positions=True).getPositions(asNumpy=True)._value


def stiffness_of(
    context: openmm.Context, x: np.ndarray, group: list[int], bond: tuple[int, int]
) -> tuple[float, float]:
    """Return stretch, kJ/mol/nm^2, and tilt, kJ/mol/rad^2, of a group at a bond (inside, outside).

    The group is moved along its bond, and rotated about its atom. The tilt is the mean over two
    axes perpendicular to the bond.
    """
    inside, outside = bond
    along = (x[inside] - x[outside]) / np.linalg.norm(x[inside] - x[outside])
    others = [k for k in range(len(x)) if k not in (*group, outside)]
    nearest = min(others, key=lambda k: np.linalg.norm(x[k] - x[outside]))
    across = np.cross(along, x[nearest] - x[outside])
    across /= np.linalg.norm(across)
    arms = x[group] - x[inside]

    def second_difference(moved: Callable[[float], np.ndarray], step: float) -> float:
        energies = [energy_at(context, x, group, x[inside] + moved(s)) for s in (-step, 0.0, step)]
        return (energies[0] - 2 * energies[1] + energies[2]) / step**2

    tilts = [
        second_difference(functools.partial(turned, arms, axis=axis), 0.01)
        for axis in (across, np.cross(along, across))
    ]
    return second_difference(lambda s: arms + s * along, 5e-4), float(np.mean(tilts))


def turned(arms: np.ndarray, angle: float, axis: np.ndarray) -> np.ndarray:
    """Return vectors rotated about a unit vector by Rodrigues' formula."""
    flat = np.cos(angle) * arms + np.sin(angle) * np.cross(axis, arms)
    return flat + (1 - np.cos(angle)) * np.outer(arms @ axis, axis)


def energy_at(
    context: openmm.Context, x: np.ndarray, group: list[int], places: np.ndarray
) -> float:
    """Return the energy with a group of atoms at other positions, kJ/mol."""
    y = x.copy()
    y[group] = places
    context.setPositions(y)
    return float(context.getState(energy=True).getPotentialEnergy()._value)


def conservation(length_ps: float, seeds: list[int]) -> dict[str, dict]:
    """Return drift and fluctuation of the total energy of alanine dipeptide by region."""
    pdb = app.PDBFile(str(data_folder() / "toluene" / "alanine-dipeptide-explicit.pdb"))
    solute = app.Modeller(pdb.topology, pdb.positions)
    solute.deleteWater()
    force_field = app.ForceField("amber14-all.xml")
    mm_system = force_field.createSystem(solute.topology, removeCMMotion=False)
    systems = {"force field": mm_system}
    model = nnpmm.load_model("ANI-2x", members=0)
    for name, selection in REGIONS.items():
        region = nnpmm.select_atoms(solute.topology, selection)
        systems[name] = nnpmm.create_hybrid_system(
            mm_system, solute.topology, region, model, coupling=Mechanical(boundary=LinkAtoms())
        )
    freedom = 3 * mm_system.getNumParticles() - 6
    rows = {}
    print(f"{'region':<14} {'drift, kJ/mol/ns/dof':>26} {'fluctuation, kJ/mol':>26}")
    for name, system in systems.items():
        runs = [trace(system, solute.positions, length_ps, seed) for seed in seeds]
        drifts = np.array([1000 * np.polyfit(*run, 1)[0] / freedom for run in runs])
        noise = np.mean([np.std(e - np.polyval(np.polyfit(t, e, 1), t)) for t, e in runs])
        error = drifts.std(ddof=1) / np.sqrt(len(drifts))
        rows[name] = {"drifts": drifts.tolist(), "standard_error": error, "fluctuation": noise}
        print(f"{name:<14} {drifts.mean():16.4f} ± {error:.4f} {noise:26.4f}", flush=True)
    settings = {"timestep_fs": TIMESTEP_FS, "length_ps": length_ps, "model": "ANI-2x, member 0"}
    return {"settings": settings, "rows": rows}


def trace(
    system: openmm.System, positions: object, length_ps: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ps) and total energies (kJ/mol) of an NVE run after 4 ps with a thermostat."""
    reference = openmm.Platform.getPlatformByName("Reference")
    heat = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, TIMESTEP_FS / 1000)
    heat.setRandomNumberSeed(seed + 1)
    context = openmm.Context(system, heat, reference)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, seed + 1)
    heat.step(8000)
    start = context.getState(positions=True, velocities=True)
    context = openmm.Context(system, openmm.VerletIntegrator(TIMESTEP_FS / 1000), reference)
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    times, energies = [], []
    for sample in range(round(length_ps * 20)):
        state = context.getState(energy=True)
        energies.append((state.getKineticEnergy() + state.getPotentialEnergy())._value)
        times.append(sample * 0.05)
        context.getIntegrator().step(round(50 / TIMESTEP_FS))
    return np.array(times), np.array(energies)


if __name__ == "__main__":
    main()
