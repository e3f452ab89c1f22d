"""Speed of multiple time steps relative to velocity Verlet at 0.2 fs, for benzene in water.

ANI-2x, eight networks. Settings are inner / outer or inner / middle / outer time steps in fs;
"HMR" has hydrogens of 3 amu, "kept" keeps the bonds to hydrogen inside the region constrained.
Jaffrelot Inizan et al., Chem. Sci. 2023, 14, 5438, publish 4.74 for 0.25/1, 8.42 for 0.25/2, 14.51
for 0.25/2/4 HMR and 18.17 for 0.25/2/6 HMR, for benzene on a GPU.
Prints a table, writes results/respa.json. How faithful the settings are is not measured here yet.
Usage: python benchmarks/respa.py [--rounds 7]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import openmm
from common import write_results

import nnpmm
from nnpmm import ligands
from nnpmm.benchmarking import time_in_turn
from nnpmm.coupling import Mechanical
from nnpmm.integrators import apply_hydrogen_mass, create_respa_integrator, split_time_scales

TEMPERATURE, FRICTION = 300.0, 1.0
FEMTOSECOND = 0.001  # ps


class Setting(NamedTuple):
    """Time steps in fs from short to long, hydrogens of 3 amu, kept constraints."""

    steps: tuple[float, ...]
    heavy: bool = False
    kept: bool = False
    published: float | None = None


SETTINGS = {
    "Verlet 0.2": Setting((0.2,)),
    "0.25/1": Setting((0.25, 1), published=4.74),
    "0.25/2": Setting((0.25, 2), published=8.42),
    "0.25/2/4 HMR": Setting((0.25, 2, 4), heavy=True, published=14.51),
    "0.25/2/6 HMR": Setting((0.25, 2, 6), heavy=True, published=18.17),
    "0.5/4 HMR kept": Setting((0.5, 4), heavy=True, kept=True),
    "2/4 HMR kept": Setting((2, 4), heavy=True, kept=True),
    "2/6 HMR kept": Setting((2, 6), heavy=True, kept=True),
    "Langevin 4 HMR kept": Setting((4,), heavy=True, kept=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    model = nnpmm.load_model("ANI-2x")
    molecule = ligands.molecule_from_smiles("c1ccccc1", seed=1)
    parameters = ligands.parameterize(molecule)
    boxes = {
        kept: ligands.solvate(molecule, parameters, seed=1, constrain_hydrogens=kept)
        for kept in (False, True)
    }
    contexts = {name: context(boxes[s.kept], model, s) for name, s in SETTINGS.items()}
    steps = {name: partial_step(c) for name, c in contexts.items()}
    timings = time_in_turn(steps, rounds=arguments.rounds)
    base = timings["Verlet 0.2"].median / SETTINGS["Verlet 0.2"].steps[-1]
    rows = {}
    for name, timing in timings.items():
        setting = SETTINGS[name]
        speed = base / (timing.median / setting.steps[-1])
        ns_day = setting.steps[-1] / timing.median * 86.4
        rows[name] = {"ms": timing._asdict(), "ns_per_day": ns_day, "relative_speed": speed}
        rows[name]["published"] = setting.published
        print(
            f"{name:22s}{timing.median:8.2f} ms{ns_day:8.1f} ns/day{speed:8.2f} x"
            + (f"   published {setting.published} x" if setting.published else "")
        )
    atoms = boxes[True].system.getNumParticles()
    print(write_results("respa", {"system": "benzene in water", "atoms": atoms, "rows": rows}))


def context(box: ligands.SolvatedSystem, model: object, setting: Setting) -> openmm.Context:
    """Return a relaxed context that runs with a setting's time steps."""
    several = len(setting.steps) > 1
    coupling = Mechanical(
        constraints="keep" if setting.kept else "none",
        time_scales="respa" if several else "single",
    )
    system = nnpmm.create_hybrid_system(
        box.system, box.topology, box.ligand_atoms, model, coupling=coupling
    )
    if setting.heavy:
        apply_hydrogen_mass(system, box.topology, 3.0)
    steps = [FEMTOSECOND * step for step in setting.steps]
    if several:
        middle = steps[1] if len(steps) == 3 else None
        splitting = split_time_scales(system, inner=steps[0], middle=middle, outer=steps[-1])
        integrator = create_respa_integrator(
            system, splitting, temperature=TEMPERATURE, friction=FRICTION
        )
    elif setting.kept:
        integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, steps[0])
    else:
        integrator = openmm.VerletIntegrator(steps[0])
    made = openmm.Context(system, integrator)
    made.setPositions(box.positions)
    openmm.LocalEnergyMinimizer.minimize(made, 100, 50)
    made.setVelocitiesToTemperature(TEMPERATURE, 1)
    integrator.step(5)
    return made


def partial_step(made: openmm.Context):
    """Return a function that makes one step of the slowest level."""
    return lambda: made.getIntegrator().step(1)


if __name__ == "__main__":
    main()
