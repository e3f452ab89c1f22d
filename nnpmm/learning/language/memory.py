"""Memory in addition to the transition matrix of a Markov model.

The probabilities of the next state are softmax(B[s] + r), with a matrix B, the present state s and
a network's output r, which depends on the states before. With r = 0 and B = ln T this is the Markov
model of the transition matrix T. For any r there is a B for which the probabilities, averaged over
the frames in each state, are T. Memory then changes when and in what order states follow each
other, but not how often.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError

__all__ = ["log_probabilities", "match_transitions"]

_SMALLEST = 1e-9  # probability of a transition that was not counted
_TOLERANCE, _MOST_ITERATIONS = 1e-6, 1000


def log_probabilities(matrix: NDArray[np.float64]) -> torch.Tensor:
    """Return ln T (k, k) of a transition matrix, finite for transitions that were not counted."""
    return torch.from_numpy(np.log(np.maximum(matrix, _SMALLEST)))


def match_transitions(
    memory: torch.Tensor, states: torch.Tensor, matrix: NDArray[np.float64]
) -> torch.Tensor:
    """Return B (k, k) for which mean_t softmax(B[s_t] + r_t) over the frames in each state is T.

    By iterative scaling, B <- B + ln T - ln mean_t softmax(B[s_t] + r_t). Every step increases the
    likelihood (Darroch and Ratcliff, Ann. Math. Stat. 1972, 43, 1470).

    Args:
        memory: (n, k) r of the frames.
        states: (n,) of the frames; the row of a state that is never visited remains ln T.
        matrix: (k, k) T.

    Raises:
        SimulationError: the iteration does not converge.
    """
    target = log_probabilities(matrix)
    memory, frames = memory.double(), torch.bincount(states, minlength=len(target))[:, None]
    visited = frames > 0
    logits = target.clone()
    for _ in range(_MOST_ITERATIONS):
        probabilities = torch.softmax(logits[states] + memory, dim=-1)
        mean = torch.zeros_like(logits).index_add_(0, states, probabilities) / frames.clamp(min=1)
        step = torch.where(visited, target - mean.clamp(min=_SMALLEST).log(), 0.0)
        logits = logits + step
        # The weight keeps transitions that were never counted from delaying convergence.
        if float((step.abs() * target.exp()).max()) < _TOLERANCE:
            return logits
    raise SimulationError(
        f"the transitions of the network do not meet those counted after {_MOST_ITERATIONS} "
        "iterations; train with a smaller learning rate"
    )
