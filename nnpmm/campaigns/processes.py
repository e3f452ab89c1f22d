"""Child processes that end with their parent, and the signals that end processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["end_with_parent", "ending_signal", "is_crash"]

_PR_SET_PDEATHSIG = 1  # of Linux' prctl
_SHELL = 128  # a shell reports the signal n as the status 128 + n
#: Signals of a crash; all others come from outside.
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")


def end_with_parent() -> Callable[[], None] | None:
    """Return a ``preexec_fn`` of subprocess: Linux kills the child when its parent has ended.

    This works for any end of the parent, including kill -9. For Linux the parent is the thread that
    starts the child, so this thread has to wait for the child. None on other systems.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here, because little is safe after a fork
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent has ended in the meantime
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
    """Return whether a signal is that of a crash."""
    return name in _CRASHES
