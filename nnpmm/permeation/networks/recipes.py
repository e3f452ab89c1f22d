"""Default settings for the training of each kind of network."""

from __future__ import annotations

from typing import get_args

from nnpmm.core.errors import ConfigError
from nnpmm.learning import NetworkKind, NetworkSettings, TrainingSettings
from nnpmm.permeation.features import FEATURE_NAMES

__all__ = ["PUBLISHED_TRAINING", "recipe"]

#: The protocol of Dutta et al. (Digital Discovery 2023).
PUBLISHED_TRAINING = TrainingSettings(
    split="random", batch_size=32, learning_rate=3e-4, epochs=1000, members=1
)


def recipe(kind: str) -> tuple[NetworkSettings, TrainingSettings]:
    """Return the architecture and the protocol of a kind of network.

    Published networks have the published protocol. ``response`` uses only the two interaction
    energies, and predicts free energies per bead, so that a network trained on dimers can be
    applied to longer molecules. Other features of these, such as the surface per bead, are outside
    of the range of dimers.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in get_args(NetworkKind):
        raise ConfigError(
            f"found the network {kind!r}, known networks: {', '.join(get_args(NetworkKind))}"
        )
    if kind == "response":
        energies = ("lj-mol-wat", "lj-mol-lip")
        return (
            NetworkSettings(kind="response", features=energies, extensive=True),
            TrainingSettings(batch_size=8, learning_rate=1e-2, epochs=500, anneal=True, members=5),
        )
    architecture = NetworkSettings.model_validate({"kind": kind, "features": FEATURE_NAMES})
    return architecture, PUBLISHED_TRAINING
