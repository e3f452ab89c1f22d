"""Minima of a free-energy surface, their basins, and the populations of these."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.freeenergy.estimators import Estimate, thermal_energy
from nnpmm.freeenergy.surfaces.samples import WeightedSamples
from nnpmm.freeenergy.surfaces.surface import Surface, jackknife

__all__ = ["Basins", "Minimum", "find_basins", "find_minima"]


@dataclass(frozen=True)
class Minimum:
    """A minimum of a surface.

    Attributes:
        place: position of its lowest bin, one value for each variable.
        free_energy: there, above the lowest minimum, kJ/mol.
        population: fraction of its basin in all samples.
        visits: number of times the runs entered the basin from another one.
    """

    place: tuple[float, ...]
    free_energy: float
    population: Estimate
    visits: int


@dataclass(frozen=True, eq=False)
class Basins:
    """The basin of every bin: the minimum at which steepest descent from it ends.

    Attributes:
        labels: of each bin, the number of its basin; -1 where nothing was sampled. Basin 0 has the
            lowest minimum, and so on.
        minima: index of each basin's lowest bin.
    """

    labels: NDArray[np.int64]
    minima: tuple[tuple[int, ...], ...]


def find_basins(surface: Surface, *, barrier: float | None = None) -> Basins:
    """Divide a surface into the basins of its minima.

    A basin whose lowest exit is less than ``barrier`` above its minimum, or less than two standard
    errors of the minimum, is merged with the basin behind this exit, starting with the shallowest.

    Args:
        surface: of one to three variables.
        barrier: kJ/mol; kT if left out.
    """
    shape, error = surface.free_energy.shape, surface.error.ravel()
    energy = np.where(np.isfinite(surface.free_energy), surface.free_energy, np.inf).ravel()
    least = thermal_energy(surface.temperature) if barrier is None else barrier
    required = np.fmax(least, 2 * np.where(np.isnan(error), np.inf, error))
    neighbours = _neighbours(surface)
    labels = _descend(energy, neighbours)
    _merge_shallow(energy, labels, neighbours, required)
    lowest, exits = _lowest_bins(energy, labels), _exits(energy, labels, neighbours)
    for k in set(lowest) - set(exits):  # without an exit: islands, or the only basin
        if np.isnan(error[lowest[k]]) and energy[lowest[k]] > 0:  # an island that is noise
            labels[labels == k] = -1
            del lowest[k]
    order = sorted(lowest, key=lambda k: energy[lowest[k]])
    numbers = np.full(len(labels), -1)
    minima = []
    for number, k in enumerate(order):
        numbers[labels == k] = number
        minima.append(tuple(int(i) for i in np.unravel_index(lowest[k], shape)))
    return Basins(numbers.reshape(shape), tuple(minima))


def _merge_shallow(
    energy: NDArray[np.float64],
    labels: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    required: NDArray[np.float64],
) -> None:
    """Merge basins whose barriers are lower than required at their lowest bins, in place."""
    while True:
        lowest = _lowest_bins(energy, labels)
        missing = {
            k: (required[lowest[k]] - (height - energy[lowest[k]]), other)
            for k, (height, other) in _exits(energy, labels, neighbours).items()
        }
        if not missing:
            return
        shallowest = max(missing, key=lambda k: missing[k][0])
        height, other = missing[shallowest]
        if height <= 0:
            return
        labels[labels == shallowest] = other


def _lowest_bins(energy: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[int, int]:
    """Return the flat index of the lowest bin of each basin."""
    return {
        k: int(np.argmin(np.where(labels == k, energy, np.inf)))
        for k in np.unique(labels[labels >= 0]).tolist()
    }


def find_minima(
    samples: WeightedSamples, surface: Surface, *, barrier: float | None = None, blocks: int = 10
) -> list[Minimum]:
    """Return the minima of a surface with the populations of their basins, the lowest first.

    Args:
        samples: that the surface was made from.
        surface: of them.
        barrier: see `find_basins`.
        blocks: of each run, for the errors.
    """
    basins = find_basins(surface, barrier=barrier)
    cells, count = surface.bins.cells(samples), len(basins.minima)
    basin_of_sample = np.where(cells >= 0, basins.labels.ravel()[cells], -1)

    def estimate(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = basin_of_sample[mask]
        weights = samples.weights(mask) * (chosen >= 0)
        total = np.bincount(np.maximum(chosen, 0), weights, minlength=count)
        return np.asarray(total / total.sum())

    value, error = jackknife(samples, estimate, blocks)
    visits = _visits(samples, basin_of_sample, count)
    return [
        Minimum(
            tuple(float(c[i]) for c, i in zip(surface.bins.centres, index, strict=True)),
            float(surface.free_energy[index] - np.nanmin(surface.free_energy)),
            Estimate(float(value[number]), float(error[number])),
            int(visits[number]),
        )
        for number, index in enumerate(basins.minima)
    ]


def _visits(samples: WeightedSamples, basins: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how often each basin was entered from another one, in the order of time of each run.

    Runs with several samples at the same time, as of replica exchange, have no single path and
    count 0.
    """
    visits = np.zeros(count, dtype=np.int64)
    for run in np.unique(samples.runs):
        rows = samples.runs == run
        if len(np.unique(samples.times[rows])) < rows.sum():
            continue
        path = basins[rows][np.argsort(samples.times[rows])]
        path = path[path >= 0]
        entered = path[1:][path[1:] != path[:-1]]
        visits += np.bincount(entered, minlength=count)
    return visits


def _neighbours(surface: Surface) -> NDArray[np.int64]:
    """Return the flat indices (bins, 3^d - 1) of the bins around each bin; -1 beyond an end."""
    shape = surface.free_energy.shape
    indices = np.indices(shape).reshape(len(shape), -1)
    columns = []
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        if not any(step):
            continue
        moved, inside = [], np.ones(indices.shape[1], dtype=bool)
        for axis, size in enumerate(shape):
            index = indices[axis] + step[axis]
            if surface.bins.axes[axis].period is not None:
                index = index % size
            inside &= (index >= 0) & (index < size)
            moved.append(np.clip(index, 0, size - 1))
        columns.append(np.where(inside, np.ravel_multi_index(moved, shape), -1))
    return np.array(columns).T


def _descend(energy: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each bin the bin where steepest descent from it ends; -1 if it is infinite."""
    around = np.where(neighbours >= 0, energy[neighbours], np.inf)
    best = np.argmin(around, axis=1)
    rows = np.arange(len(energy))
    lower = around[rows, best] < energy
    ends = np.where(lower, neighbours[rows, best], rows)
    while True:  # each round doubles the number of steps
        further = ends[ends]
        if (further == ends).all():
            return np.where(np.isfinite(energy), ends, -1)
        ends = further


def _exits(
    energy: NDArray[np.float64], labels: NDArray[np.int64], neighbours: NDArray[np.int64]
) -> dict[int, tuple[float, int]]:
    """Return for each basin the lowest exit to another one: its height, and the other basin."""
    rows = np.repeat(np.arange(len(energy)), neighbours.shape[1])
    others = neighbours.ravel()
    crossing = (others >= 0) & (labels[rows] >= 0)
    rows, others = rows[crossing], others[crossing]
    crossing = (labels[others] >= 0) & (labels[others] != labels[rows])
    rows, others = rows[crossing], others[crossing]
    heights = np.maximum(energy[rows], energy[others])
    exits: dict[int, tuple[float, int]] = {}
    for index in np.argsort(heights).tolist():
        exits.setdefault(
            int(labels[rows[index]]), (float(heights[index]), int(labels[others[index]]))
        )
    return exits
