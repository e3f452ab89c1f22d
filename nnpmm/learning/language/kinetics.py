r"""Populations and kinetics of trajectories of states, with errors.

The mean first-passage time from i to j is the mean, over all frames in i, of the time until the
next visit to j. Frames after the last visit to j do not count. Errors are from a jackknife over
blocks of time, since frames are correlated.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Populations and kinetics of trajectories of k states; times are in frames.

    Attributes:
        populations: (k,).
        population_errors: (k,) standard errors.
        passage_times: (k, k) mean first-passage time from the row's to the column's state; 0 on
            the diagonal, nan where there was no passage.
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
    sums, counts = _pooled([_passages(each, n_states) for each in trajectories])
    dwell_sums, dwell_counts = _pooled([_visits(each, n_states) for each in trajectories])
    with np.errstate(invalid="ignore", divide="ignore"):
        return Kinetics(
            populations / populations.sum(),
            _jackknife([_counts(piece, n_states) for piece in pieces]),
            sums / counts,
            _passage_error(trajectories, n_states, length),
            dwell_sums / dwell_counts,
            _jackknife([_visits(piece, n_states) for piece in pieces]),
            sum(int((np.diff(t) != 0).sum()) for t in trajectories),
        )


def first_passage_times(states: States, n_states: int) -> NDArray[np.float64]:
    """Return the mean first-passage times (k, k) of one trajectory, in frames."""
    sums, counts = _passages(states, n_states)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts)


def dwell_times(states: States) -> dict[int, NDArray[np.int64]]:
    """Return the lengths of all complete visits by state, in frames.

    The first and the last visit are left out, since the trajectory shows only a part of them.
    """
    starts = np.flatnonzero(np.diff(states, prepend=states[0] - 1))
    lengths = np.diff(np.append(starts, len(states)))
    inner = slice(1, -1)
    visited, lengths = states[starts][inner], lengths[inner]
    return {int(k): lengths[visited == k] for k in np.unique(visited)}


def transition_matrix(
    trajectories: Sequence[States], n_states: int, lag: int
) -> NDArray[np.float64]:
    """Return the probabilities (k, k) of the column's state a lag after the row's, from counts.

    A state without counts gets a row of the unit matrix: it is absorbing.
    """
    counts = np.zeros((n_states, n_states))
    for states in trajectories:
        np.add.at(counts, (states[:-lag], states[lag:]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.eye(n_states), where=total > 0)


def implied_timescales(matrix: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Return -lag / ln |l| of all eigenvalues l of a transition matrix but the first, in frames."""
    eigenvalues = np.sort(np.abs(np.linalg.eigvals(matrix)))[::-1][1:]
    with np.errstate(divide="ignore"):  # the bound keeps a second eigenvalue of 1 finite
        return np.asarray(-lag / np.log(np.minimum(eigenvalues, 1 - 1e-12)))


# Sums and the numbers of their terms, whose ratios are means.
_Sums = tuple[NDArray[np.float64], NDArray[np.float64]]


def _passages(states: States, n_states: int) -> _Sums:
    """Return sums (k, k) of the times from frames in i until j, and their numbers."""
    return _sums_by_state(_times_to_states(states, n_states), states, n_states)


def _times_to_states(states: States, n_states: int) -> NDArray[np.float64]:
    """Return the time (n, k) from each frame until the next visit to each state; nan: never."""
    frames = np.arange(len(states), dtype=np.float64)
    times = np.empty((len(states), n_states))
    for target in range(n_states):
        hits = np.where(states == target, frames, np.inf)
        times[:, target] = np.minimum.accumulate(hits[::-1])[::-1] - frames
    return np.where(np.isfinite(times), times, np.nan)


def _sums_by_state(times: NDArray[np.float64], states: States, n_states: int) -> _Sums:
    """Return sums (k, k) of times (n, k) over the frames in each state, and their numbers."""
    sums, counts = np.zeros((n_states, n_states)), np.zeros((n_states, n_states))
    for state in range(n_states):
        rows = times[states == state]
        sums[state], counts[state] = np.nansum(rows, axis=0), np.isfinite(rows).sum(axis=0)
    return sums, counts


def _counts(states: States, n_states: int) -> _Sums:
    """Return the numbers (k,) of frames in each state, and of all frames."""
    counts = np.bincount(states, minlength=n_states).astype(np.float64)
    return counts, np.full(n_states, float(len(states)))


def _visits(states: States, n_states: int) -> _Sums:
    """Return the sums (k,) of the lengths of complete visits, and their numbers."""
    lengths = dwell_times(states)
    return (
        np.array([float(lengths.get(k, np.zeros(0)).sum()) for k in range(n_states)]),
        np.array([float(len(lengths.get(k, ()))) for k in range(n_states)]),
    )


def _pooled(parts: Sequence[_Sums]) -> _Sums:
    """Return the sums and numbers of several trajectories together."""
    sums, counts = zip(*parts, strict=True)
    return np.sum(sums, axis=0), np.sum(counts, axis=0)


def _passage_error(
    trajectories: Sequence[States], n_states: int, length: int
) -> NDArray[np.float64]:
    """Return errors from blocks of frames; passages that begin in a block may end after it."""
    parts = []
    for states in trajectories:
        times = _times_to_states(states, n_states)
        parts += [
            _sums_by_state(times[i : i + length], states[i : i + length], n_states)
            for i in range(0, len(states) - length + 1, length)
        ]
    return _jackknife(parts)


def _jackknife(parts: Sequence[_Sums]) -> NDArray[np.float64]:
    """Return the standard error of the ratio of two sums over blocks; nan from a single block."""
    if len(parts) < 2:
        return np.full(np.shape(parts[0][0]), np.nan)
    sums, counts = (np.array(each, dtype=np.float64) for each in zip(*parts, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (sums.sum(axis=0) - sums) / (counts.sum(axis=0) - counts)
    count = len(parts)
    square = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt((count - 1) / count * square))
