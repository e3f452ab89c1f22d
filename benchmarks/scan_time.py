"""Measure the wall time of `nnpmm scan` for a drug with four rotatable bonds.

A scan includes ANI-2x with eight networks, 24 angles in both directions, the force field, pictures
and the report. Each repeat runs in its own process and in an empty folder.

python benchmarks/scan_time.py --threads 2
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import write_results

from nnpmm.core.arrays import load_record

KETOPROFEN = "CC(C(=O)O)c1cccc(C(=O)c2ccccc2)c1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smiles", default=KETOPROFEN)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for _ in range(arguments.repeats):
        rows.append(timed(arguments.smiles, arguments.threads))
        print(rows[-1], flush=True)
    median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    print("median", median)
    results = {"settings": vars(arguments), "repeats": rows, "median": median}
    print(write_results("scan_time", results))


def timed(smiles: str, threads: int) -> dict[str, float]:
    """Return wall and processor time of one scan, and the number of network evaluations."""
    folder = Path(tempfile.mkdtemp())
    environment = {**os.environ, "OPENMM_CPU_THREADS": str(threads)}
    program = str(Path(sys.executable).with_name("nnpmm"))
    command = [program, "scan", "--smiles", smiles, "-o", str(folder)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads((folder / "result.json").read_text())
    (path,) = (folder / "scans").glob("ANI-2x-*.safetensors")
    evaluations = load_record(path)["evaluations"]
    shutil.rmtree(folder)
    return {
        "bonds": len(record["bonds"]),
        "wall_s": wall,
        "processor_s": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
        "network_evaluations": evaluations,
    }


if __name__ == "__main__":
    main()
