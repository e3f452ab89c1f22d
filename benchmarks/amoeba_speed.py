"""Measure the gain of multiple time steps with AMOEBA, and the cost that the network adds.

Benzene is described by ANI-2x in 216 AMOEBA waters with subtractive coupling, on the CPU platform.
The script gives speeds relative to velocity Verlet with steps of 0.2 fs, next to the published ones
for GPUs (Jaffrelot Inizan et al., Chem. Sci. 2023, 14, 5438). The variants take turns in each
round. The times are medians of processor time on one thread, with the standard error over the
rounds. Rows that need a GPU are marked as not measured.

Usage: python benchmarks/amoeba_speed.py [--rounds 3] [--polarization mutual] [--steps 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openmm
from amoeba_common import benzene_in_water, box_of, minimized
from common import write_results
from numpy.typing import NDArray

from nnpmm import couple, load_model
from nnpmm.coupling import MultipleTimeSteps, Subtractive
from nnpmm.integrators import create_respa_integrator, split_time_scales
from nnpmm.structures import MMSystem
from nnpmm.structures.inputs import TinkerSystem, load_system

EDGE, WATERS, BENZENE = 2.02, 216, 12  # nm, molecules, atoms
CUTOFF = 0.7  # nm, of multipoles; van der Waals pairs have 0.9


class Splitting(NamedTuple):
    """Time steps in fs, hydrogen mass in amu, published relative speed for benzene."""

    inner: float | None
    middle: float | None
    outer: float
    mass: float | None
    published: float


SPLITTINGS = {
    "V 0.2": Splitting(None, None, 0.2, None, 1.0),
    "0.25/1": Splitting(0.25, None, 1.0, None, 4.74),
    "0.25/2": Splitting(0.25, None, 2.0, None, 8.42),
    "RESPA1-HMR 0.25/2/4": Splitting(0.25, 2.0, 4.0, 3.0, 14.51),
}
ON_A_GPU = (
    "benzene in 996 waters, the same splittings",
    "solvation free energy of benzene, 21 windows (experiment -0.87 kcal/mol)",
    "solvation free energy of water, 21 windows (experiment -6.32 kcal/mol)",
)
NOT_MEASURED = "not measured"


def main() -> None:
    """Measure the speeds, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="outer steps of each measurement")
    parser.add_argument("--polarization", default="mutual")
    options = parser.parse_args()
    model = load_model("ANI-2x")
    contexts, parts, positions = {}, {}, None
    for name, splitting in SPLITTINGS.items():
        mm = _system(splitting.mass, options.polarization)
        hybrid = couple(
            mm.system,
            mm.topology,
            range(BENZENE),
            model,
            coupling=Subtractive(inside=MultipleTimeSteps()),
        )
        if positions is None:
            print(f"{mm.topology.getNumAtoms()} atoms, {box_of(mm.topology)}", flush=True)
            positions = minimized(hybrid.system, mm, iterations=20)
            parts = {"force field": _evaluated(mm.system, positions, None)}
            parts["network and region's force field"] = _evaluated(hybrid.system, positions, 1)
        contexts[name] = _context(hybrid.system, splitting, positions)
    seconds: dict[str, list[float]] = {name: [] for name in SPLITTINGS}
    for count in range(options.rounds + 1):
        for name, context in contexts.items():
            began = time.process_time()
            context.getIntegrator().step(options.steps)
            elapsed = (time.process_time() - began) / options.steps
            if count:  # skip the first round, whose caches are cold
                seconds[name].append(elapsed / SPLITTINGS[name].outer)  # processor time per fs
    base = float(np.median(seconds["V 0.2"]))
    rows = {}
    for name, found in seconds.items():
        error = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else None
        speed = base / float(np.median(found))
        rows[name] = {
            "relative_speed": speed,
            "relative_speed_error": None if error is None else speed * error / np.median(found),
            "published_benzene_gpu": SPLITTINGS[name].published,
            "seconds_per_fs": found,
        }
        print(f"{name:22s} {speed:6.2f} (published {SPLITTINGS[name].published})", flush=True)
    added = parts["network and region's force field"] / parts["force field"]
    print(f"the network adds {100 * added:.1f} % to a force evaluation", flush=True)
    for row in ON_A_GPU:
        print(f"{row}: {NOT_MEASURED}", flush=True)
    write_results(
        "amoeba_speed",
        {
            "waters": WATERS,
            "polarization": options.polarization,
            "rows": rows,
            "seconds_of_an_evaluation": parts,
            "gpu": dict.fromkeys(ON_A_GPU, NOT_MEASURED),
        },
    )


def _system(mass: float | None, polarization: str) -> MMSystem:
    with tempfile.TemporaryDirectory() as folder:
        xyz, parameters = benzene_in_water(Path(folder), EDGE, WATERS)
        source = TinkerSystem(
            type="tinker",
            xyz=xyz,
            parameters=(parameters,),
            cutoff=CUTOFF,
            vdw_cutoff=0.9,
            polarization=polarization,
            hydrogen_mass=mass,
        )
        return load_system(source)


def _context(
    system: openmm.System, splitting: Splitting, positions: NDArray[np.float64]
) -> openmm.Context:
    if splitting.inner is None:
        # One group, so that the platform keeps the forces between steps.
        for force in system.getForces():
            force.setForceGroup(0)
        steps = [(splitting.outer / 1000, 0)]
    else:
        steps = split_time_scales(
            system,
            inner=splitting.inner / 1000,
            middle=None if splitting.middle is None else splitting.middle / 1000,
            outer=splitting.outer / 1000,
        )
    integrator = create_respa_integrator(system, steps, temperature=300, friction=1, seed=1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(1)
    return context


def _evaluated(
    system: openmm.System, positions: NDArray[np.float64], group: int | None, repeats: int = 5
) -> float:
    """Return the median time of one evaluation of energy and forces, s."""
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    chosen = {} if group is None else {"groups": {group}}
    found = []
    for count in range(repeats + 1):
        context.setPositions(positions + 1e-6 * count)
        began = time.process_time()
        context.getState(energy=True, forces=True, **chosen)
        found.append(time.process_time() - began)
    return float(np.median(found[1:]))


if __name__ == "__main__":
    main()
