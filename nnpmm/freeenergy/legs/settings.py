"""Settings that all free energy calculations with a ladder of states share."""

from __future__ import annotations

import itertools
import typing
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Friction, Mass, ModelName, Pressure, Section, Temperature, Time

__all__ = [
    "INSIDE",
    "POTENTIALS",
    "JointSettings",
    "LadderName",
    "LadderSettings",
    "LegTimes",
    "PotentialName",
    "SamplingSettings",
]

#: Potential of the internal energy of the region.
PotentialName = Literal["network", "force field"]
POTENTIALS: tuple[PotentialName, ...] = typing.get_args(PotentialName)
#: A ladder of one potential, or one that goes from the force field to the network at both ends.
LadderName = Literal["network", "force field", "joint"]
#: Potential of the internal energy of the region in each ladder, as in `create_leg_system`.
INSIDE: dict[LadderName, Literal["network", "force field", "both"]] = {
    "network": "network",
    "force field": "force field",
    "joint": "both",
}


class LegTimes(Section):
    """How long the states of a ladder are sampled."""

    time: Time = Field(1000.0, gt=0, description="sampling time of each state, in ps")
    interval: Time = Field(1.0, gt=0, description="time between exchanges of states, in ps")
    equilibration: Time = Field(
        100.0,
        gt=0,
        description="equilibration of the box under constant pressure, at full interaction, in ps",
    )
    state_equilibration: Time = Field(
        10.0,
        gt=0,
        description="equilibration of each state, which starts where the one before ended, in ps",
    )
    equilibrate_from: Literal["first", "last", "alternate"] = Field(
        "first",
        description="state in which the box is equilibrated, the first or the last of the ladder; "
        "the other states follow in order. With alternate, every second repeat begins with the "
        "last state, so that the error from repeats shows hysteresis",
    )


class LadderSettings(LegTimes):
    """The states that decouple a molecule, and how long each is sampled."""

    electrostatics: tuple[float, ...] = Field(
        (1.0, 0.75, 0.5, 0.25, 0.0),
        description="factors of the solute's charges, from 1 to 0, at full Lennard-Jones",
    )
    sterics: tuple[float, ...] = Field(
        (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0),
        description="couplings of the Lennard-Jones interaction, below 1 to 0, without charges",
    )


class SamplingSettings(Section):
    """The potentials that are compared, the ensemble, the integrator and the machine."""

    potentials: tuple[PotentialName, ...] = Field(
        ("network", "force field"),
        min_length=1,
        description="potentials of the molecule's internal energy; each has its own ladder",
    )
    model: ModelName = Field("ANI-2x", description="the network")
    members: tuple[int, ...] | None = Field(
        None, description="members of the network's ensemble; null: all"
    )
    temperature: Temperature = Field(298.15, gt=0, description="temperature, in K")
    pressure: Pressure = Field(1.01325, description="pressure, in bar")
    friction: Friction = Field(1.0, gt=0, description="Langevin collision rate, in 1/ps")
    timestep: Time = Field(0.004, gt=0, description="time step, in ps")
    hydrogen_mass: Mass = Field(3.0, ge=1.0, le=4.1, description="mass of hydrogens, in amu")
    trajectories: Literal["none", "replicas", "states"] = Field(
        "none", description="DCD files of all atoms, one for each replica or for each state"
    )
    trajectory_interval: Time = Field(10.0, gt=0, description="time between frames, in ps")
    repeats: int = Field(1, ge=1, le=100, description="independent repeats, each with its own seed")
    seed: int = Field(1, ge=0, description="random seed of the first repeat")
    platform: Literal["auto", "CUDA", "HIP", "OpenCL", "CPU", "Reference"] = Field(
        "auto", description="OpenMM's platform"
    )
    threads: int | None = Field(
        None, ge=1, description="threads of the CPU platform; null: its default"
    )

    @model_validator(mode="after")
    def _each_potential_once(self) -> Self:
        if len(set(self.potentials)) != len(self.potentials):
            raise ValueError(f"found the potentials {list(self.potentials)}, allowed: each once")
        return self


class JointSettings(SamplingSettings):
    """Settings of calculations in which one ladder can give the values of both potentials."""

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
