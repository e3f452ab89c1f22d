"""Local diffusivity from the heights of a solute in an umbrella window.

A solute restrained at a height moves in the well formed by the restraint and the membrane. If its
motion there is overdamped, its position autocorrelation C(t) = <dz(t) dz(0)> gives the diffusivity
across the membrane (Hummer, New J. Phys. 2005, 7, 34, eq. 10),

    D = var(z)^2 / integral of C(t) dt from 0 to infinity = var(z) / tau.

The integral ends where its upper bound is six times tau, as for any autocorrelation time (Sokal
1997). For an exponential, the rest of the integral is below 0.3 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError

__all__ = ["FEWEST_SAMPLES", "Diffusivity", "window_diffusivity"]

_BLOCKS = 10
_WINDOW = 6.0  # correlation times
#: In a window, for an error from blocks.
FEWEST_SAMPLES = 2 * _BLOCKS


@dataclass(frozen=True)
class Diffusivity:
    """Diffusivity at one height.

    Attributes:
        value: D, nm^2/ps.
        error: one standard deviation, nm^2/ps.
        correlation_time: tau, ps; the interval between heights has to be shorter.
    """

    value: float
    error: float
    correlation_time: float


def window_diffusivity(heights: NDArray[np.floating], interval: float) -> Diffusivity:
    """Return the diffusivity in a window.

    The error is a jackknife over ten blocks of the series (Efron 1982).

    Args:
        heights: (samples,) nm, evenly spaced in time, 20 or more.
        interval: between samples, ps.

    Raises:
        SimulationError: too few samples, or heights that hardly change.
    """
    series = np.asarray(heights, dtype=np.float64)
    different = len(np.unique(series))
    if different < FEWEST_SAMPLES:
        raise SimulationError(
            f"found {len(series)} heights, {different} of them different, a diffusivity needs "
            f"{FEWEST_SAMPLES} or more: sample longer"
        )
    products, pairs = _block_correlations(series - series.mean())
    value, tau = _from_correlation(products.sum(axis=0) / pairs.sum(axis=0), interval)
    left_out = [
        _from_correlation(
            (products.sum(axis=0) - products[n]) / (pairs.sum(axis=0) - pairs[n]), interval
        )[0]
        for n in range(_BLOCKS)
    ]
    variance = (_BLOCKS - 1) * np.var(left_out)
    return Diffusivity(value, float(np.sqrt(variance)), tau)


def _block_correlations(
    deviations: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums of dz(s) dz(s + t) and their number, (blocks, lags), by the block of s.

    Lags reach to a block's length.
    """
    blocks = np.array_split(np.arange(len(deviations)), _BLOCKS)
    lags = len(blocks[-1])
    padded = np.concatenate([deviations, np.zeros(lags)])
    size = 1 << (3 * lags).bit_length()
    products, pairs = np.empty((_BLOCKS, lags)), np.empty((_BLOCKS, lags))
    for n, block in enumerate(blocks):
        first, after = block[0], block[-1] + 1
        own = np.fft.rfft(deviations[first:after], size)
        reach = np.fft.rfft(padded[first : after + lags], size)
        products[n] = np.fft.irfft(own.conj() * reach, size)[:lags]
        last = np.minimum(after, len(deviations) - np.arange(lags))
        pairs[n] = np.maximum(last - first, 0)
    return products, pairs


def _from_correlation(correlation: NDArray[np.float64], interval: float) -> tuple[float, float]:
    """Return D, nm^2/ps, and tau, ps, from (lags,) values of C, nm^2."""
    normalized = correlation / correlation[0]
    # Trapezoidal rule: the first value and the last one have half the weight.
    times = interval * (np.cumsum(normalized) - 0.5 * normalized[0] - 0.5 * normalized)
    ends = np.flatnonzero(np.arange(len(times)) * interval >= _WINDOW * np.maximum(times, 0.0))
    end = next((n for n in ends if n > 0), len(times) - 1)
    tau = max(float(times[end]), interval / 2.0)
    return float(correlation[0]) / tau, tau
