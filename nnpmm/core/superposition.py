"""Superposition of structures by least squares: W. Kabsch, Acta Cryst. 1976, A32, 922."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["superposed", "superposed_rmsd"]


def superposed(
    positions: NDArray[np.floating], rows: NDArray[np.int64], reference: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return structures, translated and rotated so that some atoms fit a reference best.

    Fewer than three atoms, or atoms on a line, leave the rotation about them undetermined; then
    any one of the best rotations is used.

    Args:
        positions: (n, 3) or (frames, n, 3), nm.
        rows: (k,) atoms to superpose.
        reference: (k, 3) of these atoms, nm.
    """
    positions = np.asarray(positions, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    target = reference.mean(axis=0)
    source = positions[..., rows, :].mean(axis=-2, keepdims=True)
    centered = np.swapaxes(positions[..., rows, :] - source, -1, -2)
    u, _, vt = np.linalg.svd(centered @ (reference - target))
    # The last axis is mirrored where the best orthogonal matrix would be a reflection.
    u[..., -1] *= (np.sign(np.linalg.det(u)) * np.sign(np.linalg.det(vt)))[..., None]
    return np.asarray((positions - source) @ (u @ vt) + target)


def superposed_rmsd(points: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the minimum root-mean-square deviation over translations and rotations, nm.

    Args:
        points: (n, 3), nm.
        reference: (n, 3), nm.
    """
    moved = superposed(points, np.arange(len(points)), reference)
    return float(np.sqrt(((moved - reference) ** 2).sum(axis=-1).mean()))
