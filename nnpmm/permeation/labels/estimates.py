"""What pymbar is asked, in one place: free energies, their errors, and the overlap of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from nnpmm.core.errors import OptionalDependencyError, SimulationError

__all__ = [
    "MbarEstimate",
    "contrast_error",
    "decorrelated",
    "estimate",
]

#: MBAR joins states that do not overlap without a word, and gives small errors to nonsense.
_LEAST_OVERLAP = 1e-6
#: pymbar's default tolerance of 1e-12 kT lies below the noise of sums over many samples, where its
#: solvers go round in circles for an hour.
_SOLVERS = (
    {"method": "adaptive", "tol": 1e-10, "options": {"maxiter": 500, "min_sc_iter": 0}},
    {"method": "lm", "tol": 1e-10},
)


@dataclass(frozen=True)
class MbarEstimate:
    """Free energies by MBAR (Shirts and Chodera 2008), in units of kT.

    Attributes:
        differences: (states, states), row to column: f[column] - f[row].
        errors: (states, states), one standard deviation.
        effective: (states,) effective number of samples of each state.
        overlap: second eigenvalue of the overlap matrix of the sampled states subtracted from 1;
            0 where they fall apart into two groups (Klimovich, Shirts, Mobley 2015).
    """

    differences: NDArray[np.float64]
    errors: NDArray[np.float64]
    effective: NDArray[np.float64]
    overlap: float


def decorrelated(series: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of samples of a time series that are nearly independent."""
    timeseries = _pymbar().timeseries
    if np.ptp(series) == 0.0:
        return np.array([0])
    inefficiency = timeseries.statistical_inefficiency(series)
    return np.asarray(timeseries.subsample_correlated_data(series, g=inefficiency))


def estimate(reduced: NDArray[np.float64], counts: NDArray[np.int64]) -> MbarEstimate:
    """Return free energies of states from reduced potentials of pooled samples.

    Args:
        reduced: (states, samples), u/kT of every sample in every state; samples in the order of
            the states that they come from. States must differ.
        counts: (states,) samples drawn from each state; 0 for states that were not simulated.

    Raises:
        SimulationError: the equations have no solution, or the states fall apart into groups
            that do not overlap.
    """
    pymbar = _pymbar()
    try:
        guess = _first_guess(reduced, counts)
        mbar = pymbar.MBAR(reduced, counts, initial_f_k=guess, solver_protocol=_SOLVERS)
        found: dict[str, Any] = mbar.compute_free_energy_differences()
        effective = mbar.compute_effective_sample_number()
        overlap = float(np.real(mbar.compute_overlap()["scalar"]))
    except (pymbar.utils.ParameterError, np.linalg.LinAlgError, ValueError) as error:
        raise SimulationError(f"MBAR found no free energies: {error}") from error
    differences, errors = np.asarray(found["Delta_f"]), np.asarray(found["dDelta_f"])
    if not overlap > _LEAST_OVERLAP or not np.isfinite([differences, errors]).all():
        raise SimulationError(
            f"the states overlap by {overlap:.1e}, allowed {_LEAST_OVERLAP:g} or more (to 1): put "
            "them closer together, or run them longer"
        )
    return MbarEstimate(differences, errors, effective, overlap)


def _first_guess(reduced: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return f of all states from the solution for those with samples, which is found faster."""
    sampled = counts > 0
    # Not from BAR of one state and the next: in a list of solutes these need not overlap.
    mbar = _pymbar().MBAR(reduced[sampled], counts[sampled], solver_protocol=_SOLVERS)
    weights = np.log(counts[sampled]) + mbar.f_k
    mixture = logsumexp(weights[:, None] - reduced[sampled], axis=0)
    found = -logsumexp(-reduced - mixture, axis=1)
    return np.asarray(found - found[0])


def contrast_error(errors: NDArray[np.float64], state: int, weights: NDArray[np.float64]) -> float:
    """Return the standard deviation of f[state] - sum of weights f.

    From D_ij, the variances of all differences of two states, it is exactly

        var = sum_j w_j D_kj - 1/2 sum_ij w_i w_j D_ij,   sum_j w_j = 1.

    Args:
        errors: (states, states) standard deviations of differences.
        state: k.
        weights: (states,) w.
    """
    variances = errors**2
    variance = weights @ variances[state] - 0.5 * weights @ variances @ weights
    return float(np.sqrt(max(variance, 0.0)))


def _pymbar() -> Any:
    try:
        import logging

        # It announces at import that JAX is not there.
        logging.getLogger("pymbar").setLevel(logging.ERROR)
        import pymbar
        import pymbar.timeseries
        import pymbar.utils
    except ImportError as error:
        raise OptionalDependencyError("pymbar is not installed: pip install pymbar") from error
    return pymbar
