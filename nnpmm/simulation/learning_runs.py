"""Learn collective variables from the trajectories of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.frames import FrameReader
from nnpmm.core.errors import ConfigError
from nnpmm.core.files import replacing, writing
from nnpmm.sampling.learned import (
    CorrelatedFeatures,
    FeatureSet,
    Learned,
    LearningSettings,
    choose_features,
    correlated_features,
    learn,
    save_projection,
)
from nnpmm.sampling.variables import Structure
from nnpmm.simulation.record.checkpoint import read_record
from nnpmm.simulation.record.storage import load_structure, require_run
from nnpmm.simulation.run_source import output_settings, run_source
from nnpmm.simulation.sampled import is_biased
from nnpmm.simulation.stages.trajectory_atoms import trajectory_atoms

__all__ = ["LearnedRun", "learn_from_runs", "write_learned"]


@dataclass(frozen=True, eq=False)
class LearnedRun:
    """Variables that were learned from runs.

    Attributes:
        learned: the network and its learning curves.
        correlated_features: the features that correlate with each variable.
        frames: number of frames of all runs.
    """

    learned: Learned
    correlated_features: tuple[CorrelatedFeatures, ...]
    frames: int


def learn_from_runs(
    folders: Sequence[Path],
    settings: LearningSettings,
    *,
    lag: float | None = None,
    selection: str | None = None,
    features: FeatureSet | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> LearnedRun:
    """Learn variables from the trajectories of runs of one system.

    Args:
        folders: folders of the runs, whose trajectories contain the atoms of the features.
        settings: settings of the network; ``lag`` replaces their lag in frames.
        lag: time between the two frames of a pair, ps; not for an autoencoder.
        selection: atoms from which features are chosen; None: the region of the first run.
        features: features in place of automatically chosen ones.
        progress: see `nnpmm.sampling.learned.learn`.

    Raises:
        NnpmmError: a folder without a trajectory, runs of different systems, biased runs for a kind
            that learns from times, or too few frames.
    """
    if not folders:
        raise ConfigError("found no folder of a run, expected one or more")
    for folder in folders:
        require_run(folder)
    topology, start, box = load_structure(folders[0])
    structure = Structure.of(topology, start, None, box)
    if features is None:
        record = read_record(folders[0])
        region = np.array(() if record is None else record.region, dtype=np.int64)
        atoms = region if selection is None else structure.atoms(selection, "selection")
        features = choose_features(structure, atoms)
    trajectories = [_read_run(folder, structure, features.atoms) for folder in folders]
    runs = [positions for positions, _ in trajectories]
    intervals = {interval for _, interval in trajectories}
    if len(intervals) > 1:
        raise ConfigError(
            f"found runs with {sorted(intervals)} ps between frames, allowed: the same in all"
        )
    if settings.kind != "autoencoder":
        biased = [str(folder) for folder in folders if is_biased(folder)]
        if biased:
            raise ConfigError(
                f"{biased[0]}: was biased, so its kinetics are not those of the system; use plain "
                "runs, or the kind autoencoder"
            )
        settings = settings.model_copy(update={"lag": _lag_in_frames(lag, intervals.pop())})
    learned = learn(features, runs, structure, settings, progress=progress)
    correlated = correlated_features(learned.projection, runs, structure)
    return LearnedRun(learned, correlated, sum(map(len, runs)))


def _lag_in_frames(lag: float | None, interval: float) -> int:
    if lag is None:
        raise ConfigError(
            "lag=...: is missing; give the time between the two frames of a pair, in ps"
        )
    frames = round(lag / interval)
    if frames < 1 or abs(frames * interval - lag) > 1e-6 * lag:
        raise ConfigError(
            f"found a lag of {lag:g} ps, allowed: multiples of the {interval:g} ps between frames"
        )
    return frames


def _read_run(
    folder: Path, structure: Structure, atoms: Sequence[int]
) -> tuple[NDArray[np.float64], float]:
    """Return positions (frames, n, 3), nm, of atoms in a run's trajectory, and its interval, ps."""
    topology, start, box = load_structure(folder)
    own = Structure.of(topology, start, None, box)
    if own.elements != structure.elements:
        raise ConfigError(
            f"{folder}: found a system of {len(own.masses)} atoms, expected the same "
            f"{len(structure.masses)} as in the first run; learned variables need runs of one "
            "system"
        )
    source = run_source(folder)
    written = trajectory_atoms(topology, output_settings(folder).trajectory_atoms)
    rows = np.array(atoms, dtype=np.int64)
    if written is not None:  # the trajectory contains a part of the atoms
        rows = np.minimum(np.searchsorted(written, rows), len(written) - 1)
        if (written[rows] != np.array(atoms)).any():
            raise ConfigError(
                f"{folder}: the trajectory lacks atoms of the features; write more with "
                "output.trajectory_atoms, or select others"
            )
    chunks = [chunk.positions for chunk in FrameReader(source, rows)]
    return np.concatenate(chunks).astype(np.float64), float(source.interval or 0.0)


def write_learned(path: Path, found: LearnedRun) -> list[Path]:
    """Write learned variables and a picture of the learning curves, and return the paths.

    Args:
        path: ``NAME.json``.
        found: the learned variables.

    Raises:
        ConfigError: the path has another suffix.
        UnwritableError: a file cannot be written.
    """
    from nnpmm.plots import plot_time_series

    learned = found.learned
    correlated = tuple(
        {"component": each.component + 1, "features": dict(each.features)}
        for each in found.correlated_features
    )
    record = learned.projection.record.model_copy(update={"correlated_features": correlated})
    projection = type(learned.projection)(record, learned.projection.arrays)
    save_projection(path, projection)
    epochs = np.arange(1, len(learned.validation) + 1)
    curves = {"training": learned.training, "validation": learned.validation}
    figure = plot_time_series(epochs, curves, xlabel="epoch", ylabel="loss")
    picture = path.with_name(f"{path.stem}_learning.png")
    with writing(picture), replacing(picture) as handle:
        figure.savefig(handle, format="png")
    return [path, path.with_suffix(".safetensors"), picture]
