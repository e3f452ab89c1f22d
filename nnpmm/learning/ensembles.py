"""Ensembles of trained networks, and the two files in which a model is stored.

Layout of the folder of a model::

    model.json           architecture, bounds of the features, data, training, metrics
    model.safetensors    weights, whose sha256 model.json contains
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from nnpmm.core.errors import ConfigError, InputFileError, WeightsError
from nnpmm.core.section import first_problem
from nnpmm.learning.cards import ModelCard
from nnpmm.learning.networks import create_network, feature_columns, size_factors
from nnpmm.learning.scaling import MinMaxScaler
from nnpmm.learning.uncertainty import raw_errors, split_frames

__all__ = ["MODEL_FILE", "Ensemble", "load_ensemble", "model_files"]

MODEL_FILE = "model.json"
_WEIGHTS_FILE = "model.safetensors"
_SAMPLES_AT_A_TIME = 256  # bounds the memory of a prediction

Card = TypeVar("Card", bound=ModelCard)


@dataclass(frozen=True)
class Ensemble(Generic[Card]):
    """One or more trained networks, whose mean is the prediction.

    Attributes:
        card: architecture, bounds of the features, data, training and metrics.
        networks: the members.
    """

    card: Card
    networks: tuple[torch.nn.Module, ...]

    def predict(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...],
        *,
        sizes: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return predictions, (samples,), in the unit of the labels.

        Args:
            features: (samples, frames, features), not scaled; any number of frames.
            names: (features,) of the columns; those that the model does not use are ignored.
            sizes: (samples,) positive, which extensive networks need.

        Raises:
            ConfigError: a feature that the model uses is missing or not finite, or the sizes do
                not belong to the samples.
        """
        return self._members(features, names, sizes).mean(axis=0)

    def predict_with_error(
        self,
        features: NDArray[np.floating],
        names: tuple[str, ...],
        *,
        sizes: ArrayLike | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return predictions and their standard deviations, both (samples,).

        The error combines the spread of the members with the standard error over blocks of frames.
        A factor from the validation samples calibrates it.

        Args:
            features: as in ``predict``, but at least two frames.
            names: as in ``predict``.
            sizes: as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or a single frame, which has no error.
        """
        members = self._members(features, names, sizes)
        blocks = np.array(
            [self.predict(part, names, sizes=sizes) for part in split_frames(features)]
        )
        return members.mean(axis=0), self.card.error_scale * raw_errors(members, blocks)

    def attention(
        self, features: NDArray[np.floating], names: tuple[str, ...]
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
        sizes: ArrayLike | None,
    ) -> NDArray[np.float64]:
        """Return what each network predicts, (members, samples)."""
        factors = size_factors(self.card.network, sizes, len(features))
        scaled = self._scaled(features, names)
        with torch.inference_mode():
            predictions = [
                torch.cat([network(part) for part in scaled.split(_SAMPLES_AT_A_TIME)])
                for network in self.networks
            ]
        return np.asarray(torch.stack(predictions).double().numpy()) * factors

    def _scaled(self, features: NDArray[np.floating], names: tuple[str, ...]) -> torch.Tensor:
        if features.ndim != 3 or features.shape[2] != len(names) or 0 in features.shape[:2]:
            raise ConfigError(
                f"found features of shape {features.shape}, expected (samples, frames, "
                f"{len(names)}), at least one of each"
            )
        chosen = features[:, :, feature_columns(self.card.network, names)]
        if not np.isfinite(chosen).all():
            raise ConfigError("found features that are not finite: calculate them again")
        scaler = MinMaxScaler(np.array(self.card.minimum), np.array(self.card.maximum))
        return torch.from_numpy(scaler(chosen))


def model_files(model: Ensemble[Card]) -> dict[str, bytes]:
    """Return the content of a model's files by their names, in the order of writing.

    Write ``model.json`` last: it contains the checksum of the weights.
    """
    networks = torch.nn.ModuleList(model.networks)
    tensors = {name: tensor.contiguous() for name, tensor in networks.state_dict().items()}
    weights = save(tensors)
    record = model.card.model_dump(mode="json")
    record["weights"] = {"file": _WEIGHTS_FILE, "sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(record, indent=1) + "\n"
    return {_WEIGHTS_FILE: weights, MODEL_FILE: text.encode()}


def load_ensemble(folder: Path, kind: type[Card]) -> Ensemble[Card]:
    """Read a model whose files contain what ``model_files`` returns; nothing in them is executed.

    Args:
        folder: of the model.
        kind: class of the card, ``ModelCard`` or one derived from it.

    Raises:
        InputFileError: model.json is missing, damaged, or of another version.
        WeightsError: the weights are missing, damaged, or not those of model.json.
    """
    card, expected = _read(folder / MODEL_FILE, kind)
    path = folder / _WEIGHTS_FILE
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); train again") from error
    if hashlib.sha256(weights).hexdigest() != expected:
        raise WeightsError(
            f"{path}: its sha256 is not the one in {MODEL_FILE}: damaged, or belongs to another "
            "model; copy both files again, or train again"
        )
    # Constructors draw random weights, which are replaced: the caller's generator must not notice.
    with torch.random.fork_rng(devices=[]):
        networks = [create_network(card.network) for _ in range(card.training.members)]
    try:
        torch.nn.ModuleList(networks).load_state_dict(load(weights))
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: does not fit the {card.network.kind} network of {MODEL_FILE}: {error}"
        ) from error
    return Ensemble(card, tuple(network.eval() for network in networks))


def _read(path: Path, kind: type[Card]) -> tuple[Card, str]:
    """Return the card, and the sha256 that the weights must have."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        expected = record.pop("weights")["sha256"]
        return kind.model_validate(record), str(expected)
    except FileNotFoundError:
        raise InputFileError(
            f"{path.parent}: found no {path.name}; train a model, or give the folder of one"
        ) from None
    except ValidationError as error:
        raise InputFileError(
            f"{path}: {first_problem(error)}; not a model of this version, train again"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{path}: not a readable model ({' '.join(str(error).split())}); train again"
        ) from error
