"""The features that correlate with learned variables, to interpret them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.sampling.learned.projection import Projection
from nnpmm.sampling.variables.variable import Structure

__all__ = ["CorrelatedFeatures", "correlated_features"]


@dataclass(frozen=True)
class CorrelatedFeatures:
    """The features that correlate most strongly with one learned variable.

    Attributes:
        component: 0-based index of the variable.
        features: names and rank correlations, the strongest first.
    """

    component: int
    features: tuple[tuple[str, float], ...]


def correlated_features(
    projection: Projection,
    runs: Sequence[NDArray[np.float64]],
    structure: Structure,
    *,
    most: int = 5,
) -> tuple[CorrelatedFeatures, ...]:
    """Return the features that correlate with each variable along trajectories.

    The measure is Spearman's rank correlation, which finds monotonic relations of any shape.

    Args:
        projection: the learned variables.
        runs: positions (frames, n, 3) nm of the features' atoms in each run.
        structure: structure of the system.
        most: largest number of features per variable.
    """
    from scipy.stats import spearmanr

    features = projection.record.features
    frames = np.concatenate(list(runs)).astype(np.float64)
    values = features.evaluate(torch.from_numpy(frames)).numpy()
    with torch.no_grad():
        outputs = projection.outputs(torch.from_numpy(values)).numpy()
    names = features.names(structure)
    found = []
    for component in range(outputs.shape[1]):
        scores = [
            (name, float(spearmanr(values[:, k], outputs[:, component]).statistic))
            for k, name in enumerate(names)
            if np.ptp(values[:, k]) > 0
        ]
        scores.sort(key=lambda score: -abs(score[1]))
        found.append(CorrelatedFeatures(component, tuple(scores[:most])))
    return tuple(found)
