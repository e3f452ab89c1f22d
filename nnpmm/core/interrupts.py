"""End a run cleanly on a signal: Ctrl-C, SIGTERM, SIGHUP, SIGQUIT."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopFlag", "stop_on_signals"]

_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)  # Windows has the first two
)
_OFTEN_IGNORED = {"SIGHUP", "SIGQUIT"}


class StopFlag:
    """Holds the number of the first signal that asked a run to end."""

    signal_number: int | None = None

    def __bool__(self) -> bool:
        return self.signal_number is not None


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Yield a flag that the signals set; the old handlers are restored afterwards.

    A signal that ``nohup`` or a shell has set to be ignored stays ignored. The handlers do nothing
    else, so they are safe at any instant. Python allows handlers in the main thread only; elsewhere
    the flag stays unset.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if flag.signal_number is None:
            flag.signal_number = number

    previous = {
        number: signal.signal(number, handle)
        for number in _SIGNALS
        if not (number.name in _OFTEN_IGNORED and signal.getsignal(number) is signal.SIG_IGN)
    }
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
