"""Settings of the coupling, as YAML files have them, and the coupling made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Section
from nnpmm.coupling.link_atoms import LinkAtoms
from nnpmm.coupling.mechanical import Mechanical
from nnpmm.coupling.schemes import Scheme
from nnpmm.coupling.subtractive import Subtractive

__all__ = ["CouplingConfig", "create_coupling"]


class CouplingConfig(Section):
    """How the region and its surroundings act on each other."""

    type: Literal["mechanical", "subtractive"] = Field(
        "mechanical",
        description="mechanical: the force field's fixed charges on the region; subtractive: the "
        "whole force field, and the network less the force field in the region, for AMOEBA",
    )


def create_coupling(
    settings: CouplingConfig,
    *,
    constraints: Literal["none", "keep"],
    inside: Scheme,
    boundary: LinkAtoms | None = None,
) -> Mechanical | Subtractive:
    """Return the coupling that settings ask for.

    Args:
        settings: of the coupling.
        constraints: see `nnpmm.coupling.Mechanical`, as for the others.
        inside: what describes the region.
        boundary: link atoms, or None.

    Raises:
        ConfigError: link atoms, or an inner potential other than the force field, with subtractive
            embedding.
    """
    if settings.type == "mechanical":
        return Mechanical(constraints=constraints, boundary=boundary, inside=inside)
    if boundary is not None:
        raise ConfigError(
            "found link atoms with coupling.type subtractive, which describes whole molecules; "
            "allowed: region.link_atoms null, or the type mechanical"
        )
    return Subtractive(constraints=constraints, inside=inside)
