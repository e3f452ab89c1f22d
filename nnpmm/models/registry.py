"""From a name or a file to a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nnpmm.core.errors import ModelError, WeightsError, shortened
from nnpmm.models.ani import PUBLISHED, AniModel, AniParameters, find_weights, load_parameters
from nnpmm.models.model_file import read_model_file
from nnpmm.models.openmm_ml import OpenmmMlModel, openmm_ml_names
from nnpmm.models.torchscript import TorchScriptModel

__all__ = ["canonical_name", "is_ani", "load_model"]


def load_model(
    name: str | os.PathLike[str],
    members: int | Sequence[int] | None = None,
    backend: str = "auto",
    device: str = "auto",
    *,
    precision: str = "single",
    threads: int | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> AniModel | TorchScriptModel | OpenmmMlModel:
    """Load a potential.

    Args:
        name: ``"ANI-2x"``, ``"ANI-1x"`` or ``"ANI-1ccx"``; the path of a model.json written by
            prepare-nnp; the path of a TorchScript file ``*.pt``; or a name that openmm-ml knows,
            such as ``"mace-off23-small"``.
        members: which networks of the ensemble to use, by 0-based index; None uses all.
        backend: ``"auto"`` (the fastest that is there for the device), or a name in
            `nnpmm.models.ani.BACKENDS`: ``"cpu"``, ``"reference"``, ``"torchani"``, ``"nnpops"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        precision: ``"single"``, or ``"double"`` for checks.
        threads: of the CPU. By default the cpu backend uses as many as OpenMM does: those of the
            environment variable ``OPENMM_CPU_THREADS``, or all.
        weights: a folder with the model in NeuroChem layout; by default the sources listed in
            `nnpmm.models.ani.weights` are tried in turn.

    Raises:
        ModelError: unknown model, backend, device or member.
        WeightsError: the weights are nowhere to be had, or not those published.
        InputFileError: a model.json that cannot be read.
        OptionalDependencyError: the backend's package is not installed.
    """
    text = os.fspath(name)
    if text.endswith(".pt"):
        fixed = (members, weights, precision) == (None, None, "single")
        if not fixed or backend not in ("auto", "torchscript"):
            raise ModelError(
                f"{text}: members, weights, backend and precision are fixed in a TorchScript file"
            )
        return TorchScriptModel(os.path.abspath(text), device)
    if not is_ani(text) and text in (openmm_ml_names() or ()):
        if (members, weights, threads, precision, backend) != (None, None, None, "single", "auto"):
            raise ModelError(
                f"{text}: members, weights, backend, precision and threads are openmm-ml's choice; "
                "leave them out"
            )
        return OpenmmMlModel(text, device)
    weights = None if weights is None else os.path.abspath(weights)
    if text.endswith(".json"):
        text = os.path.abspath(text)
        parameters, source = _prepared_parameters(text, weights)
    else:
        text = canonical_name(text)
        found = find_weights(text, weights)
        parameters, source = found.parameters, found.source
    arguments = (text, members, backend, device, precision, threads, weights)
    return AniModel(
        parameters.subset(members),
        backend=backend,
        device=device,
        precision=precision,
        threads=threads,
        source=source,
        rebuild=(_load_again, arguments),
    )


def canonical_name(name: str) -> str:
    """Return the published spelling of a model's name, whatever its case and hyphens.

    Raises:
        ModelError: no such model.
    """
    found = _spelling(name)
    if found is None:
        others = "pip install openmmml for more"
        if openmm_ml_names() is not None:
            others = "a name that openmm-ml knows"
        raise ModelError(
            f"found the model {name!r}, known: {', '.join(PUBLISHED)}, a model.json, a "
            f"TorchScript .pt, {others}"
        )
    return found


def is_ani(name: str) -> bool:
    """Whether a name is that of a published ANI model, in any spelling, or of a model.json."""
    return name.endswith(".json") or _spelling(name) is not None


def _spelling(name: str) -> str | None:
    spellings = {key.lower().replace("-", ""): key for key in PUBLISHED}
    return spellings.get(name.lower().replace("-", "").replace("_", ""))


def _prepared_parameters(path: str, weights: str | None) -> tuple[AniParameters, str]:
    if weights is not None:
        raise ModelError(
            f"{path}: a model.json brings its own weights; leave out the weights folder"
        )
    content = read_model_file(path)
    file = content.weights.verified(Path(path).parent)
    parameters = load_parameters(file)
    if parameters.name != content.model or parameters.member_indices != content.members:
        raise WeightsError(
            f"{file}: holds {shortened(parameters.name)} members "
            f"{shortened(list(parameters.member_indices))}, model.json says "
            f"{shortened(content.model)} {shortened(list(content.members))}; run prepare-nnp again"
        )
    return parameters, f"model file: {path}"


def _load_again(
    name: str,
    members: int | Sequence[int] | None,
    backend: str,
    device: str,
    precision: str,
    threads: int | None,
    weights: str | None,
) -> AniModel | TorchScriptModel | OpenmmMlModel:
    return load_model(
        name, members, backend, device, precision=precision, threads=threads, weights=weights
    )
