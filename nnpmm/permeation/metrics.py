"""How well predictions agree with labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.errors import ConfigError
from nnpmm.fields import Section

__all__ = ["Metrics", "compare"]


class Metrics(Section):
    """Agreement of predictions with labels; None where the samples do not define it."""

    samples: int = Field(ge=1, description="number of samples")
    mae: float = Field(allow_inf_nan=False, description="mean absolute error, kcal/mol")
    rmse: float = Field(allow_inf_nan=False, description="root of the mean square, kcal/mol")
    largest: float = Field(allow_inf_nan=False, description="largest absolute error, kcal/mol")
    r2: float | None = Field(
        allow_inf_nan=False, description="1 - sum of squared errors / that of the labels' mean"
    )
    pearson: float | None = Field(allow_inf_nan=False, description="linear correlation")
    spearman: float | None = Field(allow_inf_nan=False, description="correlation of the ranks")


def compare(predicted: NDArray[np.floating], labels: NDArray[np.floating]) -> Metrics:
    """Return the metrics of predictions, (samples,) kcal/mol, against labels of the same shape.

    Raises:
        ConfigError: no samples, shapes that differ, or a value that is not finite.
    """
    from scipy.stats import rankdata

    y, x = np.asarray(predicted, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if y.shape != x.shape or y.ndim != 1 or len(y) == 0:
        raise ConfigError(f"found predictions {y.shape} and labels {x.shape}, expected (samples,)")
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise ConfigError("found a prediction or label that is not finite")
    errors = y - x
    spread = float(((x - x.mean()) ** 2).sum())
    return Metrics(
        samples=len(y),
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        largest=float(np.abs(errors).max()),
        r2=1.0 - float((errors**2).sum()) / spread if spread > 0.0 else None,
        pearson=_correlation(y, x),
        spearman=_correlation(rankdata(y), rankdata(x)),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
