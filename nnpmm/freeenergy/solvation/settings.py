"""What a solvation free energy is calculated for, and how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import (
    Friction,
    Length,
    Mass,
    ModelName,
    Pressure,
    Section,
    Temperature,
    Time,
)
from nnpmm.structures.ligands.source import MoleculeSource

__all__ = ["LadderSettings", "PotentialName", "SoluteSettings", "SolvationSettings"]

PotentialName = Literal["network", "force field"]


class SoluteSettings(MoleculeSource):
    """The molecule: a SMILES string, a structure file, or Amber files of the molecule alone."""


class LadderSettings(Section):
    """The alchemical states, and how long each is sampled."""

    electrostatics: tuple[float, ...] = Field(
        (1.0, 0.75, 0.5, 0.25, 0.0),
        description="factors of the solute's charges, from 1 to 0, at full Lennard-Jones",
    )
    sterics: tuple[float, ...] = Field(
        (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0),
        description="couplings of the Lennard-Jones interaction, below 1 to 0, without charges",
    )
    time: Time = Field(1000.0, gt=0, description="sampled in each state, in ps")
    interval: Time = Field(1.0, gt=0, description="between two exchanges of states, in ps")
    equilibration: Time = Field(
        100.0, gt=0, description="of the box under constant pressure, full interaction, in ps"
    )
    state_equilibration: Time = Field(
        10.0, gt=0, description="of each state, which starts where the one before ended, in ps"
    )


class SolvationSettings(Section):
    """A solvation free energy: the molecule, the solvent, what describes it, and the ladder."""

    solute: SoluteSettings
    water_model: Literal["tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb"] = Field(
        "tip3p", description="the solvent"
    )
    padding: Length = Field(
        1.0, gt=0, description="least distance between the solute and the faces of the box, in nm"
    )
    cutoff: Length = Field(0.9, gt=0, description="of the direct-space interactions, in nm")
    potentials: tuple[PotentialName, ...] = Field(
        ("network", "force field"),
        min_length=1,
        description="what describes the inside of the solute, one ladder for each",
    )
    model: ModelName = Field("ANI-2x", description="the network")
    members: tuple[int, ...] | None = Field(None, description="members of its ensemble; null: all")
    temperature: Temperature = Field(298.15, gt=0, description="in K")
    pressure: Pressure = Field(1.01325, description="in bar")
    friction: Friction = Field(1.0, gt=0, description="Langevin collision rate, in 1/ps")
    timestep: Time = Field(0.004, gt=0, description="in ps")
    hydrogen_mass: Mass = Field(3.0, ge=1.0, le=4.1, description="of solute hydrogens, in amu")
    ladder: LadderSettings = LadderSettings()
    repeats: int = Field(1, ge=1, le=100, description="independent repeats, each with its own seed")
    seed: int = Field(1, ge=0, description="of the first repeat")
    platform: Literal["auto", "CUDA", "HIP", "OpenCL", "CPU", "Reference"] = Field(
        "auto", description="OpenMM's platform"
    )
    threads: int | None = Field(None, ge=1, description="of the CPU platform; null: its default")

    @model_validator(mode="after")
    def _each_potential_once(self) -> Self:
        if len(set(self.potentials)) != len(self.potentials):
            raise ValueError(f"found the potentials {list(self.potentials)}, allowed: each once")
        return self
