"""A check of a ladder while it is sampled, so that a gap between its states shows early."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.estimators import mbar
from nnpmm.freeenergy.overlap import MIN_OVERLAP, weakest_link
from nnpmm.sampling import read_samples

__all__ = ["iterations_before_check", "warn_of_gap"]

logger = logging.getLogger(__name__)

_FRACTION = 0.1  # of all iterations
_MIN_SAMPLES = 50  # of each state; fewer may overlap little by chance


def iterations_before_check(iterations: int) -> int | None:
    """Return the iteration after which the overlap is checked.

    Args:
        iterations: of the whole ladder.

    Returns:
        A tenth of all iterations, but at least 50; None for a ladder so short that this is more
        than half of it.
    """
    check = max(_MIN_SAMPLES, round(_FRACTION * iterations))
    return check if check <= iterations // 2 else None


def warn_of_gap(directory: Path, names: Sequence[str]) -> None:
    """Log a warning if two groups of states overlap less than the result requires.

    All samples up to the last checkpoint are used, also correlated ones, since an approximate
    overlap suffices.

    Args:
        directory: of the ladder.
        names: of its states.

    Raises:
        InputFileError: the samples are missing or damaged.
    """
    samples = read_samples(directory)
    windows = samples.windows
    counts = np.array([len(window) for window in windows])
    try:
        solved = mbar(
            np.concatenate(windows).T, counts, temperature=samples.temperature, min_overlap=0.0
        )
    except SimulationError as error:
        logger.warning("%s: after %d iterations: %s", directory, counts[0], error)
        return
    overlap, (first, second) = weakest_link(solved.overlap, counts)
    if overlap < MIN_OVERLAP:
        logger.warning(
            "%s: after %d iterations, states %s and %s overlap by only %.2g; a result requires %g. "
            "Longer sampling rarely closes such a gap: consider stopping, and add states between "
            "them",
            directory,
            counts[0],
            names[first],
            names[second],
            overlap,
            MIN_OVERLAP,
        )
