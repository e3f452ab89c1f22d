"""Electrostatic embedding: what a step costs, what the cutoff costs, and dipole moments in water.

steps: ms per step of mechanical and of electrostatic embedding with the same network, in turn, for
ibuprofen in water and for HSP90 with its ligand 3. "the coupling alone" has charges that cost
nothing.
truncation: energy and forces of the shift from the force field's charges to AIMNet2's with the
water around two molecules, cut off by the pair potential of the coupling and, for comparison, by
1/r that is switched off over the last 0.2 nm; against PME. Frames are of the force field.
dipoles: dipole moments of EMLE's charges, with and without induced dipoles, in runs of ANI-2x with
mechanical and electrostatic embedding, next to those of the fixed charges (AM1-BCC, which needs
AmberTools). Goes on where it was stopped.
Prints tables and writes results/electrostatic_<part>.json.
Usage: python benchmarks/electrostatic.py steps|truncation|dipoles [--emle FILE] [--work FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import mean_with_error, write_results
from md_step import read

import nnpmm
from nnpmm.benchmarking import measure_steps, step_contexts
from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.files import replacing
from nnpmm.core.geometry import make_whole, nearest_image
from nnpmm.coupling import Electrostatic, Mechanical, create_hybrid_system
from nnpmm.coupling.electrostatic import embedding_energy
from nnpmm.models import load_emle
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate
from nnpmm.structures.bonds import topology_bonds

IBUPROFEN = "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O"
MOLECULES = {"ibuprofen": IBUPROFEN, "acetamide": "CC(=O)N"}
CUTOFFS = (0.9, 1.0, 1.2, 1.4)
SWITCH = 0.2  # nm
DIPOLES = {"propan-2-ol": "CC(C)O", "acetonitrile": "CC#N", "dimethyl sulfoxide": "CS(C)=O"}
CUTOFF = 1.2  # nm
DEBYE = 1 / 0.0208194  # of 1 e nm
TIMESTEP, EQUILIBRATION, CHUNK, LENGTH = 0.002, 5.0, 2.0, 40.0  # ps


@dataclass
class Constant:
    """The same charges at every geometry."""

    charges: np.ndarray

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, None]:
        """Return the charges, which have no derivatives."""
        return self.charges, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["steps", "truncation", "dipoles"])
    parser.add_argument("--emle", type=Path, required=False, help=".mat file of EMLE")
    parser.add_argument("--work", type=Path, default=Path("electrostatic-work"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    parts = {
        "steps": measure_step_costs,
        "truncation": measure_truncation,
        "dipoles": measure_dipoles,
    }
    rows = []
    for row in parts[arguments.part](arguments):  # what is measured is kept if the rest is not
        rows.append(row)
        path = write_results(f"electrostatic_{arguments.part}", {"rows": rows})
    print(path)


def solvated(smiles: str, provider: str = "auto", padding: float = 1.3) -> MMSystem:
    """A molecule in water, PME with 1 nm."""
    molecule = molecule_from_smiles(smiles, seed=1)
    parameters = parameterize(molecule, provider=provider)
    return solvate(molecule, parameters, padding=padding, nonbonded_cutoff=1.0, seed=1)


def charges_of(system: openmm.System) -> np.ndarray:
    """Charges of all particles, e."""
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    count = force.getNumParticles()
    return np.array([force.getParticleParameters(i)[0]._value for i in range(count)])


# Steps


def measure_steps_of(
    topology: Any, system: openmm.System, region: np.ndarray, positions: Any, box: Any,
    arguments: argparse.Namespace, steps: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Rows of one system."""
    free = Constant(charges_of(system)[region])
    networks = {
        "ANI-2x, 8 networks": nnpmm.load_model("ANI-2x"),
        "AIMNet2, 1 network": nnpmm.load_model("AIMNet2", members=0),
    }
    for name, model in networks.items():
        couplings = {"mechanical": Mechanical(), "the coupling alone": Electrostatic(free)}
        if name.startswith("AIMNet2"):
            couplings["network's charges"] = Electrostatic("network")
        elif arguments.emle:
            couplings["EMLE"] = Electrostatic(load_emle(arguments.emle))
            couplings["EMLE, induction"] = Electrostatic(load_emle(arguments.emle), induction=True)
        systems = {
            key: create_hybrid_system(system, topology, region, model, coupling=coupling)
            for key, coupling in couplings.items()
        }
        contexts = step_contexts(systems, positions, box, platform="CPU")
        timings = measure_steps(contexts, steps=steps, rounds=arguments.rounds)
        base = timings["mechanical"].median
        for key, timing in timings.items():
            print(
                f"  {name:20s} {key:20s} {timing.median:8.2f} ms "
                f"({timing.low:.2f}-{timing.high:.2f}) {timing.median / base:5.2f} x",
                flush=True,
            )
            yield {
                **{"network": name, "coupling": key, "region": len(region)},
                **{"atoms": system.getNumParticles(), "ms": timing._asdict()},
                "ratio_to_mechanical": timing.median / base,
            }


