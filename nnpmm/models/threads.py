"""How many threads an evaluation uses, and how it hands work to them."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from nnpmm.core.errors import ModelError

__all__ = ["run_together", "thread_count", "threads_for"]

_LARGEST_ON_ONE_THREAD = 100  # atoms
_MOST_PER_PROCESSOR = 4  # threads; each needs memory, and more of them would only wait


@contextmanager
def threads_for(n_atoms: int, setting: int | None = None) -> Iterator[None]:
    """Set the number of torch's threads: as asked for, or one for a small region.

    torch's threads spin while they wait. With OpenMM's own threads or another process on the same
    processors, that makes an evaluation many times slower, while a second thread makes that of a
    ligand at most a tenth faster.
    """
    import torch

    threads = torch.get_num_threads()
    default = 1 if n_atoms <= _LARGEST_ON_ONE_THREAD else threads
    torch.set_num_threads(default if setting is None else setting)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def thread_count(setting: int | None = None) -> int:
    """Return the number of threads to use.

    Args:
        setting: a number, or None for that of ``OPENMM_CPU_THREADS``, which OpenMM's own CPU
            platform follows, or else one for each processor that this process may use.

    Raises:
        ModelError: not a whole number from 1 to four times the processors of this machine.
    """
    source: int | str | None = setting
    if source is None:
        source = os.environ.get("OPENMM_CPU_THREADS") or None
    if source is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    processors = os.cpu_count() or 1
    most = _MOST_PER_PROCESSOR * processors
    text = str(source)
    # Python refuses to convert a text of thousands of digits.
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= most:
        where = "OPENMM_CPU_THREADS" if setting is None else "threads"
        raise ModelError(
            f"found {where} = {text[:20]!r}, allowed: 1 to {most}, {_MOST_PER_PROCESSOR} for each "
            f"of the {processors} processors of this machine"
        )
    return int(text)


def run_together(work: Callable[[int], None], count: int) -> None:
    """Call ``work(0)`` to ``work(count - 1)``, the first in this thread; return when all are done.

    The others run on threads that sleep between calls, so that they do not slow down those of
    OpenMM. Work that releases the GIL runs at the same time.
    """
    if count == 1:
        work(0)
        return
    workers = _workers(count - 1)
    workers.avoid_this_processor()
    futures = [workers.pool.submit(work, i) for i in range(1, count)]
    try:
        work(0)
        for i, future in enumerate(futures, 1):
            if future.cancel():  # on a busy machine no thread may have started it yet
                work(i)
    finally:
        for future in futures:
            if not future.cancelled():
                future.result()


class _Workers:
    """Threads of this process that wait for work."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._ids: list[int] = []
        self._avoided: tuple[int, int] | None = None
        self.pool = ThreadPoolExecutor(
            count, "nnpmm", initializer=lambda: self._ids.append(threading.get_native_id())
        )

    def avoid_this_processor(self) -> None:
        """Keep the workers off the caller's processor, where the operating system supports it.

        Linux tends to wake a thread on the processor of the thread that wakes it. Both would then
        take turns there for some milliseconds, while another processor is idle.
        """
        if _current_processor is None:
            return
        # The affinity of a thread that has started since the last call is not set yet.
        here = (_current_processor(), len(self._ids))
        if here != self._avoided:
            others = os.sched_getaffinity(0) - {here[0]}
            for thread in self._ids if others else []:
                os.sched_setaffinity(thread, others)
            self._avoided = here


def _workers(count: int) -> _Workers:
    """Return the workers of this process: a forked process does not inherit threads."""
    workers = _workers_of_process.get(os.getpid())
    if workers is None or workers.count < count:
        workers = _Workers(count)
        _workers_of_process.clear()
        _workers_of_process[os.getpid()] = workers
    return workers


def _find_current_processor() -> Callable[[], int] | None:
    """Return the C library's function that says on which processor a thread runs, or None."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        function: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return function


_workers_of_process: dict[int, _Workers] = {}
_current_processor = _find_current_processor()
