"""Samples of a biased run, and the weights that remove the bias."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from nnpmm.core.errors import ConfigError, shortened
from nnpmm.core.fields import Time
from nnpmm.core.files import write_atomically
from nnpmm.core.run_folder import read_settings
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.surfaces import (
    Axis,
    WeightedSamples,
    mbar_weights,
    metadynamics_offsets,
)
from nnpmm.sampling import BiasGrid, Samples, read_samples
from nnpmm.sampling.variables import Structure, Variable, bind_variables
from nnpmm.simulation.record.bias_log import BIAS_LOG, BiasRecord, read_bias_log
from nnpmm.simulation.record.checkpoint import read_record
from nnpmm.simulation.record.storage import EXCHANGE, SETTINGS, load_structure, require_run
from nnpmm.simulation.settings.config import EnsembleConfig
from nnpmm.simulation.settings.sampling_config import (
    ExchangeConfig,
    MetadynamicsConfig,
    SamplingConfig,
    UmbrellaConfig,
)
from nnpmm.simulation.stages.variables import bias_grids, umbrella_variables

__all__ = [
    "SampledRun",
    "frame_weights",
    "is_biased",
    "read_sampled",
    "samples_of",
    "write_frame_weights",
]


@dataclass(frozen=True, eq=False)
class SampledRun:
    """A biased run.

    Attributes:
        directory: of the run.
        sampling: the section of its settings.
        variables: by name.
        temperature: of the unbiased ensemble, K.
        timestep: ps.
        interval: between frames of its trajectory, ps.
    """

    directory: Path
    sampling: Any
    variables: dict[str, Variable]
    temperature: float
    timestep: float
    interval: float


def is_biased(directory: Path) -> bool:
    """Return whether a run's settings have a section 'sampling'.

    Raises:
        ConfigError: there is no run.
    """
    return read_settings(directory / SETTINGS).get("sampling") is not None


def read_sampled(directory: Path) -> SampledRun:
    """Read the settings of a biased run and bind its variables.

    Raises:
        ConfigError: the run was not biased, or has no variables.
        InputFileError: there is no run, or its structure is missing or damaged.
    """
    require_run(directory)
    path = directory / SETTINGS
    data = read_settings(path)
    if data.get("sampling") is None:
        raise ConfigError(f"{path}: the run was not biased; give one with a section 'sampling'")
    try:
        sampling = TypeAdapter(SamplingConfig).validate_python(
            data["sampling"], context={"base": directory}
        )
        temperature = EnsembleConfig.model_validate(data["ensemble"]).temperature
        times = TypeAdapter(tuple[Time, Time])
        timestep, interval = times.validate_python(
            (data["timestep"], data["output"]["trajectory_interval"])
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read: {shortened(error)}") from error
    if not sampling.variables:
        raise ConfigError(
            f"{path}: the run has recorded no variables; name some in sampling.variables"
        )
    topology, positions, box = load_structure(directory)
    variables = bind_variables(sampling.variables, Structure.of(topology, positions, None, box))
    return SampledRun(directory, sampling, variables, temperature, timestep, interval)


def samples_of(run: SampledRun) -> WeightedSamples:
    """Return the samples of a biased run, up to its last checkpoint.

    Raises:
        SimulationError: the record is damaged or still empty, or MBAR finds no weights.
        InputFileError: a file is missing.
    """
    if isinstance(run.sampling, MetadynamicsConfig):
        return _of_metadynamics(run)
    return _of_exchange(run, read_samples(run.directory / EXCHANGE))


def _record(run: SampledRun) -> tuple[BiasRecord, list[BiasGrid]]:
    """Return the Gaussians up to the last checkpoint, and the grids of the biased variables."""
    path, checkpoint = run.directory / BIAS_LOG, read_record(run.directory)
    if checkpoint is None or BIAS_LOG not in checkpoint.sizes:
        raise ConfigError(
            f"{run.directory}: found no record; the run has not started its production"
        )
    record = read_bias_log(path, checkpoint.sizes[BIAS_LOG])
    return record, bias_grids(run.sampling, run.variables, run.temperature)


def _log_weights(run: SampledRun, record: BiasRecord, grids: list[BiasGrid]) -> NDArray[np.float64]:
    """Return the logarithm of the weight of each sample, up to a constant: (bias - offset) / kT."""
    columns = [record.names.index(grid.variable.name) for grid in grids]
    offsets = metadynamics_offsets(
        grids,
        record.values[:, columns],
        record.heights,
        temperature=run.temperature,
        bias_factor=run.sampling.bias_factor,
    )
    return np.asarray((record.bias - offsets) / thermal_energy(run.temperature))


def _of_metadynamics(run: SampledRun) -> WeightedSamples:
    record, grids = _record(run)
    if not len(record.steps):
        raise ConfigError(f"{run.directory / BIAS_LOG}: is empty; the run has just begun")
    logs = _log_weights(run, record, grids)
    ends = {grid.variable.name: (grid.low, grid.high) for grid in grids}
    count = len(logs)
    return WeightedSamples(
        _axes(run, ends),
        record.values,
        np.asarray(record.steps * run.timestep, dtype=np.float64),
        np.zeros(count, dtype=np.int64),
        run.temperature,
        lambda mask: logs[mask],
    )


def _axes(run: SampledRun, ends: dict[str, tuple[float, float]]) -> tuple[Axis, ...]:
    axes = []
    for name, variable in run.variables.items():
        bounds = variable.bounds if variable.period is not None else None
        axes.append(Axis(name, variable.unit, variable.period, ends.get(name, bounds)))
    return tuple(axes)


def _of_exchange(run: SampledRun, samples: Samples) -> WeightedSamples:
    """Return the samples of all states together, with weights for the unbiased state."""
    sampling: ExchangeConfig = run.sampling
    count, states = samples.energies.shape[:2]
    ends: dict[str, tuple[float, float]] = {}
    target = samples.energies[:, :, 0]
    if isinstance(sampling, UmbrellaConfig):
        target = samples.evaluated[:, :, 0]
        for each in umbrella_variables(sampling, run.variables):
            if each.variable.period is None:
                ends[each.variable.name] = (min(each.centres), max(each.centres))

    def weigh(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = mask.reshape(count, states)
        rows = chosen.any(axis=1)
        logs = mbar_weights(
            samples.energies[rows], target[rows], samples.temperatures[:states], run.temperature
        )
        return logs[chosen[rows]]

    return WeightedSamples(
        _axes(run, ends),
        samples.observables.reshape(count * states, -1),
        np.repeat(np.arange(1, count + 1) * samples.interval, states),
        np.zeros(count * states, dtype=np.int64),
        run.temperature,
        weigh,
    )


def frame_weights(run: SampledRun, n_frames: int) -> NDArray[np.float64]:
    """Return the weights of the frames of a metadynamics trajectory, (n_frames,); their sum is 1.

    An average over the frames with these weights is an average of the unbiased ensemble.

    Args:
        run: a metadynamics run.
        n_frames: number of frames in its trajectory.

    Raises:
        ConfigError: the run is of another kind, or a frame has no Gaussian at its time.
        SimulationError: the record is damaged.
    """
    if not isinstance(run.sampling, MetadynamicsConfig):
        raise ConfigError(
            f"{run.directory}: found sampling of type {run.sampling.type}, whose frames have no "
            "weights; record what you want to average as a variable"
        )
    record, grids = _record(run)
    steps = np.arange(1, n_frames + 1) * round(run.interval / run.timestep)
    rows = np.searchsorted(record.steps, steps)
    if not n_frames or rows[-1] >= len(record.steps) or (record.steps[rows] != steps).any():
        raise ConfigError(
            f"{run.directory}: found frames every {run.interval:g} ps and Gaussians every "
            f"{run.sampling.interval:g} ps; weights require a Gaussian at the time of each frame: "
            "set output.trajectory_interval to a multiple of sampling.interval"
        )
    logs = _log_weights(run, record, grids)[rows]
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def write_frame_weights(run: SampledRun, path: Path) -> tuple[float, int]:
    """Write the frames of a run's trajectory, their times and weights as CSV.

    Args:
        run: a metadynamics run.
        path: of the file.

    Returns:
        The effective number of frames, (sum w)^2 / sum w^2, and the number of frames.

    Raises:
        ConfigError: the run has no frames yet; see also `frame_weights`.
        UnwritableError: the file cannot be written.
    """
    record = read_record(run.directory)
    if record is None or not record.frames:
        raise ConfigError(f"{run.directory}: found no frames; the run has not reached them")
    weights = frame_weights(run, record.frames)
    lines = [
        f"{frame},{(frame + 1) * run.interval:.10g},{weight:.10g}"
        for frame, weight in enumerate(weights.tolist())
    ]
    write_atomically(path, "\n".join(["frame,time_ps,weight", *lines]) + "\n")
    return float(1 / (weights**2).sum()), record.frames
