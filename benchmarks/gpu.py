"""Run all GPU benchmarks in one go: networks, steps of dynamics and replicas.

On a machine with rdkit and the network files:  python benchmarks/gpu.py --write-inputs FOLDER
On the machine with the GPU:                    python benchmarks/gpu.py --inputs FOLDER

First, all parts run once at the same time without timing, to compile their kernels and to compare
their results with the float64 reference. Then each part is timed on its own. If a part fails, the
others still run, and the exit status is 1. The script writes gpu_ani.json, gpu_aimnet.json,
gpu_steps.json and replicas.json, and logs next to them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from common import RESULTS
from gpu_ani import LIGANDS, REPLICAS
from gpu_steps import SYSTEMS

HERE = Path(__file__).parent
WITH_INPUTS = ("gpu_ani.py", "gpu_aimnet.py", "gpu_steps.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, default=600.0, help="time limit of each script")
    arguments = parser.parse_args()
    if arguments.write_inputs:
        for script in WITH_INPUTS:
            command = [sys.executable, HERE / script, "--write-inputs", arguments.write_inputs]
            subprocess.run(command, check=True)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = prepare(arguments)
    for script in (*WITH_INPUTS, "replicas.py"):
        output = arguments.output / script.replace(".py", ".json")
        process = start(script, ["--output", output], arguments)
        failed |= wait(script, process, arguments.seconds)
    sys.exit(int(failed))


def prepare(arguments: argparse.Namespace) -> bool:
    """Run every part once, all at the same time; return whether one failed."""
    parts = {
        name: ("gpu_ani.py", ["--molecules", name, "--boxes", 0, "--rounds", 10])
        for name in LIGANDS
    }
    parts["water"] = ("gpu_ani.py", ["--molecules", "--boxes", len(REPLICAS)])
    parts["AIMNet2"] = ("gpu_aimnet.py", ["--rounds", 10])
    for name in SYSTEMS:
        parts[name] = ("gpu_steps.py", ["--systems", name, "--rounds", 1, "--steps", 10])
    running = {}
    for name, (script, options) in parts.items():
        stem = arguments.output / f"prepare-{name.replace(' ', '-')}"
        process = start(script, [*options, "--output", stem.with_suffix(".json")], arguments, stem)
        running[name] = process
    return any([wait(name, process, arguments.seconds) for name, process in running.items()])


def start(
    script: str, options: list, arguments: argparse.Namespace, log: Path | None = None
) -> subprocess.Popen:
    """Start a part, and write its output to the log if one is given."""
    command = [sys.executable, HERE / script, "--inputs", arguments.inputs, *options]
    if script == "gpu_steps.py":
        command += ["--weights", arguments.inputs / "weights.safetensors"]
    if script == "replicas.py":
        command += ["--platform", "CUDA", "--replicas", 1, 4, 16]
    target = None if log is None else log.with_suffix(".log").open("w")
    return subprocess.Popen([*map(str, command)], stdout=target, stderr=subprocess.STDOUT)


def wait(name: str, process: subprocess.Popen, seconds: float) -> bool:
    """Wait for a part; return whether it failed or exceeded its time limit."""
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        print(f"{name}: stopped at the time limit of {seconds:g} s", flush=True)
        return True
    if status != 0:
        print(f"{name}: exit status {status}", flush=True)
    return status != 0


if __name__ == "__main__":
    main()
