"""Networks from the features of a run, frame by frame, to a free energy of permeation.

Model-L, Model-LA and the network on time averages of Dutta, Jain, Gupta and Rai (Digital Discovery
2023). All take scaled features (samples, frames, features) with any number of frames, and return
(samples,) free energies in kcal/mol.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from nnpmm.errors import ConfigError
from nnpmm.fields import Section

__all__ = [
    "AdditiveAttention",
    "AverageNetwork",
    "ModelL",
    "ModelLA",
    "NetworkKind",
    "NetworkSettings",
    "create_network",
]

NetworkKind = Literal["model-l", "model-la", "dnn"]


class NetworkSettings(Section):
    """Architecture of a network; the defaults are the published ones."""

    kind: NetworkKind = Field("model-la", description="model-l, model-la or dnn")
    n_features: int = Field(8, ge=1, description="features of a frame")
    lstm_width: int = Field(100, ge=1, description="of every LSTM, and of the attention")
    dense_width: int = Field(100, ge=1, description="of the dense layer after the LSTMs")
    lstm_dropout: float = Field(0.5, ge=0, lt=1, description="after the first LSTM of model-l")
    dnn_width: int = Field(128, ge=1, description="of both hidden layers of dnn")
    dnn_dropout: float = Field(0.3, ge=0, lt=1, description="after each hidden layer of dnn")

    @property
    def averages_frames(self) -> bool:
        """Whether the network sees only the mean over the frames."""
        return self.kind == "dnn"


class ModelL(nn.Module):
    """LSTM, dropout, LSTM, dense layer (ReLU), one number, from the last frame's state.

    The dropout of 0.5 falls on what the first LSTM hands to the second.
    """

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        width = settings.lstm_width
        self.first = nn.LSTM(settings.n_features, width, batch_first=True)
        self.dropout = nn.Dropout(settings.lstm_dropout)
        self.second = nn.LSTM(width, width, batch_first=True)
        self.head = _dense_head(width, settings.dense_width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) kcal/mol from (samples, frames, features)."""
        states, _ = self.first(_require_frames(features))
        states, _ = self.second(self.dropout(states))
        energies: Tensor = self.head(states[:, -1])
        return energies.squeeze(-1)


class AdditiveAttention(nn.Module):
    """Attention of a query to the states of a sequence (Bahdanau, Cho and Bengio 2015, eq. 6).

    e_t = v . tanh(W h_t + U q + b), a = softmax(e), context = sum_t a_t h_t
    """

    def __init__(self, width: int):
        super().__init__()
        self.states = nn.Linear(width, width)
        self.query = nn.Linear(width, width, bias=False)  # one b is enough
        self.score = nn.Linear(width, 1, bias=False)  # softmax would cancel a constant

    def forward(self, query: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the context (samples, width) and the weights (samples, frames).

        Args:
            query: q, (samples, width).
            states: h, (samples, frames, width).
        """
        mixed = torch.tanh(self.states(states) + self.query(query).unsqueeze(1))
        weights = torch.softmax(self.score(mixed).squeeze(-1), dim=1)
        context = (weights.unsqueeze(-1) * states).sum(dim=1)
        return context, weights


class ModelLA(nn.Module):
    """LSTM, attention of its last state to all its states, dense layer (ReLU), one number."""

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        width = settings.lstm_width
        self.lstm = nn.LSTM(settings.n_features, width, batch_first=True)
        self.attention = AdditiveAttention(width)
        self.head = _dense_head(width, settings.dense_width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) kcal/mol from (samples, frames, features)."""
        return self.forward_with_weights(features)[0]

    def forward_with_weights(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (samples,) kcal/mol and the attention to every frame, (samples, frames)."""
        states, _ = self.lstm(_require_frames(features))
        context, weights = self.attention(states[:, -1], states)
        return self.head(context).squeeze(-1), weights


class AverageNetwork(nn.Module):
    """Two hidden layers (ReLU, dropout) on the mean over the frames: the baseline."""

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        width, dropout = settings.dnn_width, settings.dnn_dropout
        self.layers = nn.Sequential(
            nn.Linear(settings.n_features, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) kcal/mol from (samples, frames, features)."""
        energies: Tensor = self.layers(_require_frames(features).mean(dim=1))
        return energies.squeeze(-1)


def create_network(settings: NetworkSettings) -> ModelL | ModelLA | AverageNetwork:
    """Return a network with random weights from torch's current generator."""
    if settings.kind == "model-l":
        return ModelL(settings)
    if settings.kind == "model-la":
        return ModelLA(settings)
    return AverageNetwork(settings)


def _dense_head(n_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, 1))


def _require_frames(features: Tensor) -> Tensor:
    if features.ndim != 3 or features.shape[1] == 0:
        raise ConfigError(
            f"found features of shape {tuple(features.shape)}, expected (samples, frames, "
            "features) with at least one frame"
        )
    return features
