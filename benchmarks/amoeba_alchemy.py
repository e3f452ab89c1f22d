"""Check the decoupling of phenol from AMOEBA water, and measure the cost of a step.

Phenol is described by ANI-2x in a small box of water with mutual dipoles. The script compares the
energies and forces of the two stages (`nnpmm.freeenergy.alchemy.decouple_amoeba`) with those of the
hybrid system, of phenol alone and of water alone. It times an evaluation of all forces in each
stage. It also evaluates the full interaction where an atom of phenol overlaps with an atom of
water, as happens once phenol is decoupled.

Usage: python benchmarks/amoeba_alchemy.py [--edge 1.5] [--places 40] [--rounds 5]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import openmm
from amoeba_common import SOLUTE, box_of, minimized, phenol_in_water
from common import write_results
from numpy.typing import NDArray
from openmm import unit
from scipy.spatial.transform import Rotation

from nnpmm import couple, load_model
from nnpmm.coupling import HybridSystem, Subtractive
from nnpmm.coupling.subtractive_system import create_region_system
from nnpmm.freeenergy.alchemy import AMOEBA_STERICS, LAMBDA_ELECTROSTATICS, decouple_amoeba
from nnpmm.structures import MMSystem

REGION = range(SOLUTE)
DISTANCES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # nm


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=float, default=1.5, help="edge of the cube, nm")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    mm = phenol_in_water(options.edge)
    model = load_model("ANI-2x")
    hybrid = couple(mm.system, mm.topology, REGION, model, coupling=Subtractive())
    positions = minimized(hybrid.system, mm)
    contexts = {
        "hybrid": _context(hybrid.system),
        "electrostatics": _context(decouple_amoeba(hybrid.system, REGION, "electrostatics")),
        "sterics": _context(decouple_amoeba(hybrid.system, REGION, "sterics")),
    }
    print(f"phenol in {box_of(mm.topology)}", flush=True)
    found = {
        "identities": _identities(mm, hybrid, contexts, positions),
        "evaluation": _times(contexts, positions, options.rounds),
        "overlap": _overlap(mm, positions, options.places),
    }
    write_results("amoeba_alchemy", {"waters": box_of(mm.topology), **found})


def _context(system: openmm.System) -> openmm.Context:
    platform = openmm.Platform.getPlatformByName("CPU")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def _evaluated(
    context: openmm.Context, positions: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return energy, state.getForces(asNumpy=True)._value


def _identities(
    mm: MMSystem,
    hybrid: HybridSystem,
    contexts: Mapping[str, openmm.Context],
    positions: NDArray[np.float64],
) -> dict[str, dict[str, float]]:
    """Return the largest deviations of energies (kJ/mol) and forces (kJ/mol/nm)."""
    full = _evaluated(contexts["electrostatics"], positions)
    contexts["electrostatics"].setParameter(LAMBDA_ELECTROSTATICS, 0.0)
    first = _evaluated(contexts["electrostatics"], positions)
    second = _evaluated(contexts["sterics"], positions)
    contexts["sterics"].setParameter(AMOEBA_STERICS, 0.0)
    off = _evaluated(contexts["sterics"], positions)
    contexts["sterics"].setParameter(AMOEBA_STERICS, 1.0)
    contexts["electrostatics"].setParameter(LAMBDA_ELECTROSTATICS, 1.0)
    scaled = {"electrostatics": full[0] - first[0], "sterics": second[0] - off[0]}
    print(f"scaled away: {scaled} kJ/mol")
    alone = hybrid.evaluator(positions[:SOLUTE])
    water = _evaluated(_context(_water(mm)), positions[SOLUTE:])
    forces = np.concatenate([alone[1], water[1]])
    compared = {
        "full interaction and hybrid": (full, _evaluated(contexts["hybrid"], positions)),
        "end of the first and start of the second stage": (first, second),
        "no interaction and phenol alone + water alone": (off, (alone[0] + water[0], forces)),
    }
    rows = {"scaled_away_kj_mol": scaled}
    for name, (one, other) in compared.items():
        rows[name] = {
            "energy": abs(one[0] - other[0]),
            "force": float(np.abs(one[1] - other[1]).max()),
        }
        print(f"{name}: {rows[name]['energy']:.1e} kJ/mol, {rows[name]['force']:.1e} kJ/mol/nm")
    return rows


def _water(mm: MMSystem) -> openmm.System:
    """Return a System of the waters alone, with the same box and cutoffs."""
    atoms = list(range(SOLUTE, mm.system.getNumParticles()))
    system = create_region_system(mm.system, atoms)
    sources = {type(force): force for force in mm.system.getForces()}
    for force in system.getForces():
        source = sources[type(force)]
        if isinstance(force, openmm.AmoebaMultipoleForce):
            force.setNonbondedMethod(source.getNonbondedMethod())
            force.setCutoffDistance(source.getCutoffDistance())
        if isinstance(force, openmm.AmoebaVdwForce):
            force.setNonbondedMethod(source.getNonbondedMethod())
            force.setCutoffDistance(source.getCutoffDistance())
            force.setUseDispersionCorrection(source.getUseDispersionCorrection())
    system.setDefaultPeriodicBoxVectors(*mm.system.getDefaultPeriodicBoxVectors())
    return system


def _times(
    contexts: Mapping[str, openmm.Context], positions: NDArray[np.float64], rounds: int
) -> dict[str, dict[str, Any]]:
    """Return the time of an evaluation of all forces, relative to the hybrid system."""
    seconds: dict[str, list[float]] = {name: [] for name in contexts}
    for count in range(rounds + 1):
        for name, context in contexts.items():
            if name == "electrostatics":
                context.setParameter(LAMBDA_ELECTROSTATICS, 0.5)
            context.setPositions(positions + 1e-6 * count)
            began = time.process_time()
            context.getState(energy=True, forces=True)
            if count:
                seconds[name].append(time.process_time() - began)
    base = np.median(seconds["hybrid"])
    rows = {}
    for name, found in seconds.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        rows[name] = {
            "relative": float(np.median(found) / base),
            "error": float(error / base),
            "seconds": found,
        }
        print(f"{name}: {rows[name]['relative']:.2f} ± {rows[name]['error']:.2f} evaluations")
    return rows


def _overlap(
    mm: MMSystem, positions: NDArray[np.float64], places: int
) -> dict[str, dict[str, float | None]]:
    """Return energies of the full interaction with an atom of phenol close to one of water.

    For each distance, count the places whose energy, including van der Waals, is below that of the
    equilibrium position, find the lowest energy change in kJ/mol, and count the places where the
    dipoles do not converge.
    """
    system = openmm.System()
    for index in range(mm.system.getNumParticles()):
        system.addParticle(mm.system.getParticleMass(index))
    system.setDefaultPeriodicBoxVectors(*mm.system.getDefaultPeriodicBoxVectors())
    for force in mm.system.getForces():
        if isinstance(force, openmm.AmoebaMultipoleForce | openmm.AmoebaVdwForce):
            system.addForce(copy.deepcopy(force))
    context, random = _context(system), np.random.default_rng(1)
    start, rows = _evaluated(context, positions)[0], {}
    for distance in DISTANCES:
        changes, stalled = [], 0
        for _ in range(places):
            moved = positions.copy()
            moved[:SOLUTE] = Rotation.random(rng=random).apply(positions[:SOLUTE])
            atom, other = random.integers(SOLUTE), random.integers(SOLUTE, len(positions))
            apart = Rotation.random(rng=random).apply([distance, 0, 0])
            moved[:SOLUTE] += positions[other] + apart - moved[atom]
            try:
                changes.append(_evaluated(context, moved)[0] - start)
            except openmm.OpenMMException as error:
                if "did not converge" not in str(error):
                    raise
                stalled += 1
        rows[f"{distance} nm"] = {
            "places": places,
            "below": int(np.sum(np.array(changes) < 0)),
            "lowest_kj_mol": min(changes, default=None),
            "not_converged": stalled,
        }
        print(f"{distance} nm: {rows[f'{distance} nm']}", flush=True)
    return rows


if __name__ == "__main__":
    main()
