"""Settings that each kind of network is trained with unless others are asked for."""

from __future__ import annotations

from typing import get_args

from nnpmm.errors import ConfigError
from nnpmm.permeation.model_card import TrainingSettings
from nnpmm.permeation.networks import NetworkKind, NetworkSettings

__all__ = ["recipe"]


def recipe(kind: str) -> tuple[NetworkSettings, TrainingSettings]:
    """Return the architecture and the protocol of a kind of network.

    The published protocol for the published networks. ``response`` is small enough for short
    batches, large steps and five members, and predicts free energies per bead: what it learns from
    dimers then holds for longer molecules.

    Raises:
        ConfigError: there is no such kind.
    """
    for known in get_args(NetworkKind):
        if kind == known:
            response = known == "response"
            network = NetworkSettings(kind=known, per_bead=response)
            if not response:
                return network, TrainingSettings()
            return network, TrainingSettings(batch_size=8, learning_rate=1e-2, members=5)
    raise ConfigError(
        f"found the network {kind!r}, known networks: {', '.join(get_args(NetworkKind))}"
    )
