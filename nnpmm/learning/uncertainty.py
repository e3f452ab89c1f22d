"""Errors of predictions from their frames and from the members of an ensemble, and calibration.

All errors are standard deviations in the unit of the labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError

__all__ = ["calibrate", "raw_errors", "split_frames"]

#: Ten blocks are enough for a spread, and longer than the correlation time of frames.
_BLOCKS = 10
_PRIOR_SAMPLES = 10
_SMALLEST = 1e-12  # variance; where all networks agree it would be 0, and its logarithm infinite


def split_frames(features: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Yield blocks of consecutive frames: ten, or one for each frame if there are fewer.

    Args:
        features: (samples, frames, features).

    Raises:
        ConfigError: fewer than two frames.
    """
    frames = features.shape[1] if features.ndim == 3 else 0
    if frames < 2:
        raise ConfigError(
            f"found features of shape {features.shape}: an error needs (samples, frames, features) "
            "with at least two frames"
        )
    yield from np.array_split(features, min(_BLOCKS, frames), axis=1)


def raw_errors(members: NDArray[np.floating], blocks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return standard deviations before calibration, (samples,).

    sqrt(var over members + var over blocks / number of blocks). The first term is the uncertainty
    of the networks, the second that of a finite trajectory (Flyvbjerg and Petersen 1989).

    Args:
        members: (members, samples) predictions of each network from all frames.
        blocks: (blocks, samples) mean predictions from each block of frames; two or more.
    """
    networks = members.var(axis=0, ddof=1) if len(members) > 1 else np.zeros(members.shape[1])
    frames = blocks.var(axis=0, ddof=1) / len(blocks)
    return np.sqrt(networks + frames)


def calibrate(
    differences: NDArray[np.floating],
    errors: NDArray[np.floating],
    label_errors: NDArray[np.floating],
) -> float:
    """Return the factor on errors that makes differences from labels most likely.

    The maximum over f of prod N(difference; 0, (f error)^2 + label error^2) exp(-n / (2 f^2)) / f^n
    with n = 10. The last two terms are a prior: n samples whose errors are correct. Raw errors have
    a physical meaning, so a few samples should not move the factor far from 1.

    Args:
        differences: (samples,) predictions minus labels, of samples not trained on.
        errors: (samples,) raw errors of the predictions.
        label_errors: (samples,) standard deviations of the labels.
    """
    factors = np.geomspace(0.05, 50.0, 1000)
    prior = _PRIOR_SAMPLES * (2.0 * np.log(factors) + factors**-2)
    variances = np.maximum((factors[:, None] * errors) ** 2 + label_errors**2, _SMALLEST)
    cost = prior + (np.log(variances) + differences**2 / variances).sum(axis=1)
    return float(factors[cost.argmin()])
