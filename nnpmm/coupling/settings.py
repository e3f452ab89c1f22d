"""Settings of the coupling in YAML files, and the coupling that they describe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Length, Section, SettingsPath
from nnpmm.coupling.electrostatic import Electrostatic
from nnpmm.coupling.link_atoms import LinkAtoms
from nnpmm.coupling.mechanical import Mechanical
from nnpmm.coupling.schemes import Scheme
from nnpmm.coupling.subtractive import Subtractive
from nnpmm.models.charges import ChargeModel

__all__ = ["CouplingConfig", "create_coupling"]


class CouplingConfig(Section):
    """How the region and its surroundings interact."""

    type: Literal["mechanical", "electrostatic", "subtractive"] = Field(
        "mechanical",
        description="mechanical: the force field's fixed charges on the region; electrostatic: "
        "charges that follow its geometry; subtractive: the complete force field, plus the network "
        "minus the force field in the region, for AMOEBA",
    )
    charges: Literal["network", "emle"] | None = Field(
        None,
        description="electrostatic: charges of the network (network; AIMNet2 predicts them), or of "
        "EMLE on the symmetry functions of ANI-2x (emle)",
        examples=["network"],
    )
    emle_model: SettingsPath | None = Field(
        None, description="with charges: emle, the EMLE model (.mat)", examples=["emle.mat"]
    )
    induction: bool = Field(
        False, description="with charges: emle, let the surroundings induce dipoles in the region"
    )
    cutoff: Length = Field(
        1.2,
        gt=0,
        description="electrostatic: cutoff of the difference between these charges and the fixed "
        "ones, at most half the box, in nm",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.type != "electrostatic":
            for name in ("charges", "emle_model", "induction"):
                if getattr(self, name):
                    raise ValueError(
                        f"found '{name}' with the type {self.type}, which uses the force field's "
                        "charges; leave it out, or use the type electrostatic"
                    )
        elif self.charges is None:
            raise ValueError("give 'charges' with the type electrostatic: network or emle")
        if self.induction and self.charges == "network":
            raise ValueError(
                "found 'induction: true' with 'charges: network', allowed only with emle"
            )
        if (self.charges == "emle") != (self.emle_model is not None):
            raise ValueError("give 'charges: emle' and its file, 'emle_model', or neither")
        return self


def create_coupling(
    settings: CouplingConfig,
    *,
    constraints: Literal["none", "keep"],
    inside: Scheme,
    boundary: LinkAtoms | None = None,
) -> Mechanical | Electrostatic | Subtractive:
    """Return the coupling that the settings describe.

    Args:
        settings: of the coupling.
        constraints: see `nnpmm.coupling.Mechanical`.
        inside: what describes the region.
        boundary: link atoms, or None.

    Raises:
        ConfigError: link atoms with electrostatic or subtractive embedding, or an inner potential
            other than the force field with subtractive embedding.
        InputFileError: the file of EMLE cannot be read.
    """
    if settings.type == "mechanical":
        return Mechanical(constraints=constraints, boundary=boundary, inside=inside)
    if boundary is not None:
        raise ConfigError(
            f"found link atoms with coupling.type {settings.type}, which describes whole "
            "molecules; allowed: region.link_atoms null, or the type mechanical"
        )
    if settings.type == "subtractive":
        return Subtractive(constraints=constraints, inside=inside)
    charges: Literal["network"] | ChargeModel = "network"
    if settings.emle_model is not None:
        from nnpmm.models.emle import load_emle

        charges = load_emle(settings.emle_model)
    return Electrostatic(
        charges,
        induction=settings.induction,
        cutoff=settings.cutoff,
        constraints=constraints,
        inside=inside,
    )
