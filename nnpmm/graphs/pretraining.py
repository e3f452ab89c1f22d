"""Pre-training: graphs learn to agree with the geometries of their molecules.

H. Stärk et al., ICML 2022 (arXiv 2110.04126). The folder of a pre-training::

    settings.json        of the pre-training
    conformers/          of each molecule
    checkpoint.safetensors
    model.json           settings, molecules, learning curves; model.safetensors: the weights
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.core.errors import ConfigError
from nnpmm.core.locks import locked_folder
from nnpmm.core.settings.folder import store_settings
from nnpmm.graphs.bonds import BondNetwork
from nnpmm.graphs.checkpoints import Training, seeded
from nnpmm.graphs.contrast import agreement, contrast
from nnpmm.graphs.distances import DistanceNetwork, collate_conformers
from nnpmm.graphs.features import MolecularGraph, collate, graph_of
from nnpmm.graphs.geometries import kept_conformers
from nnpmm.graphs.lists import pretraining_smiles
from nnpmm.graphs.settings import GraphSettings, PretrainingSettings
from nnpmm.learning.weights import as_arrays, load_file_into

__all__ = [
    "MODEL_FILE",
    "ContrastiveNetwork",
    "PretrainedCard",
    "load_pretrained",
    "pretrain",
]

MODEL_FILE = "model.json"
_MAY_CHANGE = ("epochs", "conformer_folder")
_CHECKPOINT = "checkpoint.safetensors"

#: Called with the name of a stage, how much of it is done, and its length.
Report = Callable[[str, float, float], None]


class PretrainedCard(Card):
    """Settings and learning curves of a pre-trained network, stored with its weights."""

    network: GraphSettings
    settings: PretrainingSettings
    molecules: int = Field(ge=1, description="number of molecules in training and validation")
    molecules_sha256: str = Field(description="checksum of their SMILES, one on each line")
    without_conformers: tuple[str, ...] = Field(description="SMILES that were left out")
    training: tuple[float, ...] = Field(description="training loss of each epoch")
    validation: tuple[float, ...] = Field(description="validation loss of each epoch")
    agreement: tuple[float, ...] = Field(
        description="fraction of the validation molecules whose graph is nearest to one of their "
        "own conformers"
    )


@dataclass(frozen=True)
class _Example:
    """A molecule of a pre-training: its graph, and its conformers (k, n, 3), nm."""

    graph: MolecularGraph
    conformers: NDArray[np.float32]


class ContrastiveNetwork(nn.Module):
    """Both networks of a pre-training.

    Args:
        settings: of the pre-training.
    """

    def __init__(self, settings: PretrainingSettings) -> None:
        super().__init__()
        self.bonds = BondNetwork(settings.network)
        width = self.bonds.features
        self.project = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, settings.common)
        )
        self.distances = DistanceNetwork(settings.spatial, settings.common)

    def forward(self, molecules: Sequence[_Example]) -> tuple[Tensor, Tensor, Tensor]:
        """Return graphs (m, common), conformers (k, common), and the owner of each (k,)."""
        graphs = self.project(self.bonds(collate([each.graph for each in molecules])))
        conformers = self.distances(collate_conformers([each.conformers for each in molecules]))
        counts = torch.tensor([len(each.conformers) for each in molecules])
        return graphs, conformers, torch.repeat_interleave(torch.arange(len(counts)), counts)


def pretrain(
    settings: PretrainingSettings, folder: Path, *, report: Report = lambda *_: None
) -> PretrainedCard:
    """Pre-train a network in a folder, and return its record.

    A call with the same settings continues after an interruption, and may ask for more epochs; the
    result is bitwise the same as without the interruption.

    Args:
        settings: of the pre-training.
        folder: of the pre-training.
        report: called with the progress of the stages.

    Raises:
        ConfigError: the folder has a pre-training with other settings, or another process works in
            it; there are too few molecules, or the training diverged.
        InputFileError: a molecule cannot be read, or has an unsupported atom.
        UnwritableError: a file cannot be written.
    """
    smiles = pretraining_smiles(settings)
    # Unsupported atoms are found here, before hours of conformer generation.
    graphs = [graph_of(text) for text in smiles]
    with locked_folder(folder):
        fixed = [name for name in PretrainingSettings.model_fields if name not in _MAY_CHANGE]
        store_settings(settings, folder / "settings.json", fixed)
        conformers, reasons = kept_conformers(
            settings.conformer_folder or folder / "conformers",
            smiles,
            settings.conformers,
            seed=settings.seed,
            progress=lambda done, total: report("conformers", done, total),
        )
        pairs = zip(graphs, conformers, strict=True)
        examples = [_Example(*pair) for pair in pairs if len(pair[1])]
        digest = hashlib.sha256("\n".join(smiles).encode()).hexdigest()
        training = _train(settings, examples, folder / _CHECKPOINT, digest, report)
        learned, validation, agreements = np.array(training.curve).T
        card = PretrainedCard(
            network=settings.network,
            settings=settings,
            molecules=len(examples),
            molecules_sha256=digest,
            without_conformers=tuple(reasons),
            training=tuple(learned),
            validation=tuple(validation),
            agreement=tuple(agreements),
        )
        save_card(folder / MODEL_FILE, card, as_arrays(training.network))
    return card


def load_pretrained(path: Path) -> tuple[PretrainedCard, BondNetwork]:
    """Read the network on graphs that `pretrain` has trained.

    Args:
        path: of its model.json.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    card, arrays = load_card(path, PretrainedCard)
    network = ContrastiveNetwork(card.settings)
    load_file_into(network, arrays, path)
    return card, network.bonds


