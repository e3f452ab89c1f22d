"""ANI parameters in one safetensors file, as in nnpmm's cache and next to model.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core.errors import WeightsError, shortened
from nnpmm.core.files import replacing
from nnpmm.models.ani.content import check_parameters
from nnpmm.models.ani.parameters import AniParameters, Layer

__all__ = ["load_parameters", "save_parameters"]

_METADATA_KEY = "ani"
_UNREADABLE = (
    *(OSError, SafetensorError, KeyError, IndexError, ValueError, TypeError, AttributeError),
    RecursionError,
)


def save_parameters(parameters: AniParameters, path: Path) -> None:
    """Write the parameters to ``path`` at once: another process sees the whole file or none.

    Raises:
        OSError: the file cannot be written; what was there before still is.
    """
    tensors = {}
    for index, member in zip(parameters.member_indices, parameters.members, strict=True):
        for element, layers in member.items():
            for depth, layer in enumerate(layers):
                tensors[f"{index}.{element}.{depth}.weight"] = np.ascontiguousarray(layer.weight)
                tensors[f"{index}.{element}.{depth}.bias"] = np.ascontiguousarray(layer.bias)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as handle:
        handle.write(save(tensors, metadata={_METADATA_KEY: parameters.constants_json()}))


def load_parameters(path: Path) -> AniParameters:
    """Read parameters written by `save_parameters`.

    Raises:
        WeightsError: the file is missing, truncated, or not one of nnpmm's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {})[_METADATA_KEY]
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        shell = AniParameters.from_json(text, members=())
        members = tuple(
            {element: _layers(tensors, f"{index}.{element}") for element in shell.elements}
            for index in shell.member_indices
        )
        parameters = AniParameters.from_json(text, members)
        check_parameters(parameters)
        return parameters
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path}: not a readable ANI weights file ({shortened(error)}); prepare or fetch it "
            "again"
        ) from error


def _layers(tensors: dict[str, np.ndarray], prefix: str) -> tuple[Layer, ...]:
    depths: Sequence[int] = range(sum(key.startswith(f"{prefix}.") for key in tensors) // 2)
    if not depths:
        raise KeyError(f"no layers for {prefix}")
    return tuple(
        Layer(tensors[f"{prefix}.{d}.weight"], tensors[f"{prefix}.{d}.bias"]) for d in depths
    )
