"""Attempts of a calculation: seeds, external kills, and failures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from nnpmm.core.errors import (
    ConfigError,
    ForceFieldError,
    InputFileError,
    LockedError,
    ModelError,
    RegionError,
    SelectionError,
    SimulationError,
    WeightsError,
)

__all__ = [
    "EXTERNAL_ERRORS",
    "INPUT_ERRORS",
    "AttemptsError",
    "KilledError",
    "derived_seed",
    "first_success",
    "retry_if_killed",
]

#: Total number of starts of a calculation that is killed from outside.
_STARTS = 3
# A worker that has lost its campaign may lock its folder until its current step ends.
_LONGEST_WAIT, _PAUSE = 60.0, 0.5  # s

_T = TypeVar("_T")


class KilledError(SimulationError):
    """A program was ended by a signal from outside; it continues if it is called again."""


class AttemptsError(SimulationError):
    """All attempts failed; the message contains the reasons, the cause is the last failure."""


#: Errors that are no failures of the calculation: a kill, a full disk, a lost folder, another
#: process in its folder, a package that is not installed on the worker.
EXTERNAL_ERRORS = (KilledError, LockedError, OSError, ImportError)

#: Errors in the input of a calculation, which fail with every seed.
INPUT_ERRORS = (
    ConfigError,
    ForceFieldError,
    InputFileError,
    ModelError,
    RegionError,
    SelectionError,
    WeightsError,
)


def derived_seed(campaign_seed: int, name: str, attempt: int) -> int:
    """Return a separate seed for every name and attempt, 1 to 2^31 - 1."""
    digest = hashlib.sha256(f"{campaign_seed} {name} {attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % (2**31 - 1) + 1


def retry_if_killed(
    function: Callable[[], _T], on_kill: Callable[[str], object] | None = None
) -> _T:
    """Call a function, and again if its program was killed from outside; return its result.

    Args:
        function: continues where it stopped if it is called again.
        on_kill: called with the reason before each repetition.

    Raises:
        KilledError: the program was killed every time.
    """
    for _ in range(_STARTS - 1):
        try:
            return function()
        except KilledError as error:
            if on_kill is not None:
                on_kill(str(error))
    return function()


def first_success(
    function: Callable[[int, int], _T],
    seeds: Sequence[int],
    reasons: list[str],
    *,
    failures: tuple[type[Exception], ...] = (Exception,),
) -> tuple[_T, int]:
    """Call a function with one seed after another; return the first success and its seed.

    After a kill from outside, the function is called again with the same seed. It is also called
    again with the same seed after another process in its folder has ended. After one of
    ``INPUT_ERRORS`` no other seed is tried.

    Args:
        function: called with the number of the attempt, from 0, and its seed.
        seeds: one for each attempt.
        reasons: list to which a line is added for every kill and every failure.
        failures: exceptions that count as failures; ``EXTERNAL_ERRORS`` never do.

    Raises:
        AttemptsError: every seed failed, or the input is wrong.
        KilledError: the program was killed again and again.
        LockedError: another process has worked in its folder for a minute.
        OSError: the disk is full, or a folder is missing.
        ImportError: a package is not installed.
    """
    last: Exception | None = None
    for attempt, seed in enumerate(seeds):
        try:
            call = partial(_unlocked, function, attempt, seed)
            return retry_if_killed(call, reasons.append), seed
        except EXTERNAL_ERRORS:
            raise
        except failures as error:
            last, text = error, " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, INPUT_ERRORS):
                reasons.append(text)
                break
            reasons.append(f"seed {seed}: {text}")
    raise AttemptsError("; ".join(reasons)) from last


def _unlocked(function: Callable[[int, int], _T], attempt: int, seed: int) -> _T:
    """Call a function; for up to a minute again while another process works in its folder."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        try:
            return function(attempt, seed)
        except LockedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
