"""Elementary functions that LLVM can run on a whole vector at once.

A call into the C library prevents vectorisation of a loop. In float32 these functions are therefore
short polynomials, with errors up to two units in the last place in the ranges that are used here.
In float64, which serves for checks, they are those of the library.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

__all__ = ["cosine_and_sine", "cosine_cutoff", "exponential", "like", "logarithm"]

_LOG2_E = np.float32(1.44269504088896341)
# ln 2 in two parts. The first has few digits, so that its product with an integer is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_SMALLEST, _LARGEST = np.float32(-87.0), np.float32(88.0)
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
# Cephes, expf and logf (S. L. Moshier, public domain): minimax polynomials.
_EXP = tuple(
    np.float32(c)
    for c in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_LOG = tuple(
    np.float32(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)
_SQRT_HALF_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_ONE_BITS = np.int32(0x3F800000)
_MANTISSA = np.int32(0x007FFFFF)


# Taylor series, long enough for angles up to a quarter turn.
_SINE = tuple(np.float32((-1) ** k / math.factorial(2 * k + 1)) for k in range(6))
_COSINE = tuple(np.float32((-1) ** k / math.factorial(2 * k)) for k in range(7))
_HALF_PI = np.float32(math.pi / 2)


def like(value: float, x: Any) -> Any:
    """Return a number in the precision of x."""
    return type(x)(value)


def exponential(x: Any) -> Any:
    """Return exp(x) of a float32 or float64; a float32 is clamped to the finite range."""
    return np.exp(x)


def logarithm(x: Any) -> Any:
    """Return log(x) of a positive, normal float32, or of a float64."""
    return np.log(x)


def cosine_and_sine(x: Any) -> Any:
    """Return cos(x) and sin(x) of an angle between 0 and 180 degrees."""
    return np.cos(x), np.sin(x)


@intrinsic
def _as_float(typingctx, bits):
    """Read the bits of an int32 as a float32."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def _as_bits(typingctx, value):
    """Read the bits of a float32 as an int32."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@numba.njit(fastmath={"contract"}, inline="never")
def _exponential32(x: np.float32) -> np.float32:
    # The comparisons let NaN through.
    x = _SMALLEST if x < _SMALLEST else x
    x = _LARGEST if x > _LARGEST else x
    n = np.floor(x * _LOG2_E + _HALF)
    x = x - n * _LN2_HIGH
    x = x - n * _LN2_LOW
    p = _EXP[0]
    p = p * x + _EXP[1]
    p = p * x + _EXP[2]
    p = p * x + _EXP[3]
    p = p * x + _EXP[4]
    p = p * x + _EXP[5]
    p = p * (x * x) + x + _ONE
    return p * _as_float(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))


@numba.njit(fastmath={"contract"}, inline="never")
def _logarithm32(x: np.float32) -> np.float32:
    # x = 2^n m with m between sqrt(1/2) and sqrt(2).
    bits = np.int32(_as_bits(x) - _SQRT_HALF_BITS)
    n = np.float32(bits >> np.int32(23))
    m = _as_float(np.int32((bits & _MANTISSA) + _SQRT_HALF_BITS)) - _ONE
    p = _LOG[0]
    p = p * m + _LOG[1]
    p = p * m + _LOG[2]
    p = p * m + _LOG[3]
    p = p * m + _LOG[4]
    p = p * m + _LOG[5]
    p = p * m + _LOG[6]
    p = p * m + _LOG[7]
    p = p * m + _LOG[8]
    square = m * m
    tail = p * square * m + n * _LN2_LOW - _HALF * square
    return m + tail + n * _LN2_HIGH + (x - x)  # NaN stays NaN


@numba.njit(fastmath={"contract"}, inline="never")
def _cosine_and_sine32(x: np.float32) -> tuple[np.float32, np.float32]:
    x = _HALF_PI - x
    square = x * x
    p = _SINE[5]
    p = p * square + _SINE[4]
    p = p * square + _SINE[3]
    p = p * square + _SINE[2]
    p = p * square + _SINE[1]
    q = _COSINE[6]
    q = q * square + _COSINE[5]
    q = q * square + _COSINE[4]
    q = q * square + _COSINE[3]
    q = q * square + _COSINE[2]
    q = q * square + _COSINE[1]
    return p * square * x + x, q * square + _ONE


@overload(like)
def _like(value, x):
    if x == types.float32:
        return lambda value, x: np.float32(value)
    return lambda value, x: np.float64(value)


@overload(exponential)
def _exponential(x):
    if x == types.float32:
        return lambda x: _exponential32(x)
    return lambda x: math.exp(x)


@overload(logarithm)
def _logarithm(x):
    if x == types.float32:
        return lambda x: _logarithm32(x)
    return lambda x: math.log(x)


@overload(cosine_and_sine)
def _cosine_and_sine(x):
    if x == types.float32:
        return lambda x: _cosine_and_sine32(x)
    return lambda x: (math.cos(x), math.sin(x))


@numba.njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})
def cosine_cutoff(r, radius):
    """Return the cosine cutoff function of a distance up to its radius, and its derivative."""
    half, frequency = like(0.5, r), like(math.pi, r) / radius
    cosine, sine = cosine_and_sine(r * frequency)
    return half * cosine + half, -half * frequency * sine
