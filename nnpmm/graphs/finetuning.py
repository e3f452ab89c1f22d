"""Learning a property of molecules, from random weights or from those of a pre-training.

The folder::

    settings.json             of the training
    member-1.safetensors ...  state of each member
    model.json                card of the model; model.safetensors: the weights
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.locks import locked_folder
from nnpmm.core.settings.folder import store_settings
from nnpmm.graphs.checkpoints import Training, seeded
from nnpmm.graphs.features import MolecularGraph, collate, graph_of
from nnpmm.graphs.molecules import merged, read_molecules
from nnpmm.graphs.pretraining import MODEL_FILE, load_pretrained
from nnpmm.graphs.properties import (
    PropertyCard,
    PropertyModel,
    PropertyNetwork,
    load_property_model,
)
from nnpmm.graphs.settings import FinetuningSettings, GraphSettings
from nnpmm.graphs.splits import drawn_for_test
from nnpmm.learning import calibrate, compare, make_split
from nnpmm.learning.weights import as_arrays, load_arrays_into

__all__ = ["finetune"]

Progress = Callable[[int, int], None]


class _Part(NamedTuple):
    """Graphs and scaled values of some molecules."""

    graphs: list[MolecularGraph]
    values: Tensor


class _Start(NamedTuple):
    """Initial weights, which members use in turn; random ones if there are none."""

    network: GraphSettings
    weights: list[dict[str, NDArray[np.float32]]]
    sha256: str | None


def finetune(
    settings: FinetuningSettings, folder: Path, *, progress: Progress = lambda *_: None
) -> PropertyModel:
    """Train a model of a property in a folder, and write it there.

    A call with the same settings continues after an interruption; the result is bitwise the same as
    without the interruption.

    Args:
        settings: of the training.
        folder: of the training.
        progress: called with the number of finished epochs and the maximum number.

    Raises:
        ConfigError: the folder has a training with other settings, or another process works in it;
            there are too few molecules, or the training diverged.
        InputFileError: a file or a molecule cannot be read, or has an unsupported atom.
        UnwritableError: a file cannot be written.
    """
    molecules = merged(read_molecules(settings.data, smiles=settings.smiles, value=settings.value))
    smiles = [molecule.smiles for molecule in molecules]
    values = np.array([molecule.value for molecule in molecules])
    graphs = [graph_of(text) for text in smiles]
    start = _start(settings)
    indices = _split(smiles, settings)
    mean, scale = float(values[indices[0]].mean()), float(values[indices[0]].std())
    if scale == 0.0:
        raise ConfigError(
            f"{settings.data}: all molecules have the value {mean:g}, so there is nothing to learn"
        )
    parts = [
        _Part([graphs[n] for n in part], torch.from_numpy((values[part] - mean) / scale).float())
        for part in indices
    ]
    with locked_folder(folder):
        store_settings(settings, folder / "settings.json", list(FinetuningSettings.model_fields))
        key = f"{settings.model_dump_json()} {start.sha256} {smiles} {values.tolist()}"
        trained = [
            _train(settings, start, parts, folder, member, key, progress)
            for member in range(settings.members)
        ]
        for each in trained:
            load_arrays_into(each.network, each.best)
        card = PropertyCard(
            network=start.network,
            settings=settings,
            pretraining_sha256=start.sha256,
            mean=mean,
            scale=scale,
            **{
                name: tuple(smiles[n] for n in part)
                for name, part in zip(("train", "validation", "test"), indices, strict=True)
            },
            curves=tuple(
                tuple((scale * learned, scale * error) for learned, error in each.curve)
                for each in trained
            ),
            metrics={},
        )
        networks = tuple(cast(PropertyNetwork, each.network.eval()) for each in trained)
        model = _with_metrics(PropertyModel(card, networks), parts, values, indices)
        model.save(folder / MODEL_FILE)
    return model


def _start(settings: FinetuningSettings) -> _Start:
    if settings.pretrained is None:
        return _Start(settings.network or GraphSettings(), [], None)
    try:
        card, bonds = load_pretrained(settings.pretrained)
    except InputFileError as error:
        try:
            model = load_property_model(settings.pretrained)
        except InputFileError:
            raise error from None
        weights = [as_arrays(network.bonds) for network in model.networks]
        return _Start(model.card.network, weights, model.card.weights_sha256)
    return _Start(card.network, [as_arrays(bonds)], card.weights_sha256)


def _split(smiles: Sequence[str], settings: FinetuningSettings) -> tuple[NDArray[np.int64], ...]:
    """Return the indices of the training, validation and test molecules."""
    test = drawn_for_test(smiles, settings.split, share=settings.test, seed=settings.split_seed)
    parts = np.where(test, "test", "other").tolist()
    shares = (1.0 - settings.validation, settings.validation, 0.0)
    return tuple(
        make_split("part:test", {"part": parts}, len(smiles), seed=settings.seed, shares=shares)
    )


def _train(
    settings: FinetuningSettings,
    start: _Start,
    parts: Sequence[_Part],
    folder: Path,
    member: int,
    key: str,
    progress: Progress,
) -> Training:
    """Return the finished training of a member, continued from its checkpoint."""
    with seeded(settings.seed, member, 0):
        network = PropertyNetwork(start.network)
    if start.weights:
        load_arrays_into(network.bonds, start.weights[member % len(start.weights)])
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    training, path = Training(network, optimizer), folder / f"member-{member + 1}.safetensors"
    training.load(path, key)
    while not _has_ended(training.curve, settings):
        epoch = len(training.curve)
        for group in optimizer.param_groups:
            group["lr"] = _rate(epoch, settings)
        with seeded(settings.seed, member, 1, epoch) as rng:
            learned = _run_epoch(training, parts[0], settings.batch, rng)
        network.eval()
        training.curve.append([learned, _error(network, parts[1])])
        if not np.isfinite(training.curve[-1]).all():
            raise ConfigError(
                f"training diverged in epoch {epoch + 1} at a learning_rate of "
                f"{settings.learning_rate:g}: choose a smaller one, and another folder"
            )
        if _best(training.curve) == epoch:
            training.best = as_arrays(network)
        training.save(path, key)
        progress(member * settings.epochs + epoch + 1, settings.members * settings.epochs)
    return training


def _rate(epoch: int, settings: FinetuningSettings) -> float:
    """Return the learning rate of an epoch: three epochs of warm-up, and a cosine decay."""
    warm = min(1.0, (epoch + 1) / 3.0)
    return settings.learning_rate * warm * 0.5 * (1.0 + np.cos(np.pi * epoch / settings.epochs))


def _best(curve: Sequence[Sequence[float]]) -> int:
    return int(np.argmin([row[1] for row in curve]))


def _has_ended(curve: Sequence[Sequence[float]], settings: FinetuningSettings) -> bool:
    count = len(curve)
    return count >= settings.epochs or (count > 0 and count - 1 - _best(curve) >= settings.patience)


def _run_epoch(training: Training, part: _Part, size: int, rng: np.random.Generator) -> float:
    """Take a step for every batch, in random order, and return their RMS error."""
    training.network.train()
    count = len(part.graphs)
    total = 0.0
    # Batch normalisation needs two molecules or more in each batch.
    for batch in np.array_split(rng.permutation(count), max(1, min(-(-count // size), count // 2))):
        training.optimizer.zero_grad()
        predicted = training.network(collate([part.graphs[n] for n in batch]))
        loss = (predicted - part.values[batch]).square().mean()
        loss.backward()
        training.optimizer.step()
        total += loss.item() * len(batch)
    return float(np.sqrt(total / count))


@torch.no_grad()
def _error(network: torch.nn.Module, part: _Part) -> float:
    return float((network(collate(part.graphs)) - part.values).square().mean().sqrt())


def _with_metrics(
    model: PropertyModel,
    parts: Sequence[_Part],
    values: NDArray[np.float64],
    indices: Sequence[NDArray[np.int64]],
) -> PropertyModel:
    """Return the model with its metrics and with errors calibrated on the validation molecules."""
    predictions = [model.members(part.graphs) for part in parts]
    metrics = {
        name: compare(members.mean(axis=0), values[index])
        for name, members, index in zip(
            ("train", "validation", "test"), predictions, indices, strict=True
        )
    }
    scale = None
    if len(model.networks) > 1:
        members = predictions[1]
        differences = members.mean(axis=0) - values[indices[1]]
        scale = calibrate(differences, members.std(axis=0, ddof=1), np.zeros(len(differences)))
    changes = {"metrics": metrics, "error_scale": scale}
    return PropertyModel(model.card.model_copy(update=changes), model.networks)
