"""Random packing of rigid molecules into a cubic periodic box, without overlap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from nnpmm.core.errors import ConfigError

__all__ = ["least_liquid_width", "pack", "pack_loosely"]

_TRIES = 2000  # for each molecule
_DENSITIES = (0.5, 0.4, 0.32, 0.25, 0.2)  # of the packed box, parts of the liquid's
_UNCERTAINTY = 1.1  # of the width of a liquid's box, before it is compressed


def pack(
    molecule: NDArray[np.float64],
    count: int,
    width: float,
    *,
    fixed: NDArray[np.float64] | None = None,
    distance: float = 0.2,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Put molecules at random positions and orientations into a cubic periodic box.

    Each one is inserted where it overlaps with none before it (random sequential addition). This
    succeeds up to about half the density of a liquid.

    Args:
        molecule: (n, 3) positions of its atoms, nm.
        count: number of molecules.
        width: of the box, nm.
        fixed: positions of atoms that are already in the box, (m, 3), nm.
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


def pack_loosely(
    molecule: NDArray[np.float64],
    count: int,
    width: float,
    *,
    solute: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> tuple[NDArray[np.float64], float]:
    """Pack molecules into a box of half the density of their liquid, or less if necessary.

    Args:
        molecule: (n, 3) positions of its atoms, nm.
        count: number of molecules.
        width: of the box of the liquid, nm.
        solute: positions around the origin, (m, 3), nm, for the middle of the box; or None.
        seed: of the random numbers.

    Returns:
        Positions (count, n, 3), nm, and the width of the box, nm.

    Raises:
        ConfigError: there is no room even at a fifth of the density.
    """
    for density in _DENSITIES:
        loose = width / density ** (1 / 3)
        fixed = None if solute is None else solute + 0.5 * loose
        try:
            return pack(molecule, count, loose, fixed=fixed, seed=seed), loose
        except ConfigError:
            if density == _DENSITIES[-1]:
                raise
    raise AssertionError("the last density returns or raises")


def least_liquid_width(cutoff: float) -> float:
    """Return the estimated width from which a box of a liquid, once compressed, allows a cutoff.

    Args:
        cutoff: nm.

    Returns:
        Twice the cutoff and a tenth for the error of the estimate, nm.
    """
    return math.ceil(200 * _UNCERTAINTY * cutoff - 1e-6) / 100
