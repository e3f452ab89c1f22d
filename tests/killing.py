"""Commands in processes of their own that are killed at chosen moments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["finish", "kill_when"]

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
