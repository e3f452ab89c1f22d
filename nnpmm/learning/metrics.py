"""How well predictions agree with labels, in the unit of the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.errors import ConfigError
from nnpmm.core.section import Section

__all__ = ["Calibration", "Metrics", "Report", "compare", "compare_errors", "report"]


class Metrics(Section):
    """Agreement of predictions with labels; None where the samples do not define it."""

    samples: int = Field(ge=1, description="number of samples")
    mae: float = Field(allow_inf_nan=False, description="mean absolute error")
    rmse: float = Field(allow_inf_nan=False, description="root of the mean square")
    largest: float = Field(allow_inf_nan=False, description="largest absolute error")
    r2: float | None = Field(
        allow_inf_nan=False, description="1 - sum of squared errors / that of the labels' mean"
    )
    pearson: float | None = Field(allow_inf_nan=False, description="linear correlation")
    spearman: float | None = Field(allow_inf_nan=False, description="correlation of the ranks")


class Calibration(Section):
    """Agreement of predicted errors with the actual ones.

    If the errors are normally distributed and predicted correctly, ``rms`` is 1, and fractions of
    0.68 and 0.95 of the samples lie within one and two predicted errors.
    """

    mean: float = Field(allow_inf_nan=False, description="mean predicted error")
    rms: float = Field(allow_inf_nan=False, description="of differences in units of their error")
    within_one: float = Field(ge=0, le=1, description="share of samples within one error")
    within_two: float = Field(ge=0, le=1, description="share of samples within two errors")


class Report(Section):
    """Metrics of a group of samples, and the calibration of their predicted errors."""

    metrics: Metrics
    calibration: Calibration


def compare(predicted: NDArray[np.floating], labels: NDArray[np.floating]) -> Metrics:
    """Return the metrics of predictions, (samples,), against labels of the same shape and unit.

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


def compare_errors(
    differences: NDArray[np.floating],
    errors: NDArray[np.floating],
    label_errors: NDArray[np.floating],
) -> Calibration:
    """Return how well errors describe differences; errors of labels are added in quadrature.

    Args:
        differences: (samples,) predictions minus labels.
        errors: (samples,) positive, standard deviations of the predictions.
        label_errors: (samples,) standard deviations of the labels.

    Raises:
        ConfigError: neither a prediction nor its label has an error.
    """
    total = np.hypot(errors, label_errors)
    if not (total > 0.0).all():
        raise ConfigError(
            f"sample {int(np.argmin(total > 0.0))}: found no error of the prediction and none of "
            "the label, expected one above 0: calibration needs it"
        )
    ratios = np.abs(differences) / total
    return Calibration(
        mean=float(np.mean(errors)),
        rms=float(np.sqrt((ratios**2).mean())),
        within_one=float((ratios < 1.0).mean()),
        within_two=float((ratios < 2.0).mean()),
    )


def report(
    predicted: NDArray[np.floating],
    errors: NDArray[np.floating],
    labels: NDArray[np.floating],
    label_errors: NDArray[np.floating],
) -> Report:
    """Return the metrics of predictions and the calibration of their errors.

    Args:
        predicted: (samples,) in the unit of the labels.
        errors: (samples,) positive, standard deviations of the predictions.
        labels: (samples,).
        label_errors: (samples,) standard deviations of the labels.

    Raises:
        ConfigError: as ``compare`` and ``compare_errors``.
    """
    return Report(
        metrics=compare(predicted, labels),
        calibration=compare_errors(predicted - labels, errors, label_errors),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return the linear correlation; None where a series is constant."""
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
