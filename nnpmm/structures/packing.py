"""Random packing of rigid molecules into a cubic periodic box, without overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from nnpmm.core.errors import ConfigError

__all__ = ["pack"]

_TRIES = 2000  # for each molecule


def pack(
    molecule: NDArray[np.float64],
    count: int,
    width: float,
    *,
    fixed: NDArray[np.float64] | None = None,
    distance: float = 0.2,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Put molecules at random places in random orientations into a cubic periodic box.

    Each one is inserted where it overlaps with none before it (random sequential addition). This
    succeeds up to about half the density of a liquid.

    Args:
        molecule: (n, 3) positions of its atoms, nm.
        count: number of molecules.
        width: of the box, nm.
        fixed: (m, 3) positions of atoms that are there already, nm.
        distance: least distance between atoms of different molecules, nm.
        seed: of the random numbers.

    Returns:
        Positions (count, n, 3), nm; molecules are whole and their centres in the box.

    Raises:
        ConfigError: there is no room for all of them, or one is longer than the box.
    """
    rng = np.random.default_rng(seed)
    shape = molecule - molecule.mean(axis=0)
    radius = float(np.linalg.norm(shape, axis=1).max())
    if 2 * radius + distance > width:
        raise ConfigError(
            f"found a molecule {2 * radius:.2f} nm long and a box {width:.2f} nm wide, allowed: a "
            "box that is wider; use a larger one"
        )
    taken = [np.empty((0, 3)) if fixed is None else fixed]
    placed = np.empty((count, *shape.shape))
    for index in range(count):
        tree = cKDTree(np.mod(np.concatenate(taken), width), boxsize=width)
        for _ in range(_TRIES):
            new = Rotation.random(random_state=rng).apply(shape) + rng.uniform(0, width, 3)
            if np.isinf(tree.query(np.mod(new, width), distance_upper_bound=distance)[0]).all():
                break
        else:
            raise ConfigError(
                f"found room for {index} of {count} molecules in a box {width:.2f} nm wide, "
                "allowed: a lower density"
            )
        placed[index] = new
        taken.append(new)
    return placed
