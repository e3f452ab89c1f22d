"""The published ANI models by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnpmm.core.errors import ModelError
from nnpmm.models.ani.weights import PUBLISHED, find_weights

if TYPE_CHECKING:
    from nnpmm.models.ani.model import AniModel

__all__ = ["ANI", "AniFamily", "load_ani", "published_name"]


class AniFamily:
    """ANI-2x, ANI-1x and ANI-1ccx; see `nnpmm.models.family.ModelFamily`."""

    options = ("members", "backend", "device", "precision", "threads", "weights")
    accepts = ", ".join(PUBLISHED)

    def names(self) -> tuple[str, ...]:
        """Return the published names."""
        return tuple(PUBLISHED)

    def recognizes(self, name: str) -> bool:
        """Return whether a name is published, whatever its case and hyphens."""
        return published_name(name) is not None

    def load(self, name: str, **options: Any) -> AniModel:
        """Return the model with weights from the first source that has them; see `load_ani`."""
        return load_ani(name, **options)


#: For the table of `nnpmm.models.registry`.
ANI = AniFamily()


def published_name(name: str) -> str | None:
    """Return the published spelling of a model's name in any case, with hyphens or without.

    Returns:
        Such as ``"ANI-2x"``; None if no such model was published.
    """
    spellings = {key.lower().replace("-", ""): key for key in PUBLISHED}
    return spellings.get(name.lower().replace("-", "").replace("_", ""))


def load_ani(
    name: str,
    members: int | Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    **choices: Any,
) -> AniModel:
    """Return a published ANI model.

    Args:
        name: in any spelling.
        members: which networks of the ensemble to use, by 0-based index; None uses all.
        weights: a NeuroChem folder, tried before all other sources.
        choices: backend, device, precision and threads of `nnpmm.models.ani.AniModel`.

    Raises:
        ModelError: unknown model, member, backend, device or precision.
        WeightsError: no source has the weights, or they differ from those published.
        OptionalDependencyError: the backend's package is not installed.
    """
    from nnpmm.models.ani.model import AniModel

    published = published_name(name)
    if published is None:
        raise ModelError(f"found the ANI model {name!r}, known models: {', '.join(PUBLISHED)}")
    # A process that recreates the model may work in another folder.
    folder = None if weights is None else os.path.abspath(weights)
    found = find_weights(published, folder)
    return AniModel(
        found.parameters.subset(members),
        source=found.source,
        rebuild=(load_ani, (published, members, folder)),
        **choices,
    )
