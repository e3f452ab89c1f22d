"""Attempts of a calculation: seeds, kills from outside, and failures of its own."""

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
    "INPUT_ERRORS",
    "NOT_ITS_FAULT",
    "AttemptsError",
    "KilledError",
    "derived_seed",
    "first_success",
    "retry_if_killed",
]

#: How often a calculation that is killed from outside is started in all.
_STARTS = 3
# A worker that has lost its campaign may hold its folder for as long as a step of its takes.
_LONGEST_WAIT, _PAUSE = 60.0, 0.5  # s

_T = TypeVar("_T")


class KilledError(SimulationError):
    """A program was ended from outside, by a signal; it continues if it is called again."""


class AttemptsError(SimulationError):
    """The calculation failed; the message contains the reasons, the cause is the last failure."""


#: What stops a calculation without being a failure of it: a kill, a full disk, a lost folder,
#: another process in its folder, a package that is missing where it runs.
NOT_ITS_FAULT = (KilledError, LockedError, OSError, ImportError)

#: What is wrong with the input of a calculation, and fails with every seed.
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
    """Call a function, again if its program was killed from outside, and return its result.

    Args:
        function: continues where it stopped if it is called again.
        on_kill: called with the reason whenever the program was killed and the function is called
            again.

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

    A kill from outside does not use up a seed: the function is called again with the same one. This
    also applies after another process in its folder has ended. After one of ``INPUT_ERRORS`` no
    other seed is tried.

    Args:
        function: called with the number of the attempt, from 0, and its seed.
        seeds: one for each attempt.
        reasons: gets a line for every kill and every failure.
        failures: exceptions that count as failures; ``NOT_ITS_FAULT`` never does.

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
        except NOT_ITS_FAULT:
            raise
        except failures as error:
            last, text = error, " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, INPUT_ERRORS):
                reasons.append(text)
                break
            reasons.append(f"seed {seed}: {text}")
    raise AttemptsError("; ".join(reasons)) from last


def _unlocked(function: Callable[[int, int], _T], attempt: int, seed: int) -> _T:
    """Call a function; again, while another process works in its folder, for up to a minute."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        try:
            return function(attempt, seed)
        except LockedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
