"""Networks from the features of a run, frame by frame, to a free energy of permeation.

Model-L, Model-LA and the network on time averages of Dutta, Jain, Gupta and Rai (Digital Discovery
2023), and one of our own. All take scaled features (samples, frames, features) with any number of
frames, and return (samples,) free energies in kcal/mol: of the molecule, or of one bead of it.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from nnpmm.errors import ConfigError
from nnpmm.fields import Section
from nnpmm.permeation.features import FEATURE_NAMES

__all__ = [
    "AdditiveAttention",
    "AverageNetwork",
    "ModelL",
    "ModelLA",
    "NetworkKind",
    "NetworkSettings",
    "ResponseNetwork",
    "create_network",
]

NetworkKind = Literal["model-l", "model-la", "dnn", "response"]


class NetworkSettings(Section):
    """Architecture of a network; the defaults are the published ones."""

    kind: NetworkKind = Field("model-la", description="model-l, model-la, dnn or response")
    per_bead: bool = Field(False, description="the output is multiplied by the number of beads")
    features: tuple[str, ...] = Field(
        FEATURE_NAMES, min_length=1, description="of a frame that the network sees, in order"
    )
    lstm_width: int = Field(100, ge=1, description="of every LSTM, and of the attention")
    dense_width: int = Field(100, ge=1, description="of the dense layer after the LSTMs")
    lstm_dropout: float = Field(0.5, ge=0, lt=1, description="after the first LSTM of model-l")
    dnn_width: int = Field(128, ge=1, description="of both hidden layers of dnn")
    dnn_dropout: float = Field(0.3, ge=0, lt=1, description="after each hidden layer of dnn")
    response_width: int = Field(32, ge=1, description="of the correction in response")

    @property
    def n_features(self) -> int:
        """Number of features that the network sees."""
        return len(self.features)

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


class ResponseNetwork(nn.Module):
    """The mean over the frames of an estimate from each: linear, with a bounded correction.

    dG = < w . x_t + b + v . tanh(W x_t + c) >

    To first order, what surroundings do to the free energy of a solute is linear in its mean
    interaction energy with them (Aqvist, Medina and Samuelsson 1994). The linear part goes on
    outside of the range that was trained on; the correction levels off there.
    """

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        self.linear = nn.Linear(settings.n_features, 1)
        self.correction = nn.Sequential(
            nn.Linear(settings.n_features, settings.response_width),
            nn.Tanh(),
            nn.Linear(settings.response_width, 1, bias=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) kcal/mol from (samples, frames, features)."""
        frames = _require_frames(features)
        estimates: Tensor = self.linear(frames) + self.correction(frames)
        return estimates.squeeze(-1).mean(dim=1)


_NETWORKS: dict[NetworkKind, type[ModelL | ModelLA | AverageNetwork | ResponseNetwork]] = {
    "model-l": ModelL,
    "model-la": ModelLA,
    "dnn": AverageNetwork,
    "response": ResponseNetwork,
}


def create_network(
    settings: NetworkSettings,
) -> ModelL | ModelLA | AverageNetwork | ResponseNetwork:
    """Return a network with random weights from torch's current generator."""
    return _NETWORKS[settings.kind](settings)


def _dense_head(n_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, 1))


def _require_frames(features: Tensor) -> Tensor:
    if features.ndim != 3 or features.shape[1] == 0:
        raise ConfigError(
            f"found features of shape {tuple(features.shape)}, expected (samples, frames, "
            "features) with at least one frame"
        )
    return features
