"""Neighbours, the basis functions of their vectors, and forces from derivatives by the basis."""

from __future__ import annotations

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import cosine_cutoff, exponential, like
from nnpmm.models.cpu.neighbours import find_neighbours

__all__ = ["add_basis_forces", "describe_atom", "list_pairs"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive


@inner()
def list_pairs(positions, cells, region, constants, room, pairs):
    """List every atom's neighbours; return how many pairs there are, whether or not they fit.

    Args:
        positions: (k n, 3), angstrom, float64.
        cells, region, constants, room, pairs: see their classes.
    """
    found, cutoff = 0, constants.cutoff
    for i in range(len(positions)):
        n = find_neighbours(
            i, positions, region.element, cells, cutoff, room.cell_index, room.neighbours
        )
        pairs.start[i] = found
        if found + n <= len(pairs.atom):
            for slot in range(n):
                pairs.atom[found + slot] = room.neighbours.atom[slot]
                pairs.element[found + slot] = room.neighbours.kind[slot]
                pairs.vector[0, found + slot] = room.neighbours.x[slot]
                pairs.vector[1, found + slot] = room.neighbours.y[slot]
                pairs.vector[2, found + slot] = room.neighbours.z[slot]
                pairs.distance[found + slot] = room.neighbours.r[slot]
        found += n
    pairs.start[len(positions)] = found
    return found


@inner(fastmath=_FAST)
def describe_atom(i, constants, pairs):
    """Compute the basis of an atom's neighbours and its sums over those of each element.

    The basis has four components: radial functions, and these times the parts of the unit vector.
    """
    sums = pairs.sums[i]
    sums[:] = 0
    n_shifts = len(constants.shifts)
    for p in range(pairs.start[i], pairs.start[i + 1]):
        r = pairs.distance[p]
        switch, _ = cosine_cutoff(r, constants.cutoff)
        x, y, z = pairs.vector[0, p] / r, pairs.vector[1, p] / r, pairs.vector[2, p] / r
        basis, of_element = pairs.basis[p], sums[pairs.element[p]]
        for k in range(n_shifts):
            d = r - constants.shifts[k]
            value = switch * exponential(-constants.eta * d * d)
            basis[0, k] = value
            basis[1, k] = value * x
            basis[2, k] = value * y
            basis[3, k] = value * z
        for c in range(4):
            for k in range(n_shifts):
                of_element[c, k] += basis[c, k]


@inner(fastmath=_FAST)
def add_basis_forces(i, constants, pairs, by_basis, by_sums, gradient):
    """Add the gradient that follows from derivatives by the basis of an atom's neighbours.

    Args:
        i: the atom.
        constants, pairs: see their classes.
        by_basis: derivatives by the basis, (pairs, 4, radial).
        by_sums: and by the sums over an element's neighbours, (k n, elements, 4, radial).
        gradient: (k n, 3), float64, added to.
    """
    n_shifts = len(constants.shifts)
    two_eta = like(2, constants.eta) * constants.eta
    for p in range(pairs.start[i], pairs.start[i + 1]):
        r = pairs.distance[p]
        switch, slope = cosine_cutoff(r, constants.cutoff)
        x, y, z = pairs.vector[0, p] / r, pairs.vector[1, p] / r, pairs.vector[2, p] / r
        own, shared = by_basis[p], by_sums[i, pairs.element[p]]
        along = gx = gy = gz = like(0, r)
        for k in range(n_shifts):
            d = r - constants.shifts[k]
            value = exponential(-constants.eta * d * d)
            bx, by, bz = (
                own[1, k] + shared[1, k],
                own[2, k] + shared[2, k],
                own[3, k] + shared[3, k],
            )
            total = own[0, k] + shared[0, k] + bx * x + by * y + bz * z
            along += total * value * (slope - two_eta * d * switch)
            gx += value * bx
            gy += value * by
            gz += value * bz
        # The unit vector turns with the part of the vector's change that is across it.
        across = switch / r
        along -= across * (gx * x + gy * y + gz * z)
        gx, gy, gz = across * gx + along * x, across * gy + along * y, across * gz + along * z
        j = pairs.atom[p]
        gradient[j, 0] += gx
        gradient[j, 1] += gy
        gradient[j, 2] += gz
        gradient[i, 0] -= gx
        gradient[i, 1] -= gy
        gradient[i, 2] -= gz
