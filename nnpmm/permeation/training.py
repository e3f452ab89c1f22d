"""Training of a network by the published protocol (Dutta et al., Digital Discovery 2023).

Adam on the mean absolute error of batches; after every epoch the validation samples are predicted,
and the weights of the best epoch are kept. With ``anneal`` the steps become ever smaller instead,
and the last epoch is kept: few validation samples are a poor judge of epochs that differ by noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.errors import ConfigError
from nnpmm.learning.metrics import compare
from nnpmm.learning.networks import NetworkSettings, create_network
from nnpmm.learning.scaling import MinMaxScaler, fit_scaler
from nnpmm.learning.uncertainty import calibrate
from nnpmm.permeation.model_card import DataSummary, ModelCard, TrainingSettings
from nnpmm.permeation.regressor import Regressor, bead_factors, feature_columns
from nnpmm.permeation.splits import Split, make_split
from nnpmm.permeation.training_data import TrainingData

__all__ = ["Progress", "TrainingResult", "train"]

#: Called after each epoch with its number, from 1, and the number of epochs, of all members.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        model: with the weights of the epochs that were kept.
        curves: (members, epochs, 2) MAE in kcal/mol: of the training samples while they were
            learned from, with dropout, and of the validation samples after the epoch.
    """

    model: Regressor
    curves: NDArray[np.float64]


class _Samples(NamedTuple):
    """What a network learns from: scaled features, labels, and factors on its output."""

    features: Tensor
    labels: Tensor
    factors: Tensor

    def error(self, module: nn.Module, batch: Tensor | slice = slice(None)) -> Tensor:
        """Return the mean absolute error of a network, kcal/mol."""
        predicted = module(self.features[batch]) * self.factors[batch]
        return (predicted - self.labels[batch]).abs().mean()


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
            the training diverged; or a single frame.
    """
    seen = replace(
        data,
        features=data.features[:, :, feature_columns(network, data.feature_names)],
        feature_names=network.features,
    )
    split = make_split(settings.split, data.lipids, data.solutes, seed=settings.seed)
    scaler = _scaler_of(seen.features[split.train], seen.feature_names, network)
    training, validation = (
        _samples(seen.take(part), scaler, network) for part in (split.train, split.validation)
    )
    modules, curves = _train_members(network, training, validation, settings, progress)
    model = Regressor(
        ModelCard(
            network=network,
            minimum=tuple(scaler.minimum.tolist()),
            maximum=tuple(scaler.maximum.tolist()),
            training=settings,
            data=_summary(data, split),
            kept_epochs=tuple(_kept_epoch(curve, settings) for curve in curves),
            error_scale=1.0,
            metrics={},
        ),
        modules,
    )
    return TrainingResult(_measured(model, data, split), np.array(curves))


def _train_members(
    network: NetworkSettings,
    training: _Samples,
    validation: _Samples,
    settings: TrainingSettings,
    progress: Progress | None,
) -> tuple[tuple[nn.Module, ...], list[NDArray[np.float64]]]:
    """Return the networks of an ensemble, ready to predict, and the curve of each."""
    modules, curves = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        for member in range(settings.members):
            module = create_network(network)
            tell = _shifted(progress, member, settings)
            curves.append(_fit(module, training, validation, settings, tell))
            modules.append(module.eval())
    return tuple(modules), curves


def _shifted(
    progress: Progress | None, member: int, settings: TrainingSettings
) -> Callable[[int], None]:
    """Return what a member tells its epochs to."""

    def tell(epoch: int) -> None:
        if progress is not None:
            progress(member * settings.epochs + epoch, settings.members * settings.epochs)

    return tell


def _scaler_of(
    features: NDArray[np.float32], names: tuple[str, ...], network: NetworkSettings
) -> MinMaxScaler:
    """Return the scaler of what the network sees: frames, or their means."""
    if network.averages_frames:  # which spread less: bounds of frames would squeeze them
        return fit_scaler(features.astype(np.float64).mean(axis=1, keepdims=True), names)
    return fit_scaler(features, names)


def _samples(data: TrainingData, scaler: MinMaxScaler, network: NetworkSettings) -> _Samples:
    factors = bead_factors(network, data.beads, len(data.labels))
    return _Samples(
        torch.from_numpy(scaler(data.features)),
        torch.from_numpy(data.labels).float(),
        torch.from_numpy(factors).float(),
    )


def _fit(
    module: nn.Module,
    training: _Samples,
    validation: _Samples,
    settings: TrainingSettings,
    progress: Callable[[int], None],
) -> NDArray[np.float64]:
    """Train a module in place, leave it with the kept weights, and return the learning curve."""
    optimizer = torch.optim.AdamW(  # which is Adam at a weight decay of zero
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    curve = np.empty((settings.epochs, 2))
    kept = copy.deepcopy(module.state_dict())
    for epoch in range(settings.epochs):
        learned = _run_epoch(module, optimizer, training, settings.batch_size)
        module.eval()
        with torch.no_grad():
            error = validation.error(module).item()
        if not (np.isfinite(learned) and np.isfinite(error)):
            raise ConfigError(
                f"training diverged in epoch {epoch + 1} at a learning_rate of "
                f"{settings.learning_rate:g}: take a smaller one"
            )
        curve[epoch] = learned, error
        if settings.anneal:
            schedule.step()
        if _kept_epoch(curve[: epoch + 1], settings) == epoch + 1:
            kept = copy.deepcopy(module.state_dict())
        progress(epoch + 1)
    module.load_state_dict(kept)
    return curve


def _kept_epoch(curve: NDArray[np.float64], settings: TrainingSettings) -> int:
    """Return the epoch, from 1, whose weights are kept if the learning curve ends here."""
    return len(curve) if settings.anneal else int(curve[:, 1].argmin()) + 1


def _run_epoch(
    module: nn.Module, optimizer: torch.optim.Optimizer, training: _Samples, batch_size: int
) -> float:
    """Take one step for every batch, in random order, and return the MAE met on the way."""
    module.train()
    total = 0.0
    for batch in torch.randperm(len(training.labels)).split(batch_size):
        optimizer.zero_grad()
        loss = training.error(module, batch)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(training.labels)


def _summary(data: TrainingData, split: Split) -> DataSummary:
    names = {part: data.take(indices).names for part, indices in split._asdict().items()}
    return DataSummary(
        sha256=data.digest(),
        frames=data.features.shape[1],
        lipids=tuple(sorted(set(data.lipids))),
        protocol=data.protocol,
        **names,
    )


def _measured(model: Regressor, data: TrainingData, split: Split) -> Regressor:
    """Return the model with its metrics, and errors calibrated on the validation samples."""
    metrics = {}
    for part, indices in split._asdict().items():
        samples = data.take(indices)
        predicted = model.predict(samples.features, data.feature_names, beads=samples.beads)
        metrics[part] = compare(predicted, samples.labels)
    held = data.take(split.validation)
    predicted, errors = model.predict_with_error(
        held.features, held.feature_names, beads=held.beads
    )
    scale = calibrate(predicted - held.labels, errors, held.label_errors)
    changes = {"metrics": metrics, "error_scale": scale}
    return Regressor(model.card.model_copy(update=changes), model.networks)
