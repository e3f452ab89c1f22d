r"""Weights that remove a bias: of metadynamics while it grows, and of many states by MBAR.

Metadynamics: w = exp((V(s, t) - c(t)) / kT) with

    c(t) = kT ln [ int ds exp(g V / ((g - 1) kT)) / int ds exp(V / ((g - 1) kT)) ]

for a bias factor g (Tiwary and Parrinello, J. Phys. Chem. B 2015, 119, 736).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from nnpmm.freeenergy.estimators import mbar, thermal_energy
from nnpmm.sampling import BiasGrid

__all__ = ["mbar_weights", "metadynamics_offsets"]

_OFFSETS = 1000  # times at which c(t) is calculated; it is interpolated between them
_MBAR_SAMPLES = 4000  # evenly spaced samples from which MBAR's free energies are calculated


def metadynamics_offsets(
    grids: Sequence[BiasGrid],
    centres: ArrayLike,
    heights: ArrayLike,
    *,
    temperature: float,
    bias_factor: float,
) -> NDArray[np.float64]:
    """Return c (n,) before each Gaussian, kJ/mol.

    Args:
        grids: of the d biased variables.
        centres: (n, d) of the Gaussians in their order.
        heights: (n,) kJ/mol.
        temperature: K.
        bias_factor: g.
    """
    kt, points = thermal_energy(temperature), np.asarray(centres, dtype=np.float64)
    amounts = np.asarray(heights, dtype=np.float64)
    axes = [_inside(grid) for grid in grids]
    shapes = [
        _shapes(grid, axis, column)
        for grid, axis, column in zip(grids, axes, points.T, strict=True)
    ]
    count = len(points)
    knots = np.unique(np.linspace(0, count - 1, min(count, _OFFSETS)).astype(np.int64))
    bias = np.zeros([len(axis) for axis in axes])
    offsets, added = [], 0
    for knot in knots.tolist():
        bias += _sum(amounts[added:knot], [shape[added:knot] for shape in shapes])
        added = knot
        scaled = bias / ((bias_factor - 1) * kt)
        offsets.append(kt * (logsumexp(bias_factor * scaled) - logsumexp(scaled)))
    return np.asarray(np.interp(np.arange(count), knots, offsets))


def _inside(grid: BiasGrid) -> NDArray[np.float64]:
    """Return the points of a grid within its range, those of a periodic boundary only once."""
    points = grid.points
    if grid.periodic:
        return points[:-1]
    return points[(points >= grid.low) & (points <= grid.high)]


def _shapes(
    grid: BiasGrid, axis: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Gaussians of height 1 along one variable, (n, points)."""
    distance = axis[None, :] - centres[:, None]
    period = grid.variable.period
    if period is not None:
        distance -= period * np.round(distance / period)
    return np.asarray(np.exp(-0.5 * (distance / grid.width) ** 2))


def _sum(heights: NDArray[np.float64], shapes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the sum of Gaussians that are products of shapes along each variable."""
    letters = "abc"[: len(shapes)]
    inputs = ",".join(["n", *(f"n{letter}" for letter in letters)])
    return np.asarray(np.einsum(f"{inputs}->{letters}", heights, *shapes, optimize=True))


def mbar_weights(
    energies: NDArray[np.float64],
    target: NDArray[np.float64],
    temperatures: Sequence[float],
    temperature: float,
) -> NDArray[np.float64]:
    """Return ln w (n, K) of samples of K states, for a target state.

    Shirts and Chodera, J. Chem. Phys. 2008, 129, 124105: w = exp(-u) / sum_k N_k exp(f_k - u_k).

    Args:
        energies: (n, K, K) of n samples of the row's state in the column's, kJ/mol.
        target: (n, K) of the samples in the target state, kJ/mol.
        temperatures: (K,) of the states, K.
        temperature: of the target state, K.

    Raises:
        SimulationError: see `nnpmm.freeenergy.mbar`.
    """
    kt = thermal_energy(temperature)
    count, states = energies.shape[:2]
    scaled = energies * (temperature / np.asarray(temperatures))
    every = max(1, count * states // _MBAR_SAMPLES)
    fitted = scaled[::every]
    columns = fitted.transpose(1, 0, 2).reshape(-1, states).T
    free_energies = mbar(columns, [len(fitted)] * states, temperature=temperature)
    f = free_energies.delta[0] / kt
    mixture = logsumexp(f + np.log(count) - scaled / kt, axis=-1)
    return np.asarray(-target / kt - mixture)
