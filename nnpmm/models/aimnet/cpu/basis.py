"""Neighbours, the basis functions of their vectors, and gradients by way of the basis."""

from __future__ import annotations

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import cosine_cutoff, exponential, like
from nnpmm.models.cpu.neighbours import find_neighbours

__all__ = ["add_basis_forces", "describe_atom", "list_pairs"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive


@inner()
def list_pairs(positions, cells, region, constants, workspace, pairs):
    """List every atom's neighbours; return the number of pairs, which may exceed the capacity.

    Args:
        positions: (k n, 3), angstrom, float64.
        cells, region, constants, workspace, pairs: see their classes.
    """
    found, cutoff = 0, constants.cutoff
    for i in range(len(positions)):
        n = find_neighbours(
            i, positions, region.element, cells, cutoff, workspace.cell_index, workspace.neighbours
        )
        pairs.start[i] = found
        if found + n <= len(pairs.atom):
            for slot in range(n):
                pairs.atom[found + slot] = workspace.neighbours.atom[slot]
                pairs.element[found + slot] = workspace.neighbours.kind[slot]
                pairs.vector[0, found + slot] = workspace.neighbours.x[slot]
                pairs.vector[1, found + slot] = workspace.neighbours.y[slot]
                pairs.vector[2, found + slot] = workspace.neighbours.z[slot]
                pairs.distance[found + slot] = workspace.neighbours.r[slot]
        found += n
    pairs.start[len(positions)] = found
    return found


@inner(fastmath=_FAST)
def describe_atom(i, constants, pairs):
    """Compute the basis functions of an atom's neighbours, and their sums for each element.

    The basis has four components: the radial functions, and their products with the components of
    the unit vector.
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
        by_sums: derivatives by the sums for each element, (k n, elements, 4, radial).
        gradient: (k n, 3), float64, added to.
    """
    n_shifts = len(constants.shifts)
    two_eta = like(2, constants.eta) * constants.eta
    for p in range(pairs.start[i], pairs.start[i + 1]):
        r = pairs.distance[p]
        switch, slope = cosine_cutoff(r, constants.cutoff)
        x, y, z = pairs.vector[0, p] / r, pairs.vector[1, p] / r, pairs.vector[2, p] / r
        of_pair, of_sum = by_basis[p], by_sums[i, pairs.element[p]]
        along = gx = gy = gz = like(0, r)
        for k in range(n_shifts):
            d = r - constants.shifts[k]
            value = exponential(-constants.eta * d * d)
            bx, by, bz = (
                of_pair[1, k] + of_sum[1, k],
                of_pair[2, k] + of_sum[2, k],
                of_pair[3, k] + of_sum[3, k],
            )
            total = of_pair[0, k] + of_sum[0, k] + bx * x + by * y + bz * z
            along += total * value * (slope - two_eta * d * switch)
            gx += value * bx
            gy += value * by
            gz += value * bz
        # Only a displacement perpendicular to the unit vector changes it.
        turn = switch / r
        along -= turn * (gx * x + gy * y + gz * z)
        gx, gy, gz = turn * gx + along * x, turn * gy + along * y, turn * gz + along * z
        j = pairs.atom[p]
        gradient[j, 0] += gx
        gradient[j, 1] += gy
        gradient[j, 2] += gz
        gradient[i, 0] -= gx
        gradient[i, 1] -= gy
        gradient[i, 2] -= gz
