"""Calculate the solvation of benzene and water in AMOEBA water with ANI-2x on a GPU.

The box has 996 waters at 300 K. Polarization converges to 1e-5 Debye, the van der Waals cutoff is
1.2 nm, and the time steps are 0.25/2 fs. There are two ladders of 22 states in all, and four more
states with the network. The script compares the results with the published values and experiment
(Jaffrelot Inizan et al., Chem. Sci. 2023, 14, 5438). It continues an interrupted calculation.
--check builds the boxes and evaluates the first state of every ladder, which needs no GPU.

Usage: python benchmarks/amoeba_solvation.py [--solute benzene] [--time 2000] [--check]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import openmm
from amoeba_common import benzene_in_water, water_in_water
from common import write_results

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.freeenergy.alchemy import STAGES
from nnpmm.freeenergy.polarizable import (
    AmoebaLadder,
    AmoebaSolvationSettings,
    run_amoeba_solvation,
)
from nnpmm.freeenergy.polarizable.ladders import create_leg, load_box
from nnpmm.structures.inputs import TinkerSystem

EDGE, WATERS = 3.4, 996  # nm before compression, molecules
BUILDERS = {"benzene": (benzene_in_water, 12), "water": (water_in_water, 3)}
#: kcal/mol: experiment, network in AMOEBA with 0.25/2 fs, AMOEBA.
PUBLISHED = {"benzene": (-0.87, -0.87, -0.37), "water": (-6.32, -6.21, -5.62)}


def main() -> None:
    """Calculate the free energies, and print and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solute", choices=BUILDERS, action="append")
    parser.add_argument("--time", type=float, default=2000.0, help="time for each state, ps")
    parser.add_argument("--output", type=Path, default=Path("amoeba-solvation"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    rows = {}
    for name in options.solute or BUILDERS:
        settings = _settings(name, options.output / name, options.time)
        if options.check:
            _check(name, settings)
            continue
        result = run_amoeba_solvation(
            settings,
            options.output / name / "calculation",
            resume=True,
            announce=lambda ladder, *_: print(ladder, flush=True) or (lambda *_: None),
        )
        rows[name] = {**result.record(), "published_kcal_mol": PUBLISHED[name]}
        for potential, found in result.potentials.items():
            value, error = found.value / KJ_PER_KCAL, found.error / KJ_PER_KCAL
            print(f"{name}, {potential}: {value:.2f} ± {error:.2f} ({PUBLISHED[name]})")
    if rows:
        write_results("amoeba_solvation", {"ps_of_each_state": options.time, "rows": rows})


def _settings(name: str, folder: Path, time: float) -> AmoebaSolvationSettings:
    build, atoms = BUILDERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    xyz, parameters = build(folder, EDGE, WATERS)
    return AmoebaSolvationSettings(
        system=TinkerSystem(type="tinker", xyz=xyz.absolute(), parameters=(parameters.absolute(),)),
        solute="index " + " ".join(map(str, range(atoms))),
        temperature=300.0,
        ladder=AmoebaLadder(time=time),
    )


def _check(name: str, settings: AmoebaSolvationSettings) -> None:
    box = load_box(settings)
    for stage in STAGES:
        leg = create_leg(settings, box, stage)
        platform = openmm.Platform.getPlatformByName("CPU")
        context = openmm.Context(leg.system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(box.positions)
        for parameter, value in leg.states[0].items():
            context.setParameter(parameter, value)
        energy = context.getState(energy=True).getPotentialEnergy()
        print(f"{name}, {stage}: {len(leg.states)} states, first energy {energy}", flush=True)


if __name__ == "__main__":
    main()
