"""What a solvation free energy is calculated for, and how long."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Length, Section, SettingsPath
from nnpmm.freeenergy.legs.settings import LadderSettings, SamplingSettings

__all__ = ["LadderName", "SoluteSettings", "SolvationSettings"]

#: A ladder that is sampled; see ``SolvationSettings.route``.
LadderName = Literal["network", "force field", "joint", "reweighting", "solvent", "vacuum"]


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
    route: Literal["joint", "separate", "reweighting", "correction"] = Field(
        "joint",
        description="where network and force field are both asked for: one ladder that goes on "
        "from the force field to the network at both ends (joint), a ladder for each (separate), "
        "the force field's ladder and the energies of the network at its ends (reweighting), or "
        "from the force field to the network in the solvent and in vacuum, which gives the "
        "difference alone (correction)",
    )
    network: tuple[float, ...] = Field(
        (0.5, 1.0),
        description="weights of the network between force field and network, above 0 to 1",
    )

    @model_validator(mode="after")
    def _rising_weights(self) -> Self:
        bounds = (0.0, *self.network)
        if self.network[-1:] != (1.0,) or any(a >= b for a, b in itertools.pairwise(bounds)):
            raise ValueError(
                f"network: found {list(self.network)}, allowed: weights that rise from above 0 to 1"
            )
        return self

    @property
    def ladders(self) -> tuple[LadderName, ...]:
        """The ladders to sample."""
        if len(self.potentials) == 1 or self.route == "separate":
            return self.potentials
        return ("solvent", "vacuum") if self.route == "correction" else (self.route,)
