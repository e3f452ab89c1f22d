"""Attempts of a calculation: seeds, kills from outside, and failures of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from nnpmm.core.errors import NnpmmError, SimulationError

__all__ = [
    "NOT_ITS_FAULT",
    "AttemptsError",
    "KilledError",
    "derived_seed",
    "first_success",
    "retry_if_killed",
]

#: How often a calculation that is killed from outside is started in all.
_STARTS = 3

_T = TypeVar("_T")


class KilledError(SimulationError):
    """A program was ended from outside, by a signal; called again, it goes on where it was."""


class AttemptsError(SimulationError):
    """The calculation failed; the message contains the reasons, the cause is the last failure."""


#: What stops a calculation without being a failure of it: a kill, a full disk, a lost folder, a
#: package that is missing where it runs.
NOT_ITS_FAULT = (KilledError, OSError, ImportError)


def derived_seed(campaign_seed: int, name: str, attempt: int) -> int:
    """Return a seed of its own for every name and attempt, 1 to 2^31 - 1."""
    digest = hashlib.sha256(f"{campaign_seed} {name} {attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % (2**31 - 1) + 1


def retry_if_killed(
    function: Callable[[], _T], on_kill: Callable[[str], object] | None = None
) -> _T:
    """Return what a function returns, calling it again where its program was killed from outside.

    Args:
        function: goes on where it was when it is called again.
        on_kill: is given the reason whenever the program was killed and the function is called
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
    """Return what a function returns with the first seed that does not fail, and that seed.

    A kill from outside uses up no seed: the function is called again with the same one. An error
    in the input, any `NnpmmError` but a `SimulationError`, ends the attempts: no seed corrects it.

    Args:
        function: is called with the number of the attempt, from 0, and its seed.
        seeds: one for each attempt.
        reasons: gets a line for every kill and every failure.
        failures: exceptions that count as failures; ``NOT_ITS_FAULT`` never does.

    Raises:
        AttemptsError: every seed failed, or the input has an error.
        KilledError: the program was killed again and again.
        OSError: the disk is full, or a folder is gone.
        ImportError: a package is not installed.
    """
    last: Exception | None = None
    for attempt, seed in enumerate(seeds):
        try:
            return retry_if_killed(partial(function, attempt, seed), reasons.append), seed
        except NOT_ITS_FAULT:
            raise
        except failures as error:
            reasons.append(f"seed {seed}: {' '.join(str(error).split()) or type(error).__name__}")
            last = error
            if isinstance(error, NnpmmError) and not isinstance(error, SimulationError):
                break
    raise AttemptsError("; ".join(reasons)) from last
