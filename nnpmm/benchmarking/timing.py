"""Time several functions in turn, so that fluctuations of the machine affect all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Timing", "time_in_turn"]

# Idle threads of BLAS and OpenMP spin for up to a tenth of a second. Without a pause they would
# slow down the next call.
_PAUSE = 0.15  # s
_TURN = 0.05  # s, shortest duration of a turn


class Timing(NamedTuple):
    """Milliseconds of one call: the median over rounds, and the quartiles."""

    median: float
    low: float
    high: float


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    *,
    rounds: int,
    progress: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Return the time of each call.

    In every round each call has its turn: a pause, one call that is not timed, and then as many as
    fill a twentieth of a second. Their mean is one sample.

    Args:
        calls: functions to time, by name.
        rounds: number of rounds.
        progress: called after every turn.
        clock: returns seconds; `time.process_time` for calls of one thread on a busy machine.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, math.ceil(_TURN / _seconds(call, 1, clock)))
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(_PAUSE)
            call()
            samples[name].append(1000 * _seconds(call, repeats[name], clock))
            progress()
    return {
        name: Timing(*(float(np.percentile(values, p)) for p in (50, 25, 75)))
        for name, values in samples.items()
    }


def _seconds(call: Callable[[], Any], repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats
