"""Assignment of a trajectory's frames to states: the nearest centre, without short recrossings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.errors import ConfigError, InputFileError, SimulationError, shortened

__all__ = ["assign_states", "read_series", "require_states", "smooth_recrossings"]

_LEAST_TRANSITIONS = 20  # fewer leave rates, and the network that learns them, to chance


def read_series(path: Path) -> NDArray[np.float64]:
    """Read a time series, (n,) or (n, d), from a .npy file or from text with columns.

    Raises:
        InputFileError: the file cannot be read, is empty, or has values that are not finite.
    """
    try:
        if path.suffix == ".npy":
            table = np.load(path, allow_pickle=False)
        else:
            table = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None)
        values = np.asarray(table, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error
    if values.ndim not in (1, 2) or not values.size or not np.isfinite(values).all():
        raise InputFileError(
            f"{path}: found values of shape {values.shape}, allowed: (n,) or (n, d), all finite"
        )
    return values


def assign_states(
    values: ArrayLike, centres: ArrayLike, *, periods: Sequence[float | None] = ()
) -> NDArray[np.int64]:
    """Return the number (n,) of the centre that each frame is nearest to.

    Args:
        values: (n,) or (n, d), of d variables.
        centres: (k,) or (k, d) of the states, in the same units.
        periods: of the d variables, None for those that are not periodic.

    Raises:
        ConfigError: another number of variables in the centres, or of periods.
    """
    points = np.asarray(values, dtype=np.float64)
    points = points[:, None] if points.ndim == 1 else points
    centers = np.asarray(centres, dtype=np.float64)
    centers = centers[:, None] if centers.ndim == 1 else centers
    if points.shape[1] != centers.shape[1] or (periods and len(periods) != points.shape[1]):
        raise ConfigError(
            f"found {points.shape[1]} variables and centres of {centers.shape[1]}; give both the "
            "same"
        )
    square = np.zeros((len(points), len(centers)))
    for column in range(points.shape[1]):
        difference = points[:, column, None] - centers[:, column]
        period = periods[column] if periods else None
        if period is not None:
            difference -= period * np.round(difference / period)
        square += difference**2
    return np.asarray(square.argmin(axis=1), dtype=np.int64)


def smooth_recrossings(states: ArrayLike, least: int) -> NDArray[np.int64]:
    """Return states (n,) without short visits.

    A visit of fewer than ``least`` frames becomes part of the visit before it, or, at the start of
    the trajectory, of the visit after it. Visits are processed in their order in time.

    Args:
        states: (n,) numbers of states.
        least: frames of a visit that counts.

    Raises:
        ConfigError: no visit is that long.
    """
    smooth = np.array(states, dtype=np.int64)
    if not smooth.size:
        return smooth
    starts = np.flatnonzero(np.diff(smooth, prepend=smooth[0] - 1))
    ends = np.append(starts[1:], len(smooth))
    current: int | None = None
    first = len(smooth)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start >= least or (current is not None and smooth[start] == current):
            if current is None:
                first = start
            current = int(smooth[start])
        elif current is not None:
            smooth[start:end] = current
    if current is None:
        raise ConfigError(
            f"found no visit of {least} frames or more, the longest has {max(ends - starts)}; "
            "count shorter visits"
        )
    smooth[:first] = smooth[first]
    return smooth


def require_states(trajectories: Sequence[NDArray[np.int64]], n_states: int | None = None) -> int:
    """Check that trajectories of states can be learned from; return the number of states.

    Args:
        trajectories: (n,) each.
        n_states: expected number of states; None: the highest number in the trajectories plus 1.

    Raises:
        ConfigError: numbers that are no states.
        SimulationError: a state that is never visited, or too few transitions.
    """
    if not trajectories or min(len(each) for each in trajectories) == 0:
        raise ConfigError("found no frames, expected trajectories of states")
    pooled = np.concatenate([np.asarray(each) for each in trajectories])
    if pooled.min() < 0 or (pooled != np.round(pooled)).any():
        raise ConfigError(
            f"found the state {pooled[(pooled < 0) | (pooled != np.round(pooled))][0]:g}, allowed: "
            "integers from 0"
        )
    count = int(pooled.max()) + 1 if n_states is None else n_states
    if pooled.max() >= count:
        raise ConfigError(f"found the state {int(pooled.max())}, allowed: 0 to {count - 1}")
    missing = sorted(set(range(count)) - set(pooled.astype(int).tolist()))
    if missing:
        raise SimulationError(
            f"found no visit to the state(s) {', '.join(map(str, missing))} of {count}; remove "
            "them, or use a longer trajectory"
        )
    transitions = sum(int((np.diff(each) != 0).sum()) for each in trajectories)
    if transitions < _LEAST_TRANSITIONS:
        raise SimulationError(
            f"found {transitions} transitions between states, needed: {_LEAST_TRANSITIONS} or more "
            "to learn from; use a longer trajectory"
        )
    return count
