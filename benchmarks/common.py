"""Functions that the benchmarks share: folders, results, pictures and tables of the docs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.benchmarking import write_record
from nnpmm.freeenergy import subsample

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"


def data_folder() -> Path:
    """Return the folder of the test data, below ``NNPMM_TEST_DATA`` or next to the project."""
    return Path(os.environ.get("NNPMM_TEST_DATA") or ROOT.parent / "shared") / "data"


def write_results(name: str, results: Any) -> Path:
    """Write benchmarks/results/<name>.json with machine, versions and commit; return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_record(path, results, commit=commit())
    return path


def save_image(figure: Figure, name: str) -> Path:
    """Write docs/images/<name>.png and return its path."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.png"
    figure.savefig(path)
    return path


def write_section(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace the lines between ``<!-- name -->`` and ``<!-- end of name -->`` in a page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, start, rest = page.read_text().partition(begin)
    _, stop, tail = rest.partition(end)
    if not (start and stop):
        raise SystemExit(f"{page} has no section <!-- {name} -->")
    page.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


def mean_with_error(series: ArrayLike) -> tuple[float, float]:
    """Return the mean of a time series and its standard error from independent samples."""
    values = np.asarray(series, dtype=np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(subsample(values))))


def commit() -> str:
    """Return the commit of the checkout, with a + if files differ from it.

    Where the files were copied without the repository, ``NNPMM_COMMIT`` gives the commit.
    """
    if known := os.environ.get("NNPMM_COMMIT"):
        return known
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
