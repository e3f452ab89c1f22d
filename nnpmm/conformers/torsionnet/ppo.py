"""Proximal policy optimisation of the policy on whole episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from nnpmm.conformers.torsionnet.environment import Observation
from nnpmm.conformers.torsionnet.graph import MoleculeGraph
from nnpmm.conformers.torsionnet.policy import Batch, Memory, Policy, batch_of, joined
from nnpmm.core.section import Section

__all__ = ["Game", "PPOSettings", "Rollout", "advantages", "improve", "play"]


class PPOSettings(Section):
    """How the policy learns from episodes."""

    learning_rate: float = Field(
        1e-3, gt=0, allow_inf_nan=False, description="learning rate of Adam"
    )
    passes: int = Field(4, ge=1, description="number of passes over the episodes of an update")
    clip: float = Field(
        0.2, gt=0, lt=1, description="limit of the change of each rotor's probability ratio"
    )
    discount: float = Field(
        0.99, gt=0, le=1, description="discount factor of a reward one conformer later"
    )
    trace: float = Field(0.95, ge=0, le=1, description="lambda of the advantage estimate")
    value_weight: float = Field(0.5, ge=0, description="weight of the squared error of the value")
    entropy_weight: float = Field(3e-3, ge=0, description="weight of the entropy of each rotor")
    gradient: float = Field(0.5, gt=0, description="largest norm of the gradient")


class Game(Protocol):
    """An environment that the policy plays: a search, or a toy in a test."""

    @property
    def is_done(self) -> bool:
        """Whether the episode is over."""

    def observe(self) -> Observation:
        """Return the input of the policy."""

    def step(self, action: NDArray[np.int64]) -> float:
        """Take an action (r,) and return the reward."""


class Rollout(NamedTuple):
    """Episodes of t steps of e molecules, r rotors in all.

    Attributes:
        batches: inputs of the policy, one for each step.
        actions: (t, r).
        chances: logarithms of the actions' probabilities, (t, r).
        values: (t, e).
        rewards: (t, e).
    """

    batches: tuple[Batch, ...]
    actions: Tensor
    chances: Tensor
    values: Tensor
    rewards: Tensor


@torch.no_grad()
def play(
    policy: Policy,
    graphs: Sequence[MoleculeGraph],
    games: Sequence[Game],
    generator: torch.Generator,
) -> Rollout:
    """Play games of equal length to their end, all together.

    Args:
        policy: draws the actions.
        graphs: of the molecules, (e,).
        games: (e,).
        generator: of the random numbers.
    """
    batches, actions, chances, values, rewards = [], [], [], [], []
    ends = np.cumsum([len(g.torsions) for g in graphs])[:-1]
    memory: Memory | None = None
    while not games[0].is_done:
        batch = batch_of(graphs, [game.observe() for game in games])
        logits, value, memory = policy(batch, memory)
        logarithms = logits[0].log_softmax(dim=-1)
        drawn = torch.multinomial(logarithms.exp(), 1, generator=generator)
        batches.append(batch)
        actions.append(drawn[:, 0])
        chances.append(logarithms.gather(-1, drawn)[:, 0])
        values.append(value[0])
        parts = np.split(drawn[:, 0].numpy(), ends)
        rewards.append([game.step(part) for game, part in zip(games, parts, strict=True)])
    return Rollout(
        tuple(batches),
        torch.stack(actions),
        torch.stack(chances),
        torch.stack(values),
        torch.tensor(rewards, dtype=torch.float32),
    )


def advantages(rewards: Tensor, values: Tensor, *, discount: float, trace: float) -> Tensor:
    """Return generalised advantage estimates (t, e) of episodes that end after t steps.

    J. Schulman et al., arXiv:1506.02438, eq. 16.

    Args:
        rewards: (t, e).
        values: of the states before each step, (t, e).
        discount: gamma.
        trace: lambda.
    """
    found = torch.zeros_like(rewards)
    later, running = torch.zeros_like(values[0]), torch.zeros_like(values[0])
    for step in reversed(range(len(rewards))):
        running = rewards[step] + discount * later - values[step] + discount * trace * running
        found[step], later = running, values[step]
    return found


def improve(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    settings: PPOSettings,
) -> None:
    """Improve a policy in place by what it has just played.

    J. Schulman et al., arXiv:1707.06347, eq. 7 and 9, with a ratio for each rotor.

    Args:
        policy: with which they were played.
        optimizer: of its parameters.
        rollouts: the minibatches.
        settings: of the method.
    """
    gains = [
        advantages(r.rewards, r.values, discount=settings.discount, trace=settings.trace)
        for r in rollouts
    ]
    every = torch.cat([gain.flatten() for gain in gains])
    mean, deviation = every.mean(), every.std() + 1e-8
    for _ in range(settings.passes):
        for rollout, gain in zip(rollouts, gains, strict=True):
            loss = _loss(policy, rollout, gain, (gain - mean) / deviation, settings)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), settings.gradient)
            optimizer.step()


def _loss(
    policy: Policy, rollout: Rollout, gain: Tensor, scaled: Tensor, settings: PPOSettings
) -> Tensor:
    batch = joined(rollout.batches)
    logits, values, _ = policy(batch)
    logarithms = logits.log_softmax(dim=-1)
    chances = logarithms.gather(-1, rollout.actions[..., None])[..., 0]
    ratio = torch.exp(chances - rollout.chances)
    weight = scaled[:, batch.molecule_of_rotor]
    clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    gained = torch.minimum(ratio * weight, clipped * weight).mean()
    # At angles that a rotor does not have, the product would be 0 * -inf.
    negative_entropy = (logarithms.exp() * logarithms.masked_fill(~batch.allowed, 0.0)).sum(dim=-1)
    target = gain + rollout.values
    value_error = (values - target).square().mean()
    return (
        -gained
        + settings.value_weight * value_error
        + settings.entropy_weight * negative_entropy.mean()
    )
