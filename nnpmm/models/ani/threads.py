"""How many of torch's threads an evaluation uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["threads_for"]

_LARGEST_ON_ONE_THREAD = 100  # atoms


@contextmanager
def threads_for(n_atoms: int) -> Iterator[None]:
    """Use one thread for a small region.

    torch's threads wait by spinning. Beside OpenMM's own threads, or another process, that makes an
    evaluation many times slower, while a second thread gains a tenth at best on a ligand.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if n_atoms <= _LARGEST_ON_ONE_THREAD else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