def measure_step_costs(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Steps of both systems."""
    box = solvated(IBUPROFEN)
    systems = {
        "ibuprofen in water": (
            *(box.topology, box.system, np.array(box.ligand_atoms)),
            *(np.array(box.positions), np.array(box.box_vectors), 20),
        )
    }
    topology, system, positions, vectors = read("gromacs", "hsp90/ligand-3/complex/complex")
    ligand = nnpmm.select_atoms(topology, "resname LIG")
    systems["HSP90 complex"] = (topology, system, ligand, positions, vectors, 4)
    for name, (topology, system, region, positions, vectors, steps) in systems.items():
        print(f"{name}, {system.getNumParticles()} atoms, region of {len(region)}", flush=True)
        for row in measure_steps_of(topology, system, region, positions, vectors, arguments, steps):
            yield {"system": name, **row}


# Truncation


def frames_of(box: MMSystem, count: int) -> list[np.ndarray]:
    """Positions of the force field's ensemble at constant volume, 0.5 ps apart."""
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, TIMESTEP)
    context = openmm.Context(box.system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*np.array(box.box_vectors))
    context.setPositions(np.array(box.positions))
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(300.0, 1)
    integrator.step(2500)
    frames = []
    for _ in range(count):
        integrator.step(250)
        frames.append(context.getState(positions=True).getPositions(asNumpy=True)._value.copy())
    return frames


def exact_interaction(box: np.ndarray, n_particles: int):
    """A function: energy and forces of one set of charges with another, by PME in float64."""
    system, force = openmm.System(), openmm.NonbondedForce()
    for _ in range(n_particles):
        system.addParticle(1.0)
        force.addParticle(0.0, 1.0, 0.0)
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    force.setCutoffDistance(1.2)
    force.setEwaldErrorTolerance(1e-5)
    force.setUseDispersionCorrection(False)
    system.addForce(force)
    system.setDefaultPeriodicBoxVectors(*box)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)

    def one(positions: np.ndarray, charges: np.ndarray) -> tuple[float, np.ndarray]:
        for i, charge in enumerate(charges):
            force.setParticleParameters(i, charge, 1.0, 0.0)
        force.updateParametersInContext(context)
        context.setPositions(positions)
        state = context.getState(energy=True, forces=True)
        return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value

    def both(positions, first, second):
        whole, a, b = (one(positions, q) for q in (first + second, first, second))
        return whole[0] - a[0] - b[0], whole[1] - a[1] - b[1]

    return both


def coupled(box: MMSystem, region: np.ndarray, charges: np.ndarray, cutoff: float):
    """A function: energy and forces of what embedding adds, by the library."""
    model = nnpmm.models.FunctionModel(lambda x, *_: (0.0, np.zeros_like(x)), "nothing")
    system = create_hybrid_system(
        *(box.system, box.topology, region, model),
        coupling=Electrostatic(Constant(charges), cutoff=cutoff),
    )
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.PythonForce)]
    group = {force.getForceGroup()}
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)

    def compute(positions: np.ndarray) -> tuple[float, np.ndarray]:
        context.setPositions(positions)
        state = context.getState(forces=True, groups=group)
        return embedding_energy(context), state.getForces(asNumpy=True)._value

    return compute


