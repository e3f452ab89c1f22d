"""Torsion profiles: rotamers, barriers, and differences between two profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from nnpmm.core.constants import KJ_PER_KCAL

__all__ = [
    "FLAGGED",
    "ProfileErrors",
    "barrier_heights",
    "compare_profiles",
    "maxima",
    "relative",
    "rotamers",
]

#: kJ/mol between force field and network at a rotamer: 3 kcal/mol, the criterion by which
#: R. Galvelis et al. (J. Chem. Inf. Model. 2023, 63, 5701) chose ligands for NNP/MM.
FLAGGED = 3.0 * KJ_PER_KCAL
_PROMINENCE = 0.2 * KJ_PER_KCAL  # kJ/mol, of an extremum; smaller ripples do not count

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class ProfileErrors:
    """Differences between two profiles at the same angles, kJ/mol.

    Attributes:
        rmse: root mean square of the differences without their mean: the zero is arbitrary.
        mae: mean absolute difference, likewise.
        mae_from_minimum: mean absolute difference with both lowest energies at zero.
        barrier: height of the highest point above the lowest, minus that of the reference.
        rotamer: largest absolute difference at a rotamer of either, with both lowest energies at
            zero.
    """

    rmse: float
    mae: float
    mae_from_minimum: float
    barrier: float
    rotamer: float


def relative(energies: _Array) -> _Array:
    """Return energies (..., a) with the lowest of each profile at zero; NaN stays NaN."""
    return np.asarray(energies - np.nanmin(energies, axis=-1, keepdims=True))


def rotamers(energies: _Array) -> NDArray[np.int64]:
    """Return the indices of the minima of a periodic profile (a,), without ripples."""
    return maxima(-energies)


def maxima(energies: _Array) -> NDArray[np.int64]:
    """Return the indices of the maxima of a periodic profile (a,), without ripples."""
    count = len(energies)
    found, _ = scipy.signal.find_peaks(np.tile(energies, 3), prominence=_PROMINENCE)
    return np.asarray(np.unique(found[(found >= count) & (found < 2 * count)] - count))


def compare_profiles(reference: _Array, energies: _Array) -> ProfileErrors:
    """Return the differences of a profile from a reference.

    Args:
        reference: (a,), kJ/mol; angles where it is NaN are left out.
        energies: (a,), kJ/mol.
    """
    known = np.isfinite(reference)
    first, second = relative(reference), relative(np.where(known, energies, np.nan))
    differences = (second - first)[known]
    shifted = differences - differences.mean()
    places = rotamers(reference) if known.all() else np.array([], dtype=np.int64)
    places = np.concatenate([places, rotamers(energies), [np.nanargmin(first)]])
    at_rotamers = (second - first)[places]
    return ProfileErrors(
        rmse=float(np.sqrt(np.mean(shifted**2))),
        mae=float(np.abs(shifted).mean()),
        mae_from_minimum=float(np.abs(differences).mean()),
        barrier=float(np.nanmax(second) - np.nanmax(first)),
        rotamer=float(np.nanmax(np.abs(at_rotamers))),
    )


def barrier_heights(energies: _Array, minima: NDArray[np.int64]) -> _Array:
    """Return the highest energies between neighbouring minima, above the lowest of all, kJ/mol.

    Args:
        energies: periodic profile, (a,), kJ/mol.
        minima: indices of m minima of it or of another profile, in order.

    Returns:
        Shape (m,), from each minimum to the next; the last one to the first, around the circle.
    """
    count = len(energies)
    ends = np.append(minima[1:], minima[:1] + count)
    twice = np.tile(energies, 2)
    highest = [twice[first : last + 1].max() for first, last in zip(minima, ends, strict=True)]
    return np.asarray(highest) - energies.min()
