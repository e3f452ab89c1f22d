"""Settings of a run, one YAML file; unknown keys are refused and every field says what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from typing_extensions import Self

from nnpmm.errors import ConfigError, InputFileError
from nnpmm.fields import (
    ForceConstant,
    Friction,
    ModelName,
    Pressure,
    Rms,
    Section,
    SettingsPath,
    Temperature,
    Time,
)
from nnpmm.simulation.config_errors import describe_validation_error
from nnpmm.simulation.integrator_config import IntegratorConfig
from nnpmm.simulation.system_config import BuildSystem, SystemConfig

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
    "count_steps",
    "load_config",
    "parse_config",
]


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
        None, description="network: ANI-2x, ANI-1x, ANI-1ccx, or a model file", examples=["ANI-2x"]
    )
    members: tuple[int, ...] | None = Field(
        None,
        description="networks of the ensemble to use (a number or a list); null: all",
        examples=["[0]"],
    )
    backend: str = Field("auto", description="implementation; auto: the fastest there is")
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
        "MM system, which allow 2 fs, with hydrogens of 3 amu 4 fs",
    )
    mass_factor: float = Field(
        1.0,
        ge=1,
        le=10,
        description="factor of the region's masses: slower vibrations, the same averages; 2 allows "
        "5 fs in rigid water with hydrogens of 3 amu and kept constraints",
    )
    link_atoms: bool = Field(
        False,
        description="cap the region with hydrogens where the selection cuts C-C single bonds; "
        "otherwise that is an error",
    )

    @field_validator("members", mode="before")
    @classmethod
    def _list_members(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.nnpfile is not None:
            extra = [n for n in ("selection", "model", "members", "weights") if getattr(self, n)]
            if extra:
                raise ValueError(
                    f"'nnpfile' already holds '{extra[0]}': give either nnpfile, or selection and "
                    "model"
                )
        elif self.model is None:
            raise ValueError("give either 'nnpfile', or 'selection' and 'model'")
        return self


class EnsembleConfig(Section):
    """Thermodynamic ensemble of equilibration and production."""

    type: Literal["NVT", "NPT"] = Field(
        "NVT", description="NVT, or NPT with a Monte Carlo barostat"
    )
    temperature: Temperature = Field(300.0, gt=0, description="temperature, in K")
    pressure: Pressure = Field(1.0, description="pressure under NPT, in bar")
    friction: Friction = Field(1.0, ge=0, description="Langevin collision rate, in 1/ps")
    barostat_interval: int = Field(25, ge=1, description="steps between volume moves under NPT")


class MinimizeConfig(Section):
    """Energy minimisation."""

    max_iterations: int = Field(
        500,
        ge=1,
        description="most iterations of the minimiser",
    )
    tolerance: Rms = Field(
        10.0, gt=0, description="root-mean-square force that ends the minimisation, in kJ/mol/nm"
    )


class WarmupConfig(Section):
    """Heating at constant volume with position restraints."""

    length: Time = Field(5.0, gt=0, description="length of the heating, in ps")
    start_temperature: Temperature = Field(
        10.0, gt=0, description="temperature that the heating starts from, in K"
    )
    restraint: str | None = Field(
        None,
        description="restrained atoms in mdtraj's selection language; null: all heavy atoms "
        "except water and ions",
        examples=['"protein and not element H"'],
    )
    restraint_force_constant: ForceConstant = Field(
        1000.0, ge=0, description="k of the restraint k/2 |r - r0|^2, in kJ/mol/nm^2"
    )


class StageConfig(Section):
    """A stretch of dynamics."""

    length: Time = Field(gt=0, description="length, in ps", examples=["100 ps"])


class StagesConfig(Section):
    """Stages of a run, in this order; null leaves a stage out."""

    minimize: MinimizeConfig | None = Field(MinimizeConfig(), description="energy minimisation")
    warmup: WarmupConfig | None = Field(WarmupConfig(), description="restrained heating under NVT")
    equilibrate: StageConfig | None = Field(
        StageConfig(length=20.0), description="dynamics without trajectory"
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
    log_interval: Time = Field(0.5, gt=0, description="time between rows of log.csv, in ps")
    checkpoint_interval: Time = Field(10.0, gt=0, description="time between checkpoints, in ps")


def count_steps(time: float, timestep: float) -> int:
    """Return how many time steps (ps) make up ``time`` (ps).

    Raises:
        ConfigError: ``time`` is not a whole multiple of the time step.
    """
    steps = round(time / timestep)
    if steps < 1 or abs(steps * timestep - time) > 1e-6 * timestep * max(1.0, steps * 1e-3):
        nearest = max(1, steps) * timestep
        raise ConfigError(
            f"found {time:g} ps, must be a whole multiple of the time step {timestep:g} ps "
            f"(nearest: {nearest:.12g} ps)"
        )
    return steps


class ProtocolConfig(Section):
    """How a hybrid system is simulated and what is written."""

    ensemble: EnsembleConfig = Field(EnsembleConfig(), description="thermodynamic ensemble")
    timestep: Time = Field(
        0.001,
        gt=0,
        description="time step, in ps; at most 1 fs with free hydrogens of 1 amu, 2 fs with free "
        "ones of 3 amu or constrained ones, 4 fs with constrained ones of 3 amu, 5 fs where "
        "region.mass_factor allows it; with respa it is the outer one and need not be given",
        examples=["1 fs"],
    )
    integrator: IntegratorConfig = Field(IntegratorConfig(), description="time integration")
    stages: StagesConfig = Field(StagesConfig(), description="stages; null leaves one out")
    platform: PlatformConfig = Field(PlatformConfig(), description="where the MM part runs")
    output: OutputConfig = Field(default_factory=OutputConfig, description="files and intervals")
    seed: int = Field(
        1, ge=1, le=2**31 - 1, description="seed of velocities, thermostat, barostat and building"
    )

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the dotted name and the value (ps) of every time that must hold whole steps."""
        for name in ("warmup", "equilibrate", "production"):
            stage = getattr(self.stages, name)
            if stage is not None:
                yield f"stages.{name}.length", stage.length
        for name in ("trajectory_interval", "log_interval", "checkpoint_interval"):
            yield f"output.{name}", getattr(self.output, name)
        if self.integrator.type == "respa" and self.integrator.watchdog is not None:
            yield "integrator.watchdog.interval", self.integrator.watchdog.interval

    @model_validator(mode="before")
    @classmethod
    def _take_outer_timestep(cls, data: Any) -> Any:
        """Let the outer step of respa be the time step that everything else is counted in."""
        integrator = data.get("integrator") if isinstance(data, dict) else None
        outer = integrator.get("outer") if isinstance(integrator, dict) else None
        return data if outer is None or "timestep" in data else {**data, "timestep": outer}

    @model_validator(mode="after")
    def _one_outer_timestep(self) -> Self:
        outer = self.integrator.outer
        if outer is not None and abs(self.timestep - outer) > 1e-9:
            raise ValueError(
                f"found a timestep of {self.timestep * 1000:g} fs and integrator.outer of "
                f"{outer * 1000:g} fs; leave out timestep"
            )
        return self

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        for name, time in self.times():
            try:
                count_steps(time, self.timestep)
            except ConfigError as error:
                raise ValueError(f"{name}: {error}") from error
        return self

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if all(getattr(self.stages, name) is None for name in type(self.stages).model_fields):
            raise ValueError("stages: every stage is null, so there is nothing to run")
        return self


