"""Features and labels of the samples of a data set that have both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.errors import ConfigError, InputFileError
from nnpmm.permeation.dataset import load_features
from nnpmm.permeation.features import FEATURES
from nnpmm.permeation.labels.store import read_labels

__all__ = ["TrainingData", "load_training_data"]


@dataclass(frozen=True)
class TrainingData:
    """Samples to learn from.

    Attributes:
        lipids: (samples,) names.
        solutes: (samples,) graphs.
        features: (samples, frames, features) float32, not scaled.
        labels: (samples,) float64, dG in kcal/mol.
        feature_names: (features,) of the columns.
    """

    lipids: tuple[str, ...]
    solutes: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.float64]
    feature_names: tuple[str, ...]

    def __post_init__(self) -> None:
        counts = {len(self.lipids), len(self.solutes), len(self.features), len(self.labels)}
        width = self.features.shape[-1]
        if len(counts) > 1 or self.features.ndim != 3 or width != len(self.feature_names):
            raise ConfigError(
                f"found {len(self.lipids)} lipids, {len(self.solutes)} solutes, features "
                f"{self.features.shape}, {len(self.feature_names)} names of features and labels "
                f"{self.labels.shape}: they do not belong together"
            )
        if not np.isfinite(self.labels).all():
            raise ConfigError("found a label that is not finite: make the labels again")

    def digest(self) -> str:
        """Return the sha256 of everything that the samples are, as hex digits."""
        found = hashlib.sha256(repr((self.lipids, self.solutes, self.feature_names)).encode())
        found.update(repr(self.features.shape).encode())
        found.update(np.ascontiguousarray(self.features, dtype="<f4").tobytes())
        found.update(np.ascontiguousarray(self.labels, dtype="<f8").tobytes())
        return found.hexdigest()


def load_training_data(folder: Path) -> tuple[TrainingData, list[str]]:
    """Read the samples of a data set with features and a label.

    Returns:
        The samples, and ``lipid/solute`` of those with features but no label.

    Raises:
        InputFileError: no data set, a damaged file, or no sample with both.
    """
    found = load_features(folder)
    labelled = {
        lipid: read_labels(folder, lipid) if (folder / "labels" / f"{lipid}.csv").exists() else {}
        for lipid in dict.fromkeys(found.lipids)
    }
    samples = list(zip(found.lipids, found.solutes, strict=True))
    kept = [n for n, (lipid, solute) in enumerate(samples) if solute in labelled[lipid]]
    missing = [f"{lipid}/{solute}" for lipid, solute in samples if solute not in labelled[lipid]]
    if not kept:
        raise InputFileError(
            f"{folder}: found {len(samples)} samples with features, none of them with a label; "
            "make labels with nnpmm permeation label linear"
        )
    data = TrainingData(
        tuple(found.lipids[n] for n in kept),
        tuple(found.solutes[n] for n in kept),
        found.features[kept],
        np.array([labelled[found.lipids[n]][found.solutes[n]][0] for n in kept]),
        tuple(feature.name for feature in FEATURES),
    )
    return data, missing
