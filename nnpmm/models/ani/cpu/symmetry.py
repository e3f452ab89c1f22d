"""Symmetry functions of one atom, and forces from the gradient with respect to them.

Equations 3 and 4 of Smith, Isayev and Roitberg, Chem. Sci. 2017, 8, 3192, as in
`nnpmm.models.ani.reference`. The angular function of a pair of neighbours factors into one part for
the mean distance and one for the angle, so that ANI-2x's 32 columns of a pair need 8 + 4
exponentials. These are calculated for many pairs at once, to fill vector registers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ani.parameters import SymmetryFunctions
from nnpmm.models.cpu.functions import cosine_cutoff, exponential, like, logarithm
from nnpmm.models.cpu.neighbours import Neighbours

__all__ = ["AtomScratch", "Constants", "add_atom_forces", "describe_atom", "find_pattern"]

_CHUNK = 128  # pairs that are evaluated together
_COSINE_SCALE = 0.95  # of ANI; it keeps the sine of the angle away from zero
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive


class Constants(NamedTuple):
    """Parameters of the symmetry functions in the working precision.

    The shifts are tuples, because the compiler knows the length of a tuple.
    """

    radial_cutoff: Any
    angular_cutoff: Any
    radial_eta: Any
    angular_eta: Any
    angular_zeta: Any
    radial_shifts: tuple[Any, ...]
    angular_shifts: tuple[Any, ...]
    angle_cosines: tuple[Any, ...]
    angle_sines: tuple[Any, ...]
    pair_index: NDArray[np.int64]  # number of each pair of elements
    group_start: NDArray[np.int64]  # first column of each pair by its number
    species: NDArray[np.int64]  # of each atom of one geometry

    @classmethod
    def of(
        cls,
        functions: SymmetryFunctions,
        species: NDArray[np.int64],
        group_start: NDArray[np.int64],
        dtype: np.dtype,
    ) -> Constants:
        """Convert constants to the working precision."""
        number = dtype.type

        def numbers(values: Any) -> tuple[Any, ...]:
            return tuple(number(value) for value in values)

        return cls(
            number(functions.radial_cutoff),
            number(functions.angular_cutoff),
            number(functions.radial_eta),
            number(functions.angular_eta),
            number(functions.angular_zeta),
            numbers(functions.radial_shifts),
            numbers(functions.angular_shifts),
            numbers(math.cos(shift) for shift in functions.angle_shifts),
            numbers(math.sin(shift) for shift in functions.angle_shifts),
            functions.pair_index(),
            group_start,
            species,
        )


class AtomScratch(NamedTuple):
    """Buffers for one atom's neighbours and a chunk of their pairs."""

    neighbours: Neighbours
    cell_index: NDArray[np.int64]
    radial_switch: NDArray[np.floating]  # radial cutoff function, times 1/4
    radial_slope: NDArray[np.floating]  # derivative of radial_switch
    gradient: NDArray[np.floating]  # (capacity, 3)
    angular: NDArray[np.int64]  # neighbours within the angular cutoff
    unit: NDArray[np.floating]  # (3, capacity): their directions
    distance: NDArray[np.floating]
    switch: NDArray[np.floating]  # angular cutoff function
    slope: NDArray[np.floating]  # its derivative
    kind: NDArray[np.int64]
    pair: NDArray[np.int64]  # (3, chunk): the two neighbours, first column
    cosine: NDArray[np.floating]
    mean: NDArray[np.floating]
    weight: NDArray[np.floating]
    radial: NDArray[np.floating]  # (shifts, chunk)
    angle: NDArray[np.floating]  # (angle shifts, chunk)
    angle_slope: NDArray[np.floating]

    @classmethod
    def allocate(cls, capacity: int, functions: SymmetryFunctions, dtype: np.dtype) -> AtomScratch:
        """Allocate buffers for up to ``capacity`` neighbours."""
        n_radial, n_angle = len(functions.angular_shifts), len(functions.angle_shifts)
        return cls(
            neighbours=Neighbours.allocate(capacity, dtype),
            cell_index=np.empty((3, 3), np.int64),
            radial_switch=np.empty(capacity, dtype),
            radial_slope=np.empty(capacity, dtype),
            gradient=np.empty((capacity, 3), dtype),
            angular=np.empty(capacity, np.int64),
            unit=np.empty((3, capacity), dtype),
            distance=np.empty(capacity, dtype),
            switch=np.empty(capacity, dtype),
            slope=np.empty(capacity, dtype),
            kind=np.empty(capacity, np.int64),
            pair=np.empty((3, _CHUNK), np.int64),
            cosine=np.empty(_CHUNK, dtype),
            mean=np.empty(_CHUNK, dtype),
            weight=np.empty(_CHUNK, dtype),
            radial=np.empty((n_radial, _CHUNK), dtype),
            angle=np.empty((n_angle, _CHUNK), dtype),
            angle_slope=np.empty((n_angle, _CHUNK), dtype),
        )


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def describe_atom(row, n, constants, scratch):
    """Calculate one atom's symmetry functions.

    Args:
        row: columns of this atom, zeros on entry.
        n: number of neighbours in the scratch space.
    """
    neighbours = scratch.neighbours
    n_shifts = len(constants.radial_shifts)
    _switch_neighbours(n, constants, scratch)
    for slot in range(n):
        r, switch = neighbours.r[slot], scratch.radial_switch[slot]
        first = neighbours.kind[slot] * n_shifts
        for k in range(n_shifts):
            d = r - constants.radial_shifts[k]
            row[first + k] += switch * exponential(-constants.radial_eta * d * d)
    n_angular = _select_angular(n, constants, scratch)
    n_listed = 0
    for a in range(n_angular):
        b = 0
        while b < a:
            n_listed, b = _list_pairs(a, b, n_listed, constants, scratch)
            if n_listed == _CHUNK:
                _add_pairs(row, n_listed, constants, scratch)
                n_listed = 0
    _add_pairs(row, n_listed, constants, scratch)


