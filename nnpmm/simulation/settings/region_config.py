"""Settings of the region."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Length, ModelName, Section, SettingsPath
from nnpmm.structures.link_bonds import checked_distances, checked_kinds

__all__ = ["LinkAtomsConfig", "RegionConfig"]


class LinkAtomsConfig(Section):
    """Link atoms that cap the region where it is cut; see `nnpmm.coupling.LinkAtoms`."""

    bonds: tuple[str, ...] = Field(
        ("C-C",), description="single bonds that may be cut: pairs of elements, any single, amide"
    )
    distances: dict[str, Length] = Field(
        {},
        description="distance from the region's atom to its link hydrogen, for each kind of "
        "bond, the region's atom first",
        examples=["{N-C: 0.101 nm}"],
    )
    charges: Literal["keep", "shift"] = Field(
        "keep",
        description="force-field charges of the region: keep them, or shift their non-integer "
        "remainder to the neighbours outside",
    )

    @field_validator("bonds", mode="before")
    @classmethod
    def _list_bonds(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("bonds")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return checked_kinds(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("distances")
    @classmethod
    def _known_pairs(cls, value: dict[str, float]) -> dict[str, float]:
        try:
            return checked_distances(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None


class RegionConfig(Section):
    """The atoms that the network describes: a prepared file, or a selection and a model."""

    nnpfile: SettingsPath | None = Field(
        None,
        description="model.json written by prepare-nnp, in place of selection and model",
        examples=["model.json"],
    )
    selection: str | None = Field(
        None,
        description="atoms of the region in mdtraj's selection language; with a built system it "
        "may be left out and means the ligand",
        examples=['"resname LIG"'],
    )
    model: ModelName | None = Field(
        None,
        description="network: ANI-2x, ANI-1x, ANI-1ccx, AIMNet2, or a model file",
        examples=["ANI-2x"],
    )
    members: tuple[int, ...] | None = Field(
        None,
        description="networks of the ensemble to use (a number or a list); null: all",
        examples=["[0]"],
    )
    backend: str = Field("auto", description="implementation; auto: the fastest available")
    device: str = Field("auto", description="where the network runs: auto, cpu, cuda, cuda:1 ...")
    precision: Literal["single", "double"] = Field(
        "single", description="arithmetic of the network"
    )
    weights: SettingsPath | None = Field(
        None, description="folder with network weights; null: see nnpmm doctor", examples=["models"]
    )
    constraints: Literal["none", "keep"] = Field(
        "none",
        description="constrained bonds to hydrogen inside the region: none, or keep those of the "
        "MM system, for time steps of 2 to 5 fs",
    )
    mass_factor: Literal["auto"] | float = Field(
        "auto",
        description="factor of the region's masses, which slows vibrations and keeps averages; "
        "auto: the smallest, up to 4, that gives the fastest vibration seven time steps per period "
        "if the region's bonds to hydrogen are constrained, else 1",
        examples=["1.5"],
    )
    link_atoms: LinkAtomsConfig | None = Field(
        None,
        description="cap the region with hydrogens where the selection cuts single bonds: true for "
        "C-C bonds, kinds of bonds (C-C, C-S ...; any single; amide), or bonds, distances and "
        "charges; null: a cut bond is an error",
        examples=["true", "[C-C, C-S]"],
    )

    allow_charged: bool = Field(
        False,
        description="let a network for neutral molecules, such as ANI, describe a charged region, "
        "whose charge it does not see; the run's report states it",
    )

    @field_validator("members", mode="before")
    @classmethod
    def _list_members(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("link_atoms", mode="before")
    @classmethod
    def _expand_shorthand(cls, value: Any) -> Any:
        """Accept true, false, or kinds of bonds in place of a section."""
        if isinstance(value, bool):
            return {} if value else None
        return {"bonds": value} if isinstance(value, (str, list, tuple)) else value

    @field_validator("mass_factor", mode="before")
    @classmethod
    def _check_mass_factor(cls, value: Any) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value == "auto" or (number and 1 <= value <= 10):
            return value
        raise ValueError(f"found {value!r}, allowed: auto, or a number from 1 to 10")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.nnpfile is not None:
            extra = [n for n in ("selection", "model", "members", "weights") if getattr(self, n)]
            if extra:
                raise ValueError(
                    f"'nnpfile' already has '{extra[0]}': give either nnpfile, or selection and "
                    "model"
                )
        elif self.model is None:
            raise ValueError("give either 'nnpfile', or 'selection' and 'model'")
        return self
