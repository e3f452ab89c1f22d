"""Measure the speed of multiple time steps relative to velocity Verlet at 0.2 fs.

The systems are benzene in water and, if the test data are available, HSP90's ligand 3 in water,
with all eight networks of ANI-2x. Settings are named by their inner / outer or inner / middle /
outer time steps in fs. "HMR" means hydrogens of 3 amu. "kept" means that the bonds to hydrogen
inside the region stay constrained. "fit" and "network" name the inner potential, which is otherwise
the force field. "x 2" doubles the masses of the region. Jaffrelot Inizan et al., Chem. Sci. 2023,
14, 5438, publish speeds for benzene on a GPU. respa_faithful.py shows which settings are accurate.
The script prints a table and writes results/respa.json.
Usage: python benchmarks/respa.py [--rounds 7]
"""

from __future__ import annotations

import argparse
from typing import Any

from common import data_folder, write_results
from respa_settings import SETTINGS, Box, Networks, benzene_box, create_context, hsp90_box

from nnpmm.benchmarking import time_in_turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    boxes = {"benzene in water": benzene_box()}
    if data_folder().is_dir():
        boxes["HSP90 ligand 3 in water"] = hsp90_box()
    results = {}
    for name, box in boxes.items():
        print(f"{name}, {box.topology.getNumAtoms()} atoms, region of {len(box.region)}")
        rows = measure(box, arguments.rounds)
        results[name] = {"atoms": box.topology.getNumAtoms(), "rows": rows}
    print(write_results("respa", results))


def measure(box: Box, rounds: int) -> dict[str, Any]:
    """Time outer steps of every setting in turn; print and return the speeds."""
    networks = Networks(box)
    steps = {}
    for name, setting in SETTINGS.items():
        integrator = (context := create_context(box, networks, setting)).getIntegrator()
        integrator.step(5)
        # The default argument keeps the context alive while its integrator is used.
        steps[name] = lambda integrator=integrator, context=context: integrator.step(1)
    timings = time_in_turn(steps, rounds=rounds)
    base = timings["Verlet 0.2"].median / SETTINGS["Verlet 0.2"].steps[-1]
    rows = {}
    for name, timing in timings.items():
        setting = SETTINGS[name]
        speed = base / (timing.median / setting.steps[-1])
        ns_day = setting.steps[-1] / timing.median * 86.4
        rows[name] = {"ms": timing._asdict(), "ns_per_day": ns_day, "relative_speed": speed}
        rows[name]["published_for_benzene"] = setting.published
        print(
            f"{name:26s}{timing.median:8.2f} ms{ns_day:8.1f} ns/day{speed:8.2f} x"
            + (f"   published for benzene {setting.published} x" if setting.published else ""),
            flush=True,
        )
    return rows


if __name__ == "__main__":
    main()