@numba.njit(nogil=True, error_model="numpy")
def find_pattern(n, constants, scratch):
    """Return the pairs of elements among an atom's angular neighbours, one bit for each pair."""
    once = twice = 0
    for slot in range(n):
        if scratch.neighbours.r[slot] < constants.angular_cutoff:
            bit = 1 << scratch.neighbours.kind[slot]
            twice |= once & bit
            once |= bit
    pattern = 0
    for a in range(len(constants.pair_index)):
        for b in range(a, len(constants.pair_index)):
            present = twice >> a & 1 if a == b else (once >> a) & (once >> b) & 1
            pattern |= present << constants.pair_index[a, b]
    return pattern


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def add_atom_forces(forces, i, row, n, constants, scratch):
    """Add the forces on an atom and its neighbours that follow from dE/d(row).

    Args:
        forces: (k n, 3), float64, energy per angstrom.
        i: the atom.
        row: derivative of the energy with respect to this atom's symmetry functions.
        n: number of neighbours in the scratch space.
    """
    neighbours, gradient = scratch.neighbours, scratch.gradient
    _switch_neighbours(n, constants, scratch)
    for slot in range(n):
        factor = _radial_derivative(slot, row, constants, scratch) / neighbours.r[slot]
        gradient[slot, 0] = factor * neighbours.x[slot]
        gradient[slot, 1] = factor * neighbours.y[slot]
        gradient[slot, 2] = factor * neighbours.z[slot]
    n_angular = _select_angular(n, constants, scratch)
    n_listed = 0
    for a in range(n_angular):
        b = 0
        while b < a:
            n_listed, b = _list_pairs(a, b, n_listed, constants, scratch)
            if n_listed == _CHUNK:
                _differentiate_pairs(row, n_listed, constants, scratch)
                n_listed = 0
    _differentiate_pairs(row, n_listed, constants, scratch)
    for slot in range(n):
        j = neighbours.atom[slot]
        for d in range(3):
            forces[j, d] -= gradient[slot, d]
            forces[i, d] += gradient[slot, d]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _switch_neighbours(n, constants, scratch):
    """Compute the radial cutoff function of all neighbours, times the 1/4 of equation 3."""
    quarter = like(0.25, constants.radial_cutoff)
    for slot in range(n):
        switch, slope = cosine_cutoff(scratch.neighbours.r[slot], constants.radial_cutoff)
        scratch.radial_switch[slot] = quarter * switch
        scratch.radial_slope[slot] = quarter * slope


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _radial_derivative(slot, row, constants, scratch):
    """Return dE/dr of one neighbour through the radial functions."""
    r = scratch.neighbours.r[slot]
    switch, slope = scratch.radial_switch[slot], scratch.radial_slope[slot]
    n_shifts = len(constants.radial_shifts)
    first = scratch.neighbours.kind[slot] * n_shifts
    twice_eta, total = like(2, r) * constants.radial_eta, like(0, r)
    for k in range(n_shifts):
        d = r - constants.radial_shifts[k]
        value = row[first + k] * exponential(-constants.radial_eta * d * d)
        total += value * (slope - twice_eta * d * switch)
    return total


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _select_angular(n, constants, scratch):
    """List the neighbours within the angular cutoff; return how many there are."""
    neighbours = scratch.neighbours
    n_angular = 0
    for slot in range(n):
        r = neighbours.r[slot]
        if r < constants.angular_cutoff:
            scratch.angular[n_angular] = slot
            scratch.unit[0, n_angular] = neighbours.x[slot] / r
            scratch.unit[1, n_angular] = neighbours.y[slot] / r
            scratch.unit[2, n_angular] = neighbours.z[slot] / r
            scratch.distance[n_angular] = r
            switch, slope = cosine_cutoff(r, constants.angular_cutoff)
            scratch.switch[n_angular] = switch
            scratch.slope[n_angular] = slope
            scratch.kind[n_angular] = neighbours.kind[slot]
            n_angular += 1
    return n_angular


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _list_pairs(a, b, n_listed, constants, scratch):
    """Append the pairs of neighbour a with b, b + 1 ... until a is reached or the chunk is full.

    Returns:
        The number of pairs in the chunk and the next b.
    """
    unit = scratch.unit
    two, half, scale = like(2, unit[0, 0]), like(0.5, unit[0, 0]), like(_COSINE_SCALE, unit[0, 0])
    count = min(a - b, _CHUNK - n_listed)
    for step in range(count):
        other, p = b + step, n_listed + step
        dot = (
            unit[0, a] * unit[0, other] + unit[1, a] * unit[1, other] + unit[2, a] * unit[2, other]
        )
        scratch.cosine[p] = scale * dot
        scratch.mean[p] = half * (scratch.distance[a] + scratch.distance[other])
        scratch.weight[p] = two * scratch.switch[a] * scratch.switch[other]
        scratch.pair[0, p] = a
        scratch.pair[1, p] = other
        number = constants.pair_index[scratch.kind[a], scratch.kind[other]]
        scratch.pair[2, p] = constants.group_start[number]
    return n_listed + count, b + count


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _factors(count, constants, scratch):
    """Compute the distance and angle factors of a chunk of pairs, and the angle's derivative."""
    zeta = constants.angular_zeta
    one, half, tiny = like(1, zeta), like(0.5, zeta), like(1e-30, zeta)
    for k in range(len(constants.angular_shifts)):
        for p in range(count):
            d = scratch.mean[p] - constants.angular_shifts[k]
            scratch.radial[k, p] = exponential(-constants.angular_eta * d * d)
    for z in range(len(constants.angle_cosines)):
        cosine, sine = constants.angle_cosines[z], constants.angle_sines[z]
        for p in range(count):
            c = scratch.cosine[p]
            s = np.sqrt(one - c * c)
            base = half + half * (c * cosine + s * sine)  # (1 + cos(angle - shift)) / 2
            base = tiny if base < tiny else base
            value = exponential(zeta * logarithm(base))
            scratch.angle[z, p] = value
            base_slope = half * (cosine - c / s * sine)  # derivative of base with respect to c
            scratch.angle_slope[z, p] = zeta * value / base * base_slope


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _add_pairs(row, count, constants, scratch):
    """Add a chunk of pairs to an atom's columns."""
    _factors(count, constants, scratch)
    n_angle = len(constants.angle_cosines)
    for p in range(count):
        first = scratch.pair[2, p]
        for k in range(len(constants.angular_shifts)):
            value = scratch.weight[p] * scratch.radial[k, p]
            for z in range(n_angle):
                row[first + k * n_angle + z] += value * scratch.angle[z, p]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _differentiate_pairs(row, count, constants, scratch):
    """Add the gradients on the neighbours of a chunk of pairs, by the chain rule."""
    _factors(count, constants, scratch)
    two, zero = like(2, row[0]), like(0, row[0])
    n_angle = len(constants.angle_cosines)
    for p in range(count):
        first = scratch.pair[2, p]
        value = d_mean = d_cosine = zero
        for k in range(len(constants.angular_shifts)):
            column = first + k * n_angle
            sum_value = sum_slope = zero
            for z in range(n_angle):
                sum_value += row[column + z] * scratch.angle[z, p]
                sum_slope += row[column + z] * scratch.angle_slope[z, p]
            radial = scratch.radial[k, p]
            d = scratch.mean[p] - constants.angular_shifts[k]
            value += radial * sum_value
            d_mean -= two * constants.angular_eta * d * radial * sum_value
            d_cosine += radial * sum_slope
        _add_pair_gradient(p, value, d_mean, d_cosine, scratch)


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _add_pair_gradient(p, value, d_mean, d_cosine, scratch):
    """Add the gradients on both neighbours, from derivatives with respect to mean and cosine.

    The pair's energy is weight * value; cosine = 0.95 u_a . u_b, so that its derivative with
    respect to the vector to a is (0.95 u_b - cosine u_a) / r_a.
    """
    two, half, scale = like(2, value), like(0.5, value), like(_COSINE_SCALE, value)
    a, b = scratch.pair[0, p], scratch.pair[1, p]
    unit, cosine = scratch.unit, scratch.cosine[p]
    weight = scratch.weight[p]
    common = half * weight * d_mean
    along_a = common + two * scratch.slope[a] * scratch.switch[b] * value
    along_b = common + two * scratch.slope[b] * scratch.switch[a] * value
    across_a = weight * d_cosine / scratch.distance[a]
    across_b = weight * d_cosine / scratch.distance[b]
    slot_a, slot_b = scratch.angular[a], scratch.angular[b]
    for d in range(3):
        u_a, u_b = unit[d, a], unit[d, b]
        scratch.gradient[slot_a, d] += along_a * u_a + across_a * (scale * u_b - cosine * u_a)
        scratch.gradient[slot_b, d] += along_b * u_b + across_b * (scale * u_a - cosine * u_b)
