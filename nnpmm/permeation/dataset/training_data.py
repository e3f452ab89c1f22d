"""Features and labels of the samples of a data set that have both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.learning import LabelledSamples, checksum
from nnpmm.permeation.dataset.folder import load_features, read_settings
from nnpmm.permeation.dataset.splits import split_groups
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.labels.store import read_labels
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = ["TrainingData", "load_training_data"]


@dataclass(frozen=True)
class TrainingData:
    """Samples to learn from.

    Attributes:
        lipids: (samples,) names.
        solutes: (samples,) graphs.
        features: (samples, frames, features) float32, not scaled.
        labels: (samples,) float64, dG in kcal/mol.
        label_errors: (samples,) float64, their standard deviations in kcal/mol.
        feature_names: (features,) of the columns.
        protocol: of the simulations, where it is known.

    Raises:
        ConfigError: the arrays do not belong together, or a number is not finite.
    """

    lipids: tuple[str, ...]
    solutes: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.float64]
    label_errors: NDArray[np.float64]
    feature_names: tuple[str, ...]
    protocol: ProtocolSettings | None = None

    def __post_init__(self) -> None:
        if len(self.lipids) != len(self.solutes):
            raise ConfigError(
                f"found {len(self.lipids)} lipids and {len(self.solutes)} solutes: their numbers "
                "differ"
            )
        # The constructor checks the arrays.
        LabelledSamples(
            self.names, self.features, self.labels, self.label_errors, self.feature_names
        )

    def samples(self) -> LabelledSamples:
        """Return the samples for training, with the numbers of beads as sizes."""
        return LabelledSamples(
            self.names,
            self.features,
            self.labels,
            self.label_errors,
            self.feature_names,
            sizes=self.beads,
            groups=split_groups(self.lipids, self.solutes),
        )

    @property
    def beads(self) -> NDArray[np.int64]:
        """Return the number of beads of each solute, (samples,)."""
        return np.array([len(parse_solute(graph).beads) for graph in self.solutes])

    @property
    def names(self) -> tuple[str, ...]:
        """Return ``lipid/solute`` of each sample."""
        return tuple(map("/".join, zip(self.lipids, self.solutes, strict=True)))

    def take(self, samples: NDArray[np.integer]) -> TrainingData:
        """Return a part of the samples, by index."""
        return TrainingData(
            tuple(self.lipids[n] for n in samples),
            tuple(self.solutes[n] for n in samples),
            self.features[samples],
            self.labels[samples],
            self.label_errors[samples],
            self.feature_names,
            self.protocol,
        )

    def digest(self) -> str:
        """Return the sha256 of names, features and labels of the samples, as hex digits."""
        description = (self.lipids, self.solutes, self.feature_names)
        return checksum(description, self.features, self.labels, self.label_errors)


def load_training_data(*folders: Path) -> tuple[TrainingData, list[str]]:
    """Read the samples with features and a label of one or more data sets.

    Returns:
        The samples, and ``lipid/solute`` of those with features but no label.

    Raises:
        InputFileError: no data set, a damaged file, or no sample with both.
        ConfigError: data sets of different protocols, or with the same sample.
    """
    read = [_load_one(folder) for folder in folders]
    parts = [part for part, _ in read]
    first = parts[0]
    for folder, part in zip(folders[1:], parts[1:], strict=True):
        if part.protocol != first.protocol:
            raise ConfigError(
                f"{folders[0]} and {folder} have different protocols: train on one of them"
            )
    names = [name for part in parts for name in part.names]
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise ConfigError(f"found {min(double)} in two data sets: leave out one of them")
    data = TrainingData(
        tuple(lipid for part in parts for lipid in part.lipids),
        tuple(solute for part in parts for solute in part.solutes),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.label_errors for part in parts]),
        first.feature_names,
        first.protocol,
    )
    return data, [name for _, missing in read for name in missing]


def _load_one(folder: Path) -> tuple[TrainingData, list[str]]:
    found = load_features(folder)
    labelled = {
        lipid: read_labels(folder, lipid) if (folder / "labels" / f"{lipid}.csv").exists() else {}
        for lipid in dict.fromkeys(found.lipids)
    }
    samples = list(zip(found.lipids, found.solutes, strict=True))
    rows = [labelled[lipid].get(solute) for lipid, solute in samples]
    kept = [n for n, row in enumerate(rows) if row is not None]
    missing = ["/".join(samples[n]) for n, row in enumerate(rows) if row is None]
    if not kept:
        raise InputFileError(
            f"{folder}: found {len(samples)} samples with features, none of them with a label; "
            "calculate labels with nnpmm permeation label linear"
        )
    labels, errors = np.array([row for row in rows if row is not None]).T
    data = TrainingData(
        tuple(found.lipids[n] for n in kept),
        tuple(found.solutes[n] for n in kept),
        found.features[kept],
        labels,
        errors,
        FEATURE_NAMES,
        read_settings(folder).protocol,
    )
    return data, missing
