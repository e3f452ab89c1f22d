"""Find programs of other packages, and run them with a time limit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Finished", "find_program", "last_line", "run_program"]


class Finished(NamedTuple):
    """How a program ended: its exit status (None: it took too long), and what it wrote."""

    status: int | None
    output: str


def last_line(output: str) -> str:
    """Return the last line that is not empty, in which most programs say why they ended."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def find_program(name: str) -> str | None:
    """Return the path of a program on the PATH or else next to Python, or None."""
    return shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))


def run_program(path: str, arguments: list[str], folder: Path, *, time_limit: float) -> Finished:
    """Run a program in a folder until it ends, and end it and its children if it takes too long.

    Args:
        path: path of the program.
        arguments: command-line arguments.
        folder: working directory.
        time_limit: in s.
    """
    process = subprocess.Popen(
        [path, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its children can be ended with it
    )
    try:
        output, _ = process.communicate(timeout=time_limit)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            return Finished(None, "")
        raise
    return Finished(process.returncode, output)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and its children, which are in their own session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
