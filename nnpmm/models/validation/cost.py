"""What an evaluation costs, and whether memory grows."""

from __future__ import annotations

import sys
import time

import numpy as np
import psutil

from nnpmm.models.protocol import at_each_step
from nnpmm.models.validation.check import Check, Measurement
from nnpmm.models.validation.probe import Probe

__all__ = ["MEMORY", "SPEED"]

_CALLS, _REPEATS = 20, 100
_MB = 1e6
_FS_PER_DAY = 86400e3  # steps a day of one millisecond each


def _speed(probe: Probe) -> Measurement:
    evaluate = at_each_step(probe.evaluator)
    times = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        evaluate(probe.positions)
        times.append(1000 * (time.perf_counter() - began))
    median = float(np.median(times))
    per_day = 1e-6 * _FS_PER_DAY / median
    return Measurement(median, f"{len(probe.numbers)} atoms, at most {per_day:.3g} ns/day at 1 fs")


def _memory(probe: Probe) -> Measurement:
    evaluate = at_each_step(probe.evaluator)
    for _ in range(_CALLS):
        evaluate(probe.positions)
    before = _used()
    for _ in range(_REPEATS):
        evaluate(probe.positions)
    after = _used()
    return Measurement(
        max(0.0, after - before), f"{after:.0f} MB in use by the process and on the GPU"
    )


def _used() -> float:
    """Return the memory of this process, and what torch holds on its GPU, MB."""
    total = psutil.Process().memory_info().rss
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        total += torch.cuda.memory_allocated()
    return total / _MB


SPEED = Check(
    "speed",
    _speed,
    unit="ms",
    good=100.0,
    bad=float("inf"),
    figure="time of energy and forces of one molecule",
    beyond="simulations reach less than 1 ns per day",
)
MEMORY = Check(
    "memory",
    _memory,
    unit="MB",
    good=5.0,
    bad=50.0,
    figure=f"growth of memory over {_REPEATS} evaluations",
    beyond="long runs run out of memory",
)
