"""How the atoms are shared out to threads, and in which blocks each thread takes them."""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "divide"]

#: Atoms of a block: enough to reuse the weights, few enough to keep the activations in cache.
BLOCK = 48
_LEAST = 3  # atoms of a thread: fewer do not repay waking it
# Measured: reading an element's weights takes as long as multiplying them with a few atoms, and an
# atom's symmetry functions and their forces as long as this many weights.
_READING = 2.5
_SYMMETRY = 40_000

Block = tuple[int, int, int]


def divide(
    species: NDArray[np.int64], n_weights: NDArray[np.int64], n_geometries: int, n_threads: int
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Sort atoms by element and share them out so that the longest share is short.

    A thread that has all atoms of an element is best, since it alone reads that element's weights.
    Finer pieces balance better: of some divisions the one is taken whose longest share is shortest.

    Args:
        species: element of each atom of one geometry, (n,).
        n_weights: weights that an atom of each element meets.
        n_geometries: number of geometries.
        n_threads: largest number of shares.

    Returns:
        The atoms, counted through all geometries, sorted by element, and for each share its blocks
        (b, 3): element, first and last place in that order.
    """
    atoms = np.argsort(species, kind="stable")
    # An atom's copies stand together: they have much the same neighbours, and so the same columns.
    order = np.add.outer(atoms, len(species) * np.arange(n_geometries)).ravel()
    edges = n_geometries * np.searchsorted(species[atoms], np.arange(len(n_weights) + 1))
    n_shares = max(1, min(n_threads, len(order) // _LEAST))
    plans = [_assign(_cut(edges, pieces), n_weights, n_shares) for pieces in range(1, n_shares + 3)]
    _, shares = min(plans, key=lambda plan: plan[0])
    return order, [np.array(sorted(share), np.int64) for share in shares if share]


def _cut(edges: NDArray[np.int64], pieces: int) -> list[Block]:
    """Cut every element's atoms into this many blocks, or a multiple if they were too large."""
    blocks = []
    for element, (first, last) in enumerate(pairwise(edges.tolist())):
        count = last - first
        n = min(count, pieces * -(-count // (pieces * BLOCK)))
        places = [first + count * k // n for k in range(n + 1)] if n else []
        blocks += [(element, a, b) for a, b in pairwise(places)]
    return blocks


def _assign(
    blocks: list[Block], n_weights: NDArray[np.int64], n_shares: int
) -> tuple[float, list[list[Block]]]:
    """Give the costliest block left to the share that has least; return the largest cost."""

    def cost(block: Block) -> float:
        element, first, last = block
        rows = last - first
        return float(n_weights[element] * (rows + _READING) + _SYMMETRY * rows)

    shares: list[list[Block]] = [[] for _ in range(n_shares)]
    loads = [(0.0, share) for share in range(n_shares)]
    for block in sorted(blocks, key=cost, reverse=True):
        load, share = heapq.heappop(loads)
        shares[share].append(block)
        heapq.heappush(loads, (load + cost(block), share))
    return max(loads)[0], shares
