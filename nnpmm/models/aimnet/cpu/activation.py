"""GELU and its derivative, x Phi(x) and Phi(x) + x phi(x) with the normal distribution Phi.

In float32 the tail of Phi is exp(-x^2 / 2) times a polynomial in t = 1 / (1 + z / 2), z = |x| / 2^1/2,
the form of Abramowitz and Stegun, 7.1.26, with more terms: Phi is good to 2e-7. In float64, kept for
checks, it is the library's.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import overload
from scipy.special import erfcx

from nnpmm.models.cpu.functions import exponential

__all__ = ["gelu"]

_TERMS = 9
_LARGEST = 9.5  # of z; beyond, the exponential is zero in float32
_ROOT_HALF, _PER_ROOT_2_PI = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def _tail() -> tuple[np.float32, ...]:
    """Return the polynomial for exp(z^2) erfc(z) / (2 t), highest power first."""
    fit = np.polynomial.Chebyshev.interpolate(
        lambda t: 0.5 * erfcx(2 / t - 2) / t, _TERMS - 1, domain=[1 / (1 + _LARGEST / 2), 1]
    )
    coefficients = fit.convert(kind=np.polynomial.Polynomial).coef
    return tuple(np.float32(c) for c in coefficients[::-1])


_TAIL = _tail()
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_SCALE, _DENSITY = np.float32(0.5 * _ROOT_HALF), np.float32(_PER_ROOT_2_PI)


def gelu(x: Any) -> Any:
    """Return GELU of a float32 or float64 and its derivative."""
    below = 0.5 * math.erfc(-x * _ROOT_HALF)
    return x * below, below + x * _PER_ROOT_2_PI * math.exp(-0.5 * x * x)


@numba.njit(fastmath={"contract"}, inline="never")
def _gelu32(x):
    bell = exponential(-_HALF * x * x)
    t = _ONE / (_ONE + _SCALE * abs(x))
    p = _TAIL[0]
    p = p * t + _TAIL[1]
    p = p * t + _TAIL[2]
    p = p * t + _TAIL[3]
    p = p * t + _TAIL[4]
    p = p * t + _TAIL[5]
    p = p * t + _TAIL[6]
    p = p * t + _TAIL[7]
    p = p * t + _TAIL[8]
    tail = p * t * bell
    below = tail if x < np.float32(0) else _ONE - tail
    return x * below, below + x * _DENSITY * bell


@overload(gelu)
def _gelu(x):
    if x == types.float32:
        return lambda x: _gelu32(x)

    def double(x):
        below = 0.5 * math.erfc(-x * _ROOT_HALF)
        return x * below, below + x * _PER_ROOT_2_PI * math.exp(-0.5 * x * x)

    return double
