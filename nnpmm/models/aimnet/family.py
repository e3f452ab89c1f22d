"""The published AIMNet2 models by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnpmm.core.errors import ModelError
from nnpmm.models.aimnet.weights import PUBLISHED, find_weights

if TYPE_CHECKING:
    from nnpmm.models.aimnet.model import AimnetModel

__all__ = ["AIMNET", "AimnetFamily", "load_aimnet", "published_name"]

#: Names of the field for the same model, without case and hyphens.
_SPELLINGS = {name: "AIMNet2" for name in ("aimnet2", "aimnet2wb97m", "aimnet2wb97md3")}


class AimnetFamily:
    """AIMNet2; see `nnpmm.models.family.ModelFamily`."""

    options = ("members", "backend", "device", "precision", "threads", "weights")
    accepts = ", ".join(PUBLISHED)

    def names(self) -> tuple[str, ...]:
        """Return the published names."""
        return tuple(PUBLISHED)

    def recognizes(self, name: str) -> bool:
        """Return whether a name is published, whatever its case and hyphens."""
        return published_name(name) is not None

    def load(self, name: str, **options: Any) -> AimnetModel:
        """Return the model with weights from the first source that has them; see `load_aimnet`."""
        return load_aimnet(name, **options)


#: For the table of `nnpmm.models.registry`.
AIMNET = AimnetFamily()


def published_name(name: str) -> str | None:
    """Return the published spelling of a model's name in any case, with hyphens or without.

    Returns:
        ``"AIMNet2"``, also for ``"AIMNet2-wB97M"``; None if no such model was published.
    """
    return _SPELLINGS.get(name.lower().replace("-", "").replace("_", ""))


def load_aimnet(
    name: str,
    members: int | Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    **choices: Any,
) -> AimnetModel:
    """Return a published AIMNet2 model.

    Args:
        name: in any spelling.
        members: which networks of the ensemble to use, by 0-based index; None uses all.
        weights: the published TorchScript file or a folder with it, before all other sources.
        choices: backend, device, precision and threads of `nnpmm.models.aimnet.AimnetModel`.

    Raises:
        ModelError: unknown model, member, backend, device or precision.
        WeightsError: no source has the weights, or they differ from those published.
    """
    from nnpmm.models.aimnet.model import AimnetModel

    published = published_name(name)
    if published is None:
        raise ModelError(f"found the AIMNet2 model {name!r}, known models: {', '.join(PUBLISHED)}")
    # A process that recreates the model may work in another folder.
    given = None if weights is None else os.path.abspath(weights)
    found = find_weights(published, given)
    return AimnetModel(
        found.parameters.subset(members),
        source=found.source,
        rebuild=(load_aimnet, (published, members, given)),
        **choices,
    )
