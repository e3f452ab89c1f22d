"""Radial distribution functions, and the first shell in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mdtraj
import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.averages import Average

__all__ = [
    "Shell",
    "choose_pairs",
    "find_shell",
    "jackknife",
    "mean_curve",
    "neighbours",
    "peak",
    "radial_distribution",
]

#: Radii (nm) of a peak and of the minimum behind it.
Shell = tuple[float, float]
_PROMINENCE = 0.1  # of g(r); smaller maxima are noise
_AROUND = 0.03  # nm, largest shift of the peak of a part from that of the full trajectory


def choose_pairs(
    first: NDArray[np.int64], second: NDArray[np.int64], molecules: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Return pairs (p, 2) of atoms in different molecules.

    If there are more than allowed, the pairs are those of some of the first atoms, spread evenly
    over the list. g(r) is an average over the first atoms, so their choice does not
    bias it.

    Args:
        first: indices of atoms.
        second: indices of atoms; the same ones for a distribution within one element.
        molecules: (n_atoms,) number of each atom's molecule.
        most: approximate largest number of pairs.
    """
    count = max(1, most // max(1, len(second)))
    same_element = np.array_equal(first, second)
    all_first = len(first) <= count
    if not all_first:
        first = first[np.linspace(0, len(first) - 1, count).astype(np.int64)]
    pairs = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    counted = molecules[pairs[:, 0]] != molecules[pairs[:, 1]]
    if same_element and all_first:
        counted &= pairs[:, 0] < pairs[:, 1]  # each pair once
    chosen: NDArray[np.int64] = pairs[counted]
    return chosen


def radial_distribution(
    positions: NDArray[np.floating],
    box: NDArray[np.float64],
    pairs: NDArray[np.int64],
    radii: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return g(r) (b,) of one frame, relative to pairs at random positions.

    Args:
        positions: (n, 3) nm.
        box: (3, 3) nm, rows; over twice as wide as the largest radius.
        pairs: (p, 2).
        radii: (b,) nm, the centres of bins of one width that begin at 0.
    """
    frame = mdtraj.Trajectory(np.asarray(positions, dtype=np.float32)[None], None)
    frame.unitcell_vectors = np.asarray(box, dtype=np.float32)[None]
    reach = float(radii[0] + radii[-1])
    _, found = mdtraj.compute_rdf(frame, pairs, r_range=(0.0, reach), n_bins=len(radii))
    return np.asarray(found, dtype=np.float64)


def find_shell(radii: NDArray[np.float64], values: NDArray[np.float64]) -> Shell | None:
    """Return the radii of the first peak of g(r) and of the minimum behind it; None without a peak.

    Args:
        radii: (b,) nm.
        values: (b,) g(r).
    """
    from scipy.signal import find_peaks  # its import takes half a second

    smooth = np.convolve(np.pad(values, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    peaks, _ = find_peaks(smooth, prominence=_PROMINENCE)
    if not len(peaks):
        return None
    end = int(peaks[1]) if len(peaks) > 1 else len(smooth)
    lowest = int(peaks[0] + np.argmin(smooth[peaks[0] : end]))
    return float(radii[peaks[0]]), float(radii[lowest])


def peak(
    radii: NDArray[np.float64], values: NDArray[np.float64], near: float
) -> tuple[float, float]:
    """Return radius (nm) and height of a peak, by a parabola through its highest three points.

    Args:
        radii: (b,) nm.
        values: (b,) g(r).
        near: nm, approximate radius.
    """
    inside = np.flatnonzero(np.abs(radii - near) <= _AROUND)
    top = int(np.clip(inside[values[inside].argmax()], 1, len(values) - 2))
    before, middle, after = values[top - 1 : top + 2]
    curvature = before - 2 * middle + after
    if curvature >= 0:
        return float(radii[top]), float(middle)
    shift = 0.5 * (before - after) / curvature
    height = middle - 0.25 * (before - after) * shift
    return float(radii[top] + shift * (radii[1] - radii[0])), float(height)


def neighbours(
    radii: NDArray[np.float64], values: NDArray[np.float64], density: float, within: float
) -> float:
    """Return the mean number of neighbours, 4 pi rho times the integral of g(r) r^2.

    Args:
        radii: (b,) nm, centres of bins.
        values: (b,) g(r).
        density: nm^-3, of the neighbours.
        within: nm, the largest radius.
    """
    edges = np.append(radii - radii[0], radii[-1] + radii[0])
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return float(density * (values * shells)[radii <= within].sum())


def jackknife(
    blocks: NDArray[np.float64], samples: int, function: Callable[[NDArray[np.float64]], float]
) -> Average:
    """Return a property of the mean of blocks with its jackknife error.

    Args:
        blocks: (k, b) curves.
        samples: number of frames of all blocks.
        function: returns the property of a curve (b,).
    """
    count, value = len(blocks), function(blocks.mean(axis=0))
    error = float("nan")
    if count > 1:
        parts = np.array(
            [function(np.delete(blocks, n, axis=0).mean(axis=0)) for n in range(count)]
        )
        if np.ptp(parts) > 0:
            error = float(np.sqrt((count - 1) / count * ((parts - parts.mean()) ** 2).sum()))
    return Average(value, error, samples / count, samples)


def mean_curve(
    replicas: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (b,) of the blocks (k, b) of all replicas, and its standard errors."""
    blocks = np.concatenate(replicas)
    error = np.full(blocks.shape[1], np.nan)
    if len(blocks) > 1:
        error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
    return blocks.mean(axis=0), error
