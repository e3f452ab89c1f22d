"""What every benchmark shares: where results go, with machine, versions and commit."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
PACKAGES = ("nnpmm", "openmm", "torch", "torchani", "openmmml", "rdkit", "numpy")


def data_folder() -> Path:
    """Return the folder of the real systems: in ``NNPMM_TEST_DATA``, or beside the project."""
    return Path(os.environ.get("NNPMM_TEST_DATA") or ROOT.parent / "shared") / "data"


def write_results(name: str, results: Any) -> Path:
    """Write benchmarks/results/<name>.json with machine, versions and commit; return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "results": results,
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def machine() -> dict[str, Any]:
    """Processor, number of cores and operating system."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter; packages not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of the checkout, with a + if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
