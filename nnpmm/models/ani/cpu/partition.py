"""Partition atoms into blocks of one element, and distribute the blocks over threads."""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "partition"]

#: Atoms of a block: enough to reuse the weights, few enough to keep the activations in cache.
BLOCK = 48
_MIN_ATOMS = 3  # per thread; fewer do not repay the cost of waking it
# Measured costs: reading an element's weights takes as long as multiplying them by this many atoms,
# and the symmetry functions of an atom with their forces take as long as this many weights.
_READ_COST = 2.5
_SYMMETRY_COST = 40_000

Block = tuple[int, int, int]


def partition(
    species: NDArray[np.int64], n_weights: NDArray[np.int64], n_geometries: int, n_threads: int
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Sort atoms by element and distribute them so that the largest load of a thread is small.

    Large blocks save time because fewer threads read an element's weights; small blocks balance the
    load better. Of several partitions, the one with the smallest largest load is chosen.

    Args:
        species: element of each atom of one geometry, (n,).
        n_weights: number of weights of each element's networks.
        n_geometries: number of geometries.
        n_threads: largest number of threads to use.

    Returns:
        The atoms, counted through all geometries, sorted by element; and for each thread its blocks
        (b, 3): element, and first and last index in that order.
    """
    atoms = np.argsort(species, kind="stable")
    # Copies of an atom in a batch are adjacent: their similar neighbours have the same columns.
    order = np.add.outer(atoms, len(species) * np.arange(n_geometries)).ravel()
    edges = n_geometries * np.searchsorted(species[atoms], np.arange(len(n_weights) + 1))
    n_used = max(1, min(n_threads, len(order) // _MIN_ATOMS))
    plans = [_assign(_split(edges, pieces), n_weights, n_used) for pieces in range(1, n_used + 3)]
    _, assigned = min(plans, key=lambda plan: plan[0])
    return order, [np.array(sorted(thread), np.int64) for thread in assigned if thread]


def _split(edges: NDArray[np.int64], pieces: int) -> list[Block]:
    """Split every element's atoms into ``pieces`` blocks, or a multiple if these are too large."""
    blocks = []
    for element, (first, last) in enumerate(pairwise(edges.tolist())):
        count = last - first
        n = min(count, pieces * -(-count // (pieces * BLOCK)))
        edges_of_blocks = [first + count * k // n for k in range(n + 1)] if n else []
        blocks += [(element, a, b) for a, b in pairwise(edges_of_blocks)]
    return blocks


def _assign(
    blocks: list[Block], n_weights: NDArray[np.int64], n_used: int
) -> tuple[float, list[list[Block]]]:
    """Assign blocks in order of cost to the thread with the least load; return the largest load."""

    def cost(block: Block) -> float:
        element, first, last = block
        rows = last - first
        return float(n_weights[element] * (rows + _READ_COST) + _SYMMETRY_COST * rows)

    assigned: list[list[Block]] = [[] for _ in range(n_used)]
    loads = [(0.0, thread) for thread in range(n_used)]
    for block in sorted(blocks, key=cost, reverse=True):
        load, thread = heapq.heappop(loads)
        assigned[thread].append(block)
        heapq.heappush(loads, (load + cost(block), thread))
    return max(loads)[0], assigned
