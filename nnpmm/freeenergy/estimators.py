"""Estimators of free energies, on pymbar: MBAR, BAR, exponential averaging, independent samples.

Energies and free energies are in kJ/mol. All states have the same temperature. Estimators use
reduced energies u = V/kT; contributions common to all states of a sample, such as pV, cancel.

MBAR (Shirts and Chodera, J. Chem. Phys. 2008, 129, 124105) silently combines states that do not
overlap, and reports small errors. nnpmm therefore measures the overlap, and too little is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openmm import unit
from scipy.special import logsumexp

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.units import in_md_units
from nnpmm.freeenergy.overlap import (
    MIN_OVERLAP,
    MIN_ZWANZIG_OVERLAP,
    MIN_ZWANZIG_SAMPLES,
    require_effective_samples,
    require_overlap,
)

__all__ = [
    "Estimate",
    "FreeEnergies",
    "bar",
    "combine",
    "contrast_error",
    "effective_samples",
    "exponential_average",
    "mbar",
    "statistical_inefficiency",
    "subsample",
    "thermal_energy",
]

# pymbar's default tolerance of 1e-12 kT is below the rounding errors of sums over many samples.
_SOLVERS = (
    {"method": "adaptive", "tol": 1e-10, "options": {"min_sc_iter": 0}},
    {"method": "lm", "tol": 1e-10},
)
# Ten iterations suffice for states that overlap. MBAR's own limit replaces those of the solvers.
_MBAR_OPTIONS: dict[str, Any] = {"solver_protocol": _SOLVERS, "maximum_iterations": 500}
_STARTS = 50  # points of a series that are tried as the end of its equilibration


@dataclass(frozen=True)
class Estimate:
    """A free energy difference and its standard error, kJ/mol."""

    value: float
    error: float


@dataclass(frozen=True)
class FreeEnergies:
    """Free energy differences between K states.

    Attributes:
        delta: (K, K) G of the column's state minus G of the row's, kJ/mol.
        error: (K, K) their standard errors, kJ/mol.
        overlap: (K, K) MBAR's overlap matrix: the probability that a sample of the row's state is
            assigned to the column's state. Rows add up to 1.
        effective_samples: (K,) effective number of samples of each state.
        samples: (K,) independent samples drawn from each state.
    """

    delta: NDArray[np.float64]
    error: NDArray[np.float64]
    overlap: NDArray[np.float64]
    effective_samples: NDArray[np.float64]
    samples: NDArray[np.int64]

    def between(self, first: int = 0, last: int = -1) -> Estimate:
        """Return the free energy of one state minus that of another: by default, of the ends."""
        return Estimate(float(self.delta[first, last]), float(self.error[first, last]))

    def contrast(self, coefficients: ArrayLike) -> Estimate:
        """Return the sum of c_i G_i with its error, for coefficients (K,) that add up to 0.

        Raises:
            ConfigError: see `contrast_error`.
        """
        error = contrast_error(self.error, coefficients)
        return Estimate(float(np.asarray(coefficients) @ self.delta[0]), error)

    @property
    def spectral_gap(self) -> float:
        """1 minus the second eigenvalue of the overlap matrix of the sampled states.

        From 0, where they fall into two groups without overlap, to 1, where they are the same.
        """
        sampled = self.samples > 0
        eigenvalues = np.linalg.eigvals(self.overlap[np.ix_(sampled, sampled)])
        return 1.0 - float(np.sort(np.real(eigenvalues))[-2]) if len(eigenvalues) > 1 else 1.0


def mbar(
    energies: ArrayLike,
    samples: ArrayLike,
    *,
    temperature: Any,
    min_overlap: float = MIN_OVERLAP,
    names: Sequence[str] | None = None,
) -> FreeEnergies:
    """Return the free energies of states from the energies of pooled samples by MBAR.

    Too little overlap is an error, see `nnpmm.freeenergy.overlap`.

    Args:
        energies: (K, N) of every sample in every state, kJ/mol or Quantity. The samples of the
            first state come first, then those of the second. No two states may be the same.
        samples: (K,) number of independent samples of each state; 0 for one that was not simulated.
        temperature: of all states, K or Quantity.
        min_overlap: minimum overlap. 0 switches the test off, for callers with their own test;
            errors are then nan where nothing overlaps.
        names: of the states, for the error message; their indices if left out.

    Raises:
        ConfigError: shapes that do not match, no samples, or a temperature that is not positive.
        SimulationError: an energy is not finite, the equations have no solution, or two groups of
            states overlap too little.
    """
    kt = thermal_energy(temperature)
    counts = np.asarray(samples, dtype=np.int64)
    reduced = _reduced(energies, counts, kt)
    pymbar = _pymbar()
    try:
        solved = _solve(reduced, counts)
        with np.errstate(invalid="ignore"):  # negative variances become nan, which is checked below
            differences = solved.compute_free_energy_differences()
        result = FreeEnergies(
            kt * np.asarray(differences["Delta_f"]),
            kt * np.asarray(differences["dDelta_f"]),
            np.asarray(solved.compute_overlap()["matrix"]),
            np.asarray(solved.compute_effective_sample_number()),
            counts,
        )
    except (pymbar.utils.ParameterError, np.linalg.LinAlgError, ValueError) as error:
        raise SimulationError(f"MBAR found no free energies: {error}") from error
    require_overlap(result.overlap, counts, least=min_overlap, names=names)
    if min_overlap > 0 and not np.isfinite([result.delta, result.error]).all():
        raise SimulationError("MBAR found free energies that are not finite; sample longer")
    return result


def bar(
    forward: ArrayLike,
    backward: ArrayLike,
    *,
    temperature: Any,
    min_overlap: float = MIN_OVERLAP,
) -> FreeEnergies:
    """Return the free energy between two states by Bennett's acceptance ratio.

    J. Comput. Phys. 1976, 22, 245; by Crooks' theorem (Phys. Rev. E 1999, 60, 2721) it holds for
    the work of nonequilibrium switching as well. It is MBAR of two states.

    Args:
        forward: (n,) V_1 - V_0 of independent samples of state 0, or the work from 0 to 1, kJ/mol.
        backward: (m,) V_0 - V_1 of independent samples of state 1, or the work from 1 to 0, kJ/mol.
        temperature: of both states, K or Quantity.
        min_overlap: as of ``mbar``.

    Raises:
        ConfigError: an empty series, or a temperature that is not positive.
        SimulationError: a value is not finite, or the states overlap too little.
    """
    w01, w10 = (
        np.ravel(in_md_units(works, unit.kilojoule_per_mole)) for works in (forward, backward)
    )
    if not (w01.size and w10.size):
        raise ConfigError(
            f"found {w01.size} values from state 0 and {w10.size} from state 1, allowed: one or "
            "more of each; with samples of one state use exponential_average"
        )
    differences = np.concatenate([w01, -w10])
    energies = np.stack([np.zeros_like(differences), differences])
    counts = (w01.size, w10.size)
    return mbar(energies, counts, temperature=temperature, min_overlap=min_overlap)


def exponential_average(work: ArrayLike, *, temperature: Any) -> Estimate:
    """Return the free energy between two states from samples of the first alone.

    -kT ln <exp(-w/kT)> of energy differences (Zwanzig, J. Chem. Phys. 1954, 22, 1420) or of the
    work of switching (Jarzynski, Phys. Rev. Lett. 1997, 78, 2690). The error is that of the mean
    weight by the delta method. The average fails silently if the samples miss the other state.

    Args:
        work: (n,) V_1 - V_0 of independent samples of state 0, or the work from 0 to 1, kJ/mol.
        temperature: K or Quantity.

    Raises:
        ConfigError: no values, or a temperature that is not positive.
        SimulationError: a value is not finite, or too few samples dominate the average.
    """
    kt = thermal_energy(temperature)
    values = np.ravel(in_md_units(work, unit.kilojoule_per_mole))
    count = values.size
    (reduced,) = _reduced(values[None], np.array([count]), kt)
    effective = effective_samples(-reduced)
    require_effective_samples(
        (effective, effective / count),
        least=(MIN_ZWANZIG_SAMPLES, MIN_ZWANZIG_OVERLAP),
        counts=(count,),
        remedy="sample more frames, sample the other ensemble too, or states between the two",
    )
    variance = max(1 / effective - 1 / count, 0.0)
    value = np.log(count) - logsumexp(-reduced)
    return Estimate(kt * float(value), kt * float(np.sqrt(variance)))


def effective_samples(log_weights: ArrayLike) -> float:
    """Return the effective number of samples, (sum w)^2 / sum w^2 (Kish), from ln w (n,)."""
    logs = np.asarray(log_weights, dtype=np.float64)
    return float(np.exp(2 * logsumexp(logs) - logsumexp(2 * logs)))


def subsample(series: ArrayLike, *, equilibration: bool = False) -> NDArray[np.int64]:
    """Return the indices of nearly independent samples of a time series.

    One sample is kept per statistical inefficiency, 1 plus twice the autocorrelation time (Chodera
    et al., J. Chem. Theory Comput. 2007, 3, 26). A constant series counts as one sample.

    Args:
        series: (n,) in its order in time, in any unit.
        equilibration: leave out the start of the series, so that the rest has the most independent
            samples (Chodera, J. Chem. Theory Comput. 2016, 12, 1799).

    Raises:
        ConfigError: the series is empty or not one-dimensional.
    """
    values = _series(series)
    if np.ptp(values) == 0:
        return np.array([0])
    timeseries, start = _pymbar().timeseries, 0
    if equilibration:
        every = max(1, len(values) // _STARTS)
        start = int(timeseries.detect_equilibration(values, nskip=every)[0])
    rest = values[start:]
    if np.ptp(rest) == 0:
        return np.array([start])
    inefficiency = timeseries.statistical_inefficiency(rest)
    return start + np.asarray(timeseries.subsample_correlated_data(rest, g=inefficiency))


def statistical_inefficiency(series: ArrayLike) -> float:
    """Return the number of samples of a time series that carry the information of one.

    This is 1 plus twice the autocorrelation time in samples (Chodera et al., J. Chem. Theory
    Comput. 2007, 3, 26). A constant series counts as one sample.

    Args:
        series: (n,) in its order in time, in any unit.

    Raises:
        ConfigError: the series is empty or not one-dimensional.
    """
    values = _series(series)
    if np.ptp(values) == 0:
        return float(values.size)
    return float(_pymbar().timeseries.statistical_inefficiency(values))


def combine(repeats: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent repeats with the larger of two standard errors.

    One is the propagated error of the repeats, (sum s^2)^(1/2) / n. The other comes from their
    spread, the standard deviation divided by n^(1/2). It includes slow motions that a single repeat
    does not sample, but is itself uncertain by 1 / (2 n - 2)^(1/2), 50 % for three repeats.

    Raises:
        ConfigError: there are no repeats.
    """
    if not repeats:
        raise ConfigError("found no repeats to combine, allowed: one or more")
    values = np.array([repeat.value for repeat in repeats])
    count = len(values)
    reported = float(np.sqrt(sum(repeat.error**2 for repeat in repeats))) / count
    spread = float(values.std(ddof=1)) / count**0.5 if count > 1 else 0.0
    return Estimate(float(values.mean()), max(reported, spread))


