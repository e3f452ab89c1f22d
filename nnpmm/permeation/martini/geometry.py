"""Periodic geometry in a rectangular box, and the shape of a solute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from nnpmm.permeation.martini.force_field import MoleculeType
from nnpmm.permeation.martini.system import MartiniSystem

__all__ = [
    "make_whole",
    "minimum_image",
    "periodic_center",
    "random_rotation",
    "solute_height",
    "solute_shape",
]


def minimum_image(difference: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return difference vectors (..., 3), nm, between nearest images in a box of edges (3,).

    `nnpmm.core.geometry.nearest_image` does this for any box, and takes longer.
    """
    return difference - box * np.round(difference / box)


def periodic_center(coordinates: NDArray[np.float64], edge: float) -> float:
    """Return the centre of a slab from its periodic coordinates (n,), both in nm.

    The circular mean gives a first estimate; the result is the mean of the images nearest to it.
    For beads of equal mass that fill less than the whole box, it is their centre of mass.
    """
    angles = 2.0 * np.pi * coordinates / edge
    rough = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()) * edge / (2.0 * np.pi)
    offsets = coordinates - rough
    center = rough + float(np.mean(offsets - edge * np.round(offsets / edge)))
    return float(center % edge)


def make_whole(
    system: MartiniSystem, positions: NDArray[np.float64], box: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return positions (n, 3), nm, in which no bond crosses the box.

    Molecules must be numbered so that every bead but the first is bonded to an earlier one, as all
    molecules of this package are.
    """
    whole = positions.copy()
    placed = np.zeros(len(positions), dtype=bool)
    order = sorted((max(i, j), min(i, j)) for i, j, _, _ in system.bonds)
    for child, parent in order:
        if not placed[child]:
            whole[child] = whole[parent] + minimum_image(whole[child] - whole[parent], box)
            placed[child] = True
    return whole


def solute_height(
    system: MartiniSystem, positions: NDArray[np.float64], box: NDArray[np.float64]
) -> float:
    """Return the height of the solute's centre above that of the lipids, nm, at its nearest image.

    Args:
        system: lipids and a solute.
        positions: (n, 3), nm.
        box: (3,) edges, nm.
    """
    edge = float(box[2])
    middle, center = (
        periodic_center(positions[system.select(role), 2], edge) for role in ("lipid", "solute")
    )
    return center - middle - edge * round((center - middle) / edge)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a uniformly random rotation matrix (3, 3)."""
    return Rotation.random(random_state=rng).as_matrix()


def solute_shape(solute: MoleculeType, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return coordinates (n, 3), nm, about the centre, with bonds relaxed and other beads apart."""
    n = len(solute.beads)
    bonded = {(b.i, b.j): b.length for b in solute.bonds}
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=int).reshape(-1, 2)
    lengths = np.array([bonded.get((i, j), 0.0) for i, j in pairs])

    def strain(flat: NDArray[np.float64]) -> float:
        points = flat.reshape(n, 3)
        r = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
        apart = np.maximum(0.8 - r, 0.0)  # straightens chains, closes rings all the same
        return float(np.sum(np.where(lengths > 0, (r - lengths) ** 2, 0.01 * apart**2)))

    start = rng.normal(scale=0.3, size=(n, 3)) + np.outer(np.arange(n) * 0.47, [1.0, 0.0, 0.0])
    points = minimize(strain, start.ravel(), method="BFGS").x.reshape(n, 3)
    return np.asarray(points - points.mean(axis=0))
