"""Memory on top of counted transitions.

The chance of the next state is softmax(B[s] + r): B a matrix, s the present state, r what a network
adds for the states before. With r = 0 and B = ln T it is the Markov model of the matrix T. For any
r there is a B whose chances, averaged over the frames in each state, are T again: memory then
changes when and in what order states follow each other, and not how often.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError

__all__ = ["log_chances", "match_transitions"]

_NEVER = 1e-9  # chance of a transition that was not counted
_TOLERANCE, _MOST = 1e-6, 1000


def log_chances(matrix: NDArray[np.float64]) -> torch.Tensor:
    """Return ln T (k, k), finite, of a matrix of transitions."""
    return torch.from_numpy(np.log(np.maximum(matrix, _NEVER)))


def match_transitions(
    memory: torch.Tensor, states: torch.Tensor, matrix: NDArray[np.float64]
) -> torch.Tensor:
    """Return B (k, k) for which mean_t softmax(B[s_t] + r_t) over the frames in each state is T.

    By iterative scaling, B <- B + ln T - ln mean_t softmax(B[s_t] + r_t), of which every step
    raises the likelihood (Darroch and Ratcliff, Ann. Math. Stat. 1972, 43, 1470).

    Args:
        memory: (n, k) r of the frames.
        states: (n,) of the frames; one that is never visited keeps ln T.
        matrix: (k, k) T.

    Raises:
        SimulationError: the iteration does not converge.
    """
    target = log_chances(matrix)
    added, frames = memory.double(), torch.bincount(states, minlength=len(target))[:, None]
    visited = frames > 0
    found = target.clone()
    for _ in range(_MOST):
        chances = torch.softmax(found[states] + added, dim=-1)
        mean = torch.zeros_like(found).index_add_(0, states, chances) / frames.clamp(min=1)
        step = torch.where(visited, target - mean.clamp(min=_NEVER).log(), 0.0)
        found = found + step
        # Transitions that were never counted are of no weight, however far they are.
        if float((step.abs() * target.exp()).max()) < _TOLERANCE:
            return found
    raise SimulationError(
        f"the transitions of the network do not meet those counted after {_MOST} iterations; train "
        "with a smaller learning rate"
    )
