"""Free energy of going from a force field to a network, from saved frames.

With d = V_NNP(region) - V_MM(region) and kT, frames sampled with the force field alone give

    G(NNP/MM) - G(MM) = -kT ln <exp(-d/kT)>_MM

(Zwanzig, J. Chem. Phys. 1954, 22, 1420). With frames of both ensembles Bennett's acceptance ratio
(J. Comput. Phys. 1976, 22, 245) has the smallest error, and with frames between them as well its
extension MBAR (Shirts and Chodera, J. Chem. Phys. 2008, 129, 124105). If the ensembles hardly
overlap, the exponential average fails silently, so nnpmm measures the overlap, and too little is an
error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.units import in_md_units
from nnpmm.freeenergy.estimators import (
    effective_samples,
    exponential_average,
    mbar,
    subsample,
    thermal_energy,
)
from nnpmm.freeenergy.overlap import (
    MIN_OVERLAP,
    MIN_ZWANZIG_OVERLAP,
    MIN_ZWANZIG_SAMPLES,
    require_effective_samples,
)

__all__ = [
    "MIN_BAR_OVERLAP",
    "MIN_BAR_SAMPLES",
    "MIN_ZWANZIG_OVERLAP",
    "MIN_ZWANZIG_SAMPLES",
    "Reweighting",
    "reweight",
]

#: Least effective number of samples, and least overlap O_01 + O_10, of two ensembles or more. In
#: benchmarks/reweighting.py, errors of ensembles with one basin are still right below these limits,
#: which are meant for ensembles with several basins.
MIN_BAR_SAMPLES, MIN_BAR_OVERLAP = 5.0, 2 * MIN_OVERLAP


@dataclass(frozen=True)
class Reweighting:
    """A free energy difference that passed the tests of overlap.

    Attributes:
        difference: G(NNP/MM) - G(MM), kJ/mol.
        error: its standard error, kJ/mol. It includes only configurations that the frames have
            visited.
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

    Frames of the force field alone are averaged exponentially. Frames of several ensembles are
    combined by MBAR, which is Bennett's acceptance ratio for two. Each series is thinned out by its
    statistical inefficiency (Chodera et al., J. Chem. Theory Comput. 2007, 3, 26). With one
    ensemble, a missing conformation cannot be detected; with two, it appears as missing overlap.

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
    kt = thermal_energy(temperature)
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
        value: _independent(series[value], f"differences at lambda_nnp = {value:g}")
        for value in sorted(series)
    }
    if len(samples) == 1:
        return _from_one_ensemble(samples[0.0], kt, temperature)
    return _from_several(samples, temperature)


def _from_one_ensemble(forward: NDArray[np.float64], kt: float, temperature: Any) -> Reweighting:
    """Return the estimate from d (k,) of independent frames of the force field."""
    found = exponential_average(forward, temperature=temperature)
    effective = effective_samples(-forward / kt)
    overlap = effective / len(forward)
    return Reweighting(found.value, found.error, overlap, effective, (len(forward),))


def _from_several(samples: Mapping[float, NDArray[np.float64]], temperature: Any) -> Reweighting:
    """Return the estimate from d of independent frames by their lambda_nnp, in its order.

    The energies that matter are lambda_nnp d, as the energy is linear in lambda_nnp. Of
    two states i and j the sum of p (1 - p) is (O_ij + O_ji) / (1/n_i + 1/n_j).
    """
    counts = tuple(len(each) for each in samples.values())
    energies = np.outer(list(samples), np.concatenate(list(samples.values())))
    found = mbar(energies, counts, temperature=temperature, min_overlap=0.0)
    overlaps = np.diag(found.overlap, 1) + np.diag(found.overlap, -1)
    inverse = 1 / np.array(counts)
    effective = float((overlaps / (inverse[1:] + inverse[:-1])).min())
    overlap = float(overlaps.min())
    require_effective_samples(
        (effective, overlap),
        least=(MIN_BAR_SAMPLES, MIN_BAR_OVERLAP),
        counts=counts,
        remedy="sample more frames, sample at values of lambda_nnp between 0 and 1 too, or use "
        "nnpmm.freeenergy.switch",
    )
    ends = found.between()
    return Reweighting(ends.value, ends.error, overlap, effective, counts)


def _independent(differences: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return the differences (k,) of nearly independent frames, kJ/mol, after checks."""
    array = np.asarray(in_md_units(differences, unit.kilojoule_per_mole), dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ConfigError(
            f"found {name} of shape {array.shape}, expected one energy for each frame, (k,)"
        )
    if not np.isfinite(array).all():
        raise SimulationError(
            f"found a non-finite energy in {name} (frame {int(np.argmin(np.isfinite(array)))}); "
            "remove that frame, or find out why the simulation blew up"
        )
    return array[subsample(array)]
