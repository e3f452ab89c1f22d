"""Models that come as files: a model.json written by prepare-nnp, and a TorchScript module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpmm.core.errors import WeightsError, shortened
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.storage import load_parameters
from nnpmm.models.model_file import read_model_file

if TYPE_CHECKING:
    from nnpmm.models.ani.model import AniModel
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

    def load(self, name: str, **options: Any) -> AniModel:
        """Return the ANI model of a prepared file; see `load_prepared`."""
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
) -> AniModel:
    """Return the ANI model that a model.json describes, with the weights next to it.

    Args:
        path: of the model.json.
        members: which of the file's networks to use, by their index in the ensemble; None uses all.
        choices: backend, device, precision and threads of `nnpmm.models.ani.AniModel`.

    Raises:
        InputFileError: a model.json that cannot be read.
        WeightsError: the weights are missing, or not those that model.json describes.
        ModelError: unknown member, backend, device or precision.
        OptionalDependencyError: the backend's package is not installed.
    """
    from nnpmm.models.ani.model import AniModel

    path = os.path.abspath(path)
    return AniModel(
        _prepared_parameters(path).subset(members),
        source=f"model file: {path}",
        rebuild=(load_prepared, (path, members)),
        **choices,
    )


def _prepared_parameters(path: str) -> AniParameters:
    content = read_model_file(path)
    file = content.weights.verified(Path(path).parent)
    parameters = load_parameters(file)
    if parameters.name != content.model or parameters.member_indices != content.members:
        raise WeightsError(
            f"{file}: contains {shortened(parameters.name)} members "
            f"{shortened(list(parameters.member_indices))}, model.json says "
            f"{shortened(content.model)} {shortened(list(content.members))}; run prepare-nnp again"
        )
    return parameters
