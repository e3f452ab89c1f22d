"""Child processes that end with their parent, and the signals that ended them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["end_with_parent", "ending_signal", "is_crash"]

_PR_SET_PDEATHSIG = 1  # of Linux' prctl
_SHELL = 128  # a shell reports the signal n as the status 128 + n
#: Signals that a program causes by its own fault; any other comes from outside.
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")


def end_with_parent() -> Callable[[], None] | None:
    """Return a ``preexec_fn`` of subprocess: Linux kills the child when its parent has ended.

    That holds however the parent ends, kill -9 included. Linux takes the thread that starts the
    child for its parent: it has to wait for the child. None on other systems.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork, after which little is safe
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended in the meantime
            os._exit(1)

    return ask


def ending_signal(status: int) -> str | None:
    """Return the name of the signal that ended a process, such as ``SIGKILL``, or None.

    Args:
        status: as in ``Popen.returncode``, of the program or of a shell script around it.
    """
    number = -status if status < 0 else status - _SHELL
    if number <= 0:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if status < 0 else None


def is_crash(name: str) -> bool:
    """Return whether a signal is a program's own fault."""
    return name in _CRASHES
