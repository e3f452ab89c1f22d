"""Settings of a run in one YAML file; unknown keys are refused, every field has a description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import (
    ForceConstant,
    Friction,
    Pressure,
    Rms,
    Section,
    SettingsPath,
    Temperature,
    Time,
)
from nnpmm.core.settings.reading import parse_settings
from nnpmm.core.settings.yaml_file import read_yaml
from nnpmm.core.time_steps import count_steps
from nnpmm.coupling.settings import CouplingConfig
from nnpmm.simulation.settings.integrator_config import IntegratorConfig
from nnpmm.simulation.settings.region_config import RegionConfig
from nnpmm.simulation.settings.sampling_config import SamplingConfig
from nnpmm.structures.inputs.sources import BuildSystem, SystemSource, TinkerSystem

__all__ = [
    "EnsembleConfig",
    "MinimizeConfig",
    "OutputConfig",
    "PlatformConfig",
    "ProtocolConfig",
    "RegionConfig",
    "RunConfig",
    "StageConfig",
    "StagesConfig",
    "WarmupConfig",
    "load_config",
    "parse_config",
]


class EnsembleConfig(Section):
    """Thermodynamic ensemble of equilibration and production."""

    type: Literal["NVT", "NPT"] | None = Field(
        None,
        description="NVT, or NPT with a Monte Carlo barostat; null: NPT for a system of type "
        "build, whose box starts below the density of liquid water, NVT for all others",
        examples=["NPT"],
    )
    temperature: Temperature = Field(300.0, gt=0, description="temperature, in K")
    pressure: Pressure = Field(1.0, description="pressure under NPT, in bar")
    friction: Friction = Field(
        1.0, ge=0, description="Langevin collision rate of equilibration and production, in 1/ps"
    )
    barostat_interval: int = Field(25, ge=1, description="steps between volume moves under NPT")


class MinimizeConfig(Section):
    """Energy minimisation."""

    max_iterations: int = Field(
        500,
        ge=1,
        description="maximum number of iterations of the minimiser",
    )
    tolerance: Rms = Field(
        10.0, gt=0, description="root-mean-square force that ends the minimisation, in kJ/mol/nm"
    )


class WarmupConfig(Section):
    """Heating at constant volume with position restraints."""

    length: Time = Field(
        5.0,
        gt=0,
        description="length, in ps; the thermostat reaches its final temperature after 80 % of the "
        "length",
    )
    start_temperature: Temperature = Field(
        10.0, gt=0, description="temperature at which the heating starts, in K"
    )
    friction: Friction = Field(
        10.0,
        gt=0,
        description="Langevin collision rate, in 1/ps; the system follows the thermostat with a "
        "delay of about its inverse",
    )
    restraint: str | None = Field(
        None,
        description="restrained atoms in mdtraj's selection language; null: all heavy atoms "
        "except water and ions",
        examples=['"protein and not element H"'],
    )
    restraint_force_constant: ForceConstant = Field(
        1000.0, ge=0, description="force constant k of the restraint k/2 |r - r0|^2, in kJ/mol/nm^2"
    )


class StageConfig(Section):
    """A stage of dynamics."""

    length: Time = Field(gt=0, description="length, in ps", examples=["100 ps"])


class StagesConfig(Section):
    """Stages of a run, in this order; null leaves a stage out."""

    minimize: MinimizeConfig | None = Field(MinimizeConfig(), description="energy minimisation")
    warmup: WarmupConfig | None = Field(WarmupConfig(), description="restrained heating under NVT")
    equilibrate: StageConfig | None = Field(
        StageConfig(length=50.0), description="dynamics without trajectory"
    )
    production: StageConfig | None = Field(
        StageConfig(length=100.0), description="dynamics with trajectory"
    )


class PlatformConfig(Section):
    """OpenMM platform of the MM part."""

    name: Literal["auto", "CUDA", "HIP", "OpenCL", "CPU", "Reference"] = Field(
        "auto", description="OpenMM platform; auto: the fastest that works here"
    )
    precision: Literal["single", "mixed", "double"] = Field(
        "mixed", description="precision of the CUDA, HIP and OpenCL platforms"
    )
    threads: int | None = Field(
        None, ge=1, description="threads of the CPU platform; null: all cores", examples=["4"]
    )


class OutputConfig(Section):
    """Files that a run writes."""

    directory: SettingsPath = Field(Path("output"), description="folder of all files of the run")
    trajectory_format: Literal["dcd", "xtc"] = Field("dcd", description="format of the trajectory")
    trajectory_interval: Time = Field(
        1.0, gt=0, description="time between frames of the production, in ps"
    )
    trajectory_atoms: str = Field(
        "all",
        description="atoms of the trajectory: all, solute (all but water and ions), or a selection "
        "in mdtraj's language",
    )
    ligand_sdf: bool = Field(
        False,
        description="write the last structure of a built ligand with its bond orders, ligand.sdf",
    )
    log_interval: Time = Field(0.5, gt=0, description="time between rows of log.csv, in ps")
    checkpoint_interval: Time = Field(10.0, gt=0, description="time between checkpoints, in ps")


_MAX_FRAMES = 2**31 - 1  # the header of a DCD file contains the number as a 32-bit integer


_ROUNDING = 1e-9  # ps, of time steps that are converted from their units


class ProtocolConfig(Section):
    """How a hybrid system is simulated and what is written."""

    ensemble: EnsembleConfig = Field(EnsembleConfig(), description="thermodynamic ensemble")
    timestep: Time = Field(
        0.001,
        gt=0,
        description="time step, in ps; around the region at most 1 fs with free hydrogens of "
        "1 amu, 2 fs with free ones of 3 amu or constrained ones, 4 fs with constrained ones of "
        "3 amu, 5 fs in rigid water; inside it at most a seventh of the period of the network's "
        "fastest vibration, or a fifth with constrained bonds to hydrogen; with respa it is the "
        "outer step and need not be given",
        examples=["1 fs"],
    )
    integrator: IntegratorConfig = Field(IntegratorConfig(), description="time integration")
    stages: StagesConfig = Field(StagesConfig(), description="stages; null leaves one out")
    sampling: SamplingConfig | None = Field(
        None,
        description="biased production: type metadynamics, umbrella, temperatures or "
        "region-scaling, see docs/sampling.md; null: plain dynamics",
        examples=["{type: temperatures, highest: 450 K, count: 8}"],
    )
    platform: PlatformConfig = Field(PlatformConfig(), description="where the MM part runs")
    output: OutputConfig = Field(default_factory=OutputConfig, description="files and intervals")
    seed: int = Field(
        1, ge=1, le=2**31 - 1, description="seed of velocities, thermostat, barostat and building"
    )

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the dotted name and the value (ps) of every time that must be whole steps."""
        for name in ("warmup", "equilibrate", "production"):
            stage = getattr(self.stages, name)
            if stage is not None:
                yield f"stages.{name}.length", stage.length
        for name in ("trajectory_interval", "log_interval", "checkpoint_interval"):
            yield f"output.{name}", getattr(self.output, name)
        if self.integrator.type == "respa" and self.integrator.watchdog is not None:
            yield "integrator.watchdog.interval", self.integrator.watchdog.interval
        if self.sampling is not None:
            yield from self.sampling.times()

    @model_validator(mode="before")
    @classmethod
    def _default_timestep(cls, data: Any) -> Any:
        """Use the outer step of respa as the time step if no time step is given."""
        integrator = data.get("integrator") if isinstance(data, dict) else None
        outer = integrator.get("outer") if isinstance(integrator, dict) else None
        return data if outer is None or "timestep" in data else {**data, "timestep": outer}

    @model_validator(mode="after")
    def _check_timestep(self) -> Self:
        outer = self.integrator.outer
        if outer is not None and abs(self.timestep - outer) > _ROUNDING:
            raise ValueError(
                f"found a timestep of {self.timestep * 1000:g} fs and integrator.outer of "
                f"{outer * 1000:g} fs; leave out timestep"
            )
        return self

    @model_validator(mode="after")
    def _check_whole_steps(self) -> Self:
        for name, time in self.times():
            try:
                count_steps(time, self.timestep)
            except ConfigError as error:
                raise ValueError(f"{name}: {error}") from error
        return self

    @model_validator(mode="after")
    def _check_frame_count(self) -> Self:
        production, interval = self.stages.production, self.output.trajectory_interval
        if production is not None and production.length / interval > _MAX_FRAMES:
            raise ValueError(
                f"output.trajectory_interval: found {interval:g} ps, which makes "
                f"{production.length / interval:.3g} frames in a production of "
                f"{production.length:g} ps; allowed: at most {_MAX_FRAMES} frames"
            )
        return self

    @model_validator(mode="after")
    def _choose_ensemble(self) -> Self:
        """Replace null by the ensemble that it stands for, so that saved settings name it."""
        if self.ensemble.type is None:
            built = isinstance(getattr(self, "system", None), BuildSystem)
            chosen = self.ensemble.model_copy(update={"type": "NPT" if built else "NVT"})
            object.__setattr__(self, "ensemble", chosen)
        return self

    @model_validator(mode="after")
    def _check_sampling(self) -> Self:
        if self.sampling is not None:
            self.sampling.check(self)
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        if all(getattr(self.stages, name) is None for name in type(self.stages).model_fields):
            raise ValueError("stages: every stage is null, so there is nothing to run")
        return self


