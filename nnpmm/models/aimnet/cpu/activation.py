"""GELU and its derivative, x Phi(x) and Phi(x) + x phi(x) with the normal distribution Phi.

In float32 the tail of Phi is exp(-x^2 / 2) times a polynomial in t = 1 / (1 + z / 2) with
z = |x| / 2^1/2, the form of Abramowitz and Stegun, 7.1.26, with more terms:
the error of Phi is below 2e-7. In float64, which serves for checks, the tail is from the library.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import overload
from scipy.special import erfcx

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import exponential, like

__all__ = ["activate"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive
_TERMS = 9
_LARGEST = 9.5  # end of the fitted range of z; beyond it the exponential is zero in float32


def _fitted_tail() -> tuple[np.float32, ...]:
    """Return the polynomial for exp(z^2) erfc(z) / (2 t), highest power first."""
    fit = np.polynomial.Chebyshev.interpolate(
        lambda t: 0.5 * erfcx(2 / t - 2) / t, _TERMS - 1, domain=[1 / (1 + _LARGEST / 2), 1]
    )
    coefficients = fit.convert(kind=np.polynomial.Polynomial).coef
    return tuple(np.float32(c) for c in coefficients[::-1])


_TAIL = _fitted_tail()
_ONE, _SCALE = np.float32(1.0), np.float32(0.5 * math.sqrt(0.5))
_ROOT_HALF, _DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def _tail(x: Any, bell: Any) -> Any:
    """Return the probability beyond |x| of a normal distribution, given exp(-x^2 / 2)."""
    return 0.5 * math.erfc(abs(x) * _ROOT_HALF)


@numba.njit(error_model="numpy", fastmath={"contract"}, inline="never")
def _tail32(x, bell):
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
    return p * t * bell


@overload(_tail)
def _overloaded_tail(x, bell):
    if x == types.float32:
        return lambda x, bell: _tail32(x, bell)
    return lambda x, bell: 0.5 * math.erfc(abs(x) * _ROOT_HALF)


@inner(fastmath=_FAST)
def activate(x, bias, slopes):
    """Add biases to numbers and apply GELU, in place; write its derivative to ``slopes``.

    The arguments are slices of equal length, because a scalar function with two results would not
    be vectorised, nor would a loop over indices that might be negative.
    """
    half, one, zero = like(0.5, x[0]), like(1, x[0]), like(0, x[0])
    density = like(_DENSITY, x[0])
    for k in range(len(x)):
        value = x[k] + bias[k]
        bell = exponential(-half * value * value)
        tail = _tail(value, bell)
        below = tail if value < zero else one - tail
        x[k] = value * below
        slopes[k] = below + density * value * bell
