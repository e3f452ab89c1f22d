"""What a solvation free energy with AMOEBA is calculated for, and how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Time
from nnpmm.freeenergy.legs import INSIDE, JointSettings, LadderName, LadderSettings
from nnpmm.structures.inputs import TinkerSystem

__all__ = ["AmoebaLadder", "AmoebaSolvationSettings"]


class AmoebaLadder(LadderSettings):
    """The states of the two stages, and how long each is sampled."""

    electrostatics: tuple[float, ...] = Field(
        (1.0, 0.75, 0.5, 0.25, 0.0),
        description="factors of the interaction of solute and solvent by multipoles and "
        "polarization, from 1 to 0, at full van der Waals",
    )
    sterics: tuple[float, ...] = Field(
        (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3, 0.2, 0.1, 0.0),
        description="couplings of the soft-core buffered 14-7, below 1 to 0, without multipoles",
    )


class AmoebaSolvationSettings(JointSettings):
    """A solvation free energy in a box that was prepared as Tinker files."""

    force_field: Literal["amoeba"] = Field("amoeba", description="the force field")
    system: TinkerSystem = Field(description="the solute in its solvent")
    solute: str | None = Field(
        None,
        description="selection of the solute's atoms, a whole molecule; null: the group that the "
        "key file gives to the network",
        examples=["resname UNK"],
    )
    timestep: Time = Field(
        0.002,
        gt=0,
        description="time step of multipoles, polarization, van der Waals and network, in ps",
    )
    inner_timestep: Time = Field(0.00025, gt=0, description="time step of the valence terms, in ps")
    ladder: AmoebaLadder = AmoebaLadder()

    @property
    def inside(self) -> LadderName:
        """What describes the inside of the solute in the ladders."""
        return self.potentials[0] if len(self.potentials) == 1 else "joint"

    @property
    def creates_network(self) -> bool:
        """Whether a network is needed."""
        return INSIDE[self.inside] != "force field"

    @model_validator(mode="after")
    def _box_and_one_mass(self) -> Self:
        if self.system.nonbonded_method != "PME":
            raise ValueError(
                f"system.nonbonded_method: found {self.system.nonbonded_method}, allowed: PME, a "
                "solute in a periodic box of solvent"
            )
        if self.system.hydrogen_mass is not None:
            raise ValueError("system.hydrogen_mass: give 'hydrogen_mass' of the calculation")
        return self
