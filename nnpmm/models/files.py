"""Models that come as files: a model.json written by prepare-nnp, and a TorchScript module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpmm.core.errors import WeightsError, shortened
from nnpmm.models import aimnet, ani
from nnpmm.models.aimnet.family import AIMNET
from nnpmm.models.model_file import ModelFile, read_model_file

if TYPE_CHECKING:
    from nnpmm.models.torchscript import TorchScriptModel

__all__ = [
    "MODEL_JSON",
    "TORCHSCRIPT",
    "PreparedFamily",
    "TorchScriptFamily",
    "load_prepared",
]


class PreparedFamily:
    """Files model.json of prepare-nnp; see `nnpmm.models.family.ModelFamily`.

    The weights are part of what was prepared, so that no others can be chosen.
    """

    options = ("members", "backend", "device", "precision", "threads")
    accepts = "a model.json"

    def names(self) -> tuple[str, ...]:
        """Return nothing: the names are paths."""
        return ()

    def recognizes(self, name: str) -> bool:
        """Return whether a path ends in ``.json``."""
        return name.endswith(".json")

    def load(self, name: str, **options: Any) -> ani.AniModel | aimnet.AimnetModel:
        """Return the model of a prepared file; see `load_prepared`."""
        return load_prepared(name, **options)


class TorchScriptFamily:
    """TorchScript modules ``*.pt``; see `nnpmm.models.family.ModelFamily`.

    All but the device is fixed in the file.
    """

    options = ("device",)
    accepts = "a TorchScript .pt"

    def names(self) -> tuple[str, ...]:
        """Return nothing: the names are paths."""
        return ()

    def recognizes(self, name: str) -> bool:
        """Return whether a path ends in ``.pt``."""
        return name.endswith(".pt")

    def load(self, name: str, **options: Any) -> TorchScriptModel:
        """Return the model; the file is read when it is bound to atoms."""
        from nnpmm.models.torchscript import TorchScriptModel

        return TorchScriptModel(os.path.abspath(name), **options)


#: For the table of `nnpmm.models.registry`.
MODEL_JSON, TORCHSCRIPT = PreparedFamily(), TorchScriptFamily()


def load_prepared(
    path: str | os.PathLike[str], members: int | Sequence[int] | None = None, **choices: Any
) -> ani.AniModel | aimnet.AimnetModel:
    """Return the model that a model.json describes, with the weights next to it.

    Args:
        path: of the model.json.
        members: which of the file's networks to use, by their index in the ensemble; None uses all.
        choices: backend, device, precision and threads of `nnpmm.models.ani.AniModel` or
            `nnpmm.models.aimnet.AimnetModel`.

    Raises:
        InputFileError: a model.json that cannot be read.
        WeightsError: the weights are missing, or not those that model.json describes.
        ModelError: unknown member, backend, device or precision.
        OptionalDependencyError: the backend's package is not installed.
    """
    path = os.path.abspath(path)
    content = read_model_file(path)
    file = content.weights.verified(Path(path).parent)
    source, rebuild = f"model file: {path}", (load_prepared, (path, members))
    if AIMNET.recognizes(content.model):
        weights = aimnet.load_parameters(file)
        _check_stored(content, file, weights.name, weights.member_indices)
        return aimnet.AimnetModel(
            weights.subset(members), source=source, rebuild=rebuild, **choices
        )
    parameters = ani.load_parameters(file)
    _check_stored(content, file, parameters.name, parameters.member_indices)
    return ani.AniModel(parameters.subset(members), source=source, rebuild=rebuild, **choices)


def _check_stored(content: ModelFile, file: Path, name: str, members: tuple[int, ...]) -> None:
    if name != content.model or members != content.members:
        raise WeightsError(
            f"{file}: contains {shortened(name)} members {shortened(list(members))}, model.json "
            f"says {shortened(content.model)} {shortened(list(content.members))}; run prepare-nnp "
            "again"
        )
