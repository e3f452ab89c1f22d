r"""Free-energy surfaces F(s) = -kT ln p(s) from weighted samples, with errors and convergence.

Errors are from a jackknife over blocks of time. Each block is left out in turn, and weights are
fitted to the rest. For the B surfaces F_b, the standard error is the root of (B - 1) / B times the
sum of the squared deviations of F_b from their mean (Efron, Ann. Stat. 1979, 7, 1). With several
runs, leaving out one run at a time gives a second estimate; the larger one is returned, as in
`nnpmm.freeenergy.combine`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy.estimators import Estimate, thermal_energy
from nnpmm.freeenergy.surfaces.bins import Bins
from nnpmm.freeenergy.surfaces.samples import WeightedSamples

__all__ = [
    "Convergence",
    "Surface",
    "average_of",
    "convergence_of",
    "difference_below",
    "jackknife",
    "surface_of",
]

#: Surfaces are compared up to this free energy above the minimum, kJ/mol.
LIMIT = 20.0
_LEAST_SAMPLES = 50  # fewer leave most bins empty


@dataclass(frozen=True, eq=False)
class Surface:
    """A free-energy surface over bins of one to three variables.

    Attributes:
        bins: along the variables.
        free_energy: kJ/mol, zero at the lowest bin; nan where nothing was sampled.
        error: standard errors of -kT ln p, kJ/mol; nan where they are not known.
        temperature: K.
    """

    bins: Bins
    free_energy: NDArray[np.float64]
    error: NDArray[np.float64]
    temperature: float

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability of each bin; they add up to 1."""
        kt = thermal_energy(self.temperature)
        weights = np.nan_to_num(np.exp(-self.free_energy / kt), nan=0.0)
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True, eq=False)
class Convergence:
    """How a surface converges with time.

    Attributes:
        times: (k,) up to which samples were used, ps of each run.
        differences: (k,) root mean square difference from the last surface below 20 kJ/mol.
    """

    times: NDArray[np.float64]
    differences: NDArray[np.float64]


def surface_of(
    samples: WeightedSamples,
    names: Sequence[str],
    *,
    bins: int = 60,
    blocks: int = 10,
) -> Surface:
    """Return the free-energy surface along one to three variables.

    Args:
        samples: with weights.
        names: of the variables.
        bins: along each of them.
        blocks: of each run, for the errors.

    Raises:
        ConfigError: no such variable, or numbers out of bounds.
        SimulationError: too few samples, or the weights cannot be calculated.
    """
    _check(samples, blocks)
    grid = Bins.of(samples, names, bins)
    cells = grid.cells(samples)

    def estimate(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _free_energy(grid.shares(cells[mask], samples.weights(mask)), samples.temperature)

    value, error = jackknife(samples, estimate, blocks)
    value = value - np.nanmin(value)
    shape = grid.shape
    return Surface(grid, value.reshape(shape), error.reshape(shape), samples.temperature)


def _free_energy(shares: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return -kT ln p; nan where p is 0."""
    with np.errstate(divide="ignore"):
        energies = -thermal_energy(temperature) * np.log(shares)
    return np.where(shares > 0, energies, np.nan)


def jackknife(
    samples: WeightedSamples,
    estimate: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    blocks: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return an estimate from all samples, and its standard error.

    Args:
        samples: which are left out in blocks.
        estimate: from those that a mask (n,) chooses, an array.
        blocks: of each run.
    """
    every_sample = np.ones(len(samples.values), dtype=bool)
    errors = [_jackknife_error(samples.blocks(blocks), estimate)]
    if len(np.unique(samples.runs)) > 1:
        errors.append(_jackknife_error(samples.runs, estimate))
    return estimate(every_sample), np.fmax.reduce(errors)


def _jackknife_error(
    labels: NDArray[np.int64], estimate: Callable[[NDArray[np.bool_]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the standard error from estimates without the samples of one label at a time."""
    left_out = np.array([estimate(labels != label) for label in np.unique(labels)])
    count = len(left_out)
    mean = left_out.mean(axis=0)
    return np.asarray(np.sqrt((count - 1) / count * ((left_out - mean) ** 2).sum(axis=0)))


def average_of(samples: WeightedSamples, observable: ArrayLike, *, blocks: int = 10) -> Estimate:
    """Return the unbiased average of an observable.

    Args:
        samples: with weights.
        observable: (n,) of each sample; True and False give a probability.
        blocks: of each run, for the error.

    Raises:
        ConfigError: another number of values than samples.
    """
    values = np.asarray(observable, dtype=np.float64)
    if values.shape != samples.times.shape:
        raise ConfigError(
            f"found an observable of shape {values.shape}, expected {samples.times.shape}"
        )

    def estimate(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.array([np.average(values[mask], weights=samples.weights(mask))])

    value, error = jackknife(samples, estimate, blocks)
    return Estimate(float(value[0]), float(error[0]))


def convergence_of(
    samples: WeightedSamples, names: Sequence[str], *, bins: int = 60, parts: int = 10
) -> Convergence:
    """Return how the surface from the first samples of each run approaches that of all.

    Args:
        samples: with weights.
        names: of the variables.
        bins: along each of them.
        parts: number of surfaces, the last one from all samples.

    Raises:
        ConfigError: see `surface_of`.
        SimulationError: see `surface_of`.
    """
    labels = samples.blocks(parts) % parts
    grid = Bins.of(samples, names, bins)
    cells = grid.cells(samples)
    surfaces, times = [], []
    for part in range(parts):
        mask = labels <= part
        shares = grid.shares(cells[mask], samples.weights(mask))
        surfaces.append(_free_energy(shares, samples.temperature))
        times.append(samples.times[mask].max())
    differences = [difference_below(surface, surfaces[-1]) for surface in surfaces]
    return Convergence(np.array(times), np.array(differences))


def difference_below(
    found: NDArray[np.float64], reference: NDArray[np.float64], limit: float = LIMIT
) -> float:
    """Return the root mean square difference of two surfaces, all bins with equal weight, kJ/mol.

    A constant is added to one of them so that the result is smallest.

    Args:
        found: kJ/mol, on the bins of the reference.
        reference: kJ/mol; bins up to ``limit`` above its minimum count where both are finite. Bins
            there that ``found`` never sampled are left out.
        limit: kJ/mol.
    """
    known = np.isfinite(reference) & np.isfinite(found)
    if not known.any():
        return float("nan")
    chosen = known & (np.where(known, reference, np.inf) - np.nanmin(reference) <= limit)
    difference = found[chosen] - reference[chosen]
    return float(difference.std())


def _check(samples: WeightedSamples, blocks: int) -> None:
    if blocks < 2:
        raise ConfigError(f"found {blocks} blocks, allowed: two or more")
    if len(samples.values) < max(_LEAST_SAMPLES, blocks):
        raise SimulationError(
            f"found {len(samples.values)} samples, expected {_LEAST_SAMPLES} or more; run longer "
            "or discard less"
        )
