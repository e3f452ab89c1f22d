"""Samples with one change, to measure its effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnpmm.core.errors import ConfigError
from nnpmm.permeation.dataset.training_data import TrainingData

__all__ = ["PER_BEAD_FEATURES", "first_frames", "without_bead_normalisation"]

#: Features that are divided by the number of beads.
PER_BEAD_FEATURES = ("lj-mol-wat", "sasa", "lj-mol-lip")


def without_bead_normalisation(data: TrainingData) -> TrainingData:
    """Return samples whose features are those of whole molecules, not per bead."""
    scaled = np.isin(data.feature_names, PER_BEAD_FEATURES)
    factors = np.where(scaled, data.beads[:, None, None], 1).astype(np.float32)
    return replace(data, features=data.features * factors)


def first_frames(data: TrainingData, count: int) -> TrainingData:
    """Return samples of shorter trajectories: their first frames.

    Raises:
        ConfigError: there are not so many frames.
    """
    frames = data.features.shape[1]
    if not 1 <= count <= frames:
        raise ConfigError(f"found {count} frames, allowed: 1 to {frames}")
    return replace(data, features=data.features[:, :count])
