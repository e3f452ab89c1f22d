"""The one compiled function that Python calls, kept on disk between processes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

from nnpmm.core.errors import shortened
from nnpmm.models.ani.cpu.neighbours import neighbours_of
from nnpmm.models.ani.cpu.networks import apply_networks
from nnpmm.models.ani.cpu.symmetry import add_atom_forces, describe_atom, find_pattern

__all__ = ["evaluate_share"]

_LOGGER = logging.getLogger(__name__)


def _compile(source: str) -> Callable[..., Any]:
    @numba.njit(nogil=True, error_model="numpy")
    def evaluate_share(
        blocks,
        order,
        positions,
        cells,
        constants,
        layout,
        networks,
        atom_scratch,
        network_scratch,
        with_forces,
        energies,
        forces,
    ):
        """Evaluate some of the atoms, all the way from neighbours to forces.

        Args:
            blocks: (b, 3): element, and first and last place in ``order`` of its atoms.
            order: atoms, counted through all geometries, sorted by element.
            positions: (k n, 3), angstrom, float64; with listed neighbours the vectors to them.
            cells, constants, layout, networks: see their classes.
            atom_scratch, network_scratch: room of this thread.
            with_forces: whether to compute forces.
            energies: (members, k), hartree, added to.
            forces: (k n, 3), hartree/angstrom, summed over members, added to.
        """
        source  # noqa: B018  # numba's cache looks at closures, not at what other modules hold
        rows, gradient = network_scratch.rows, network_scratch.gradient
        frame, unsorted = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        species, cutoff = constants.species, constants.radial_cutoff
        index, neighbours = atom_scratch.cell_index, atom_scratch.neighbours
        for block in range(len(blocks)):
            element, first, last = blocks[block]
            count = last - first
            for row in range(count):
                i = order[first + row]
                n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                unsorted[row] = find_pattern(n, constants, atom_scratch)
            # Atoms that see the same pairs of elements share a tile.
            by_pattern = np.argsort(unsorted[:count], kind="mergesort")
            rows[:count] = 0
            for row in range(count):
                i = order[first + by_pattern[row]]
                frame[row] = i // cells.n_atoms
                network_scratch.pattern[row] = unsorted[by_pattern[row]]
                n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                describe_atom(rows[row], n, constants, atom_scratch)
            apply_networks(
                element, count, frame, energies, with_forces, layout, networks, network_scratch
            )
            if with_forces:
                for row in range(count):
                    i = order[first + by_pattern[row]]
                    n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                    add_atom_forces(forces, i, gradient[row], n, constants, atom_scratch)

    return evaluate_share


class _TolerantCache(FunctionCache):
    """numba's cache, which a damaged file does not stop: the function is compiled again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever reading a truncated pickle or object file raises
            _discard(self, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # an index that cannot be read, a full disk
            _discard(self, error)


def _discard(cache: FunctionCache, error: Exception) -> None:
    """Empty the cache's index, so that the next process does not meet the same damage."""
    reason = shortened(f"{type(error).__name__}: {error}")
    _LOGGER.warning("%s: not usable (%s); compiled again", cache.cache_path, reason)
    with contextlib.suppress(OSError):
        cache.flush()


def _keep_on_disk(function: Any) -> None:
    """Give a compiled function its cache, or say once that it is compiled at every start."""
    try:
        function._cache = _TolerantCache(function.py_func)
    except RuntimeError:  # no folder that can be written: numba's "no locator available"
        _LOGGER.warning(
            "found no folder to keep compiled code in, so that it is compiled at every start: set "
            "NUMBA_CACHE_DIR to a folder that can be written"
        )


def _source_digest() -> str:
    """Return a digest of this folder's modules: a change of any one makes the cache stale."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


evaluate_share = _compile(_source_digest())
_keep_on_disk(evaluate_share)
