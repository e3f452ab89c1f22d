"""Free energy of going from a force field to a network, from saved frames.

With d = V_NNP(region) - V_MM(region) and kT, frames sampled with the force field alone give

    G(NNP/MM) - G(MM) = -kT ln <exp(-d/kT)>_MM

(Zwanzig, J. Chem. Phys. 1954, 22, 1420). With frames of both ensembles Bennett's acceptance ratio
(J. Comput. Phys. 1976, 22, 245) has the smallest error, and with frames between them as well its
extension MBAR (Shirts and Chodera, J. Chem. Phys. 2008, 129, 124105). Where the ensembles hardly
overlap the first fails without a sign, so overlap is measured and too little of it is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openmm import unit
from scipy.special import logsumexp

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.units import in_md_units

__all__ = [
    "MIN_BAR_OVERLAP",
    "MIN_BAR_SAMPLES",
    "MIN_ZWANZIG_OVERLAP",
    "MIN_ZWANZIG_SAMPLES",
    "Reweighting",
    "reweight",
]

# benchmarks/reweighting.py draws from ensembles of known difference. From one ensemble, 24 % of the
# results below these limits are off by more than three times their error, 2.8 % of those above.
#: Least effective number of samples, and its least share of all samples, of one ensemble alone.
MIN_ZWANZIG_SAMPLES, MIN_ZWANZIG_OVERLAP = 100.0, 0.1
#: The same for two ensembles, whose errors hold further down where both have one basin: the limits
#: are for others. An off-diagonal element of the overlap matrix of 0.03, the least that Klimovich,
#: Shirts and Mobley advise (J. Comput. Aided Mol. Des. 2015, 29, 397), is an overlap of 0.06.
MIN_BAR_SAMPLES, MIN_BAR_OVERLAP = 5.0, 0.06


@dataclass(frozen=True)
class Reweighting:
    """A free energy difference that passed the tests of overlap.

    Attributes:
        difference: G(NNP/MM) - G(MM), kJ/mol.
        error: its standard error, kJ/mol. It knows only of what the frames have visited.
        overlap: from 0 to 1, for identical ensembles. From one ensemble, the effective share of
            the samples; from two, 1 minus the second eigenvalue of MBAR's overlap matrix O, which
            is O_01 + O_10; from more, the least such sum of neighbours.
        effective_samples: from one ensemble, (sum w)^2 / sum w^2 of the weights w = exp(-d/kT)
            (Kish); from two, the sum over all samples of p (1 - p), p the probability that a
            sample of this d is from NNP/MM; from more, the same of the weakest pair of neighbours.
        independent_samples: number of decorrelated samples of each ensemble, from MM to NNP/MM.
    """

    difference: float
    error: float
    overlap: float
    effective_samples: float
    independent_samples: tuple[int, ...]


def reweight(
    mm_differences: ArrayLike,
    nnp_differences: ArrayLike | None = None,
    *,
    temperature: Any,
    between: Mapping[float, ArrayLike] | None = None,
) -> Reweighting:
    """Return the free energy difference between the force field's ensemble and that of NNP/MM.

    From the first alone by exponential averaging, from more by MBAR, which for two is Bennett's
    acceptance ratio. Each series is thinned out by its statistical inefficiency (Chodera et al., J.
    Chem. Theory Comput. 2007, 3, 26). A conformation that no frame shows cannot be noticed from one
    ensemble; from two it shows as missing overlap.

    Args:
        mm_differences: V_NNP - V_MM of frames sampled with the force field (lambda_nnp = 0), (k,),
            kJ/mol or Quantity, in their order in time; see `nnpmm.freeenergy.region_differences`.
        nnp_differences: the same of frames sampled with NNP/MM (lambda_nnp = 1), (m,).
        temperature: of all ensembles, K or Quantity.
        between: the same of frames sampled at values of lambda_nnp between 0 and 1, by the value.

    Raises:
        ConfigError: a temperature that is not positive, differences of another shape, values of
            lambda_nnp out of bounds or without the end at 1.
        SimulationError: a difference is not finite, or the ensembles overlap too little for an
            answer.
    """
    kelvin = in_md_units(temperature, unit.kelvin)
    if not (np.isfinite(kelvin) and kelvin > 0):
        raise ConfigError(f"found a temperature of {kelvin:g} K, allowed: more than 0 K")
    kt = GAS_CONSTANT * kelvin
    series = {0.0: mm_differences} | dict(between or {})
    if between and (nnp_differences is None or not all(0 < value < 1 for value in between)):
        end = "without" if nnp_differences is None else "with"
        raise ConfigError(
            f"found frames at lambda_nnp {sorted(between)} {end} frames at 1; allowed: values "
            "between 0 and 1, with frames at both ends"
        )
    if nnp_differences is not None:
        series[1.0] = nnp_differences
    samples = {
        value: _decorrelated(_reduced(series[value], f"differences at lambda_nnp = {value:g}", kt))
        for value in sorted(series)
    }
    return _mbar(samples, kt) if len(samples) > 1 else _zwanzig(samples[0.0], kt)


def _zwanzig(forward: NDArray[np.float64], kt: float) -> Reweighting:
    """Return the estimate from d/kT (k,) of independent frames of the force field."""
    count = len(forward)
    effective = float(np.exp(2 * logsumexp(-forward) - logsumexp(-2 * forward)))
    overlap = effective / count
    _refuse_small(effective, MIN_ZWANZIG_SAMPLES, overlap, MIN_ZWANZIG_OVERLAP, (count,))
    # The mean weight's variance over its square, by the delta method.
    variance = max(1 / effective - 1 / count, 0.0)
    reduced = np.log(count) - logsumexp(-forward)
    return Reweighting(
        kt * float(reduced), kt * float(np.sqrt(variance)), overlap, effective, (count,)
    )


def _mbar(samples: Mapping[float, NDArray[np.float64]], kt: float) -> Reweighting:
    """Return the estimate from d/kT of independent frames by their lambda_nnp, in its order.

    The reduced energies that matter are lambda_nnp d/kT, as the energy is linear in lambda_nnp. Of
    two states i and j the sum of p (1 - p) is (O_ij + O_ji) / (1/n_i + 1/n_j).
    """
    counts = tuple(len(each) for each in samples.values())
    energies = np.outer(list(samples), np.concatenate(list(samples.values())))
    mbar = _pymbar().MBAR(energies, counts)
    matrix = mbar.compute_overlap()["matrix"]
    overlaps = np.diag(matrix, 1) + np.diag(matrix, -1)
    inverse = 1 / np.array(counts)
    effective = float((overlaps / (inverse[1:] + inverse[:-1])).min())
    overlap = float(overlaps.min())
    _refuse_small(effective, MIN_BAR_SAMPLES, overlap, MIN_BAR_OVERLAP, counts)
    found = mbar.compute_free_energy_differences()
    difference, error = (float(found[name][0, -1]) for name in ("Delta_f", "dDelta_f"))
    return Reweighting(kt * difference, kt * error, overlap, effective, counts)


_REMEDY = (
    "sample more frames, sample at values of lambda_nnp between 0 and 1 too, or take "
    "nnpmm.freeenergy.switch"
)


def _refuse_small(
    effective: float, least: float, overlap: float, least_overlap: float, counts: tuple[int, ...]
) -> None:
    if effective >= least and overlap >= least_overlap:
        return
    raise SimulationError(
        f"the ensembles overlap too little: found {effective:.3g} effective samples and an overlap "
        f"of {overlap:.2g} from {' + '.join(map(str, counts))} independent frames, allowed: at "
        f"least {least:g} and {least_overlap:g}; {_REMEDY}"
    )


def _reduced(differences: ArrayLike, name: str, kt: float) -> NDArray[np.float64]:
    """Return differences as d/kT (k,), checked."""
    array = np.asarray(in_md_units(differences, unit.kilojoule_per_mole), dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ConfigError(
            f"found {name} of shape {array.shape}, expected one energy for each frame, (k,)"
        )
    if not np.isfinite(array).all():
        raise SimulationError(
            f"found a non-finite energy in {name} (frame {int(np.argmin(np.isfinite(array)))}); "
            "leave that frame out, or look into why it blew up"
        )
    return array / kt


def _decorrelated(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return nearly independent samples of a time series."""
    if np.ptp(series) == 0:  # a trajectory that stands still
        return series[:1]
    timeseries = _pymbar().timeseries
    inefficiency = timeseries.statistical_inefficiency(series)
    kept = timeseries.subsample_correlated_data(series, g=inefficiency)
    return np.asarray(series[np.asarray(kept)])


def _pymbar() -> Any:
    # It takes a second to import, and announces then that JAX is not there.
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    import pymbar
    import pymbar.timeseries

    return pymbar
