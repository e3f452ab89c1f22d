"""Weights of a network as arrays by name, as files store them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from nnpmm.core.errors import InputFileError

__all__ = ["as_arrays", "load_arrays_into", "load_file_into"]


def as_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Return copies of a network's weights by name."""
    return {name: each.detach().numpy().copy() for name, each in network.state_dict().items()}


def load_arrays_into(network: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Set a network's weights.

    Raises:
        RuntimeError: they are those of another network.
    """
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def load_file_into(network: nn.Module, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Set a network's weights to what `nnpmm.core.arrays.load_card` has read.

    Args:
        network: that the card describes.
        arrays: weights by name.
        path: of the card, for the message.

    Raises:
        InputFileError: the weights are those of another network.
    """
    try:
        load_arrays_into(network, arrays)
    except RuntimeError as error:
        raise InputFileError(
            f"{path.with_suffix('.safetensors')}: does not fit the network of {path.name}; train "
            "again"
        ) from error
