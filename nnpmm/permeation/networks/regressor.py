"""A trained permeation model: from features of simulations to free energies in kcal/mol.

``nnpmm.learning.ensembles`` has the layout of its two files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.files import write_atomically
from nnpmm.learning import MODEL_FILE, Ensemble, load_ensemble, model_files
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.networks.model_card import PermeationCard

__all__ = [
    "DEFAULT_MODEL",
    "Regressor",
    "load_default_regressor",
    "load_regressor",
    "save_regressor",
]

#: The trained model that comes with nnpmm.
DEFAULT_MODEL = Path(__file__).parent / "models" / "martini2-neutral"


@dataclass(frozen=True)
class Regressor:
    """Trained networks that predict free energies of permeation.

    Attributes:
        ensemble: the networks; the sizes of samples are numbers of beads.
    """

    ensemble: Ensemble[PermeationCard]

    @property
    def card(self) -> PermeationCard:
        """The model's card: architecture, data, training and metrics."""
        return self.ensemble.card

    def predict(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...] = FEATURE_NAMES,
        *,
        beads: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return dG, (samples,) kcal/mol.

        Args:
            features: (samples, frames, features), not scaled; any number of frames.
            names: (features,) of the columns; those that the model does not use are ignored.
            beads: (samples,) numbers of beads, which a model of free energies per bead needs.

        Raises:
            ConfigError: a feature that the model uses is missing or not finite, or the numbers of
                beads are.
        """
        self._require_beads(beads)
        return self.ensemble.predict(features, names, sizes=beads)

    def predict_with_error(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...] = FEATURE_NAMES,
        *,
        beads: ArrayLike | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return dG and its standard deviation, both (samples,) kcal/mol.

        Args:
            features: as in ``predict``, but at least two frames.
            names: as in ``predict``.
            beads: as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or a single frame, which has no error.
        """
        self._require_beads(beads)
        return self.ensemble.predict_with_error(features, names, sizes=beads)

    def attention(
        self, features: NDArray[np.floating], names: tuple[str, ...] = FEATURE_NAMES
    ) -> NDArray[np.float64]:
        """Return the weight of every frame, (samples, frames), of features as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or the network has no attention.
        """
        return self.ensemble.attention(features, names)

    def _require_beads(self, beads: ArrayLike | None) -> None:
        if self.card.network.extensive and beads is None:
            raise ConfigError(
                "found no numbers of beads, which this model of free energies per bead needs: "
                "give beads, one number for each sample"
            )


def save_regressor(model: Regressor, folder: Path) -> None:
    """Write the two files of a model; model.json, which contains the weights' checksum, comes last.

    Raises:
        UnwritableError: a file cannot be written.
    """
    for name, content in model_files(model.ensemble).items():
        write_atomically(folder / name, content)


def load_regressor(folder: Path) -> Regressor:
    """Read a model that ``save_regressor`` wrote; nothing in its files is executed.

    Raises:
        InputFileError: model.json is missing, damaged, or of another version.
        WeightsError: the weights are missing, damaged, or not those of model.json.
    """
    if not (folder / MODEL_FILE).exists():
        raise InputFileError(
            f"{folder}: found no {MODEL_FILE}; make a model with nnpmm permeation train"
        )
    return Regressor(load_ensemble(folder, PermeationCard))


def load_default_regressor() -> Regressor:
    """Return the trained model that comes with nnpmm; docs/permeation-model.md describes it.

    Raises:
        InputFileError, WeightsError: the installation is damaged.
    """
    return load_regressor(DEFAULT_MODEL)
