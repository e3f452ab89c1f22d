"""Training of a permeation model by the published split (Dutta et al., Digital Discovery 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm import learning
from nnpmm.learning import Ensemble, NetworkSettings, Progress, TrainingSettings
from nnpmm.permeation.dataset.splits import PUBLISHED_SHARES
from nnpmm.permeation.dataset.training_data import TrainingData
from nnpmm.permeation.networks.model_card import PermeationCard, PermeationData
from nnpmm.permeation.networks.regressor import Regressor

__all__ = ["TrainingResult", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and its learning curves.

    Attributes:
        model: with the weights of the epochs that were kept.
        curves: (members, epochs, 2) MAE in kcal/mol of the training samples during the epoch, with
            dropout, and of the validation samples after it.
    """

    model: Regressor
    curves: NDArray[np.float64]


def train(
    data: TrainingData,
    network: NetworkSettings,
    settings: TrainingSettings,
    *,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network on a part of the samples and measure it on each part.

    Args:
        data: samples.
        network: architecture.
        settings: split, as in ``split_groups``, seed, steps and number of members.
        progress: called after every epoch.

    Raises:
        ConfigError: the data do not match the network or the split, a feature cannot be scaled, the
            training diverged, or the samples have a single frame.
    """
    found = learning.train(
        data.samples(), network, settings, shares=PUBLISHED_SHARES, progress=progress
    )
    generic = found.model.card
    record = dict(generic)
    record["data"] = PermeationData(
        **{
            **dict(generic.data),
            "sha256": data.digest(),
            "lipids": tuple(sorted(set(data.lipids))),
            "protocol": data.protocol,
        }
    )
    model = Ensemble(PermeationCard(**record), found.model.networks)
    return TrainingResult(Regressor(model), found.curves)
