"""Compare the cost of copying a hybrid System with that of the MM System.

Stages, minimisation and sampling copy the System. The example is HSP90's ligand 3 in water. The
script copies both systems in turn, prints medians over rounds, and writes results/copy_system.json.
Usage: python benchmarks/copy_system.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import openmm
from common import write_results
from md_step import read

import nnpmm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", default="ANI-2x")
    arguments = parser.parse_args()
    topology, mm_system, _, _ = read("gromacs", "hsp90/ligand-3/ligand/ligand")
    region = nnpmm.select_atoms(topology, "resname LIG")
    model = nnpmm.load_model(arguments.model, device="cpu")
    systems = {
        "MM": mm_system,
        "NNP/MM": nnpmm.create_hybrid_system(mm_system, topology, region, model),
    }
    times: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(arguments.rounds):
        for name, system in systems.items():
            times[name].append(_milliseconds(system))
    results = {
        name: {"median_ms": statistics.median(found), "min_ms": min(found), "max_ms": max(found)}
        for name, found in times.items()
    }
    for name, found in results.items():
        print(
            f"{name}: {found['median_ms']:.1f} ms ({found['min_ms']:.1f} to {found['max_ms']:.1f})"
        )
    print(write_results("copy_system", {"model": arguments.model, "atoms": len(region), **results}))


def _milliseconds(system: openmm.System) -> float:
    start = time.perf_counter()
    copy.deepcopy(system)
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
