"""Settings of ``nnpmm run`` with ``engine: lammps``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import ModelName, Pressure, Rms, Section, SettingsPath, Temperature, Time
from nnpmm.core.settings.reading import parse_settings
from nnpmm.core.settings.template import commented_file
from nnpmm.core.settings.yaml_file import read_yaml
from nnpmm.core.time_steps import count_steps

__all__ = ["LammpsConfig", "load_config", "steps_of", "template"]

_LONGEST_STEP = 0.001  # ps; hydrogens are free and have 1 amu
_HEADER = """\
# A neural network on every atom of a periodic system, on LAMMPS. Run it on N processes:
# mpirun -n N nnpmm run md.yaml"""


class SystemConfig(Section):
    """The system, with a periodic box."""

    file: SettingsPath = Field(
        description="structure with a periodic box: PDB, mmCIF or GRO; or a LAMMPS data file "
        "(.data, .lmp, .lammps, .lmpdat) in angstrom",
        examples=["box.pdb"],
    )
    atom_style: str | None = Field(
        None,
        description="of a data file whose heading Atoms does not say it",
        examples=["full"],
    )
    elements: tuple[str, ...] | None = Field(
        None,
        description="of the types of a data file, in their order; null: by their masses",
        examples=["[O, H]"],
    )


class NetworkConfig(Section):
    """The network."""

    model: ModelName = Field(description="network: ANI-2x, ANI-1x or ANI-1ccx", examples=["ANI-2x"])
    members: tuple[int, ...] | None = Field(
        None,
        description="networks of the ensemble to use (a number or a list); null: all",
        examples=["[0]"],
    )
    precision: Literal["single", "double"] = Field("single", description="arithmetic")
    weights: SettingsPath | None = Field(
        None, description="folder with network weights; null: see nnpmm doctor", examples=["models"]
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="cpu, or cuda: the ranks of a machine take its GPUs in turn"
    )
    threads: int = Field(1, ge=1, description="threads of each rank")
    allow_charged: bool = Field(
        False,
        description="let a network that was trained on neutral molecules, as ANI, describe charged "
        "ones, whose charge it does not see",
    )

    @field_validator("members", mode="before")
    @classmethod
    def _list_members(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


class EnsembleConfig(Section):
    """Thermodynamic ensemble, by LAMMPS' fixes."""

    type: Literal["NVE", "NVT", "NPT"] = Field("NVT", description="NVE, NVT or NPT")
    temperature: Temperature = Field(
        300.0, gt=0, description="temperature, in K; also of the first velocities"
    )
    pressure: Pressure = Field(1.0, description="pressure under NPT, in bar")
    thermostat: Literal["langevin", "nose-hoover"] = Field(
        "langevin", description="langevin (fix langevin), or nose-hoover (fix nvt, fix npt)"
    )
    thermostat_time: Time = Field(
        0.5,
        gt=0,
        description="time constant of the thermostat, in ps: the inverse of Langevin's collision "
        "rate, or the period of the Nose-Hoover chain",
    )
    barostat: Literal["iso", "aniso"] = Field(
        "iso", description="which edges of the box change: all together, or each by itself"
    )
    barostat_time: Time = Field(
        1.0, gt=0, description="time constant of the Nose-Hoover barostat, in ps"
    )


class MinimizeConfig(Section):
    """Energy minimisation by conjugate gradients."""

    max_iterations: int = Field(200, ge=1, description="most iterations")
    tolerance: Rms = Field(
        100.0, gt=0, description="largest component of a force that ends it, in kJ/mol/nm"
    )


class StageConfig(Section):
    """A stretch of dynamics."""

    length: Time = Field(gt=0, description="length, in ps", examples=["10 ps"])


class StagesConfig(Section):
    """Stages of a run, in this order; null leaves a stage out."""

    minimize: MinimizeConfig | None = Field(MinimizeConfig(), description="energy minimisation")
    equilibrate: StageConfig | None = Field(
        StageConfig(length=1.0),
        description="dynamics without trajectory; 1 ps, 2,000 steps of 0.5 fs, is only twice the "
        "default thermostat_time: a liquid needs more",
    )
    production: StageConfig = Field(
        StageConfig(length=10.0),
        description="dynamics with trajectory; 10 ps are 20,000 steps of 0.5 fs",
    )


class OutputConfig(Section):
    """Files that a run writes."""

    directory: SettingsPath = Field(Path("output"), description="folder of all files of the run")
    trajectory_interval: Time = Field(
        0.1, gt=0, description="time between frames of trajectory.dcd, in ps"
    )
    log_interval: Time = Field(0.01, gt=0, description="time between rows of LAMMPS' log, in ps")
    restart_interval: Time = Field(
        0.5, gt=0, description="time between restart files, of which two are kept, in ps"
    )


class LammpsConfig(Section):
    """Settings of a run with a network on every atom."""

    engine: Literal["lammps"] = Field("lammps", description="what runs the simulation")
    system: SystemConfig = Field(description="the system")
    network: NetworkConfig = Field(description="the network")
    ensemble: EnsembleConfig = Field(EnsembleConfig(), description="thermodynamic ensemble")
    timestep: Time = Field(
        0.0005, gt=0, description="time step, in ps; at most 1 fs", examples=["0.5 fs"]
    )
    stages: StagesConfig = Field(StagesConfig(), description="stages; null leaves one out")
    output: OutputConfig = Field(default_factory=OutputConfig, description="files and intervals")
    seed: int = Field(1, ge=1, le=2**31 - 1, description="seed of velocities and thermostat")

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the dotted name and the value (ps) of every time that must be whole steps."""
        for name in ("equilibrate", "production"):
            stage = getattr(self.stages, name)
            if stage is not None:
                yield f"stages.{name}.length", stage.length
        for name in ("trajectory_interval", "log_interval", "restart_interval"):
            yield f"output.{name}", getattr(self.output, name)

    @model_validator(mode="after")
    def _short_steps(self) -> Self:
        if self.timestep > _LONGEST_STEP * (1 + 1e-9):
            raise ValueError(
                f"timestep: found {1000 * self.timestep:g} fs, allowed: at most 1 fs, since bonds "
                "to hydrogen are free"
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


def steps_of(config: LammpsConfig, time: float) -> int:
    """Return how many time steps make up a time (ps) of the settings."""
    return count_steps(time, config.timestep)


def load_config(path: str | Path) -> LammpsConfig:
    """Read the settings from a YAML file; its relative paths start at its folder.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: it is not YAML, or a setting is wrong.
    """
    path = Path(path)
    data = read_yaml(path)
    if isinstance(data, dict):  # the default folder is relative to that of the settings too
        data = {**data, "output": {} if "output" not in data else data["output"]}
    return parse_settings(LammpsConfig, data, source=path.name, base=path.absolute().parent)


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    example = LammpsConfig.model_validate(
        {"system": {"file": "box.pdb"}, "network": {"model": "ANI-2x"}}
    )
    shown = {
        "system.file": "box.pdb",
        "timestep": "0.5 fs",
        "output.directory": "output",
    }
    return commented_file(example, header=_HEADER, shown=shown)
