"""Networks from a sequence of frames, each with the same named features, to one number.

Model-L, Model-LA and the network on time averages are those of Dutta, Jain, Gupta and Rai (Digital
Discovery 2023). All networks take scaled features (samples, frames, features) with any number of
frames. They return (samples,) numbers in the unit of the labels that they are trained on.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from torch import Tensor, nn

from nnpmm.core.errors import ConfigError
from nnpmm.core.section import Section

__all__ = [
    "AdditiveAttention",
    "AttentionLSTM",
    "AverageNetwork",
    "NetworkKind",
    "NetworkSettings",
    "ResponseNetwork",
    "StackedLSTM",
    "create_network",
    "feature_columns",
    "size_factors",
]

NetworkKind = Literal["model-l", "model-la", "dnn", "response"]


class NetworkSettings(Section):
    """Architecture of a network; the default widths and dropouts are the published ones."""

    kind: NetworkKind = Field(description="model-l, model-la, dnn or response")
    features: tuple[str, ...] = Field(
        min_length=1, description="names of a frame's features that the network sees, in order"
    )
    extensive: bool = Field(
        False, description="the network's output is multiplied by the size of the sample"
    )
    lstm_width: int = Field(100, ge=1, description="width of every LSTM, and of the attention")
    dense_width: int = Field(100, ge=1, description="width of the dense layer after the LSTMs")
    lstm_dropout: float = Field(
        0.5, ge=0, lt=1, description="dropout after the first LSTM of model-l"
    )
    dnn_width: int = Field(128, ge=1, description="width of both hidden layers of dnn")
    dnn_dropout: float = Field(
        0.3, ge=0, lt=1, description="dropout after each hidden layer of dnn"
    )
    response_width: int = Field(32, ge=1, description="of the correction in response")

    @property
    def n_features(self) -> int:
        """Number of features that the network sees."""
        return len(self.features)

    @property
    def averages_frames(self) -> bool:
        """Whether the network sees only the mean over the frames."""
        return self.kind == "dnn"


class StackedLSTM(nn.Module):
    """Model-L: LSTM, dropout, LSTM, dense layer (ReLU), one number, from the last frame's state.

    The dropout acts on the states that the first LSTM passes to the second.
    """

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        width = settings.lstm_width
        self.first = nn.LSTM(settings.n_features, width, batch_first=True)
        self.dropout = nn.Dropout(settings.lstm_dropout)
        self.second = nn.LSTM(width, width, batch_first=True)
        self.head = _dense_head(width, settings.dense_width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) numbers from scaled features, (samples, frames, features)."""
        states, _ = self.first(_require_frames(features))
        states, _ = self.second(self.dropout(states))
        numbers: Tensor = self.head(states[:, -1])
        return numbers.squeeze(-1)


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


class AttentionLSTM(nn.Module):
    """Model-LA: LSTM, attention of its last state to all its states, dense layer (ReLU), number."""

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        width = settings.lstm_width
        self.lstm = nn.LSTM(settings.n_features, width, batch_first=True)
        self.attention = AdditiveAttention(width)
        self.head = _dense_head(width, settings.dense_width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (samples,) numbers from scaled features, (samples, frames, features)."""
        return self.forward_with_weights(features)[0]

    def forward_with_weights(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (samples,) numbers and the attention to every frame, (samples, frames)."""
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
        """Return (samples,) numbers from scaled features, (samples, frames, features)."""
        numbers: Tensor = self.layers(_require_frames(features).mean(dim=1))
        return numbers.squeeze(-1)


class ResponseNetwork(nn.Module):
    """The mean over the frames of an estimate from each: linear, with a bounded correction.

    y = < w . x_t + b + v . tanh(W x_t + c) >

    To first order, the free energy of solvating a solute is linear in its mean interaction energy
    with the surroundings (Aqvist, Medina and Samuelsson 1994). Outside of the range of the training
    samples, the linear part extrapolates and the correction saturates.
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
        """Return (samples,) numbers from scaled features, (samples, frames, features)."""
        frames = _require_frames(features)
        estimates: Tensor = self.linear(frames) + self.correction(frames)
        return estimates.squeeze(-1).mean(dim=1)


Network = StackedLSTM | AttentionLSTM | AverageNetwork | ResponseNetwork

_NETWORKS: dict[NetworkKind, type[Network]] = {
    "model-l": StackedLSTM,
    "model-la": AttentionLSTM,
    "dnn": AverageNetwork,
    "response": ResponseNetwork,
}


def create_network(settings: NetworkSettings) -> Network:
    """Return a network with random weights from torch's current generator."""
    return _NETWORKS[settings.kind](settings)


def feature_columns(network: NetworkSettings, names: tuple[str, ...]) -> list[int]:
    """Return the columns that a network sees of features whose names are given.

    Args:
        network: architecture.
        names: (features,) of all columns.

    Raises:
        ConfigError: a feature that the network sees is not among them.
    """
    missing = [name for name in network.features if name not in names]
    if missing:
        raise ConfigError(
            f"found the features {', '.join(names)}, the network needs {', '.join(missing)} too"
        )
    return [names.index(name) for name in network.features]


def size_factors(
    network: NetworkSettings, sizes: ArrayLike | None, samples: int
) -> NDArray[np.float64]:
    """Return the factors by which a network's outputs are multiplied, (samples,).

    Args:
        network: architecture.
        sizes: (samples,) positive, in any one unit; may be None unless the network is extensive.
        samples: number of samples.

    Raises:
        ConfigError: the network is extensive, and the sizes are missing, too many or too few, not
            positive, or not finite.
    """
    if not network.extensive:
        return np.ones(samples)
    if sizes is None:
        raise ConfigError(
            "found no sizes, which this model of quantities per unit of size needs: give one "
            "number for each sample"
        )
    found = np.asarray(sizes, dtype=np.float64)
    if found.shape != (samples,) or not (np.isfinite(found) & (found > 0)).all():
        raise ConfigError(
            f"found the sizes {found.tolist()} for {samples} samples: give one positive number "
            "for each"
        )
    return found


def _dense_head(n_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, 1))


def _require_frames(features: Tensor) -> Tensor:
    if features.ndim != 3 or features.shape[1] == 0:
        raise ConfigError(
            f"found features of shape {tuple(features.shape)}, expected (samples, frames, "
            "features) with at least one frame"
        )
    return features
