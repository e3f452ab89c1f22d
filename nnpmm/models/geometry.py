"""Check that positions can be those of a molecule; not done at each step of a simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.core.geometry import images_around, wrapped
from nnpmm.core.user_warnings import warn_user

__all__ = ["check_geometry"]

#: nm. The shortest bond, that of H2, is 0.074 nm long.
_COINCIDENT = 0.02
#: nm. Bonded atoms are closer; no atom of an ANI model reaches a neighbour's beyond 0.52 nm.
_ISOLATED = 0.5
_ALL_PAIRS = 500  # atoms; beyond, a tree is faster


def check_geometry(positions: NDArray[np.float64], box: NDArray[np.float64] | None = None) -> None:
    """Refuse coincident atoms; warn if all atoms are far apart, as with positions in angstrom.

    Isolated atoms are a legitimate geometry, so they are no error.

    Args:
        positions: (n, 3), finite, nm.
        box: periodic box vectors as rows, (3, 3), nm, in OpenMM's reduced form: distances are then
            those of nearest images. Without it there are no images.

    Raises:
        SimulationError: two atoms are closer than 0.02 nm.
    """
    if len(positions) < 2:
        return
    i, j, distance = _closest_pair(positions) if box is None else _closest_images(positions, box)
    if distance < _COINCIDENT:
        raise SimulationError(
            f"found atoms {i} and {j} of the region {distance:.4f} nm apart, allowed: "
            f"{_COINCIDENT} nm or more; give other positions, in nm"
        )
    if distance > _ISOLATED:
        warn_user(
            f"every atom is {distance:.2f} nm or more from all others, so that the network sees no "
            "bonds; positions are in nm: divide by 10 if these are in angstrom"
        )


def _closest_pair(positions: NDArray[np.float64]) -> tuple[int, int, float]:
    """Return the two atoms that are closest to each other, and their distance, nm."""
    from scipy.spatial import KDTree
    from scipy.spatial.distance import pdist

    if len(positions) <= _ALL_PAIRS:
        distances = pdist(positions)
        pair = int(distances.argmin())
        upper = np.triu_indices(len(positions), 1)
        return int(upper[0][pair]), int(upper[1][pair]), float(distances[pair])
    distances, partners = KDTree(positions).query(positions, k=2)
    i = int(distances[:, 1].argmin())
    j = next(int(k) for k in partners[i] if k != i)
    return min(i, j), max(i, j), float(distances[i, 1])


def _closest_images(
    positions: NDArray[np.float64], box: NDArray[np.float64]
) -> tuple[int, int, float]:
    """Return the same in a periodic box, where an atom may also be closest to its own image."""
    from scipy.spatial import KDTree

    n = len(positions)
    inside = wrapped(positions, box)
    # Two atoms within the cell are closest in the same cell or in one of the 26 around it.
    images = images_around(inside, box)
    distances, partners = KDTree(images.reshape(-1, 3)).query(inside, k=2)
    themselves = len(images) // 2 * n + np.arange(n)
    distances[partners == themselves[:, None]] = np.inf
    i, nearest = np.unravel_index(distances.argmin(), distances.shape)
    j = int(partners[i, nearest]) % n
    return min(int(i), j), max(int(i), j), float(distances[i, nearest])
