"""AIMNet2 parameters in one safetensors file, as in nnpmm's cache and next to model.json."""

from __future__ import annotations

from pathlib import Path

from nnpmm.models.aimnet.content import check_parameters
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.tensor_file import read_tensors, reading_weights, write_tensors

__all__ = ["load_parameters", "save_parameters"]

_METADATA_KEY = "aimnet2"


def save_parameters(parameters: AimnetParameters, path: Path) -> None:
    """Write the parameters to ``path`` at once: another process sees the whole file or none.

    Raises:
        OSError: the file cannot be written; what was there before still is.
    """
    write_tensors(path, parameters.tensors(), _METADATA_KEY, parameters.constants_json())


def load_parameters(path: Path) -> AimnetParameters:
    """Read parameters written by `save_parameters`.

    Raises:
        WeightsError: the file is missing, truncated, or not one of nnpmm's.
    """
    with reading_weights(path, "AIMNet2"):
        text, tensors = read_tensors(path, _METADATA_KEY)
        parameters = AimnetParameters.from_tensors(text, tensors)
        check_parameters(parameters)
    return parameters
