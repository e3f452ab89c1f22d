"""A network that predicts the next state of a trajectory from all states before it.

The network is the published one: an embedding (width 8), one LSTM (64) and a linear layer (k). Adam
minimises the cross entropy of sequences of 100 frames in batches of 64. The last part of each
trajectory chooses the best epoch. New trajectories are sampled state by state.

With ``markov`` the network starts as the reversible Markov model of the first part of the frames,
and training adds memory for as long as this lowers the loss of the last part. After training, the
mean transition probabilities over the frames in each state are set to those of the Markov model of
all frames (`nnpmm.learning.language.memory`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.core.errors import ConfigError
from nnpmm.core.section import Section
from nnpmm.learning.language.markov import fit_markov_model
from nnpmm.learning.language.memory import log_probabilities, match_transitions
from nnpmm.learning.language.states import require_states
from nnpmm.learning.weights import as_arrays, load_file_into

__all__ = [
    "LanguageCard",
    "LanguageModel",
    "LanguageSettings",
    "load_language_model",
    "train_language_model",
]


class LanguageSettings(Section):
    """The network and its training."""

    markov: bool = Field(False, description="add memory to a Markov model of lag 1")
    embedding: int = Field(8, ge=1)
    hidden: int = Field(64, ge=1)
    sequence: int = Field(100, ge=2, description="frames of a training sequence")
    batch: int = Field(64, ge=1, description="sequences in a batch")
    epochs: int = Field(100, ge=1)
    patience: int = Field(
        15, ge=1, description="stop after so many epochs without a better validation loss"
    )
    learning_rate: float = Field(5e-3, gt=0)
    validation: float = Field(
        0.2, gt=0, lt=1, description="fraction of each trajectory, its last part, for validation"
    )
    seed: int = Field(1, ge=0)


class LanguageCard(Card):
    """What is known of a trained model apart from its weights."""

    n_states: int = Field(ge=2)
    settings: LanguageSettings
    frames: int = Field(ge=1, description="that it was trained and validated on")
    transitions: int = Field(ge=0, description="in them")
    training: tuple[float, ...] = Field(description="cross entropy of each epoch, nats per frame")
    validation: tuple[float, ...] = Field(description="the same of the last parts")
    markov: float | None = Field(None, description="the same of the Markov model it started as")
    prompt: tuple[int, ...] = Field(description="frames from which new trajectories continue")


class _Network(nn.Module):
    def __init__(self, n_states: int, settings: LanguageSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_states, settings.embedding)
        self.lstm = nn.LSTM(settings.embedding, settings.hidden, batch_first=True)
        self.linear = nn.Linear(settings.hidden, n_states)
        # ln T of the Markov model. Files contain the weight by this name.
        self.counted: nn.Parameter | None = None
        if settings.markov:
            self.counted = nn.Parameter(torch.zeros(n_states, n_states), requires_grad=False)
            # Without an output of the LSTM the network is the Markov model alone.
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, states: torch.Tensor, memory: Any = None) -> tuple[torch.Tensor, Any]:
        """Return logits (b, n, k) of the state after each frame (b, n), and the LSTM's memory."""
        hidden, memory = self.lstm(self.embedding(states), memory)
        logits = self.linear(hidden)
        if self.counted is not None:
            logits = logits + self.counted[states]
        return logits, memory


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A trained language model of trajectories.

    Attributes:
        card: what is known of it.
        network: embedding, LSTM, linear.
    """

    card: LanguageCard
    network: nn.Module

    @torch.no_grad()
    def generate(
        self,
        length: int,
        *,
        walkers: int = 1,
        seed: int,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> NDArray[np.int64]:
        """Return new trajectories (walkers, length), which all continue the prompt of the card.

        Args:
            length: frames of each.
            walkers: number of trajectories.
            seed: of the random numbers.
            progress: called with the number of frames that are done, and their number.
        """
        generator = torch.Generator().manual_seed(seed)
        self.network.eval()
        prompt = torch.tensor(self.card.prompt)[None].repeat(walkers, 1)
        logits, memory = self.network(prompt)
        states = torch.empty((walkers, length), dtype=torch.int64)
        for frame in range(length):
            probabilities = torch.softmax(logits[:, -1], dim=-1)
            sampled = torch.multinomial(probabilities, 1, generator=generator)
            states[:, frame] = sampled[:, 0]
            logits, memory = self.network(sampled, memory)
            if frame % 1000 == 999 or frame + 1 == length:
                progress(frame + 1, length)
        return states.numpy()

    def save(self, path: Path) -> None:
        """Write ``NAME.json`` and ``NAME.safetensors``.

        Raises:
            ConfigError: the name does not end in .json.
            UnwritableError: a file cannot be written.
        """
        save_card(path, self.card, as_arrays(self.network))


def load_language_model(path: Path) -> LanguageModel:
    """Read what ``LanguageModel.save`` wrote.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    card, arrays = load_card(path, LanguageCard)
    network = _Network(card.n_states, card.settings)
    load_file_into(network, arrays, path)
    return LanguageModel(card, network.eval())