def switched(region, environment, shifts, charges, box, cutoff):
    """Energy of 1/r, switched off over the last SWITCH nm."""
    vectors = nearest_image(region[:, None] - environment, box)
    distances = np.linalg.norm(vectors, axis=2)
    x = np.clip((distances - cutoff + SWITCH) / SWITCH, 0, 1)
    switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    return COULOMB_CONSTANT * float(shifts @ (switch / distances) @ charges)


def measure_truncation(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Errors of the cutoff for each molecule."""
    for name, smiles in MOLECULES.items():
        box = solvated(smiles)
        vectors, region = np.array(box.box_vectors, dtype=float), np.array(box.ligand_atoms)
        fixed = charges_of(box.system)
        environment = np.setdiff1d(np.arange(len(fixed)), region)
        numbers = [atom.element.atomic_number for atom in box.topology.atoms()]
        network = nnpmm.load_model("AIMNet2", members=0).bind(np.array(numbers)[region])
        frames = frames_of(box, 20)
        interaction = exact_interaction(vectors, len(fixed))
        predicted = network.charges(frames[-1][region])
        shifts, around = np.zeros_like(fixed), np.zeros_like(fixed)
        shifts[region] = predicted - fixed[region]
        around[environment] = fixed[environment]
        exact = [interaction(frame, shifts, around) for frame in frames]
        energies = np.array([energy for energy, _ in exact])
        print(
            f"{name}: {energies.mean():.1f} kJ/mol, standard deviation {energies.std(ddof=1):.1f}",
            flush=True,
        )
        for cutoff in CUTOFFS:
            compute = coupled(box, region, predicted, cutoff)
            found = [compute(frame) for frame in frames]
            off = np.array([a[0] - b[0] for a, b in zip(found, exact, strict=True)])
            forces = np.array([(a[1] - b[1])[region] for a, b in zip(found, exact, strict=True)])
            plain = np.array(
                [
                    switched(f[region], f[environment], shifts[region], fixed[environment],
                             vectors, cutoff)
                    for f in frames
                ]
            ) - energies  # fmt: skip
            row = {
                **{"molecule": name, "box_nm": float(vectors[0, 0]), "cutoff_nm": cutoff},
                **{"exact_mean": float(energies.mean()), "exact_sd": float(energies.std(ddof=1))},
                "error_mean": float(off.mean()),
                "error_mean_error": float(off.std(ddof=1) / np.sqrt(len(off))),
                "error_rms": float(np.sqrt((off**2).mean())),
                "force_error_rms": float(np.sqrt((forces**2).mean())),
                "switched_error_rms": float(np.sqrt((plain**2).mean())),
                "frames": len(frames),
            }
            print(
                f"  {cutoff} nm: mean error {row['error_mean']:.2f} +- "
                f"{row['error_mean_error']:.2f}, rms {row['error_rms']:.2f} kJ/mol, forces "
                f"{row['force_error_rms']:.2f} kJ/mol/nm; switched 1/r: "
                f"{row['switched_error_rms']:.1f} kJ/mol",
                flush=True,
            )
            yield row


# Dipole moments


class Dipoles:
    """Dipole moments of one geometry, D: of the fixed charges, of EMLE, of EMLE with induction."""

    def __init__(self, box: MMSystem, emle: Any) -> None:
        charges = charges_of(box.system)
        self.region = np.array(box.ligand_atoms)
        self.others = np.setdiff1d(np.arange(len(charges)), self.region)
        self.fixed, self.around = charges[self.region], charges[self.others]
        numbers = np.array([a.element.atomic_number for a in box.topology.atoms()])
        self.emle = emle.bind(numbers[self.region])
        self.box = np.array(box.box_vectors, dtype=float)
        self.bonds = topology_bonds(box.topology, self.region)

    def __call__(self, positions: np.ndarray) -> tuple[float, float, float]:
        """Return the three lengths at positions (n, 3) of the whole system."""
        region = make_whole(positions[self.region], self.box, self.bonds)
        found = self.emle(region)
        permanent = found.total @ region
        induced = self.emle.induced_dipoles(region, self.damped_field(region, positions, found))
        vectors = (self.fixed @ region, permanent, permanent + induced.sum(axis=0))
        return tuple(DEBYE * float(np.linalg.norm(each)) for each in vectors)

    def damped_field(self, region: np.ndarray, positions: np.ndarray, found: Any) -> np.ndarray:
        """Field of the water at the atoms, as the coupling has it, (n, 3)."""
        vectors = nearest_image(region[:, None] - positions[self.others], self.box)
        r = np.linalg.norm(vectors, axis=2)[..., None]
        x = r / (2 * found.widths[:, None, None])
        kernel = (1 - (1 + x + x**2 / 2) * np.exp(-x)) / r**3
        kernel += (-5 + 3 * (r / CUTOFF) ** 2) / (2 * CUTOFF**3)
        fields = COULOMB_CONSTANT * self.around[:, None] * np.where(r < CUTOFF, kernel, 0) * vectors
        return fields.sum(axis=1)


def sampled(
    box: MMSystem, system: openmm.System, observe: Any, folder: Path
) -> dict[str, np.ndarray]:
    """What is observed every 0.1 ps, (k, 3); goes on in the folder."""
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, TIMESTEP)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*np.array(box.box_vectors))
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "dipoles.npz"
    rows: list[Any] = []
    if store.exists():
        with np.load(store) as kept:
            rows = list(kept["rows"])
            context.setPositions(kept["positions"])
            context.setVelocities(kept["velocities"])
    else:
        context.setPositions(np.array(box.positions))
        openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
        context.setVelocitiesToTemperature(300.0, 1)
        integrator.step(round(EQUILIBRATION / TIMESTEP))
    while len(rows) * 0.1 < LENGTH - 1e-9:
        for _ in range(round(CHUNK / 0.1)):
            integrator.step(round(0.1 / TIMESTEP))
            state = context.getState(positions=True)
            rows.append(observe(state.getPositions(asNumpy=True)._value))
        state = context.getState(positions=True, velocities=True)
        with replacing(store) as file:
            np.savez(
                file, rows=rows, positions=state.getPositions(asNumpy=True)._value,
                velocities=state.getVelocities(asNumpy=True)._value,
            )  # fmt: skip
    return dict(zip(("fixed", "emle", "emle_induced"), np.array(rows).T, strict=True))


def measure_dipoles(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Dipole moments of each molecule under three couplings."""
    emle = load_emle(arguments.emle)
    model = nnpmm.load_model("ANI-2x", members=0)
    for name, smiles in DIPOLES.items():
        box = solvated(smiles, "amber", padding=1.0)
        observe = Dipoles(box, emle)
        couplings = {
            "mechanical": Mechanical(constraints="keep"),
            "electrostatic": Electrostatic(emle, cutoff=CUTOFF, constraints="keep"),
            "with induction": Electrostatic(
                emle, induction=True, cutoff=CUTOFF, constraints="keep"
            ),
        }
        for kind, coupling in couplings.items():
            system = create_hybrid_system(
                *(box.system, box.topology, observe.region, model), coupling=coupling
            )
            folder = arguments.work / f"{name}-{kind}".replace(" ", "-")
            series = sampled(box, system, observe, folder)
            row: dict[str, Any] = {"molecule": name, "coupling": kind, "ps": LENGTH}
            for label, values in series.items():
                row[label], row[f"{label}_error"] = mean_with_error(values)
            print(
                f"{name:20s} {kind:14s}"
                + "".join(f"  {k} {row[k]:.3f} +- {row[f'{k}_error']:.3f} D" for k in series),
                flush=True,
            )
            yield row


if __name__ == "__main__":
    main()