def _train(
    settings: PretrainingSettings,
    examples: Sequence[_Example],
    checkpoint: Path,
    digest: str,
    report: Report,
) -> Training:
    """Return the finished training, continued from its checkpoint."""
    with seeded(settings.seed, 0) as rng:
        network = ContrastiveNetwork(settings)
        order = rng.permutation(len(examples))
    n_validation = max(2, round(settings.validation * len(examples)))
    if len(examples) - n_validation < 2:
        raise ConfigError(
            f"found {len(examples)} molecules with conformers, expected four or more: each is "
            "compared with others"
        )
    held_out = [examples[n] for n in order[:n_validation]]
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    training = Training(network, optimizer)
    key = f"pretraining {digest} {settings.model_dump_json(exclude={*_MAY_CHANGE})}"
    training.load(checkpoint, key)
    for epoch in range(len(training.curve), settings.epochs):
        report("epochs", epoch, settings.epochs)
        with seeded(settings.seed, 1, epoch) as rng:
            batches = np.array_split(
                rng.permutation(order[n_validation:]),
                _batches(len(examples) - n_validation, settings.batch),
            )
            loss = _run_epoch(training, [[examples[n] for n in b] for b in batches], settings)
        training.curve.append([loss, *_validate(network, held_out, settings)])
        if not np.isfinite(training.curve[-1]).all():
            raise ConfigError(
                f"training diverged in epoch {epoch + 1} at a learning_rate of "
                f"{settings.learning_rate:g}: choose a smaller one, and another folder"
            )
        training.save(checkpoint, key)
    report("epochs", settings.epochs, settings.epochs)
    return training


def _batches(molecules: int, batch: int) -> int:
    """Return the number of batches of equal sizes, of at least two molecules each."""
    return max(1, min(-(-molecules // batch), molecules // 2))


def _run_epoch(
    training: Training, batches: Sequence[Sequence[_Example]], settings: PretrainingSettings
) -> float:
    training.network.train()
    total = 0.0
    for batch in batches:
        training.optimizer.zero_grad()
        graphs, conformers, owner = training.network(batch)
        loss = contrast(graphs, conformers, owner, settings.temperature)
        loss.backward()
        training.optimizer.step()
        total += loss.item() * len(batch)
    return total / sum(map(len, batches))


@torch.no_grad()
def _validate(
    network: nn.Module, molecules: Sequence[_Example], settings: PretrainingSettings
) -> tuple[float, float]:
    """Return the loss and the agreement of the validation molecules."""
    network.eval()
    graphs, conformers, owner = network(molecules)
    loss = contrast(graphs, conformers, owner, settings.temperature)
    return float(loss), agreement(graphs, conformers, owner)
