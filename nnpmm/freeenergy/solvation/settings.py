"""What a solvation free energy is calculated for, and how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Length, Section, SettingsPath
from nnpmm.freeenergy.legs.settings import LadderSettings, SamplingSettings

__all__ = ["SoluteSettings", "SolvationSettings"]


class SoluteSettings(Section):
    """The molecule: a SMILES string, a structure file, or Amber files of the molecule alone."""

    smiles: str | None = Field(None, description="SMILES of the molecule", examples=["CO"])
    file: SettingsPath | None = Field(
        None, description="SDF or MOL2 file of the molecule, with all hydrogens"
    )
    topology: SettingsPath | None = Field(
        None, description="Amber topology (prmtop) of the molecule alone, with its parameters"
    )
    coordinates: SettingsPath | None = Field(
        None, description="Amber coordinates (inpcrd, rst7) of the molecule, with 'topology'"
    )
    parameters: Literal["auto", "openff", "fallback"] = Field(
        "auto",
        description="where charges and Lennard-Jones parameters come from; not with 'topology'",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("smiles", "file", "topology") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"found {' and '.join(given) or 'none'} of smiles, file and topology, allowed: one"
            )
        if (self.topology is None) != (self.coordinates is None):
            raise ValueError("'topology' and 'coordinates' go together")
        return self


class SolvationSettings(SamplingSettings):
    """A solvation free energy: the molecule, the solvent, what describes it, and the ladder."""

    solute: SoluteSettings
    water_model: Literal["tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb"] = Field(
        "tip3p", description="the solvent"
    )
    padding: Length = Field(
        1.0, gt=0, description="least distance between the solute and the faces of the box, in nm"
    )
    cutoff: Length = Field(0.9, gt=0, description="of the direct-space interactions, in nm")
    ladder: LadderSettings = LadderSettings()
