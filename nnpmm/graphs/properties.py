"""Predict a property of molecules from their graphs, with an ensemble of trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.graphs.bonds import BondNetwork
from nnpmm.graphs.features import GraphBatch, MolecularGraph, collate, graph_of
from nnpmm.graphs.settings import FinetuningSettings, GraphSettings
from nnpmm.learning import Metrics
from nnpmm.learning.weights import as_arrays, load_file_into

__all__ = ["PropertyCard", "PropertyModel", "PropertyNetwork", "load_property_model"]

_BATCH = 256  # molecules; it limits the memory of a prediction


class PropertyCard(Card):
    """Settings, data and metrics of a model of a property, stored with its weights."""

    network: GraphSettings
    settings: FinetuningSettings
    pretraining_sha256: str | None = Field(
        description="checksum of the initial weights; none: random weights"
    )
    mean: float = Field(
        allow_inf_nan=False, description="mean of the property over the training molecules"
    )
    scale: float = Field(
        gt=0, allow_inf_nan=False, description="standard deviation over the training molecules"
    )
    train: tuple[str, ...] = Field(description="SMILES of the training molecules")
    validation: tuple[str, ...] = Field(
        description="SMILES of the validation molecules, which chose the best epoch"
    )
    test: tuple[str, ...] = Field(description="SMILES of the test molecules")
    curves: tuple[tuple[tuple[float, float], ...], ...] = Field(
        description="RMS errors of training and validation, for each member and epoch"
    )
    error_scale: float | None = Field(
        None,
        description="factor that scales the spread of the members to an error; none: there is "
        "one member",
    )
    metrics: dict[str, Metrics]


class PropertyNetwork(nn.Module):
    """Maps graphs to the property of each molecule, in units of the standard deviation.

    Args:
        settings: size of the network on graphs.
    """

    def __init__(self, settings: GraphSettings) -> None:
        super().__init__()
        self.bonds = BondNetwork(settings)
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(self.bonds.features, settings.width),
            nn.ReLU(),
            nn.Linear(settings.width, 1),
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return the scaled property, (molecules,)."""
        numbers: Tensor = self.head(self.bonds(batch))
        return numbers.squeeze(-1)


@dataclass(frozen=True, eq=False)
class PropertyModel:
    """One or more trained networks, whose mean is the prediction.

    Attributes:
        card: their record.
        networks: the members.
    """

    card: PropertyCard
    networks: tuple[PropertyNetwork, ...]

    def predict(
        self, smiles: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the property of molecules and its standard deviation, (n,) each.

        The error is the spread of the members times a factor from the validation molecules; None
        if there is one member.

        Args:
            smiles: canonical, of the molecules.

        Raises:
            InputFileError: an element or a charge that graphs do not know.
        """
        members = self.members([graph_of(text) for text in smiles])
        if self.card.error_scale is None:
            return members.mean(axis=0), None
        return members.mean(axis=0), self.card.error_scale * members.std(axis=0, ddof=1)

    @torch.inference_mode()
    def members(self, graphs: Sequence[MolecularGraph]) -> NDArray[np.float64]:
        """Return the predictions of each network, (members, n)."""
        parts = [collate(graphs[start : start + _BATCH]) for start in range(0, len(graphs), _BATCH)]
        found = [torch.cat([network(part) for part in parts]) for network in self.networks]
        return self.card.mean + self.card.scale * torch.stack(found).double().numpy()

    def save(self, path: Path) -> None:
        """Write ``NAME.json`` and ``NAME.safetensors``.

        Raises:
            ConfigError: the name does not end in .json.
            UnwritableError: a file cannot be written.
        """
        save_card(path, self.card, as_arrays(nn.ModuleList(self.networks)))


def load_property_model(path: Path) -> PropertyModel:
    """Read what `PropertyModel.save` wrote; nothing in it is executed.

    Args:
        path: of its .json file.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    card, arrays = load_card(path, PropertyCard)
    networks = [PropertyNetwork(card.network) for _ in range(card.settings.members)]
    load_file_into(nn.ModuleList(networks), arrays, path)
    return PropertyModel(card, tuple(network.eval() for network in networks))
