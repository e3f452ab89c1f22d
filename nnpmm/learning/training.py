"""Training of an ensemble of networks on samples that are split in three.

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

from nnpmm.core.errors import ConfigError
from nnpmm.learning.cards import DataSummary, ModelCard, TrainingSettings
from nnpmm.learning.data import LabelledSamples
from nnpmm.learning.ensembles import Ensemble
from nnpmm.learning.metrics import compare
from nnpmm.learning.networks import (
    NetworkSettings,
    create_network,
    feature_columns,
    size_factors,
)
from nnpmm.learning.scaling import MinMaxScaler, fit_scaler
from nnpmm.learning.splits import Split, make_split
from nnpmm.learning.uncertainty import calibrate

__all__ = ["Progress", "TrainingResult", "train"]

#: Called after each epoch with its number, from 1, and the number of epochs, of all members.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        model: with the weights of the epochs that were kept.
        curves: (members, epochs, 2) mean absolute errors: of the training samples while they were
            learned from, with dropout, and of the validation samples after the epoch.
    """

    model: Ensemble[ModelCard]
    curves: NDArray[np.float64]


class _Tensors(NamedTuple):
    """What a network learns from: scaled features, labels, and factors on its output."""

    features: Tensor
    labels: Tensor
    factors: Tensor

    def error(self, module: nn.Module, batch: Tensor | slice = slice(None)) -> Tensor:
        """Return the mean absolute error of a network, a scalar."""
        predicted = module(self.features[batch]) * self.factors[batch]
        return (predicted - self.labels[batch]).abs().mean()


def train(
    samples: LabelledSamples,
    network: NetworkSettings,
    settings: TrainingSettings,
    *,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network on a part of the samples and measure it on each part.

    On a CPU the result is the same for the same seed, data and number of torch's threads. Torch's
    global generator is left as it was.

    Args:
        samples: which are split as the settings say, by their groups.
        network: architecture.
        settings: split, seed, steps and number of members.
        shares: of training, validation and test samples, as in ``make_split``.
        progress: called after every epoch.

    Raises:
        ConfigError: the samples do not fit the network or the split, a feature cannot be scaled,
            or the training diverged; or the samples have a single frame.
    """
    seen = replace(
        samples,
        features=samples.features[:, :, feature_columns(network, samples.feature_names)],
        feature_names=network.features,
    )
    split = make_split(
        settings.split, samples.groups, len(samples), seed=settings.seed, shares=shares
    )
    scaler = _scaler_of(seen.features[split.train], seen.feature_names, network)
    training, validation = (
        _tensors(seen.take(part), scaler, network) for part in (split.train, split.validation)
    )
    modules, curves = _train_members(network, training, validation, settings, progress)
    model = Ensemble(
        ModelCard(
            network=network,
            minimum=tuple(scaler.minimum.tolist()),
            maximum=tuple(scaler.maximum.tolist()),
            training=settings,
            data=_summary(samples, split),
            kept_epochs=tuple(_kept_epoch(curve, settings) for curve in curves),
            error_scale=1.0,
            metrics={},
        ),
        modules,
    )
    return TrainingResult(_measured(model, samples, split), np.array(curves))


def _train_members(
    network: NetworkSettings,
    training: _Tensors,
    validation: _Tensors,
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
    """Return what a member reports its epochs to."""

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


def _tensors(samples: LabelledSamples, scaler: MinMaxScaler, network: NetworkSettings) -> _Tensors:
    factors = size_factors(network, samples.sizes, len(samples))
    return _Tensors(
        torch.from_numpy(scaler(samples.features)),
        torch.from_numpy(samples.labels).float(),
        torch.from_numpy(factors).float(),
    )


def _fit(
    module: nn.Module,
    training: _Tensors,
    validation: _Tensors,
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
                f"{settings.learning_rate:g}: use a smaller one"
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
    module: nn.Module, optimizer: torch.optim.Optimizer, training: _Tensors, batch_size: int
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


def _summary(samples: LabelledSamples, split: Split) -> DataSummary:
    names = {
        part: tuple(samples.names[n] for n in indices) for part, indices in split._asdict().items()
    }
    return DataSummary(sha256=samples.digest(), frames=samples.features.shape[1], **names)


def _measured(
    model: Ensemble[ModelCard], samples: LabelledSamples, split: Split
) -> Ensemble[ModelCard]:
    """Return the model with its metrics, and errors calibrated on the validation samples."""
    metrics = {}
    for part, indices in split._asdict().items():
        some = samples.take(indices)
        predicted = model.predict(some.features, some.feature_names, sizes=some.sizes)
        metrics[part] = compare(predicted, some.labels)
    held_out = samples.take(split.validation)
    predicted, errors = model.predict_with_error(
        held_out.features, held_out.feature_names, sizes=held_out.sizes
    )
    scale = calibrate(predicted - held_out.labels, errors, held_out.label_errors)
    changes = {"metrics": metrics, "error_scale": scale}
    return Ensemble(model.card.model_copy(update=changes), model.networks)
