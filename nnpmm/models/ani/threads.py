"""How many threads an evaluation uses, and how it hands work to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from nnpmm.errors import ModelError

__all__ = ["run_together", "thread_count", "threads_for"]

_LARGEST_ON_ONE_THREAD = 100  # atoms
_pools: dict[int, ThreadPoolExecutor] = {}


@contextmanager
def threads_for(n_atoms: int, setting: int | None = None) -> Iterator[None]:
    """Use as many of torch's threads as asked for, or one for a small region.

    torch's threads wait by spinning. Beside OpenMM's own threads, or another process, that makes an
    evaluation many times slower, while a second thread gains a tenth at best on a ligand.
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
        ModelError: not a positive whole number.
    """
    source: int | str | None = setting
    if source is None:
        source = os.environ.get("OPENMM_CPU_THREADS") or None
    if source is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not str(source).isdigit() or int(source) < 1:
        where = "OPENMM_CPU_THREADS" if setting is None else "threads"
        raise ModelError(f"found {where} = {source!r}, allowed: a whole number of at least 1")
    return int(source)


def run_together(work: Callable[[int], None], count: int) -> None:
    """Call ``work(0)`` to ``work(count - 1)``, the first in this thread; return when all are done.

    The others go to threads that sleep between calls, so that they take nothing from OpenMM's. Work
    that releases the GIL runs at the same time.
    """
    if count == 1:
        work(0)
        return
    futures = [_pool(count - 1).submit(work, i) for i in range(1, count)]
    try:
        work(0)
    finally:
        for future in futures:
            future.result()


def _pool(n_workers: int) -> ThreadPoolExecutor:
    """Return this process's pool; threads do not live on in a forked process."""
    pool = _pools.get(os.getpid())
    if pool is None or pool._max_workers < n_workers:
        pool = ThreadPoolExecutor(n_workers, thread_name_prefix="nnpmm")
        _pools.clear()
        _pools[os.getpid()] = pool
    return pool
