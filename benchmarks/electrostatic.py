"""Measure the cost of a step with electrostatic embedding, and the errors of its cutoff.

steps: compares ms per step of mechanical and electrostatic embedding with the same network, in
turn, for ibuprofen in water and for HSP90 with its ligand 3. "the coupling alone" uses constant
charges, which cost nothing.
truncation: calculates energies and forces of the change from the force field's charges to AIMNet2's
for two molecules in water. The cutoff is that of the coupling's pair potential or, for comparison,
1/r switched off over the last 0.2 nm. The reference is PME. The frames are from the force field.
Each part prints tables and writes results/electrostatic_<part>.json.
Usage: python benchmarks/electrostatic.py steps|truncation [--emle FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import write_results
from md_step import read

import nnpmm
from nnpmm.benchmarking import measure_steps, step_contexts
from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.geometry import nearest_image
from nnpmm.coupling import Coupling, Electrostatic, Mechanical, create_hybrid_system
from nnpmm.coupling.electrostatic import embedding_energy
from nnpmm.models import load_emle
from nnpmm.models.aimnet.family import load_aimnet
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate

IBUPROFEN = "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O"
MOLECULES = {"ibuprofen": IBUPROFEN, "acetamide": "CC(=O)N"}
CUTOFFS = (0.9, 1.0, 1.2, 1.4)
SWITCH = 0.2  # nm


@dataclass
class Constant:
    """The same charges at every geometry."""

    charges: np.ndarray

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, None]:
        """Return the charges, which have no derivatives."""
        return self.charges, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["steps", "truncation"])
    parser.add_argument("--emle", type=Path, required=False, help=".mat file of EMLE")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    parts = {"steps": measure_step_costs, "truncation": measure_truncation}
    rows = []
    for row in parts[arguments.part](arguments):  # rows measured so far survive a failure
        rows.append(row)
        path = write_results(f"electrostatic_{arguments.part}", {"rows": rows})
    print(path)


def solvated(smiles: str) -> MMSystem:
    """Return a molecule in water with PME and a cutoff of 1 nm."""
    molecule = molecule_from_smiles(smiles, seed=1)
    parameters = parameterize(molecule)
    return solvate(molecule, parameters, padding=1.3, nonbonded_cutoff=1.0, seed=1)


def charges_of(system: openmm.System) -> np.ndarray:
    """Return the charges of all particles, e."""
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    count = force.getNumParticles()
    return np.array([force.getParticleParameters(i)[0]._value for i in range(count)])


# Steps


def measure_steps_of(
    topology: Any, system: openmm.System, region: np.ndarray, positions: Any, box: Any,
    arguments: argparse.Namespace, steps: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield the rows of one system."""
    free = Constant(charges_of(system)[region])
    networks = {
        "ANI-2x, 8 networks": nnpmm.load_model("ANI-2x"),
        "AIMNet2, 1 network": nnpmm.load_model("AIMNet2", members=0),
    }
    for name, model in networks.items():
        couplings: dict[str, Coupling] = {
            "mechanical": Mechanical(),
            "the coupling alone": Electrostatic(free),
        }
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
    """Yield the rows of both systems."""
    box = solvated(IBUPROFEN)
    systems: dict[str, tuple[Any, ...]] = {
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
    """Return positions sampled with the force field at constant volume, 0.5 ps apart."""
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.002)
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


def exact_interaction(
    box: np.ndarray, n_particles: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    """Return a function for energy and forces between two sets of charges, by PME."""
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

    def both(
        positions: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> tuple[float, np.ndarray]:
        whole, a, b = (one(positions, q) for q in (first + second, first, second))
        return whole[0] - a[0] - b[0], whole[1] - a[1] - b[1]

    return both


def coupled(
    box: MMSystem, region: np.ndarray, charges: np.ndarray, cutoff: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return a function for the energy and forces that the library's embedding adds."""
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


def switched(
    region: np.ndarray,
    environment: np.ndarray,
    shifts: np.ndarray,
    charges: np.ndarray,
    box: np.ndarray,
    cutoff: float,
) -> float:
    """Return the energy of 1/r switched off over the last SWITCH nm."""
    vectors = nearest_image(region[:, None] - environment, box)
    distances = np.linalg.norm(vectors, axis=2)
    x = np.clip((distances - cutoff + SWITCH) / SWITCH, 0, 1)
    switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    return COULOMB_CONSTANT * float(shifts @ (switch / distances) @ charges)


def measure_truncation(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the errors of each cutoff for each molecule."""
    for name, smiles in MOLECULES.items():
        box = solvated(smiles)
        vectors, region = np.array(box.box_vectors, dtype=float), np.array(box.ligand_atoms)
        fixed = charges_of(box.system)
        environment = np.setdiff1d(np.arange(len(fixed)), region)
        numbers = [atom.element.atomic_number for atom in box.topology.atoms()]
        network = load_aimnet("AIMNet2", members=0).bind(np.array(numbers)[region])
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
                f"  {cutoff} nm: mean error {row['error_mean']:.2f} ± "
                f"{row['error_mean_error']:.2f}, rms {row['error_rms']:.2f} kJ/mol, forces "
                f"{row['force_error_rms']:.2f} kJ/mol/nm; switched 1/r: "
                f"{row['switched_error_rms']:.1f} kJ/mol",
                flush=True,
            )
            yield row


if __name__ == "__main__":
    main()