class RunConfig(ProtocolConfig):
    """Settings of ``nnpmm run``: the MM system, the region, and the protocol."""

    system: SystemConfig = Field(description="where the MM system comes from")
    region: RegionConfig = Field(
        description="what the network describes; its keys may stand at the top level instead"
    )

    @model_validator(mode="before")
    @classmethod
    def _lift_region(cls, data: Any) -> Any:
        """Take ``nnpfile: model.json`` at the top level, as published, for the region's."""
        if not isinstance(data, dict) or "region" in data:
            return data
        region = {key: data[key] for key in RegionConfig.model_fields if key in data}
        rest = {key: value for key, value in data.items() if key not in region}
        return {**rest, "region": region} if region else data

    @model_validator(mode="after")
    def _selection_given(self) -> Self:
        region = self.region
        unselected = region.nnpfile is None and region.selection is None
        if unselected and not isinstance(self.system, BuildSystem):
            raise ValueError("region: give either 'nnpfile', or 'selection' and 'model'")
        return self


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_config(data: Any, *, source: str = "settings", base: str | Path = ".") -> RunConfig:
    """Turn nested dictionaries into a ``RunConfig``.

    Args:
        data: mapping as read from YAML.
        source: name that error messages begin with.
        base: folder that relative paths are relative to.

    Raises:
        ConfigError: one line that names the offending key, what was found and what is allowed.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: found {type(data).__name__}, expected keys such as 'system'")
    # Without this the default folder would be taken relative to the working directory.
    data = {**data, "output": {} if "output" not in data else data["output"]}
    try:
        return RunConfig.model_validate(data, context={"base": Path(base)})
    except ValidationError as error:
        raise ConfigError(
            f"{source}: {describe_validation_error(error, RunConfig, data)}"
        ) from None


def load_config(path: str | Path) -> RunConfig:
    """Read the settings of a run from a YAML file; its relative paths start at its folder.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: it is not YAML, or a setting is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not a text file"
        raise InputFileError(f"{path}: cannot read the settings: {reason}") from error
    try:
        data = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"{path.name}: not valid YAML{where}: {problem}") from error
    return parse_config(data, source=path.name, base=path.absolute().parent)
