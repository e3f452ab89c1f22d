"""What every benchmark shares: where results go, with machine, versions and commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from nnpmm.benchmarking import write_record

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"


def data_folder() -> Path:
    """Return the folder of the real systems: in ``NNPMM_TEST_DATA``, or next to the project."""
    return Path(os.environ.get("NNPMM_TEST_DATA") or ROOT.parent / "shared") / "data"


def write_results(name: str, results: Any) -> Path:
    """Write benchmarks/results/<name>.json with machine, versions and commit; return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_record(path, results, commit=commit())
    return path


def commit() -> str:
    """The commit of the checkout, with a + if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
