"""ANI parameters in one safetensors file, as in nnpmm's cache and next to model.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnpmm.models.ani.content import check_parameters
from nnpmm.models.ani.parameters import AniParameters, Layer
from nnpmm.models.tensor_file import read_tensors, reading_weights, write_tensors

__all__ = ["load_parameters", "save_parameters"]

_METADATA_KEY = "ani"


def save_parameters(parameters: AniParameters, path: Path) -> None:
    """Write the parameters to ``path`` at once: another process sees the whole file or none.

    Raises:
        OSError: the file cannot be written; what was there before still is.
    """
    tensors = {}
    for index, member in zip(parameters.member_indices, parameters.members, strict=True):
        for element, layers in member.items():
            for depth, layer in enumerate(layers):
                tensors[f"{index}.{element}.{depth}.weight"] = layer.weight
                tensors[f"{index}.{element}.{depth}.bias"] = layer.bias
    write_tensors(path, tensors, _METADATA_KEY, parameters.constants_json())


def load_parameters(path: Path) -> AniParameters:
    """Read parameters written by `save_parameters`.

    Raises:
        WeightsError: the file is missing, truncated, or not one of nnpmm's.
    """
    with reading_weights(path, "ANI"):
        text, tensors = read_tensors(path, _METADATA_KEY)
        shell = AniParameters.from_json(text, members=())
        members = tuple(
            {element: _layers(tensors, f"{index}.{element}") for element in shell.elements}
            for index in shell.member_indices
        )
        parameters = AniParameters.from_json(text, members)
        check_parameters(parameters)
    return parameters


def _layers(tensors: dict[str, np.ndarray], prefix: str) -> tuple[Layer, ...]:
    depths: Sequence[int] = range(sum(key.startswith(f"{prefix}.") for key in tensors) // 2)
    if not depths:
        raise KeyError(f"no layers for {prefix}")
    return tuple(
        Layer(tensors[f"{prefix}.{d}.weight"], tensors[f"{prefix}.{d}.bias"]) for d in depths
    )
