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
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from typing_extensions import Self

from nnpmm._version import __version__
from nnpmm.errors import ConfigError, InputFileError, WeightsError
from nnpmm.fields import Section
from nnpmm.permeation.files import write_atomically
from nnpmm.permeation.metrics import Metrics
from nnpmm.permeation.networks import NetworkSettings, create_network
from nnpmm.permeation.scaling import MinMaxScaler

__all__ = [
    "MODEL_FILE",
    "DataSummary",
    "ModelCard",
    "Regressor",
    "TrainingSettings",
    "load_regressor",
    "save_regressor",
]

MODEL_FILE = "model.json"
_WEIGHTS_FILE = "model.safetensors"
_SAMPLES_AT_A_TIME = 256  # bounds the memory of a prediction

_Bounds = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]


class TrainingSettings(Section):
    """How a network is trained; the defaults are the published protocol."""

    split: str = Field("random", description="random, solute, lipid:NAME,... or beads:TYPE,...")
    batch_size: int = Field(32, ge=1, description="samples in a batch")
    learning_rate: float = Field(3e-4, gt=0, allow_inf_nan=False, description="of Adam")
    epochs: int = Field(1000, ge=1, description="the best of which by validation is kept")
    seed: int = Field(1, ge=0, description="of the split, weights, order of samples and dropout")


class DataSummary(Section):
    """What a network was trained on."""

    sha256: str = Field(description="of the samples, features and labels")
    frames: int = Field(ge=1, description="of each sample")
    lipids: tuple[str, ...] = Field(description="that occur")
    train: tuple[str, ...] = Field(description="lipid/solute of the training samples")
    validation: tuple[str, ...] = Field(description="of those that chose the best epoch")
    test: tuple[str, ...] = Field(description="of those that the training never saw")


class ModelCard(Section):
    """All about a trained network except its weights."""

    schema_version: Literal[1] = 1
    nnpmm: str = Field(__version__, description="version that trained it")
    network: NetworkSettings
    features: tuple[str, ...] = Field(description="names, in order")
    minimum: _Bounds = Field(description="of each feature in the training samples")
    maximum: _Bounds = Field(description="of each feature in the training samples")
    training: TrainingSettings
    data: DataSummary
    best_epoch: int = Field(ge=1, description="the first is 1")
    metrics: dict[Literal["train", "validation", "test"], Metrics]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        counts = [len(names) for names in (self.features, self.minimum, self.maximum)]
        if counts != [self.network.n_features] * 3:
            raise ValueError(
                f"found {counts[0]} features, {counts[1]} minima and {counts[2]} maxima for a "
                f"network of {self.network.n_features} features"
            )
        if any(low >= high for low, high in zip(self.minimum, self.maximum, strict=True)):
            raise ValueError("found a minimum that is not below its maximum")
        return self


@dataclass(frozen=True)
class Regressor:
    """A trained network: from features in their units to kcal/mol."""

    card: ModelCard
    network: torch.nn.Module

    def predict(
        self, features: NDArray[np.floating], names: tuple[str, ...] | None = None
    ) -> NDArray[np.float64]:
        """Return dG, (samples,) kcal/mol.

        Args:
            features: (samples, frames, features), not scaled; any number of frames.
            names: of the features, to be sure that they are those of the training.

        Raises:
            ConfigError: the features do not match those of the training, or are not finite.
        """
        scaled = self._scaled(features, names)
        self.network.eval()
        with torch.inference_mode():
            parts = [self.network(part) for part in scaled.split(_SAMPLES_AT_A_TIME)]
        return torch.cat(parts).double().numpy()

    def attention(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the weight of every frame, (samples, frames), of features as in ``predict``.

        Raises:
            ConfigError: as ``predict``; or the network has no attention.
        """
        if self.card.network.kind != "model-la":
            raise ConfigError(
                f"found a {self.card.network.kind} network, only model-la has attention"
            )
        scaled = self._scaled(features, None)
        self.network.eval()
        with torch.inference_mode():
            _, weights = self.network.forward_with_weights(scaled)  # type: ignore[operator]
        return np.asarray(weights.double().numpy())

    def _scaled(
        self, features: NDArray[np.floating], names: tuple[str, ...] | None
    ) -> torch.Tensor:
        known = self.card.features
        if names is not None and tuple(names) != known:
            raise ConfigError(
                f"found the features {', '.join(names)}, the model was trained on "
                f"{', '.join(known)}: give these, in this order"
            )
        if features.ndim != 3 or features.shape[2] != len(known) or 0 in features.shape[:2]:
            raise ConfigError(
                f"found features of shape {features.shape}, the model takes (samples, frames, "
                f"{len(known)}), at least one of each"
            )
        if not np.isfinite(features).all():
            raise ConfigError("found features that are not finite: make them again")
        scaler = MinMaxScaler(np.array(self.card.minimum), np.array(self.card.maximum))
        return torch.from_numpy(scaler(features))


def save_regressor(model: Regressor, folder: Path) -> None:
    """Write the two files of a model; model.json, which vouches for the other, comes last."""
    tensors = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
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
        network = create_network(card.network)
    try:
        network.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: does not fit the {card.network.kind} network of {MODEL_FILE}: {error}"
        ) from error
    return Regressor(card, network.eval())


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