def contrast_error(error: NDArray[np.float64], coefficients: ArrayLike) -> float:
    """Return the standard error of the sum of c_i G_i, for coefficients that add up to 0.

    From D_ij, the variances of all differences of two states, its variance is exactly
    -1/2 sum_ij c_i c_j D_ij, so that what the differences share cancels.

    Args:
        error: (K, K) standard errors of differences, as in ``FreeEnergies``.
        coefficients: (K,) c.

    Raises:
        ConfigError: another number of coefficients than states, or another sum.
    """
    weights = np.asarray(coefficients, dtype=np.float64)
    if weights.shape != error.shape[:1] or abs(weights.sum()) > 1e-9:
        raise ConfigError(
            f"found the coefficients {weights.tolist()} for {len(error)} states, allowed: one for "
            "each state, with the sum 0"
        )
    variance = -0.5 * float(weights @ error**2 @ weights)
    return float(np.sqrt(max(variance, 0.0)))


def thermal_energy(temperature: Any) -> float:
    """Return kT, kJ/mol, of a temperature in K or as a Quantity.

    Raises:
        ConfigError: it is not a positive number.
    """
    kelvin = in_md_units(temperature, unit.kelvin)
    if not (np.isfinite(kelvin) and kelvin > 0):
        raise ConfigError(f"found a temperature of {kelvin:g} K, allowed: more than 0 K")
    return float(GAS_CONSTANT * kelvin)


