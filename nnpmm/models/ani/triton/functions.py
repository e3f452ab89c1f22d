"""The symmetry functions of one atom on the device, forward and backward.

Equations 3 and 4 of Smith, Isayev and Roitberg, Chem. Sci. 2017, 8, 3192, as in
`nnpmm.models.ani.parameters.SymmetryFunctions`. The angle itself is never calculated: with
c = 0.95 cos(theta), cos(acos(c) - shift) = c cos(shift) + sqrt(1 - c^2) sin(shift). The root is at
least 0.31, so that angles of 0 and 180 degrees are not special cases.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

__all__ = ["angular_gradient", "angular_terms", "radial_derivative", "radial_terms"]

_PI = tl.constexpr(math.pi)
_LOG2_E = tl.constexpr(math.log2(math.e))


@triton.jit
def _cutoff_function(r, CUTOFF: tl.constexpr):
    """Return f = (cos(pi r / cutoff) + 1) / 2 and its derivative.

    With x = pi (r / cutoff - 1/2), which is between -pi/2 and pi/2, f = (1 - sin x) / 2. The Taylor
    series have enough terms for the precision. The sine of the device's library would reserve local
    memory for the reduction of large arguments.
    """
    x = r * (_PI / CUTOFF) - 0.5 * _PI
    squared = x * x
    sine = squared * 0.0 + 1.0
    cosine = sine
    terms: tl.constexpr = 11 if r.dtype == tl.float64 else 6
    k = tl.full((), 2.0 * terms + 1.0, r.dtype)  # a constant of this type, for constant folding
    for _ in tl.static_range(terms):
        sine = 1.0 - squared * (1.0 / (k * (k - 1.0))) * sine
        cosine = 1.0 - squared * (1.0 / ((k - 1.0) * (k - 2.0))) * cosine
        k -= 2.0
    return 0.5 - 0.5 * x * sine, cosine * (-0.5 * _PI / CUTOFF)


@triton.jit
def _load_shifts(table, ROW: tl.constexpr, COUNT: tl.constexpr, PADDED: tl.constexpr,
                 M: tl.constexpr):  # fmt: skip
    columns = tl.arange(0, PADDED)
    return tl.load(table + ROW * M.shift_length + columns, mask=columns < COUNT, other=0.0)


@triton.jit
def radial_terms(r, table, M: tl.constexpr):
    """Return the terms of equation 3, (p, shifts), for distances (p,)."""
    shifts = _load_shifts(table, 0, M.shifts, M.shifts_padded, M)
    cutoff, _ = _cutoff_function(r, M.radial_cutoff)
    offset = r[:, None] - shifts[None, :]
    return tl.exp2(offset * offset * (-M.radial_eta * _LOG2_E)) * (0.25 * cutoff)[:, None]


@triton.jit
def radial_derivative(r, table, gradient, M: tl.constexpr):
    """Return dE/dr, (p,), from the gradient with respect to the radial terms, (p, shifts)."""
    shifts = _load_shifts(table, 0, M.shifts, M.shifts_padded, M)
    cutoff, slope = _cutoff_function(r, M.radial_cutoff)
    offset = r[:, None] - shifts[None, :]
    weighted = gradient * tl.exp2(offset * offset * (-M.radial_eta * _LOG2_E))
    first_moment = tl.sum(weighted * offset, 1)
    return 0.25 * slope * tl.sum(weighted, 1) - cutoff * first_moment * (0.5 * M.radial_eta)


@triton.jit
def _angular_factors(r_a, r_b, cosine, table, M: tl.constexpr):
    """Return base-2 logarithms of both factors of equation 4, without cutoffs and the factor 2.

    Args:
        r_a, r_b, cosine: distances and c of the pairs, (p,).
        table: shifts of the model.

    Returns:
        The logarithms, (p, shifts) and (p, angles); mean distance minus shift, (p, shifts);
        (1 + cos(theta - shift)) / 2 and its derivative with respect to c, both (p, angles).
    """
    shifts = _load_shifts(table, 1, M.angular_shifts, M.angular_padded, M)
    cosines = _load_shifts(table, 2, M.angles, M.angles_padded, M)[None, :]
    sines = _load_shifts(table, 3, M.angles, M.angles_padded, M)[None, :]
    offset = (0.5 * (r_a + r_b))[:, None] - shifts[None, :]
    sine = tl.sqrt(1.0 - cosine * cosine)
    half = 0.5 + 0.5 * (cosine[:, None] * cosines + sine[:, None] * sines)
    # Rounding can make this negative. Unlike tl.maximum, the comparison keeps NaN.
    half = tl.where(half < 1e-10, 1e-10, half)
    slope = 0.5 * (cosines - (cosine / sine)[:, None] * sines)
    radial = offset * offset * (-M.angular_eta * _LOG2_E)
    return radial, tl.log2(half) * M.zeta, offset, half, slope


@triton.jit
def angular_terms(r_a, r_b, cosine, table, M: tl.constexpr):
    """Return the terms of equation 4, (p, shifts * angles), for pairs (p,)."""
    radial, angle, _, _, _ = _angular_factors(r_a, r_b, cosine, table, M)
    cutoff_a, _ = _cutoff_function(r_a, M.angular_cutoff)
    cutoff_b, _ = _cutoff_function(r_b, M.angular_cutoff)
    prefactor = (2.0 * cutoff_a * cutoff_b)[:, None, None]
    terms = prefactor * tl.exp2(radial[:, :, None] + angle[:, None, :])
    return tl.reshape(terms, (r_a.shape[0], M.angular_padded * M.angles_padded))


@triton.jit
def angular_gradient(r_a, r_b, cosine, table, gradient, M: tl.constexpr):
    """Return dE/dr_a, dE/dr_b and dE/dc of pairs, each (p,).

    Args:
        r_a, r_b, cosine: distances and c of the pairs, (p,).
        table: shifts of the model.
        gradient: of the energy with respect to the terms, (p, shifts, angles).
    """
    radial, angle, offset, half, slope = _angular_factors(r_a, r_b, cosine, table, M)
    weighted = gradient * tl.exp2(radial[:, :, None] + angle[:, None, :])
    by_angle = tl.sum(weighted, 1)
    by_shift = tl.sum(weighted, 2)
    total = tl.sum(by_angle, 1)
    cutoff_a, slope_a = _cutoff_function(r_a, M.angular_cutoff)
    cutoff_b, slope_b = _cutoff_function(r_b, M.angular_cutoff)
    prefactor = 2.0 * cutoff_a * cutoff_b
    # The mean distance contributes equally to both derivatives.
    through_mean = prefactor * tl.sum(by_shift * offset, 1) * -M.angular_eta
    d_a = 2.0 * slope_a * cutoff_b * total + through_mean
    d_b = 2.0 * cutoff_a * slope_b * total + through_mean
    return d_a, d_b, prefactor * tl.sum(by_angle * slope / half, 1) * M.zeta
