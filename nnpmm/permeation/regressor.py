"""A trained network with all that is needed to use it, and its two files.

Layout of its folder::

    model.json           architecture, scaler, feature names, data, training, metrics
    model.safetensors    weights, whose sha256 model.json holds
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from nnpmm.errors import ConfigError, InputFileError, WeightsError
from nnpmm.learning.networks import NetworkSettings, create_network
from nnpmm.learning.scaling import MinMaxScaler
from nnpmm.learning.uncertainty import raw_errors, split_frames
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.files import write_atomically
from nnpmm.permeation.model_card import ModelCard

__all__ = [
    "DEFAULT_MODEL",
    "MODEL_FILE",
    "Regressor",
    "bead_factors",
    "feature_columns",
    "load_default_regressor",
    "load_regressor",
    "save_regressor",
]

MODEL_FILE = "model.json"
#: The trained model that comes with nnpmm.
DEFAULT_MODEL = Path(__file__).parent / "models" / "martini2-neutral"
_WEIGHTS_FILE = "model.safetensors"
_SAMPLES_AT_A_TIME = 256  # bounds the memory of a prediction


@dataclass(frozen=True)
class Regressor:
    """A trained network, or several that are averaged: from features in their units to kcal/mol.

    Attributes:
        card: all that is known of it.
        networks: the members; one or more.
    """

    card: ModelCard
    networks: tuple[torch.nn.Module, ...]

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
            beads: (samples,) numbers of beads, which a network of free energies per bead needs.

        Raises:
            ConfigError: a feature that the model uses is missing or not finite, or the numbers of
                beads are.
        """
        return self._members(features, names, beads).mean(axis=0)

    def predict_with_error(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...] = FEATURE_NAMES,
        *,
        beads: ArrayLike | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return dG and its standard deviation, both (samples,) kcal/mol.

        The error joins the spread of the members with the standard error over blocks of frames,
        times a factor from the validation samples.

        Args:
            features: as in ``predict``, but at least two frames.
            names: as in ``predict``.
            beads: as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or a single frame, which tells nothing of its error.
        """
        members = self._members(features, names, beads)
        blocks = np.array(
            [self.predict(part, names, beads=beads) for part in split_frames(features)]
        )
        return members.mean(axis=0), self.card.error_scale * raw_errors(members, blocks)

    def attention(
        self, features: NDArray[np.floating], names: tuple[str, ...] = FEATURE_NAMES
    ) -> NDArray[np.float64]:
        """Return the weight of every frame, (samples, frames), of features as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or the network has no attention.
        """
        if self.card.network.kind != "model-la":
            raise ConfigError(
                f"found a {self.card.network.kind} network, only model-la has attention"
            )
        scaled = self._scaled(features, names)
        with torch.inference_mode():
            weights = [
                network.forward_with_weights(scaled)[1]  # type: ignore[operator]
                for network in self.networks
            ]
        return np.asarray(torch.stack(weights).double().mean(dim=0).numpy())

    def _members(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...],
        beads: ArrayLike | None,
    ) -> NDArray[np.float64]:
        """Return what each network predicts, (members, samples) kcal/mol."""
        factors = bead_factors(self.card.network, beads, len(features))
        scaled = self._scaled(features, names)
        with torch.inference_mode():
            found = [
                torch.cat([network(part) for part in scaled.split(_SAMPLES_AT_A_TIME)])
                for network in self.networks
            ]
        return np.asarray(torch.stack(found).double().numpy()) * factors

    def _scaled(self, features: NDArray[np.floating], names: tuple[str, ...]) -> torch.Tensor:
        if features.ndim != 3 or features.shape[2] != len(names) or 0 in features.shape[:2]:
            raise ConfigError(
                f"found features of shape {features.shape}, expected (samples, frames, "
                f"{len(names)}), at least one of each"
            )
        chosen = features[:, :, feature_columns(self.card.network, names)]
        if not np.isfinite(chosen).all():
            raise ConfigError("found features that are not finite: make them again")
        scaler = MinMaxScaler(np.array(self.card.minimum), np.array(self.card.maximum))
        return torch.from_numpy(scaler(chosen))


def save_regressor(model: Regressor, folder: Path) -> None:
    """Write the two files of a model; model.json, which vouches for the other, comes last."""
    networks = torch.nn.ModuleList(model.networks)
    tensors = {name: tensor.contiguous() for name, tensor in networks.state_dict().items()}
    weights = save(tensors)
    record = model.card.model_dump(mode="json")
    record["weights"] = {"file": _WEIGHTS_FILE, "sha256": hashlib.sha256(weights).hexdigest()}
    write_atomically(folder / _WEIGHTS_FILE, weights)
    write_atomically(folder / MODEL_FILE, json.dumps(record, indent=1) + "\n")


def load_regressor(folder: Path) -> Regressor:
    """Read a model that ``save_regressor`` wrote; nothing in its files is executed.

    Raises:
        InputFileError: model.json is missing, damaged, or of another version.
        WeightsError: the weights are missing, damaged, or not those of model.json.
    """
    card, expected = _read_card(folder / MODEL_FILE)
    path = folder / _WEIGHTS_FILE
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); train again") from error
    if hashlib.sha256(weights).hexdigest() != expected:
        raise WeightsError(
            f"{path}: its sha256 is not the one in {MODEL_FILE}: damaged, or of another model; "
            "copy both files again, or train again"
        )
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        networks = [create_network(card.network) for _ in range(card.training.members)]
    try:
        torch.nn.ModuleList(networks).load_state_dict(load(weights))
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: does not fit the {card.network.kind} network of {MODEL_FILE}: {error}"
        ) from error
    return Regressor(card, tuple(network.eval() for network in networks))


def load_default_regressor() -> Regressor:
    """Return the trained model that comes with nnpmm; docs/permeation-model.md describes it.

    Raises:
        InputFileError, WeightsError: the installation is damaged.
    """
    return load_regressor(DEFAULT_MODEL)


def feature_columns(network: NetworkSettings, names: tuple[str, ...]) -> list[int]:
    """Return the columns of features, given all their names, that a network sees.

    Raises:
        ConfigError: one is missing.
    """
    missing = [name for name in network.features if name not in names]
    if missing:
        raise ConfigError(
            f"found the features {', '.join(names)}, the network needs {', '.join(missing)} too"
        )
    return [names.index(name) for name in network.features]


def bead_factors(
    network: NetworkSettings, beads: ArrayLike | None, samples: int
) -> NDArray[np.float64]:
    """Return what each output of a network is to be multiplied by, (samples,).

    Args:
        network: architecture.
        beads: (samples,) numbers of beads; None will do unless the network's output is per bead.
        samples: number of them.

    Raises:
        ConfigError: the numbers of beads are missing, too many or too few, or less than 1.
    """
    if not network.per_bead:
        return np.ones(samples)
    if beads is None:
        raise ConfigError(
            "found no numbers of beads, which this model of free energies per bead needs: give "
            "beads, one number for each sample"
        )
    if np.shape(beads) != (samples,) or np.min(beads, initial=1) < 1:
        raise ConfigError(
            f"found numbers of beads {np.asarray(beads).tolist()} for {samples} samples: give one "
            "positive number for each"
        )
    return np.asarray(beads, dtype=np.float64)


def _read_card(path: Path) -> tuple[ModelCard, str]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        expected = record.pop("weights")["sha256"]
        return ModelCard.model_validate(record), str(expected)
    except FileNotFoundError:
        raise InputFileError(
            f"{path.parent}: found no {path.name}; make a model with nnpmm permeation train"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "model"
        raise InputFileError(
            f"{path}: {where}: {first['msg']}; not a model of this version, train again"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{path}: not a readable model ({' '.join(str(error).split())}); train again"
        ) from error
