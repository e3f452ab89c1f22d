"""Potentials of the environment at a region's atoms, and its forces: compiled loops over pairs.

`nnpmm.coupling.electrostatic.reference` is the readable version.
"""

# No postponed annotations here: numba looks at the functions' globals alone.

import math

import numba
import numpy as np

from nnpmm.models.cpu.compilation import keep_on_disk

__all__ = [
    "add_environment_forces",
    "add_field_forces",
    "find_damping_fields",
    "find_images",
    "find_potentials",
]

#: A density exp(-r / s) is neglected beyond this many s, where it is below 1e-13.
_SLATER_RANGE = 30.0
# Allows vectorized sums. Without "nnan" and "ninf", since cutoffs may be infinite.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(nogil=True, error_model="numpy")
def find_images(centre, reach, positions, box, periodic):
    """Find the environment atoms, and images of them, within reach of a point.

    Args:
        centre: the point, (3,), nm.
        reach: nm, or infinity.
        positions: of the environment's atoms, (m, 3), nm.
        box: rows, reduced, (3, 3), nm.
        periodic: whether there is a box.

    Returns:
        Indices into the environment (k,), and the images' positions relative to the point, (3, k).
    """
    # Empty lists whose types numba can infer.
    indices, images = [0 for _ in range(0)], [(0.0, 0.0, 0.0) for _ in range(0)]
    shortest = min(box[0, 0], min(box[1, 1], box[2, 2])) if periodic else np.inf
    for j in range(len(positions)):
        x = positions[j, 0] - centre[0]
        y = positions[j, 1] - centre[1]
        z = positions[j, 2] - centre[2]
        if periodic:
            cells = np.round(z / box[2, 2])
            x, y, z = x - cells * box[2, 0], y - cells * box[2, 1], z - cells * box[2, 2]
            cells = np.round(y / box[1, 1])
            x, y = x - cells * box[1, 0], y - cells * box[1, 1]
            x -= np.round(x / box[0, 0]) * box[0, 0]
        square = x * x + y * y + z * z
        if square < reach * reach:
            indices.append(j)
            images.append((x, y, z))
        # Every other image is at least the shortest width of the box away from this one.
        if not periodic or shortest - math.sqrt(square) > reach:
            continue
        # The off-diagonal elements of reduced vectors b and c move x by up to a whole box width.
        for a in range(-2, 3):
            for b in range(-1, 2):
                for c in range(-1, 2):
                    if a == 0 and b == 0 and c == 0:
                        continue
                    u = x + a * box[0, 0] + b * box[1, 0] + c * box[2, 0]
                    v = y + b * box[1, 1] + c * box[2, 1]
                    w = z + c * box[2, 2]
                    if u * u + v * v + w * w < reach * reach:
                        indices.append(j)
                        images.append((u, v, w))
    found = np.empty((3, len(indices)))
    for k in range(len(indices)):
        found[0, k], found[1, k], found[2, k] = images[k]
    return np.array(indices), found


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def find_potentials(region, widths, charges, images, shape):
    """Sum the potentials of point charges at the atoms of a region.

    Args:
        region: relative to its centre, (n, 3), nm.
        widths: s of the atoms' valence densities, (n,), nm, or (0,) for point charges.
        charges: of the images, (k,), times the constant that makes q / r a potential.
        images: relative to the region's centre, (3, k), nm.
        shape: of the interaction, 1/r + a + b r^2 + c r^4 up to a cutoff: cutoff^2, a, b, c.

    Returns:
        Potential at each atom, (n,), and its gradient, (n, 3); the difference between the
        potentials that a valence density and a point charge feel, (n,), the gradient of this
        difference, (n, 3), and its derivative by the width, (n,).
    """
    n, spread = len(region), len(widths) > 0
    potentials, gradients = np.zeros(n), np.zeros((n, 3))
    penetration, slopes, by_width = np.zeros(n), np.zeros((n, 3)), np.zeros(n)
    limit, a, b, c = shape
    x, y, z = images[0], images[1], images[2]
    for i in range(n):
        xi, yi, zi = region[i, 0], region[i, 1], region[i, 2]
        potential, gx, gy, gz = 0.0, 0.0, 0.0, 0.0
        for k in range(len(charges)):
            dx, dy, dz = xi - x[k], yi - y[k], zi - z[k]
            square = dx * dx + dy * dy + dz * dz
            square = limit if square > limit else square  # value and slope are zero at the cutoff
            inverse = 1.0 / math.sqrt(square)
            potential += charges[k] * (inverse + a + square * (b + c * square))
            slope = charges[k] * (2 * b + 4 * c * square - inverse * inverse * inverse)
            gx += slope * dx
            gy += slope * dy
            gz += slope * dz
        potentials[i] = potential
        gradients[i, 0], gradients[i, 1], gradients[i, 2] = gx, gy, gz
        if not spread:
            continue
        s = widths[i]
        near = min(limit, (_SLATER_RANGE * s) ** 2)
        for k in range(len(charges)):
            dx, dy, dz = xi - x[k], yi - y[k], zi - z[k]
            square = dx * dx + dy * dy + dz * dz
            if square < near:
                r = math.sqrt(square)
                decay = charges[k] * math.exp(-r / s)
                penetration[i] -= decay * (1 / r + 0.5 / s)
                slope = decay * (1 / square + 1 / (r * s) + 0.5 / (s * s)) / r
                slopes[i, 0] += slope * dx
                slopes[i, 1] += slope * dy
                slopes[i, 2] += slope * dz
                by_width[i] -= decay * (0.5 + 0.5 * r / s) / (s * s)
    return potentials, gradients, penetration, slopes, by_width


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def add_environment_forces(
    forces, indices, region, charges, valence, widths, environment, images, shape
):
    """Add the forces on the environment, the reaction to those on the region at fixed charges.

    Args:
        forces: on the environment's atoms, (m, 3), added to.
        indices: of the images, (k,).
        region: relative to its centre, (n, 3), nm.
        charges: of the region's atoms, (n,).
        valence: the part of these charges that is a valence density, (n,) or (0,).
        widths: of the densities, (n,) or (0,), nm.
        environment: charges of the images, (k,); see `find_potentials`.
        images: (3, k), nm.
        shape: of the interaction.
    """
    n, spread = len(region), len(widths) > 0
    limit, _, b, c = shape
    x, y, z = region[:, 0].copy(), region[:, 1].copy(), region[:, 2].copy()
    for k in range(len(indices)):
        xk, yk, zk = images[0, k], images[1, k], images[2, k]
        fx, fy, fz = 0.0, 0.0, 0.0
        for i in range(n):
            dx, dy, dz = x[i] - xk, y[i] - yk, z[i] - zk
            square = dx * dx + dy * dy + dz * dz
            square = limit if square > limit else square
            inverse = 1.0 / math.sqrt(square)
            slope = charges[i] * (2 * b + 4 * c * square - inverse * inverse * inverse)
            fx += slope * dx
            fy += slope * dy
            fz += slope * dz
        if spread:
            for i in range(n):
                dx, dy, dz = x[i] - xk, y[i] - yk, z[i] - zk
                square = dx * dx + dy * dy + dz * dz
                s = widths[i]
                if square < min(limit, (_SLATER_RANGE * s) ** 2):
                    r = math.sqrt(square)
                    decay = valence[i] * math.exp(-r / s)
                    slope = decay * (1 / square + 1 / (r * s) + 0.5 / (s * s)) / r
                    fx += slope * dx
                    fy += slope * dy
                    fz += slope * dz
        atom = indices[k]
        forces[atom, 0] += environment[k] * fx
        forces[atom, 1] += environment[k] * fy
        forces[atom, 2] += environment[k] * fz


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def find_damping_fields(region, widths, charges, images, limit):
    """Sum the damping, by valence densities, of the field of point charges at a region's atoms.

    Args:
        region: relative to its centre, (n, 3), nm.
        widths: of the densities that damp, (n,), nm.
        charges: of the images, (k,).
        images: (3, k), nm.
        limit: square of the cutoff.

    Returns:
        (n, 3), to be added to the field.
    """
    fields = np.zeros((len(region), 3))
    for i in range(len(region)):
        near = min(limit, (_SLATER_RANGE * widths[i]) ** 2)
        for k in range(len(charges)):
            dx = region[i, 0] - images[0, k]
            dy = region[i, 1] - images[1, k]
            dz = region[i, 2] - images[2, k]
            square = dx * dx + dy * dy + dz * dz
            if square < near:
                r = math.sqrt(square)
                x = r / widths[i]
                h = -charges[k] * (1 + x + 0.5 * x * x) * math.exp(-x) / (square * r)
                fields[i, 0] += h * dx
                fields[i, 1] += h * dy
                fields[i, 2] += h * dz
    return fields


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def add_field_forces(
    on_region, forces, indices, region, by_field, by_damping, widths, charges, images, shape
):
    """Add the forces of an energy that depends on the field and on its damping.

    Args:
        on_region: forces on the region's atoms, (n, 3), added to.
        forces: on the environment's atoms, (m, 3), added to.
        indices: of the images, (k,).
        region: relative to its centre, (n, 3), nm.
        by_field: derivative by the field at each atom, (n, 3), e nm.
        by_damping: derivative by `find_damping_fields`, (n, 3), e nm.
        widths: of the densities that damp, (n,), nm.
        charges: of the images, (k,).
        images: (3, k), nm.
        shape: of the interaction; see `find_potentials`.

    Returns:
        The derivative by the widths, (n,).
    """
    limit, _, b, c = shape
    by_widths = np.zeros(len(region))
    for i in range(len(region)):
        s = widths[i]
        near = min(limit, (_SLATER_RANGE * s) ** 2)
        w, v = by_field[i], by_damping[i]
        for k in range(len(charges)):
            dx = region[i, 0] - images[0, k]
            dy = region[i, 1] - images[1, k]
            dz = region[i, 2] - images[2, k]
            square = dx * dx + dy * dy + dz * dz
            if square >= limit:
                continue
            inverse = 1.0 / math.sqrt(square)
            cube = inverse * inverse * inverse
            g = cube - 2 * b - 4 * c * square  # the field of a charge is g times the vector
            along = -(8 * c + 3 * cube * inverse * inverse) * (w[0] * dx + w[1] * dy + w[2] * dz)
            fx = g * w[0] + along * dx
            fy = g * w[1] + along * dy
            fz = g * w[2] + along * dz
            if square < near:
                x = 1 / (inverse * s)
                decay = math.exp(-x) * cube
                h = -(1 + x + 0.5 * x * x) * decay
                projection = v[0] * dx + v[1] * dy + v[2] * dz
                along = (0.5 * x * x * decay * inverse / s - 3 * h * inverse * inverse) * projection
                fx += h * v[0] + along * dx
                fy += h * v[1] + along * dy
                fz += h * v[2] + along * dz
                by_widths[i] -= charges[k] * projection * 0.5 * x * x * x * decay / s
            atom = indices[k]
            on_region[i, 0] -= charges[k] * fx
            on_region[i, 1] -= charges[k] * fy
            on_region[i, 2] -= charges[k] * fz
            forces[atom, 0] += charges[k] * fx
            forces[atom, 1] += charges[k] * fy
            forces[atom, 2] += charges[k] * fz
    return by_widths


for _function in (
    find_images,
    find_potentials,
    add_environment_forces,
    find_damping_fields,
    add_field_forces,
):
    keep_on_disk(_function)
