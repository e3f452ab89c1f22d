r"""Populations and kinetics of trajectories of states, with errors.

The mean first-passage time from i to j is the mean, over all frames in i, of the time until j is
next visited; a frame after which j is not visited any more does not count. Errors are those of the
jackknife over blocks of time, which sees frames as correlated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Kinetics",
    "dwell_times",
    "first_passage_times",
    "implied_timescales",
    "kinetics_of",
    "transition_matrix",
]

States = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Kinetics:
    """What trajectories of k states say; times are in frames.

    Attributes:
        populations: (k,).
        population_errors: (k,) standard errors.
        passage_times: (k, k) mean first-passage time from the row's to the column's state; 0 on
            the diagonal, nan where it was never seen.
        passage_errors: (k, k) standard errors.
        dwell: (k,) mean length of a visit.
        dwell_errors: (k,) standard errors.
        transitions: number of changes of state.
    """

    populations: NDArray[np.float64]
    population_errors: NDArray[np.float64]
    passage_times: NDArray[np.float64]
    passage_errors: NDArray[np.float64]
    dwell: NDArray[np.float64]
    dwell_errors: NDArray[np.float64]
    transitions: int


def kinetics_of(trajectories: Sequence[States], n_states: int, *, blocks: int = 10) -> Kinetics:
    """Return populations, first-passage times and dwell times with their errors.

    Args:
        trajectories: (n,) each.
        n_states: number of states.
        blocks: into which the longest trajectory is cut, and shorter ones accordingly.
    """
    length = max(1, max(map(len, trajectories)) // blocks)
    pieces = [t[i : i + length] for t in trajectories for i in range(0, len(t), length)]
    pieces = [piece for piece in pieces if len(piece) >= length]
    populations = np.bincount(np.concatenate(trajectories), minlength=n_states)
    sums, counts = _pooled(trajectories, lambda t: _passages(t, n_states))
    dwell_sums, dwell_counts = _pooled(trajectories, lambda t: _visits(t, n_states))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Kinetics(
            populations / populations.sum(),
            _error(pieces, lambda t: _counts(t, n_states)),
            sums / counts,
            _passage_error(trajectories, n_states, length),
            dwell_sums / dwell_counts,
            _error(pieces, lambda t: _visits(t, n_states)),
            sum(int((np.diff(t) != 0).sum()) for t in trajectories),
        )


def first_passage_times(states: States, n_states: int) -> NDArray[np.float64]:
    """Return the mean first-passage times (k, k) of one trajectory, in frames."""
    sums, counts = _passages(states, n_states)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts)


def dwell_times(states: States) -> dict[int, NDArray[np.int64]]:
    """Return the lengths of all complete visits by state, in frames: how long it stays committed.

    The first and the last visit, which are cut, are left out.
    """
    starts = np.flatnonzero(np.diff(states, prepend=states[0] - 1))
    lengths = np.diff(np.append(starts, len(states)))
    inner = slice(1, -1)
    visited, long = states[starts][inner], lengths[inner]
    return {int(k): long[visited == k] for k in np.unique(visited)}


def transition_matrix(
    trajectories: Sequence[States], n_states: int, lag: int
) -> NDArray[np.float64]:
    """Return the shares (k, k) of transitions from the row's to the column's state after a lag."""
    counts = np.zeros((n_states, n_states))
    for states in trajectories:
        np.add.at(counts, (states[:-lag], states[lag:]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.eye(n_states), where=total > 0)


def implied_timescales(matrix: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Return -lag / ln |l| of all eigenvalues of a transition matrix but the first, in frames."""
    eigenvalues = np.sort(np.abs(np.linalg.eigvals(matrix)))[::-1][1:]
    with np.errstate(divide="ignore"):
        return np.asarray(-lag / np.log(np.minimum(eigenvalues, 1 - 1e-12)))


Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def _passages(states: States, n_states: int) -> Pair:
    """Return sums (k, k) of the times from frames in i until j, and their numbers."""
    return _passages_of(_waits(states, n_states), states, n_states)


def _waits(states: States, n_states: int) -> NDArray[np.float64]:
    """Return the time (n, k) from each frame until each state is next visited; nan: never."""
    frames = np.arange(len(states), dtype=np.float64)
    found = np.empty((len(states), n_states))
    for target in range(n_states):
        hits = np.where(states == target, frames, np.inf)
        found[:, target] = np.minimum.accumulate(hits[::-1])[::-1] - frames
    return np.where(np.isfinite(found), found, np.nan)


def _passages_of(waits: NDArray[np.float64], states: States, n_states: int) -> Pair:
    sums, counts = np.zeros((n_states, n_states)), np.zeros((n_states, n_states))
    for state in range(n_states):
        rows = waits[states == state]
        sums[state], counts[state] = np.nansum(rows, axis=0), np.isfinite(rows).sum(axis=0)
    return sums, counts


def _counts(states: States, n_states: int) -> Pair:
    counts = np.bincount(states, minlength=n_states).astype(np.float64)
    return counts, np.full(n_states, float(len(states)))


def _visits(states: States, n_states: int) -> Pair:
    lengths = dwell_times(states)
    return (
        np.array([float(lengths.get(k, np.zeros(0)).sum()) for k in range(n_states)]),
        np.array([float(len(lengths.get(k, ()))) for k in range(n_states)]),
    )


def _pooled(trajectories: Sequence[States], measure: Callable[[States], Pair]) -> Pair:
    found = [measure(states) for states in trajectories]
    return sum(each for each, _ in found), sum(each for _, each in found)  # type: ignore[return-value]


def _error(pieces: Sequence[States], measure: Callable[[States], Pair]) -> NDArray[np.float64]:
    return _jackknife([measure(piece) for piece in pieces])


def _passage_error(
    trajectories: Sequence[States], n_states: int, length: int
) -> NDArray[np.float64]:
    """Return errors by blocks of frames whose waits reach beyond the block."""
    parts = []
    for states in trajectories:
        waits = _waits(states, n_states)
        parts += [
            _passages_of(waits[i : i + length], states[i : i + length], n_states)
            for i in range(0, len(states) - length + 1, length)
        ]
    return _jackknife(parts)


def _jackknife(parts: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the standard error of the ratio of two sums over blocks."""
    if len(parts) < 2:
        return np.full(np.shape(parts[0][0]), np.nan)
    above, below = (np.array(each, dtype=np.float64) for each in zip(*parts, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (above.sum(axis=0) - above) / (below.sum(axis=0) - below)
    count = len(parts)
    square = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt((count - 1) / count * square))
