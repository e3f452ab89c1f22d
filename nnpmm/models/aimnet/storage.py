"""AIMNet2 parameters in one safetensors file, as in nnpmm's cache and next to model.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core.errors import WeightsError, shortened
from nnpmm.core.files import replacing
from nnpmm.models.aimnet.content import check_parameters
from nnpmm.models.aimnet.parameters import AimnetParameters

__all__ = ["load_parameters", "save_parameters"]

_METADATA_KEY = "aimnet2"
_UNREADABLE = (
    *(OSError, SafetensorError, KeyError, IndexError, ValueError, TypeError, AttributeError),
    RecursionError,
)


def save_parameters(parameters: AimnetParameters, path: Path) -> None:
    """Write the parameters to ``path`` at once: another process sees the whole file or none.

    Raises:
        OSError: the file cannot be written; what was there before still is.
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in parameters.tensors().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as handle:
        handle.write(save(tensors, metadata={_METADATA_KEY: parameters.constants_json()}))


def load_parameters(path: Path) -> AimnetParameters:
    """Read parameters written by `save_parameters`.

    Raises:
        WeightsError: the file is missing, truncated, or not one of nnpmm's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {})[_METADATA_KEY]
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        parameters = AimnetParameters.from_tensors(text, tensors)
        check_parameters(parameters)
        return parameters
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path}: not a readable AIMNet2 weights file ({shortened(error)}); prepare or fetch "
            "it again"
        ) from error
