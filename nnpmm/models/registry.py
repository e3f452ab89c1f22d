"""Load models by name or file: the families of models, and which of them recognizes a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nnpmm.core.errors import ModelError, shortened
from nnpmm.core.user_warnings import warn_user
from nnpmm.models.family import ModelFamily
from nnpmm.models.protocol import Potential

__all__ = ["families", "find_family", "load_model"]

_GROUP = "nnpmm.models"
# A table here rather than in pyproject.toml, so that a checkout works without being installed.
_BUILT_IN = (
    EntryPoint("ANI", "nnpmm.models.ani.family:ANI", _GROUP),
    EntryPoint("AIMNet2", "nnpmm.models.aimnet.family:AIMNET", _GROUP),
    EntryPoint("model.json", "nnpmm.models.files:MODEL_JSON", _GROUP),
    EntryPoint("TorchScript", "nnpmm.models.files:TORCHSCRIPT", _GROUP),
    EntryPoint("openmm-ml", "nnpmm.models.openmm_ml:OPENMM_ML", _GROUP),
)
# Defaults of load_model, which are not passed on: a family need not have these options.
_DEFAULTS = {"backend": "auto", "device": "auto", "precision": "single"}


def load_model(
    name: str | os.PathLike[str],
    members: int | Sequence[int] | None = None,
    backend: str = "auto",
    device: str = "auto",
    *,
    precision: str = "single",
    threads: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    family: str | None = None,
    **options: Any,
) -> Potential:
    """Load a potential.

    Args:
        name: ``"ANI-2x"``, ``"ANI-1x"``, ``"ANI-1ccx"`` or ``"AIMNet2"``; the path of a model.json
            written by prepare-nnp; the path of a TorchScript file ``*.pt``; a name of openmm-ml,
            such as ``"mace-off23-small"``; or a name of a family that another package adds.
        members: which networks of the ensemble to use, by 0-based index; None uses all.
        backend: ``"auto"`` (the fastest one available for the device), or a name in
            `nnpmm.models.ani.BACKENDS`: ``"cpu"``, ``"reference"``, ``"torchani"``, ``"nnpops"``;
            AIMNet2 has ``"cpu"``, ``"cuda"`` and ``"reference"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        precision: ``"single"``, or ``"double"`` for checks.
        threads: number of CPU threads. By default the cpu backend uses as many as OpenMM: the
            number in the environment variable ``OPENMM_CPU_THREADS``, or all cores.
        weights: a folder with ANI in NeuroChem layout, or with AIMNet2's published file; by default
            the sources listed in `nnpmm.models.ani.weights` and `nnpmm.models.aimnet.weights` are
            tried in turn.
        family: the family to use if several recognize the name: ``"ANI"``, ``"openmm-ml"`` or
            another that ``nnpmm doctor`` lists.
        options: further options, for a family that another package adds.

    Returns:
        The model, not yet bound to atoms.

    Raises:
        ModelError: the model, family, backend, device or member is unknown; several families
            recognize the name; or the model's family does not accept an option.
        WeightsError: the weights cannot be found, or differ from the published ones.
        InputFileError: the model.json cannot be read.
        OptionalDependencyError: the backend's package is not installed.
    """
    text = os.fspath(name)
    title, found = find_family(text, family)
    options |= {"members": members, "backend": backend, "device": device}
    options |= {"precision": precision, "threads": threads, "weights": weights}
    chosen = {key: value for key, value in options.items() if _is_a_choice(key, value)}
    unknown = [key for key in chosen if key not in found.options]
    if unknown:
        raise ModelError(
            f"{text}: found the option{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}, "
            f"the family {title} takes: {', '.join(found.options)}; leave the others out"
        )
    return found.load(text, **chosen)


def find_family(name: str, family: str | None = None) -> tuple[str, ModelFamily]:
    """Return the name of the family that a model belongs to, and the family.

    Args:
        name: of the model, or the path of its file.
        family: look in this one only.

    Raises:
        ModelError: no family or several recognize the name, or there is no such family.
    """
    known = families()
    if family is not None and family not in known:
        raise ModelError(f"found the model family {family!r}, known families: {', '.join(known)}")
    asked = known if family is None else {family: known[family]}
    found = [(title, each) for title, each in asked.items() if each.recognizes(name)]
    if not found:
        raise ModelError(
            f"found the model {name!r}, known: {', '.join(each.accepts for each in asked.values())}"
        )
    if len(found) > 1:
        titles = [repr(title) for title, _ in found]
        raise ModelError(
            f"found the model {name!r} in the families {' and '.join(titles)}, allowed: one; state "
            f"it in load_model, as family={titles[0]}"
        )
    return found[0]


def families() -> dict[str, ModelFamily]:
    """Return the families by name: nnpmm's own, then those of the entry points ``nnpmm.models``.

    A family of another package is left out with a warning if it cannot be imported or has the name
    of an earlier one; the other models can still be loaded.
    """
    found: dict[str, ModelFamily] = {}
    for point in _BUILT_IN:
        found[point.name] = point.load()
    for point in entry_points(group=_GROUP):
        try:
            family = point.load()
            if point.name in found:
                raise ValueError("a family of that name exists already")
            if not isinstance(family, ModelFamily):
                raise TypeError(f"found {type(family).__name__}, expected a ModelFamily")
        except Exception as error:  # whatever the import of another package raises
            warn_user(
                f"the model family {point.name!r} ({point.value}) is left out "
                f"({type(error).__name__}: {shortened(error)}); correct or uninstall its package"
            )
        else:
            found[point.name] = family
    return found


def _is_a_choice(option: str, value: Any) -> bool:
    if isinstance(value, str):  # an array of members cannot be compared with a text
        return value != _DEFAULTS.get(option)
    return value is not None
