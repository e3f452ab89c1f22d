"""Minima of a free-energy surface, their basins, and how much of the ensemble each one has."""

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
    """Where steepest descent from every bin ends.

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
    energy = np.where(np.isfinite(surface.free_energy), surface.free_energy, np.inf)
    least = thermal_energy(surface.temperature) if barrier is None else barrier
    neighbours = _neighbours(surface)
    labels = _descend(energy.ravel(), neighbours)
    flat = energy.ravel()
    needed = np.fmax(least, 2 * np.where(np.isnan(surface.error), np.inf, surface.error)).ravel()
    while True:
        lowest = {
            k: int(np.argmin(np.where(labels == k, flat, np.inf)))
            for k in np.unique(labels[labels >= 0]).tolist()
        }
        # How much each way out lacks of the barrier that is needed.
        lacking = {
            k: (needed[lowest[k]] - (way - flat[lowest[k]]), other)
            for k, (way, other) in _exits(flat, labels, neighbours).items()
        }
        if not lacking:
            break
        flattest = max(lacking, key=lambda k: lacking[k][0])
        lack, other = lacking[flattest]
        if lack <= 0:
            break
        labels[labels == flattest] = other
    for k in set(lowest) - set(lacking):  # islands, of which those without an error are noise
        if np.isnan(surface.error.ravel()[lowest[k]]) and flat[lowest[k]] > 0:
            labels[labels == k] = -1
            del lowest[k]
    order = sorted(lowest, key=lambda k: flat[lowest[k]])
    renamed = np.full(len(labels), -1)
    minima = []
    for number, k in enumerate(order):
        renamed[labels == k] = number
        minima.append(tuple(int(i) for i in np.unravel_index(lowest[k], energy.shape)))
    return Basins(renamed.reshape(energy.shape), tuple(minima))


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
    places = np.where(cells >= 0, basins.labels.ravel()[cells], -1)

    def estimate(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        inside = places[mask]
        weights = samples.weights(mask) * (inside >= 0)
        total = np.bincount(np.maximum(inside, 0), weights, minlength=count)
        return np.asarray(total / total.sum())

    value, error = jackknife(samples, estimate, blocks)
    visits = _visits(samples, places, count)
    return [
        Minimum(
            tuple(float(c[i]) for c, i in zip(surface.bins.centres, index, strict=True)),
            float(surface.free_energy[index] - np.nanmin(surface.free_energy)),
            Estimate(float(value[number]), float(error[number])),
            int(visits[number]),
        )
        for number, index in enumerate(basins.minima)
    ]


def _visits(samples: WeightedSamples, places: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how often each basin was entered from another one, in the order of time of each run.

    Samples of several states at one time, as of a replica exchange, are no walk: they give 0.
    """
    found = np.zeros(count, dtype=np.int64)
    for run in np.unique(samples.runs):
        rows = samples.runs == run
        if len(np.unique(samples.times[rows])) < rows.sum():
            continue
        walk = places[rows][np.argsort(samples.times[rows])]
        walk = walk[walk >= 0]
        entered = walk[1:][walk[1:] != walk[:-1]]
        found += np.bincount(entered, minlength=count)
    return found


def _neighbours(surface: Surface) -> NDArray[np.int64]:
    """Return the flat indices (bins, 3^d - 1) of the bins around each bin; -1 beyond an end."""
    shape = surface.free_energy.shape
    places = np.indices(shape).reshape(len(shape), -1)
    found = []
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        if not any(step):
            continue
        moved, inside = [], np.ones(places.shape[1], dtype=bool)
        for axis, (where, by, size) in enumerate(zip(places, step, shape, strict=True)):
            to = where + by
            if surface.bins.axes[axis].period is not None:
                to = to % size
            inside &= (to >= 0) & (to < size)
            moved.append(np.clip(to, 0, size - 1))
        found.append(np.where(inside, np.ravel_multi_index(moved, shape), -1))
    return np.array(found).T


def _descend(energy: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each bin the bin where steepest descent from it ends; -1 where nothing is."""
    around = np.where(neighbours >= 0, energy[neighbours], np.inf)
    best = np.argmin(around, axis=1)
    rows = np.arange(len(energy))
    lower = around[rows, best] < energy
    to = np.where(lower, neighbours[rows, best], rows)
    while True:
        further = to[to]
        if (further == to).all():
            return np.where(np.isfinite(energy), to, -1)
        to = further


def _exits(
    energy: NDArray[np.float64], labels: NDArray[np.int64], neighbours: NDArray[np.int64]
) -> dict[int, tuple[float, int]]:
    """Return for each basin the lowest way to another one: its height, and the other basin."""
    rows = np.repeat(np.arange(len(energy)), neighbours.shape[1])
    others = neighbours.ravel()
    crossing = (others >= 0) & (labels[rows] >= 0)
    rows, others = rows[crossing], others[crossing]
    crossing = (labels[others] >= 0) & (labels[others] != labels[rows])
    rows, others = rows[crossing], others[crossing]
    heights = np.maximum(energy[rows], energy[others])
    found: dict[int, tuple[float, int]] = {}
    for index in np.argsort(heights).tolist():
        found.setdefault(
            int(labels[rows[index]]), (float(heights[index]), int(labels[others[index]]))
        )
    return found
