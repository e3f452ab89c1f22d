"""Commands in processes of their own that are killed at chosen moments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nnpmm.core.errors import InputFileError
from nnpmm.sampling import Samples, read_samples

__all__ = ["checkpointed", "finish", "iterations_written", "kill_when"]

_PATIENCE = 600  # s


def _start(arguments: list[object]) -> subprocess.Popen:
    program = [sys.executable, "-c", "from nnpmm.cli.entry import nnpmm; nnpmm()"]
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        env={**os.environ, "OPENMM_CPU_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments: object) -> None:
    """Run ``nnpmm`` with some arguments to its end, which must be a good one."""
    process = _start([*arguments])
    _, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, err


def kill_when(moment: Callable[[Path], bool], folder: Path, *arguments: object) -> None:
    """Run ``nnpmm`` with some arguments, and kill it as soon as its folder is that far."""
    process = _start([*arguments])
    deadline = time.monotonic() + _PATIENCE
    while not moment(folder):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.poll() is None
    process.kill()
    process.wait()
    process.stderr.close()


def iterations_written(ladder: Path, states: int) -> int:
    """Return how many iterations a ladder has written, whether a checkpoint has them or not."""
    path = ladder / "energies.bin"
    row = 8 * states * (states + 2)  # bytes of an iteration
    return path.stat().st_size // row if path.exists() else 0


def checkpointed(ladder: Path) -> Samples | None:
    """Return what the last checkpoint of a ladder has, None without one."""
    try:
        return read_samples(ladder)
    except InputFileError:
        return None
