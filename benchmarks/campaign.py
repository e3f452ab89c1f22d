"""Measure the overhead of `nnpmm campaign` per job, and count lost jobs after kill -9.

By default the script makes the list, in which each calculation has its own seed: runs of ethanol in
vacuum with one network of ANI-1x or, with --command solvation, methane in a small box of water with
the force field. These runs are far too short to converge. To measure other calculations, name their
list with --list.

python benchmarks/campaign.py --jobs 20
python benchmarks/campaign.py --jobs 20 --command solvation
python benchmarks/campaign.py --list molecules.csv --command solvation --settings quick.yaml
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import openmm
import psutil
import yaml
from common import write_results
from openmm import app

from nnpmm.calculations import run_list
from nnpmm.campaigns import ClusterSettings, JobReport, read_list, states_of
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.structures import (
    create_ligand_system,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)

STEPS = 100
SOLVATION = {
    "solute": {"smiles": "C", "parameters": "fallback"},
    "padding": "0.6 nm",
    "cutoff": "0.6 nm",
    "potentials": ["force field"],
    "platform": "CPU",
    "ladder": {
        "electrostatics": [1, 0],
        "sterics": [0.6, 0.3, 0],
        "time": "1 ps",
        "interval": "0.1 ps",
        "equilibration": "1 ps",
        "state_equilibration": "0.1 ps",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20, help="length of the default list")
    parser.add_argument("--list", type=Path)
    parser.add_argument("--command", default="run")
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command, path, settings = arguments.command, arguments.list, arguments.settings
        if path is None:
            path, settings = folder / "seeds.csv", folder / "settings.yaml"
            path.write_text("\n".join(["seed", *map(str, range(1, arguments.jobs + 1))]) + "\n")
            made = SOLVATION if command == "solvation" else make_run(folder)
            settings.write_text(yaml.safe_dump(made))
        load = os.getloadavg()[0]
        overhead = measure_overhead(path, command, settings, folder / "plain", arguments.workers)
        print(json.dumps(overhead, indent=1), flush=True)
        kills = count_after_kills(path, command, settings, folder / "killed", arguments.workers)
        print(json.dumps(kills, indent=1))
        if command == "run" and arguments.list is None:
            kills["rows_of_logs"] = count_rows(folder / "killed")
    results = {
        "settings": {name: str(value) for name, value in vars(arguments).items()},
        "load_of_machine": [load, os.getloadavg()[0]],
        "overhead": overhead,
        "kills": kills,
    }
    what = command if arguments.list is None else arguments.list.stem
    print(write_results(f"campaign_{what}", results))


def make_run(folder: Path) -> dict[str, Any]:
    """Write the files of ethanol in vacuum; return the settings of a short run."""
    molecule = molecule_from_smiles("CCO", seed=1)
    system = create_ligand_system(molecule, parameterize(molecule, provider="fallback"))
    topology, positions = to_openmm_topology(molecule)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    with open(folder / "ethanol.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * openmm.unit.nanometer, file)
    return {
        "system": {"type": "openmm", "system": "system.xml", "structure": "ethanol.pdb"},
        "region": {"selection": "all", "model": "ANI-1x", "members": 0},
        "timestep": "0.5 fs",
        "stages": {
            **dict.fromkeys(("minimize", "warmup", "equilibrate")),
            "production": {"length": f"{0.5 * STEPS} fs"},
        },
        "output": {
            "trajectory_interval": "5 fs",
            "log_interval": "0.5 fs",
            "checkpoint_interval": "5 fs",
        },
        "platform": {"name": "CPU"},
    }


def measure_overhead(
    path: Path, command: str, settings: Path, folder: Path, workers: int
) -> dict[str, Any]:
    """Run the list once, undisturbed, and separate the time inside jobs from the time between them.

    Jobs overlap with several workers. The time of the jobs is then their sum divided by the number
    of workers.
    """
    found = read_list(path, command=command, settings=settings)
    ended: list[tuple[float, JobReport]] = []
    began = time.perf_counter()
    run_list(
        found,
        folder,
        cluster=ClusterSettings(kind="local", workers=workers),
        report=lambda report, *_: ended.append((time.perf_counter() - began, report)),
    )
    total = time.perf_counter() - began
    own = [report.seconds for _, report in ended]
    first, last = ended[0][0] - own[0], ended[-1][0]
    between = [
        later[0] - earlier[0] - later[1].seconds for earlier, later in itertools.pairwise(ended)
    ]
    return {
        "jobs": len(ended),
        "failed": sum(not report.done for _, report in ended),
        "total_s": total,
        "before_the_first_job_s": first,
        "after_the_last_job_s": total - last,
        "first_job_s": own[0],
        "median_of_later_jobs_s": statistics.median(own[1:]),
        "overhead_of_a_job_s": (total - sum(own) / workers) / len(own),
        "median_between_two_jobs_s": statistics.median(between) if workers == 1 else None,
    }


def count_after_kills(
    path: Path, command: str, settings: Path, folder: Path, workers: int
) -> dict[str, Any]:
    """Kill a worker after a quarter of the jobs and the master after half, then continue."""
    jobs = len(read_list(path, command=command, settings=settings).rows)
    program = [sys.executable, "-c", "from nnpmm.cli.entry import nnpmm; nnpmm()"]
    line = [*program, "campaign", "run", str(path), "--command", command]
    line += ["--settings", str(settings), "-o", str(folder), "--workers", str(workers)]
    began = time.perf_counter()
    with open(folder.with_suffix(".first"), "w") as log:
        master = subprocess.Popen(line, stdout=log)
        wait_for(folder, jobs // 4, master)
        worker_of(master).kill()
        wait_for(folder, jobs // 2, master)
        master.kill()
        master.wait()
    finished_before = finished(folder)
    with open(folder.with_suffix(".second"), "w") as log:
        status = subprocess.run(line, stdout=log, check=False).returncode
    reports = Counter(
        words.split()[2]
        for name in (".first", ".second")
        for words in folder.with_suffix(name).read_text().splitlines()
        if " done " in words
    )
    states = states_of(folder)
    done = [one for one in states if one.state == "finished"]
    return {
        "jobs": jobs,
        "worker_killed_after": jobs // 4,
        "master_killed_after": finished_before,
        "exit_status_of_the_second_call": status,
        "finished": len(done),
        "lost": jobs - len(done),
        "done_twice": sum(count > 1 for count in reports.values()),
        "results": len(list((folder / "results").rglob("*.safetensors"))),
        "with_a_failed_attempt": sum(bool(one.reasons) for one in done),
        "total_s": time.perf_counter() - began,
    }


def finished(folder: Path) -> int:
    """Return the number of finished jobs."""
    if not (folder / "campaign.json").exists():
        return 0
    return sum(one.state == "finished" for one in states_of(folder))


def wait_for(folder: Path, count: int, master: subprocess.Popen[bytes]) -> None:
    """Wait until some jobs are finished."""
    while finished(folder) < count:
        if master.poll() is not None:
            raise SystemExit("the campaign ended before it could be killed; use longer jobs")
        time.sleep(0.05)


def worker_of(master: subprocess.Popen[bytes]) -> psutil.Process:
    """Return a worker process of a campaign."""
    return next(
        child
        for child in psutil.Process(master.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    )


def count_rows(folder: Path) -> dict[str, int]:
    """Count runs whose log has each step once, and those with missing or repeated steps."""
    logs = [read_log(path)[1]["step"].tolist() for path in (folder / "jobs").glob("*/log.csv")]
    whole = [steps == list(range(1, STEPS + 1)) for steps in logs]
    return {"whole": sum(whole), "with_missing_or_doubled_steps": len(whole) - sum(whole)}


if __name__ == "__main__":
    main()
