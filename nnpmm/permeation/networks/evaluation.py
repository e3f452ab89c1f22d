"""Evaluate a trained model on the samples of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.learning import PARTS, Metrics, Report, compare, report
from nnpmm.permeation.dataset.training_data import TrainingData
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.networks.ablations import first_frames
from nnpmm.permeation.networks.regressor import Regressor

__all__ = ["Evaluation", "evaluate", "frames_study", "polarity"]


@dataclass(frozen=True)
class Evaluation:
    """Predictions of a model for samples.

    Attributes:
        data: the samples.
        parts: (samples,) of ``PARTS``.
        predicted: (samples,) kcal/mol.
        errors: (samples,) kcal/mol, predicted standard deviations.
    """

    data: TrainingData
    parts: tuple[str, ...]
    predicted: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def differences(self) -> NDArray[np.float64]:
        """Return predictions minus labels, (samples,) kcal/mol."""
        return self.predicted - self.data.labels

    def report(self) -> Report:
        """Return the metrics of the samples."""
        return report(self.predicted, self.errors, self.data.labels, self.data.label_errors)

    def take(self, samples: NDArray[np.integer]) -> Evaluation:
        """Return a part of the samples, by index."""
        parts = tuple(self.parts[n] for n in samples)
        return Evaluation(
            self.data.take(samples), parts, self.predicted[samples], self.errors[samples]
        )

    def grouped(self, names: Sequence[str]) -> dict[str, Evaluation]:
        """Return the samples of each group, given the name of each sample's group."""
        of_sample = np.array(names)
        return {name: self.take(np.flatnonzero(of_sample == name)) for name in sorted(set(names))}

    def by_part(self) -> dict[str, Evaluation]:
        """Return the samples of each part that has any, in the order of ``PARTS``."""
        groups = self.grouped(self.parts)
        return {part: groups[part] for part in PARTS if part in groups}

    def unseen(self) -> Evaluation:
        """Return the samples that were not used for training, possibly none."""
        return self.take(np.flatnonzero(np.isin(self.parts, ("test", "new"))))


def evaluate(model: Regressor, data: TrainingData) -> Evaluation:
    """Predict the samples of a data set, which is not changed.

    Raises:
        ConfigError: the features are not those of the model, or there is a single frame.
    """
    predicted, errors = model.predict_with_error(
        data.features, data.feature_names, beads=data.beads
    )
    return Evaluation(data, model.card.data.parts(data.names), predicted, errors)


def polarity(solute: str) -> str:
    """Return the families of beads that a solute is made of, such as C, CP or CNP.

    C are the apolar beads, N the intermediate ones and P the polar ones (Marrink et al. 2007).
    """
    return "".join(sorted({bead.type[0] for bead in parse_solute(solute).beads}))


def frames_study(model: Regressor, data: TrainingData, counts: Iterable[int]) -> dict[int, Metrics]:
    """Return the metrics of predictions from the first frames of each trajectory.

    The model is the one trained on whole trajectories.

    Raises:
        ConfigError: there are not so many frames.
    """
    found = {}
    for count in counts:
        shorter = first_frames(data, count)
        predicted = model.predict(shorter.features, shorter.feature_names, beads=shorter.beads)
        found[count] = compare(predicted, shorter.labels)
    return found
