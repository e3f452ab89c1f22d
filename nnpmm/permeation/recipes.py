"""Settings that each kind of network is trained with unless others are asked for."""

from __future__ import annotations

from typing import get_args

from nnpmm.errors import ConfigError
from nnpmm.learning.networks import NetworkKind, NetworkSettings
from nnpmm.permeation.model_card import TrainingSettings

__all__ = ["recipe"]


def recipe(kind: str) -> tuple[NetworkSettings, TrainingSettings]:
    """Return the architecture and the protocol of a kind of network.

    The published protocol for the published networks. ``response`` sees the two interaction
    energies alone and predicts free energies per bead. What it learns from dimers then holds for
    longer molecules, whose surface per bead, for one, is one that no dimer has.

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
            NetworkSettings(kind="response", features=energies, per_bead=True),
            TrainingSettings(batch_size=8, learning_rate=1e-2, epochs=500, anneal=True, members=5),
        )
    return NetworkSettings.model_validate({"kind": kind}), TrainingSettings()
