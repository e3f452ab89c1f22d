"""The interface of a simulation engine, for any program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.errors import SimulationError
from nnpmm.core.fields import ForceConstant, Length, Pressure, Section, Temperature, Time
from nnpmm.permeation.martini.system import Configuration, MartiniSystem

__all__ = [
    "CUTOFF",
    "RELATIVE_PERMITTIVITY",
    "SWITCH_DISTANCE",
    "EnergyTerms",
    "Engine",
    "Frame",
    "ProgressCallback",
    "Restraint",
    "Stage",
    "StageResult",
    "read_frames",
    "whole_steps",
]

#: Lennard-Jones forces are switched off between these distances, and the reaction field ends at
#: the second, nm.
SWITCH_DISTANCE, CUTOFF = 0.9, 1.2
#: Inside the cutoff; outside, the permittivity is infinite.
RELATIVE_PERMITTIVITY = 15.0

#: Called with the simulated time, ps.
ProgressCallback = Callable[[float], None]


class EnergyTerms(NamedTuple):
    """Potential energy by kind, kJ/mol; the reaction field includes its self terms."""

    bonds: float
    angles: float
    lennard_jones: float
    coulomb: float

    @property
    def total(self) -> float:
        """Sum of the terms."""
        return float(sum(self))


class Restraint(Section):
    """k/2 (dz - z)^2, dz the height of the solute's centre of mass above that of all lipids."""

    z: Length = Field(0.0, description="height above the bilayer's centre, in nm")
    force_constant: ForceConstant = Field(
        1000.0, gt=0, description="k, in kJ/mol/nm^2; 1000 keeps dz within 0.05 nm (one sigma)"
    )


class Stage(Section):
    """A segment of dynamics at one temperature."""

    name: str = Field(description="name of its files", pattern=r"^[a-z0-9-]+$")
    length: Time = Field(gt=0, description="length, in ps")
    timestep: Time = Field(gt=0, le=0.04, description="time step, in ps")
    ensemble: Literal["NVT", "NPT"] = Field(description="NPT scales x and y separately from z")
    isotropic: bool = Field(False, description="scale all edges together (a box of water)")
    relaxing: bool = Field(False, description="a barostat that is robust far from equilibrium")
    temperature: Temperature = Field(300.0, gt=0, description="temperature, in K")
    pressure: Pressure = Field(1.0, description="pressure, in bar")
    frame_interval: Time | None = Field(
        None, gt=0, description="time between frames, in ps; None: no trajectory"
    )
    restraint: Restraint | None = Field(None, description="restraint of the solute along z")
    seed: int = Field(1, ge=1, le=2**31 - 1, description="seed of velocities and thermostat")


@dataclass(frozen=True)
class StageResult:
    """The result of a stage.

    Attributes:
        configuration: the last one, with velocities.
        trajectory: TRR file with a frame at the start and after every interval, or None.
        observables: arrays with one value for each frame: ``time`` (ps), ``potential``,
            ``kinetic`` and ``enthalpy`` (kJ/mol), ``temperature`` (K), ``volume`` (nm^3).
    """

    configuration: Configuration
    trajectory: Path | None
    observables: dict[str, NDArray[np.float64]]


class Engine(Protocol):
    """A program that can evaluate, minimise and simulate a Martini system."""

    name: str

    def version(self) -> str:
        """Return the version of the program."""

    def energy(self, system: MartiniSystem, configuration: Configuration) -> EnergyTerms:
        """Return the potential energy of one configuration."""

    def minimize(
        self, system: MartiniSystem, configuration: Configuration, directory: Path
    ) -> Configuration:
        """Return a configuration without strong overlaps; files go to a folder."""

    def run(
        self,
        system: MartiniSystem,
        configuration: Configuration,
        stage: Stage,
        directory: Path,
        progress: ProgressCallback | None = None,
    ) -> StageResult:
        """Run a stage, or continue it if its folder contains a part of it.

        Velocities are drawn where the configuration has none.

        Raises:
            SimulationError: the program failed, or the system blew up.
        """


class Frame(NamedTuple):
    """A frame of a trajectory: ps, (n, 3) nm as the engine wrapped them, (3,) nm."""

    time: float
    positions: NDArray[np.float64]
    box: NDArray[np.float64]


def read_frames(trajectory: Path, chunk: int = 32) -> Iterator[Frame]:
    """Yield the frames of a TRR file one by one; a repeated time, after a restart, is skipped."""
    from mdtraj.formats import TRRTrajectoryFile

    last = -np.inf
    with TRRTrajectoryFile(str(trajectory)) as file:
        while True:
            positions, times, _, boxes, _ = file.read(n_frames=chunk)
            for x, time, box in zip(positions, times, boxes, strict=True):
                if time > last:
                    yield Frame(float(time), x.astype(np.float64), np.diag(box).astype(np.float64))
                    last = time
            if len(positions) < chunk:
                return


def whole_steps(time: float, timestep: float) -> int:
    """Return how many time steps make up a time, both in ps; the nearest whole number."""
    return max(1, round(time / timestep))


def require_finite(configuration: Configuration, what: str) -> None:
    """Check that coordinates are numbers.

    Raises:
        SimulationError: some are not.
    """
    if not np.all(np.isfinite(configuration.positions)):
        raise SimulationError(f"{what}: the system blew up; try another seed or a shorter timestep")
