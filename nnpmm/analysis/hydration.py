"""Water around a group of atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.geometry import nearest_image

__all__ = ["SHELL", "count_water"]

#: nm. Water oxygens within this distance of a heavy atom are in its first shell. The first minimum
#: of the oxygen-oxygen distribution of water is at this distance.
SHELL = 0.35


def count_water(
    group: NDArray[np.float32],
    water: NDArray[np.float32],
    boxes: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    """Return how many waters (f,) are in the first shell of any atom of a group.

    Of each water the image nearest to the group's centre counts, so the group and its shell must
    fit into the box.

    Args:
        group: (f, n, 3) nm, whole.
        water: (f, w, 3) nm, of the oxygens.
        boxes: (f, 3, 3) nm, or None.
    """
    center = 0.5 * (group.min(axis=1) + group.max(axis=1))[:, None]
    away = water - center
    if boxes is not None:
        away = nearest_image(away, boxes[:, None].astype(np.float32))
    local = group - center
    reach = np.sqrt((local**2).sum(axis=-1).max(axis=1)) + SHELL
    near = (away**2).sum(axis=-1) < (reach**2)[:, None]
    counts = np.zeros(len(group), dtype=np.int64)
    for frame in range(len(group)):
        close = away[frame][near[frame]]
        square = ((close[:, None] - local[frame][None]) ** 2).sum(axis=-1)
        counts[frame] = np.count_nonzero((square < SHELL**2).any(axis=1)) if len(close) else 0
    return counts
