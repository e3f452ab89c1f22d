"""Placement of the states of a ladder at equal distances in thermodynamic length.

The thermodynamic length of a path is the integral of the standard deviation of the derivative of
the reduced energy along it (Crooks, Phys. Rev. Lett. 2007, 99, 100602). States that are equally far
apart overlap equally well, whatever parameter describes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import logsumexp

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy.estimators import mbar, thermal_energy
from nnpmm.freeenergy.ladders import independent_windows

__all__ = ["place_states", "thermodynamic_lengths"]

_LEAST_COMMON = 0.05  # Bhattacharyya coefficient, as of two normal distributions 4.9 sigma apart
_SHORTEST = 1e-6  # length of an interval, so that the length increases even between equal states


def thermodynamic_lengths(
    windows: Sequence[ArrayLike], *, temperature: Any, names: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Return the thermodynamic lengths between neighbouring states of a ladder, (K - 1,).

    From the Bhattacharyya coefficient of two states, B = integral (p_i p_j)^(1/2), the length is
    (-8 ln B)^(1/2). It is exact for normal distributions of one width, and to second order in the
    distance for all. MBAR gives B as the sum of (W_ni W_nj)^(1/2) over all samples n.

    Args:
        windows: energies of the ladder, K arrays (n_k, K), kJ/mol or Quantity.
        temperature: of all states, K or Quantity.
        names: of the states, for the error message; their indices if left out.

    Raises:
        ConfigError: fewer than two states, or arrays of another shape.
        SimulationError: neighbouring states hardly overlap, or an energy is not finite.
    """
    kept = independent_windows(windows, equilibration=True)
    counts = np.array([len(samples) for samples in kept])
    energies = np.concatenate(kept).T
    solved = mbar(energies, counts, temperature=temperature, min_overlap=0.0)
    kt = thermal_energy(temperature)
    relative = (solved.delta[0] / kt)[:, None] - energies / kt
    weights = relative - logsumexp(relative, axis=0, b=counts[:, None])  # ln W
    common = np.exp([logsumexp(0.5 * (a + b)) for a, b in itertools.pairwise(weights)])
    for state, share in enumerate(common):
        if not share >= _LEAST_COMMON:
            first, second = (names or range(len(kept)))[state : state + 2]
            raise SimulationError(
                f"states {first} and {second} of the pilot have {share:.2g} of their distributions "
                f"in common, allowed: {_LEAST_COMMON:g} or more; add a state between them"
            )
    return np.asarray(np.sqrt(np.maximum(-8 * np.log(np.minimum(common, 1.0)), 0.0)))


def place_states(values: Sequence[float], lengths: ArrayLike, *, count: int) -> NDArray[np.float64]:
    """Return values of a parameter whose states are equally far apart in thermodynamic length.

    Between the states of the pilot the parameter is a monotone cubic function of the length.

    Args:
        values: (K,) of the parameter in the pilot, rising or falling.
        lengths: (K - 1,) between its neighbours, from `thermodynamic_lengths`.
        count: number of states, the two ends included.

    Returns:
        Values (count,), with the ends of the pilot.

    Raises:
        ConfigError: fewer than two states, values that do not rise or fall, or lengths that are not
            one positive number for each interval.
    """
    given, steps = np.asarray(values, dtype=np.float64), np.asarray(lengths, dtype=np.float64)
    if count < 2 or given.ndim != 1 or len(given) < 2:
        raise ConfigError(
            f"found {given.size} states of a pilot and {count} to place, allowed: two or more"
        )
    if not (np.all(np.diff(given) > 0) or np.all(np.diff(given) < 0)):
        raise ConfigError(f"found the values {given.tolist()}, allowed: rising or falling ones")
    if steps.shape != (len(given) - 1,) or not np.all(np.isfinite(steps) & (steps >= 0)):
        raise ConfigError(
            f"found the lengths {steps.tolist()} for {len(given)} states, allowed: a number of 0 "
            "or more for each pair of neighbours"
        )
    along = np.concatenate([[0.0], np.cumsum(np.maximum(steps, _SHORTEST))])
    placed = PchipInterpolator(along, given)(np.linspace(0.0, along[-1], count))
    placed[[0, -1]] = given[[0, -1]]
    return np.asarray(placed)
