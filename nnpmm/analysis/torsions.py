"""Torsion angles: the rotamers that a distribution has, their populations, and transitions.

A rotamer is a basin of the distribution: from one minimum of the density to the next. The density
is a sum of von Mises kernels 10 degrees wide. A basin counts on its own if the density falls to
less than half between its peak and that of the neighbour. The core of a rotamer is where the
density is more than half of its peak. A transition is an arrival in another core than the last one
(Buchete and Hummer, J. Phys. Chem. B 2008, 112, 6057), so that visits to a border do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Rotamers", "circular_density", "find_rotamers", "torsion_angles"]

_BINS = 360
_WIDTH = np.deg2rad(10.0)  # of a kernel
_HIGHEST_DIP = 0.5  # of the density between two rotamers, relative to the lower peak
_CORE = 0.5  # lowest density of a core, relative to the peak
_LOWEST_PEAK = 0.01  # density relative to the highest peak; lower ones are no rotamers


@dataclass(frozen=True, eq=False)
class Rotamers:
    """The rotamers of a torsion, in rising order of their peaks.

    Attributes:
        peaks: (r,) degrees, from -180 to 180.
        basin: (360,) rotamer of each whole degree, from -180 on.
        core: (360,) whether it is in the core of that rotamer.
    """

    peaks: NDArray[np.float64]
    basin: NDArray[np.int64]
    core: NDArray[np.bool_]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rotamers by their angles, such as ``"-60°"``."""
        return tuple(f"{peak:.0f}°" for peak in self.peaks)

    def states(self, angles: ArrayLike) -> NDArray[np.int64]:
        """Return the rotamer of each angle (n,) in degrees."""
        return np.asarray(self.basin[_bins(angles)])

    def transitions(self, angles: ArrayLike) -> int:
        """Return how often a series of angles (n,) in degrees goes from one core to another."""
        bins = _bins(angles)
        visited = self.basin[bins][self.core[bins]]
        return int(np.count_nonzero(np.diff(visited)))


def torsion_angles(positions: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the torsions (f, t) in degrees of molecules that are whole.

    Args:
        positions: (f, n, 3), nm.
        rows: (t, 4) of the atoms.
    """
    if not len(rows):
        return np.zeros((len(positions), 0), dtype=np.float32)
    found = mdtraj.compute_dihedrals(mdtraj.Trajectory(positions, None), rows, periodic=False)
    return np.asarray(np.rad2deg(found), dtype=np.float32)


def circular_density(angles: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return angles (360,) in degrees and the density (360,) per degree of a set of angles."""
    counts = np.bincount(_bins(angles), minlength=_BINS).astype(np.float64)
    grid = -180.0 + 360.0 / _BINS * (np.arange(_BINS) + 0.5)
    kernel = np.exp((np.cos(np.deg2rad(360.0 / _BINS * np.arange(_BINS))) - 1) / _WIDTH**2)
    smooth = np.fft.irfft(np.fft.rfft(counts) * np.fft.rfft(kernel), _BINS)
    smooth = np.maximum(smooth, 0.0)
    return np.asarray(grid), np.asarray(smooth / (smooth.sum() * 360.0 / _BINS))


def find_rotamers(angles: ArrayLike) -> Rotamers:
    """Return the rotamers of a torsion.

    Args:
        angles: (n,) degrees, of all trajectories that are to have the same rotamers.
    """
    grid, density = circular_density(angles)
    peaks = _kept_peaks(density)
    borders = [_lowest(density, a, b) for a, b in zip(peaks, np.roll(peaks, -1), strict=True)]
    if len(peaks) < 2:
        basin = np.zeros(_BINS, dtype=np.int64)
    else:
        # From the border behind the last peak, which lies across 180 degrees, in order.
        shifted = (np.arange(_BINS) - borders[-1]) % _BINS
        ends = np.sort([(border - borders[-1]) % _BINS for border in borders[:-1]])
        basin = np.searchsorted(ends, shifted, side="right")
        # Basins are counted from that border; the first holds the first peak behind it.
        first = int(np.argmin((np.array(peaks) - borders[-1]) % _BINS))
        basin = (basin + first) % len(peaks)
    core = density > _CORE * density[np.array(peaks)][basin]
    return Rotamers(grid[np.array(peaks)].round(), basin, core)


def _kept_peaks(density: NDArray[np.float64]) -> list[int]:
    """Return the bins of the peaks that stand on their own."""
    before, after = np.roll(density, 1), np.roll(density, -1)
    peaks = np.flatnonzero((density >= before) & (density > after)).tolist()
    if not peaks:
        return [int(density.argmax())]
    while len(peaks) > 1:
        dips = []
        for n, peak in enumerate(peaks):
            other = peaks[(n + 1) % len(peaks)]
            lowest = density[_lowest(density, peak, other)]
            dips.append(lowest / min(density[peak], density[other]))
        worst = int(np.argmax(dips))
        rare = [n for n, peak in enumerate(peaks) if density[peak] < _LOWEST_PEAK * density.max()]
        if dips[worst] <= _HIGHEST_DIP and not rare:
            break
        pair = (worst, (worst + 1) % len(peaks))
        lower = rare[0] if rare else min(pair, key=lambda n: density[peaks[n]])
        peaks.pop(lower)
    return peaks


def _lowest(density: NDArray[np.float64], first: int, last: int) -> int:
    """Return the bin of least density on the way up from one bin to another."""
    way = (first + np.arange(((last - first) % _BINS or _BINS) + 1)) % _BINS
    low = way[density[way] <= density[way].min() + 1e-300]
    return int(low[len(low) // 2])  # the middle of an empty stretch


def _bins(angles: ArrayLike) -> NDArray[np.int64]:
    values = np.asarray(angles, dtype=np.float64)
    return np.asarray(np.floor((values + 180.0) * _BINS / 360.0), dtype=np.int64) % _BINS
