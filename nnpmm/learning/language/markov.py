"""The baseline: a Markov state model of the same states, estimated by deeptime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, OptionalDependencyError, SimulationError
from nnpmm.learning.language.kinetics import implied_timescales
from nnpmm.learning.language.states import require_states

__all__ = ["MarkovModel", "fit_markov_model"]


@dataclass(frozen=True, eq=False)
class MarkovModel:
    """A reversible Markov state model; times are in frames.

    Attributes:
        matrix: (k, k) probabilities of transitions in one lag, rows add up to 1.
        lag: frames.
        populations: (k,) stationary.
    """

    matrix: NDArray[np.float64]
    lag: int
    populations: NDArray[np.float64]

    @property
    def timescales(self) -> NDArray[np.float64]:
        """Implied timescales (k - 1,)."""
        return implied_timescales(self.matrix, self.lag)

    @property
    def passage_times(self) -> NDArray[np.float64]:
        """Mean first-passage times (k, k): m_ij = lag + sum_l P_il m_lj, m_jj = 0."""
        count = len(self.matrix)
        times = np.zeros((count, count))
        for target in range(count):
            others = [k for k in range(count) if k != target]
            inside = self.matrix[np.ix_(others, others)]
            times[others, target] = np.linalg.solve(
                np.eye(count - 1) - inside, np.full(count - 1, float(self.lag))
            )
        return times

    def generate(self, length: int, *, seed: int, start: int = 0) -> NDArray[np.int64]:
        """Return a trajectory (length,) with a frame for each lag time.

        Args:
            length: number of frames.
            seed: of the random numbers.
            start: the state before the first frame.
        """
        rng = np.random.default_rng(seed)
        cumulative = self.matrix.cumsum(axis=1)
        states = np.empty(length, dtype=np.int64)
        state = start
        for step, number in enumerate(rng.random(length).tolist()):
            state = int(np.searchsorted(cumulative[state], number * cumulative[state, -1]))
            states[step] = state
        return states


def fit_markov_model(
    trajectories: Sequence[NDArray[np.int64]], n_states: int, lag: int
) -> MarkovModel:
    """Fit a reversible Markov state model to trajectories of states.

    Args:
        trajectories: (n,) each.
        n_states: number of states.
        lag: frames.

    Raises:
        OptionalDependencyError: deeptime is not installed.
        ConfigError: a lag below 1 or not shorter than a trajectory, or numbers that are no states.
        SimulationError: a state that is never visited, too few transitions, or states that are not
            connected at this lag.
    """
    try:
        from deeptime.markov import TransitionCountEstimator
        from deeptime.markov.msm import MaximumLikelihoodMSM
    except ImportError as error:
        raise OptionalDependencyError(
            f"cannot import deeptime ({error}); pip install nnpmm[learned]"
        ) from error
    require_states(trajectories, n_states)
    if lag < 1 or max(map(len, trajectories)) <= lag:
        raise ConfigError(f"found a lag of {lag} frames, allowed: from 1, within a trajectory")
    counts = TransitionCountEstimator(lag, "sliding", n_states=n_states).fit_fetch(
        [np.asarray(each, dtype=np.int32) for each in trajectories]
    )
    largest = counts.submodel_largest()
    if largest.n_states < n_states:
        raise SimulationError(
            f"found {largest.n_states} connected states of {n_states} at a lag of {lag} frames; "
            "use a longer trajectory, or fewer states"
        )
    model = MaximumLikelihoodMSM(reversible=True).fit_fetch(counts)
    return MarkovModel(
        np.asarray(model.transition_matrix), lag, np.asarray(model.stationary_distribution)
    )