def train_language_model(
    trajectories: Sequence[NDArray[np.int64]],
    settings: LanguageSettings | None = None,
    *,
    n_states: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> LanguageModel:
    """Train a language model on trajectories of states.

    Args:
        trajectories: (n,) each.
        settings: of the network and the training; the published ones if None.
        n_states: number of states; None: the highest number in the trajectories plus 1.
        progress: called with the number of epochs that are done, and their number.

    Raises:
        ConfigError: trajectories that are too short, or numbers that are no states.
        SimulationError: a state that is never visited, or too few transitions.
        OptionalDependencyError: deeptime is not installed, which ``markov`` requires.
    """
    settings = settings or LanguageSettings()
    count = require_states(trajectories, n_states)
    series = [torch.from_numpy(np.asarray(each, dtype=np.int64)) for each in trajectories]
    parts = [_split(each, settings) for each in series]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _Network(count, settings)
        if network.counted is not None:
            _set_markov_model(network.counted, [early for early, _ in parts])
        curves, best = _fit(network, parts, settings, progress)
    network.load_state_dict(best)
    if network.counted is not None:
        _match_markov_model(network, network.counted, series, settings.sequence)
    longest = max(series, key=len)
    card = LanguageCard(
        n_states=count,
        settings=settings,
        frames=sum(map(len, series)),
        transitions=sum(int((each[1:] != each[:-1]).sum()) for each in series),
        training=tuple(curves[0]),
        validation=tuple(curves[1][-len(curves[0]) :]),
        markov=curves[1][0] if settings.markov else None,
        prompt=tuple(longest[: settings.sequence].tolist()),
    )
    return LanguageModel(card, network.eval())


def _split(states: torch.Tensor, settings: LanguageSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the frames of a trajectory for training, and those after them for validation."""
    first = round(len(states) * (1 - settings.validation))
    if min(first, len(states) - first) <= settings.sequence:
        raise ConfigError(
            f"found a trajectory of {len(states)} frames, too short for stretches of "
            f"{settings.sequence} in both parts; use shorter stretches or longer trajectories"
        )
    return states[:first], states[first:]


def _fit(
    network: nn.Module,
    parts: Sequence[tuple[torch.Tensor, torch.Tensor]],
    settings: LanguageSettings,
    progress: Callable[[int, int], None],
) -> tuple[tuple[list[float], list[float]], dict[str, torch.Tensor]]:
    """Return both learning curves and the weights of the best epoch.

    The Markov model that a network may start from counts as an epoch, so that it can be the best.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    held_out = torch.cat([_sequences(late, settings.sequence, 0) for _, late in parts])
    training: list[float] = []
    validation: list[float] = []
    best: dict[str, torch.Tensor] = {}
    if settings.markov:
        validation.append(_mean_loss(network, held_out, settings.batch))
        best = copy.deepcopy(network.state_dict())
    for epoch in range(settings.epochs):
        offset = int(torch.randint(settings.sequence, (1,)))  # so that epochs differ in the cuts
        rows = torch.cat([_sequences(early, settings.sequence, offset) for early, _ in parts])
        rows = rows[torch.randperm(len(rows))]
        network.train()
        total = 0.0
        for batch in rows.split(settings.batch):
            optimizer.zero_grad()
            loss = _loss(network, batch)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        training.append(total / len(rows))
        validation.append(_mean_loss(network, held_out, settings.batch))
        if validation[-1] == min(validation):
            best = copy.deepcopy(network.state_dict())
        progress(epoch + 1, settings.epochs)
        if len(validation) - 1 - int(np.argmin(validation)) >= settings.patience:
            break
    return (training, validation), best


def _sequences(states: torch.Tensor, length: int, offset: int) -> torch.Tensor:
    """Return sequences (m, length + 1); each starts with the last frame of the one before."""
    return states[offset:].unfold(0, length + 1, length)


def _loss(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    logits, _ = network(batch[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def _mean_loss(network: nn.Module, rows: torch.Tensor, batch: int) -> float:
    network.eval()
    losses = [float(_loss(network, part)) * len(part) for part in rows.split(batch)]
    return sum(losses) / len(rows)


def _set_markov_model(counted: nn.Parameter, series: Sequence[torch.Tensor]) -> None:
    """Set a network's ln T to that of the reversible Markov model of trajectories."""
    model = fit_markov_model([each.numpy() for each in series], len(counted), 1)
    counted.data = log_probabilities(model.matrix).float()


@torch.no_grad()
def _match_markov_model(
    network: nn.Module, counted: nn.Parameter, series: Sequence[torch.Tensor], warm_up: int
) -> None:
    """Make the mean transitions of a network those of the reversible Markov model of all frames.

    Long trajectories are evaluated in pieces. The first ``warm_up`` frames of each piece are left
    out, since the network has no memory of the states before them.
    """
    network.eval()
    memory, states = [], []
    for each in series:
        piece = min(len(each), 20 * warm_up)
        rows = each.unfold(0, piece, max(1, piece - warm_up))
        logits, _ = network(rows)
        memory.append((logits - counted[rows])[:, warm_up:].flatten(0, 1))
        states.append(rows[:, warm_up:].flatten())
    matrix = fit_markov_model([each.numpy() for each in series], len(counted), 1).matrix
    counted.data = match_transitions(torch.cat(memory), torch.cat(states), matrix).float()
