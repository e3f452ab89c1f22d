"""Molecules made whole and brought together across the periodic boundary, many frames at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.geometry import nearest_image, spanning_trees

__all__ = ["Imager"]

# Largest numbers of atoms of a molecule, and of the molecules placed before, among which the
# nearest pair is searched. In a system with water around it, the pair is closer than half the box.
_PROBES, _PLACED = 12, 500


class Imager:
    """Makes molecules whole and moves each to the image nearest to those placed before.

    The distance of two molecules is that of their closest atoms: by their centres, a ligand at the
    surface of a long protein could end up at the wrong side.

    Args:
        n_atoms: number of atoms.
        bonds: pairs of 0-based indices, shape (m, 2).
    """

    def __init__(self, n_atoms: int, bonds: Iterable[Sequence[int]]) -> None:
        steps, fragments = spanning_trees(n_atoms, bonds)
        depth = np.zeros(n_atoms, dtype=np.int64)
        for parent, child in steps.tolist():
            depth[child] = depth[parent] + 1
        self._steps = steps
        levels = depth[steps[:, 1]] if len(steps) else np.zeros(0, dtype=np.int64)
        self._levels = [steps[levels == level] for level in range(1, int(depth.max()) + 1)]
        # The largest molecule stays where it is.
        self._fragments = sorted(fragments, key=len, reverse=True)

    def __call__(
        self, positions: NDArray[np.floating], boxes: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """Return positions (f, n, 3) of whole molecules, close to each other.

        Args:
            positions: (f, n, 3), nm.
            boxes: (f, 3, 3), nm, box vectors as rows of lower-triangular matrices, or None.
        """
        if boxes is None:
            return np.asarray(positions, dtype=np.float32)
        single = boxes.astype(np.float32)  # as exact as the positions; twice as fast
        whole = self._joined(positions, single)
        self._gather(whole, single)
        return whole

    def _joined(
        self, positions: NDArray[np.floating], boxes: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        whole = np.array(positions, dtype=np.float32)
        if not len(self._steps):
            return whole
        parents, children = self._steps.T
        half = 0.5 * np.diagonal(boxes, axis1=1, axis2=2)[:, None]
        # 0.45 of the box, so that no bond near half of it is missed.
        split = (np.abs(whole[:, children] - whole[:, parents]) > 0.9 * half).any(axis=(1, 2))
        if split.any():
            part, box = whole[split], boxes[split][:, None]
            for level in self._levels:
                first, second = level.T
                part[:, second] = part[:, first] + nearest_image(
                    part[:, second] - part[:, first], box
                )
            whole[split] = part
        return whole

    def _gather(self, whole: NDArray[np.float32], boxes: NDArray[np.float32]) -> None:
        placed = self._fragments[0]
        for fragment in self._fragments[1:]:
            probes = _subset(fragment, _PROBES)
            anchors = _subset(placed, _PLACED)
            apart = whole[:, probes, None] - whole[:, None, anchors]
            nearest = nearest_image(apart, boxes[:, None, None])
            flat = (nearest**2).sum(axis=-1).reshape(len(whole), -1).argmin(axis=1)
            rows = np.arange(len(whole))
            moved = nearest.reshape(len(whole), -1, 3) - apart.reshape(len(whole), -1, 3)
            whole[:, fragment] += moved[rows, flat][:, None]
            placed = np.concatenate((placed, fragment))


def _subset(atoms: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return at most so many of the atoms, spread evenly."""
    if len(atoms) <= count:
        return atoms
    return atoms[np.linspace(0, len(atoms) - 1, count).astype(np.int64)]
