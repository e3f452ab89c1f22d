"""Jobs without simulations, which succeed or fail as requested."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from nnpmm.campaigns import ClusterSettings, Job, KilledError, Output, Store, by_name, run_campaign
from nnpmm.core.errors import RegionError, SimulationError


def square(number, folder, fail=(), *, attempt):
    """Square a number; ``fail`` lists the errors of the first calls, which a file counts."""
    assert attempt.work.is_dir()
    log = Path(folder) / f"calls-{number}"
    calls = log.read_text().splitlines() if log.exists() else []
    log.write_text("\n".join([*calls, f"{attempt.seed} {os.getpid()} {attempt.work.name}"]))
    how = fail[len(calls)] if len(calls) < len(fail) else ""
    if how == "fails":
        raise SimulationError(f"{number} is odd")
    if how == "charged":
        raise RegionError(f"{number} has a charge")
    if how == "bug":
        raise ValueError("arrays must match")
    if how == "killed":
        raise KilledError("killed by SIGKILL")
    if how == "full":
        raise OSError(28, "No space left on device")
    if how == "no package":
        raise ImportError("no module named solver")
    if how == "worker dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sleeps":
        time.sleep(300)
    return Output({"square": np.array([number**2])}, {"number": number})


def job(number, folder, *fail, needs=None, **inputs):
    inputs |= {"number": number, "folder": str(folder)} | ({"fail": list(fail)} if fail else {})
    return Job(f"group-{number % 2}/{number}", square, inputs, needs=needs)


def calls(folder, number):
    """Return the seed, process and work folder of every call."""
    return [line.split() for line in (folder / f"calls-{number}").read_text().splitlines()]


def prepare(folder, scratch, threads, tell):
    """Count the calls of a preparation, and report its progress."""
    (Path(folder) / f"prepared-{os.getpid()}").touch()
    for done in (0.0, 1.0, 2.0):
        if tell is not None:
            tell("stage", done, 2.0)


def cannot_prepare(scratch, threads, tell):
    raise SimulationError("the oven is cold")


def has_a_bug(scratch, threads, tell):
    raise KeyError("shelf")


if __name__ == "__main__":  # a campaign to be killed
    place = Path(sys.argv[1])
    jobs = [job(1, place), job(2, place, "sleeps"), job(3, place)]
    run_campaign(jobs, Store(place / "store", by_name), cluster=ClusterSettings(kind="serial"))
