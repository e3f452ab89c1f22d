"""All that is measured on a GPU, in one go: the network, steps of dynamics, replicas.

On a machine with rdkit and the network files:  python benchmarks/gpu.py --write-inputs FOLDER
On the machine with the GPU:                    python benchmarks/gpu.py --inputs FOLDER

All parts run once side by side without being timed: each compares its results with the float64
reference, and its kernels are compiled. Then they are timed in turn. A part that fails leaves the
others; the exit status is 1 then. Writes gpu_ani.json, gpu_aimnet.json, gpu_steps.json and
replicas.json, and logs next to them.
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
    parser.add_argument("--seconds", type=float, default=600.0, help="for each script")
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
    """Run every part once, side by side; return whether one failed."""
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
    """Start a part; with a log its output goes there."""
    command = [sys.executable, HERE / script, "--inputs", arguments.inputs, *options]
    if script == "gpu_steps.py":
        command += ["--weights", arguments.inputs / "weights.safetensors"]
    if script == "replicas.py":
        command += ["--platform", "CUDA", "--replicas", 1, 4, 16]
    target = None if log is None else log.with_suffix(".log").open("w")
    return subprocess.Popen([*map(str, command)], stdout=target, stderr=subprocess.STDOUT)


def wait(name: str, process: subprocess.Popen, seconds: float) -> bool:
    """Return whether a part failed, or took too long."""
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        print(f"{name}: ended after {seconds:g} s", flush=True)
        return True
    if status != 0:
        print(f"{name}: exit status {status}", flush=True)
    return status != 0


if __name__ == "__main__":
    main()
