"""Measure the wall time of `nnpmm conformers` for five drugs with eight rotatable bonds.

Each search includes 200 geometries of ETKDG, MMFF94s, ANI-2x with eight networks, table, picture
and report. Each drug runs in its own process and in an empty folder. The results include the load
of the machine; if other programs use the machine, compare processor times.

python benchmarks/conformers.py --threads 2
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import write_results

DRUGS = {
    "oseltamivir": "CCOC(=O)C1=C[C@@H](OC(CC)CC)[C@H](NC(C)=O)[C@@H](N)C1",
    "gefitinib": "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1",
    "losartan": "CCCCc1nc(Cl)c(CO)n1Cc1ccc(cc1)-c1ccccc1-c1nn[nH]n1",
    "tamoxifen": r"CC/C(=C(\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    "metoclopramide": "CCN(CC)CCNC(=O)c1cc(Cl)c(N)cc1OC",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--name", default="conformers")
    arguments = parser.parse_args()
    rows = {}
    for name, smiles in DRUGS.items():
        rows[name] = timed(smiles, arguments.model, arguments.threads)
        print(name, rows[name], flush=True)
    print("longest", max(row["wall_s"] for row in rows.values()), "s")
    print(write_results(arguments.name, {"settings": vars(arguments), "drugs": rows}))


def timed(smiles: str, model: str, threads: int) -> dict[str, Any]:
    """Return wall and processor time of one search, the load before it, and its result."""
    folder = Path(tempfile.mkdtemp())
    environment = {**os.environ, "OPENMM_CPU_THREADS": str(threads)}
    program = str(Path(sys.executable).with_name("nnpmm"))
    command = [program, "conformers", "--smiles", smiles, "--model", model, "-o", str(folder)]
    load = os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads((folder / "result.json").read_text())
    shutil.rmtree(folder)
    return {
        "smiles": smiles,
        "wall_s": round(wall, 1),
        "processor_s": round(
            after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 1
        ),
        "load_before": round(load, 1),
        "counts": record["counts"],
        "population_of_lowest": record["conformers"][0]["population"],
        "its_spread": record["conformers"][0]["population_spread"],
    }


if __name__ == "__main__":
    main()