def _series(series: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(series, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ConfigError(f"found a series of shape {values.shape}, allowed: (n,) with n above 0")
    return values


def _reduced(energies: ArrayLike, counts: NDArray[np.int64], kt: float) -> NDArray[np.float64]:
    """Return reduced energies u (K, N) after checks of shapes and values."""
    values = np.asarray(in_md_units(energies, unit.kilojoule_per_mole), dtype=np.float64)
    if counts.ndim != 1 or counts.sum() == 0 or values.shape != (len(counts), counts.sum()):
        raise ConfigError(
            f"found energies of shape {values.shape} and {counts.tolist()} samples of the states, "
            "allowed: (states, samples of all states together), with one sample or more"
        )
    if not np.isfinite(values).all():
        state, sample = np.argwhere(~np.isfinite(values))[0]
        raise SimulationError(
            f"found a non-finite energy in state {state} (sample {sample}); remove that sample, or "
            "find out why the simulation blew up"
        )
    return values / kt


def _solve(reduced: NDArray[np.float64], counts: NDArray[np.int64]) -> Any:
    """Return pymbar's solution for u (K, N).

    The equations are solved for the sampled states; f of all others follows. If states differ by
    tens of kT, pymbar's solvers fail from zeros: all samples seem to belong to the lower one.
    """
    sampled = counts > 0
    u, n = reduced[sampled], counts[sampled]
    for guess in (_chained_averages(u, n), None):
        solved = _pymbar().MBAR(u, n, initial_f_k=guess, **_MBAR_OPTIONS)
        # In a solution the weights of each state add up to 1.
        if np.allclose(solved.weights().sum(axis=0), 1.0, atol=1e-4):
            break
    if sampled.all():
        return solved
    mixture = logsumexp((np.log(n) + solved.f_k)[:, None] - u, axis=0)
    f = -logsumexp(-reduced - mixture, axis=1)
    return _pymbar().MBAR(reduced, counts, initial_f_k=f - f[0], **_MBAR_OPTIONS)


def _chained_averages(
    reduced: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return a guess of f (K,) from exponential averages between one state and the next.

    The mean of both directions is finite even if the two do not overlap.
    """
    ends = np.cumsum(counts)
    steps = []
    for state in range(len(counts) - 1):
        differences = reduced[state + 1] - reduced[state]
        own = differences[ends[state] - counts[state] : ends[state]]
        of_next = differences[ends[state] : ends[state + 1]]
        forward = np.log(len(own)) - logsumexp(-own)
        backward = logsumexp(of_next) - np.log(len(of_next))
        steps.append(0.5 * (forward + backward))
    return np.concatenate([[0.0], np.cumsum(steps)])


def _pymbar() -> Any:
    # The import takes a second, and logs a warning where JAX is not installed.
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    import pymbar
    import pymbar.timeseries
    import pymbar.utils

    return pymbar
