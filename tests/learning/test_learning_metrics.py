"""Agreement of predictions with labels, and of predicted errors with actual ones."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from nnpmm.core.errors import ConfigError
from nnpmm.learning import compare, compare_errors


def test_metrics():
    rng = np.random.default_rng(2)
    labels = rng.normal(size=40)
    predicted = labels + 0.3 * rng.normal(size=40) + 0.2
    found = compare(predicted, labels)
    errors = predicted - labels
    assert found.samples == 40
    assert found.mae == pytest.approx(np.mean(np.abs(errors)))
    assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert found.largest == pytest.approx(np.max(np.abs(errors)))
    assert found.r2 == pytest.approx(
        1 - np.var(errors) / np.var(labels) - errors.mean() ** 2 / np.var(labels)
    )
    assert found.pearson == pytest.approx(pearsonr(predicted, labels).statistic)
    assert found.spearman == pytest.approx(spearmanr(predicted, labels).statistic)


def test_metrics_that_are_not_defined():
    found = compare(np.array([1.0]), np.array([2.0]))
    assert found.mae == 1.0 and found.r2 is None and found.pearson is None
    assert compare(np.array([1.0, 1.0]), np.array([1.0, 2.0])).spearman is None
    with pytest.raises(ConfigError, match="not finite"):
        compare(np.array([np.nan]), np.array([1.0]))


def test_calibration_of_metrics():
    rng = np.random.default_rng(5)
    errors, label_errors = rng.uniform(0.1, 0.5, (2, 20000))
    differences = rng.normal(size=20000) * np.hypot(errors, label_errors)
    found = compare_errors(differences, errors, label_errors)
    assert found.rms == pytest.approx(1.0, abs=0.02)
    assert found.within_one == pytest.approx(0.683, abs=0.01)
    assert found.within_two == pytest.approx(0.954, abs=0.01)
    assert found.mean == pytest.approx(errors.mean())


def test_predictions_and_labels_without_errors_are_refused():
    errors = np.array([0.1, 0.0, 0.0])
    for difference in (0.0, 0.3):
        with pytest.raises(ConfigError, match="sample 1: found no error of the prediction"):
            compare_errors(np.full(3, difference), errors, np.array([0.0, 0.0, 0.2]))
