"""Training of a network by the published protocol (Dutta et al., Digital Discovery 2023).

Adam on the mean absolute error of batches; after every epoch the validation samples are predicted,
and the weights of the best epoch are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.errors import ConfigError
from nnpmm.permeation.metrics import compare
from nnpmm.permeation.networks import NetworkSettings, create_network
from nnpmm.permeation.regressor import DataSummary, ModelCard, Regressor, TrainingSettings
from nnpmm.permeation.scaling import MinMaxScaler, fit_scaler
from nnpmm.permeation.splits import Split, make_split
from nnpmm.permeation.training_data import TrainingData

__all__ = ["Progress", "TrainingResult", "train"]

#: Called after each epoch with its number, from 1, and the number of epochs.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        model: with the weights of the best epoch.
        curve: (epochs, 2) MAE in kcal/mol: of the training samples while they were learned from,
            with dropout, and of the validation samples after the epoch.
    """

    model: Regressor
    curve: NDArray[np.float64]


def train(
    data: TrainingData,
    network: NetworkSettings,
    settings: TrainingSettings,
    *,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network on a part of the samples and measure it on each part.

    On a CPU the result is the same for the same seed, data and number of torch's threads. Torch's
    global generator is left as it was.

    Args:
        data: samples.
        network: architecture.
        settings: split, seed and protocol.
        progress: told after every epoch.

    Raises:
        ConfigError: the data do not fit the network or the split, a feature cannot be scaled, or
            the training diverged.
    """
    if network.n_features != len(data.feature_names):
        raise ConfigError(
            f"found data of {len(data.feature_names)} features for a network of "
            f"{network.n_features}: set n_features"
        )
    split = make_split(settings.split, data.lipids, data.solutes, seed=settings.seed)
    scaler = _scaler_of(data.features[split.train], data.feature_names, network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        module = create_network(network)
        curve = _fit(
            module,
            _tensors(data, split.train, scaler),
            _tensors(data, split.validation, scaler),
            settings,
            progress,
        )
    best_epoch = int(curve[:, 1].argmin()) + 1
    return TrainingResult(
        _measured(data, split, scaler, network, settings, module, best_epoch), curve
    )


def _scaler_of(
    features: NDArray[np.float32], names: tuple[str, ...], network: NetworkSettings
) -> MinMaxScaler:
    """Return the scaler of what the network sees: frames, or their means."""
    if network.averages_frames:  # which spread less: bounds of frames would squeeze them
        return fit_scaler(features.astype(np.float64).mean(axis=1, keepdims=True), names)
    return fit_scaler(features, names)


def _tensors(
    data: TrainingData, part: NDArray[np.int64], scaler: MinMaxScaler
) -> tuple[Tensor, Tensor]:
    features = torch.from_numpy(scaler(data.features[part]))
    return features, torch.from_numpy(data.labels[part]).float()


def _fit(
    module: nn.Module,
    training: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    settings: TrainingSettings,
    progress: Progress | None,
) -> NDArray[np.float64]:
    """Train a module in place, leave it with the best weights, and return the learning curve."""
    optimizer = torch.optim.Adam(module.parameters(), lr=settings.learning_rate)
    curve = np.empty((settings.epochs, 2))
    best, best_weights = np.inf, copy.deepcopy(module.state_dict())
    for epoch in range(settings.epochs):
        learned = _run_epoch(module, optimizer, *training, settings.batch_size)
        module.eval()
        with torch.no_grad():
            error = (module(validation[0]) - validation[1]).abs().mean().item()
        if not (np.isfinite(learned) and np.isfinite(error)):
            raise ConfigError(
                f"training diverged in epoch {epoch + 1} at a learning_rate of "
                f"{settings.learning_rate:g}: take a smaller one"
            )
        curve[epoch] = learned, error
        if error < best:
            best, best_weights = error, copy.deepcopy(module.state_dict())
        if progress is not None:
            progress(epoch + 1, settings.epochs)
    module.load_state_dict(best_weights)
    return curve


def _run_epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    labels: Tensor,
    batch_size: int,
) -> float:
    """Take one step for every batch, in random order, and return the MAE met on the way."""
    module.train()
    total = 0.0
    for batch in torch.randperm(len(labels)).split(batch_size):
        optimizer.zero_grad()
        loss = (module(features[batch]) - labels[batch]).abs().mean()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(labels)


def _measured(
    data: TrainingData,
    split: Split,
    scaler: MinMaxScaler,
    network: NetworkSettings,
    settings: TrainingSettings,
    module: nn.Module,
    best_epoch: int,
) -> Regressor:
    """Return the model with its card, whose metrics are those of the model itself."""
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    names = {
        part: tuple(f"{data.lipids[n]}/{data.solutes[n]}" for n in indices)
        for part, indices in parts.items()
    }
    card = ModelCard(
        network=network,
        features=data.feature_names,
        minimum=tuple(scaler.minimum.tolist()),
        maximum=tuple(scaler.maximum.tolist()),
        training=settings,
        data=DataSummary(
            sha256=data.digest(),
            frames=data.features.shape[1],
            lipids=tuple(sorted(set(data.lipids))),
            **names,
        ),
        best_epoch=best_epoch,
        metrics={},
    )
    model = Regressor(card, module.eval())
    metrics = {
        part: compare(model.predict(data.features[indices]), data.labels[indices])
        for part, indices in parts.items()
    }
    return Regressor(card.model_copy(update={"metrics": metrics}), model.network)