class RunConfig(ProtocolConfig):
    """Settings of ``nnpmm run``: the MM system, the region, and the protocol."""

    system: SystemSource = Field(description="where the MM system comes from")
    region: RegionConfig = Field(
        description="what the network describes; its keys may also be at the top level"
    )
    coupling: CouplingConfig = Field(
        CouplingConfig(), description="how the region and its surroundings act on each other"
    )

    @model_validator(mode="before")
    @classmethod
    def _move_region_keys(cls, data: Any) -> Any:
        """Move keys of the region at the top level, such as ``nnpfile``, into ``region``."""
        if not isinstance(data, dict) or "region" in data:
            return data
        region = {key: data[key] for key in RegionConfig.model_fields if key in data}
        rest = {key: value for key, value in data.items() if key not in region}
        return {**rest, "region": region} if region else data

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        region = self.region
        unselected = region.nnpfile is None and region.selection is None
        defined = isinstance(self.system, TinkerSystem) and self.system.key is not None
        if unselected and not defined and not isinstance(self.system, BuildSystem):
            raise ValueError("region: give either 'nnpfile', or 'selection' and 'model'")
        return self

    @model_validator(mode="after")
    def _check_ligand_sdf(self) -> Self:
        if self.output.ligand_sdf and not isinstance(self.system, BuildSystem):
            raise ValueError(
                f"output.ligand_sdf: found true with a system of type {self.system.type}, whose "
                "files contain no bond orders: leave it out; it needs the type build"
            )
        return self


def parse_config(data: Any, *, source: str = "settings", base: str | Path = ".") -> RunConfig:
    """Turn nested dictionaries into a ``RunConfig``.

    Args:
        data: mapping as read from YAML.
        source: name at the beginning of error messages.
        base: folder where relative paths start.

    Raises:
        ConfigError: one line that names the offending key, what was found and what is allowed.
    """
    # Without this, the default output folder would be relative to the working directory.
    if isinstance(data, dict):
        data = {**data, "output": {} if "output" not in data else data["output"]}
    return parse_settings(RunConfig, data, source=source, base=base)


def load_config(path: str | Path) -> RunConfig:
    """Read the settings of a run from a YAML file; relative paths in it start at its folder.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: it is not YAML, or a setting is wrong.
    """
    path = Path(path)
    data = read_yaml(path)
    return parse_config(data, source=path.name, base=path.absolute().parent)
