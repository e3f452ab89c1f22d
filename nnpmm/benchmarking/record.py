"""The machine and versions of a measurement, stored with its results."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from nnpmm.core.files import write_atomically
from nnpmm.core.versions import installed_version

__all__ = ["machine", "versions", "write_record"]

_PACKAGES = (
    "nnpmm",
    "openmm",
    "torch",
    "numba",
    "triton",
    "torchani",
    "openmmml",
    "openmmtorch",
    "nnpops",
    "rdkit",
    "numpy",
)


def machine() -> dict[str, Any]:
    """Return processor, number of cores, GPU (None without one) and operating system."""
    import torch

    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
    }


def versions(packages: tuple[str, ...] = _PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the installed packages among the given ones."""
    installed = {package: installed_version(package) for package in packages}
    found = {package: version for package, version in installed.items() if version is not None}
    return {"python": platform.python_version()} | found


def write_record(path: Path, results: Any, **more: Any) -> None:
    """Write results with machine and versions as JSON.

    Raises:
        UnwritableError: the file cannot be written.
    """
    record = {"machine": machine(), "versions": versions(), **more, "results": results}
    write_atomically(path, json.dumps(record, indent=2) + "\n")
