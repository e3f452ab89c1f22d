"""Training of an ensemble of networks on samples that are split in three.

Adam minimises the mean absolute error of batches. After every epoch the validation samples are
predicted, and the weights of the best epoch are kept. With ``anneal`` the learning rate decays to
zero instead, and the weights of the last epoch are kept: a few validation samples cannot rank
epochs that differ only by noise.
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
    """A trained model and its learning curves.

    Attributes:
        model: with the weights of the epochs that were kept.
        curves: (members, epochs, 2) mean absolute errors of the training samples during the epoch,
            with dropout, and of the validation samples after it.
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

    On a CPU the result is the same for the same seed, data and number of torch's threads. The state
    of torch's global generator does not change.

    Args:
        samples: all samples; the settings say how they are split.
        network: architecture.
        settings: split, seed, steps and number of members.
        shares: of training, validation and test samples, as in ``make_split``.
        progress: called after every epoch.

    Raises:
        ConfigError: the samples do not fit the network or the split, a feature cannot be scaled,
            or the training diverged; or the samples have a single frame.
    """
    selected = replace(
        samples,
        features=samples.features[:, :, feature_columns(network, samples.feature_names)],
        feature_names=network.features,
    )
    split = make_split(
        settings.split, samples.groups, len(samples), seed=settings.seed, shares=shares
    )
    scaler = _fit_scaler(selected.features[split.train], selected.feature_names, network)
    training, validation = (
        _tensors(selected.take(part), scaler, network) for part in (split.train, split.validation)
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
    return TrainingResult(_evaluated(model, samples, split), np.array(curves))


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
            report = _member_progress(progress, member, settings)
            curves.append(_fit(module, training, validation, settings, report))
            modules.append(module.eval())
    return tuple(modules), curves


def _member_progress(
    progress: Progress | None, member: int, settings: TrainingSettings
) -> Callable[[int], None]:
    """Return a function that reports an epoch of a member as one of the epochs of all members."""

    def report(epoch: int) -> None:
        if progress is not None:
            progress(member * settings.epochs + epoch, settings.members * settings.epochs)

    return report


def _fit_scaler(
    features: NDArray[np.float32], names: tuple[str, ...], network: NetworkSettings
) -> MinMaxScaler:
    """Return the scaler of the network's input: frames, or their means."""
    # Means spread less than frames, whose bounds would compress them into a small part of [0, 1].
    if network.averages_frames:
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
    optimizer = torch.optim.AdamW(  # the same as Adam for a weight decay of zero
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
    """Take one step for every batch, in random order, and return the MAE over these batches."""
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


def _evaluated(
    model: Ensemble[ModelCard], samples: LabelledSamples, split: Split
) -> Ensemble[ModelCard]:
    """Return the model with its metrics, and errors calibrated on the validation samples."""
    metrics = {}
    for name, indices in split._asdict().items():
        part = samples.take(indices)
        predicted = model.predict(part.features, part.feature_names, sizes=part.sizes)
        metrics[name] = compare(predicted, part.labels)
    validation = samples.take(split.validation)
    predicted, errors = model.predict_with_error(
        validation.features, validation.feature_names, sizes=validation.sizes
    )
    scale = calibrate(predicted - validation.labels, errors, validation.label_errors)
    changes = {"metrics": metrics, "error_scale": scale}
    return Ensemble(model.card.model_copy(update=changes), model.networks)
