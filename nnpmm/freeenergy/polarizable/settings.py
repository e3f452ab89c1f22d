"""Settings of a solvation free energy with AMOEBA."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Length, Section, SettingsPath, Time
from nnpmm.freeenergy.legs import INSIDE, JointSettings, LadderName, LadderSettings
from nnpmm.structures.inputs import TinkerSystem

__all__ = ["AmoebaLadder", "AmoebaSolvationSettings", "AmoebaSolvent"]


class AmoebaLadder(LadderSettings):
    """The states of the two stages, and how long each is sampled."""

    electrostatics: tuple[float, ...] = Field(
        (1.0, 0.75, 0.5, 0.25, 0.0),
        description="scaling factors of multipoles and polarization between solute and solvent, "
        "from 1 to 0, at full van der Waals",
    )
    sterics: tuple[float, ...] = Field(
        (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3, 0.2, 0.1, 0.0),
        description="couplings of the soft-core buffered 14-7 interaction, below 1 to 0, without "
        "multipoles",
    )


class AmoebaSolvent(Section):
    """A liquid that a box is built of."""

    xyz: SettingsPath = Field(
        description="one molecule of the solvent (Tinker coordinates, .xyz); its parameters are in "
        "system.parameters",
        examples=["toluene.xyz"],
    )
    padding: Length = Field(
        1.2,
        gt=0,
        description="thickness of solvent around the solute, in nm, in a box at the liquid's "
        "density",
    )
    equilibration: Time = Field(
        300.0,
        gt=0,
        description="equilibration of the loosely packed box with the force field, under constant "
        "pressure, in ps",
    )


class AmoebaSolvationSettings(JointSettings):
    """A solvation free energy in a box of Tinker files, or in one that is built of them."""

    force_field: Literal["amoeba"] = Field("amoeba", description="the force field")
    system: TinkerSystem = Field(
        description="the solute in its solvent; with 'solvent', the solute alone"
    )
    solvent: AmoebaSolvent | None = Field(
        None, description="solvent of which a box is built; null: 'system' contains the box"
    )
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
    def label(self) -> str:
        """What to call the solvent in a report."""
        return self.system.xyz.name if self.solvent is None else self.solvent.xyz.stem

    @property
    def inside(self) -> LadderName:
        """The kind of the ladders: of one potential, or joint."""
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
        if self.solvent is not None:
            given = {
                "solute": self.solute, "system.key": self.system.key, "system.box": self.system.box
            }  # fmt: skip
            wrong = [name for name, value in given.items() if value is not None]
            if wrong:
                raise ValueError(
                    f"found {' and '.join(wrong)} with 'solvent', allowed: system.xyz with the "
                    "solute alone, around which a box is built"
                )
        if self.system.hydrogen_mass is not None:
            raise ValueError("system.hydrogen_mass: give 'hydrogen_mass' of the calculation")
        return self
