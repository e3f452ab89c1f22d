"""Averages of correlated series with their standard errors, and averages over replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nnpmm.freeenergy.estimators import Estimate, combine, statistical_inefficiency

__all__ = ["Average", "average", "over_replicas", "probability"]


@dataclass(frozen=True)
class Average:
    """A mean and its error.

    Attributes:
        value: the mean.
        error: its standard error; nan if it is not known.
        inefficiency: statistical inefficiency, the number of samples for each independent one; nan
            if it is not known.
        samples: number of samples, of all replicas.
        replicas: number of replicas.
        spread: standard deviation of the replicas' means; nan for one replica.
    """

    value: float
    error: float
    inefficiency: float
    samples: int
    replicas: int = 1
    spread: float = float("nan")

    @property
    def independent(self) -> float:
        """Number of independent samples, or of replicas if the error comes from their spread."""
        return (
            float(self.replicas) if self._error_is_of_spread else self.samples / self.inefficiency
        )

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error, for Student's distribution; at least 1."""
        if self._error_is_of_spread:
            return self.replicas - 1.0
        return float(max(1.0, np.nan_to_num(self.independent, nan=1.0) - self.replicas))

    @property
    def _error_is_of_spread(self) -> bool:
        """Whether the error comes from the spread of the replicas."""
        return self.replicas > 1 and self.spread / np.sqrt(self.replicas) >= 0.999 * self.error


def average(series: ArrayLike) -> Average:
    """Return the mean of a time series and its error s (g / n)^(1/2).

    s is the standard deviation of the samples and g the statistical inefficiency.

    Args:
        series: (n,) in its order in time; values that are not finite are left out.
    """
    values = np.asarray(series, dtype=np.float64)
    values = values[np.isfinite(values)]
    count = values.size
    if count == 0:
        return Average(float("nan"), float("nan"), float("nan"), 0)
    inefficiency = statistical_inefficiency(values)
    error = float("nan")
    if count > 1 and np.ptp(values) > 0:
        error = float(values.std(ddof=1) * np.sqrt(inefficiency / count))
    return Average(float(values.mean()), error, inefficiency, count)


def probability(series: ArrayLike) -> Average:
    """Return the probability that a series is true, with its error.

    The error is the standard deviation of the beta distribution with 1 + N p and 1 + N (1 - p),
    the posterior of a uniform prior after N independent samples (Laplace's rule of succession). For
    many samples it is (p (1 - p) / N)^(1/2). It is not zero if all frames agree, which then count
    as one sample.

    Args:
        series: (n,) of True and False, in order of time.
    """
    values = np.asarray(series, dtype=np.float64)
    if values.size == 0:
        return Average(float("nan"), float("nan"), float("nan"), 0)
    share, inefficiency = float(values.mean()), statistical_inefficiency(values)
    count = values.size / inefficiency
    yes, no = 1 + count * share, 1 + count * (1 - share)
    error = float(np.sqrt(yes * no / ((yes + no) ** 2 * (yes + no + 1))))
    return Average(share, error, inefficiency, values.size)


def over_replicas(replicas: Sequence[Average]) -> Average:
    """Return the mean of replicas with the larger of two errors, as ``freeenergy.combine`` does.

    One error follows from those of the replicas, the other from their spread. Replicas without
    samples are left out.
    """
    known = [replica for replica in replicas if replica.samples]
    if not known:
        return Average(float("nan"), float("nan"), float("nan"), 0, len(replicas))
    if len(known) == 1:
        return known[0]
    values = np.array([replica.value for replica in known])
    errors = [replica.error for replica in known]
    reported = errors if np.isfinite(errors).all() else [0.0] * len(errors)
    found = combine([Estimate(v, e) for v, e in zip(values.tolist(), reported, strict=True)])
    samples = sum(replica.samples for replica in known)
    independent = sum(replica.independent for replica in known)
    return Average(
        found.value,
        found.error if found.error > 0 else float("nan"),
        samples / independent if independent > 0 else float("nan"),
        samples,
        len(known),
        float(values.std(ddof=1)),
    )
