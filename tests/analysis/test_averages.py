"""Errors of averages of series with known correlation, of probabilities, and of replicas."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm.analysis.averages import Average, average, over_replicas, probability


def autoregressive(n, factor, generator):
    """x_t = a x_(t-1) + noise: variance 1, g = (1 + a) / (1 - a)."""
    noise = generator.normal(size=n) * np.sqrt(1 - factor**2)
    series = np.empty(n)
    series[0] = generator.normal()
    for step in range(1, n):
        series[step] = factor * series[step - 1] + noise[step]
    return series


def test_the_error_of_a_correlated_series_is_the_scatter_of_its_mean():
    generator = np.random.default_rng(1)
    found = [average(autoregressive(2000, 0.8, generator)) for _ in range(60)]
    expected = np.sqrt(9 / 2000)  # g = 9
    assert np.mean([a.inefficiency for a in found]) == pytest.approx(9, rel=0.15)
    assert np.mean([a.error for a in found]) == pytest.approx(expected, rel=0.15)
    assert np.std([a.value for a in found]) == pytest.approx(expected, rel=0.3)


def test_independent_samples_have_the_textbook_error():
    values = np.random.default_rng(2).normal(3.0, 2.0, 4000)
    found = average(values)
    assert found.value == values.mean()
    assert found.error == pytest.approx(2 / np.sqrt(4000), rel=0.1)
    assert found.independent == pytest.approx(4000, rel=0.1)


@pytest.mark.parametrize("values", [[1.5], [2.0] * 50])
def test_one_sample_has_no_known_error(values):
    found = average(values)
    assert found.value == values[0]
    assert np.isnan(found.error)
    assert found.independent == 1


def test_values_that_were_not_logged_are_left_out():
    assert average([1.0, np.nan, 3.0]).samples == 2
    assert average([np.nan]).samples == 0


def test_probability_of_independent_samples():
    seen = np.random.default_rng(3).random(5000) < 0.3
    found = probability(seen)
    assert found.error == pytest.approx(np.sqrt(0.3 * 0.7 / 5000), rel=0.1)


def test_what_never_changes_is_not_certain():
    """All frames count as one sample: a beta distribution with 2 and 1."""
    found = probability(np.ones(1000, dtype=bool))
    assert found.value == 1
    assert found.error == pytest.approx(np.sqrt(2 / (9 * 4)))


def test_replicas_have_the_larger_error():
    alike = [Average(1.0, 0.3, 1.0, 100), Average(1.0, 0.4, 1.0, 100)]
    assert over_replicas(alike).error == pytest.approx(0.25)
    assert over_replicas(alike).independent == 200
    apart = [Average(1.0, 0.01, 2.0, 100), Average(3.0, 0.01, 2.0, 100)]
    found = over_replicas(apart)
    assert found.value == 2
    assert found.spread == pytest.approx(np.sqrt(2))
    assert found.error == pytest.approx(1.0)
    assert found.freedom == 1
    assert found.independent == 2  # the error rests on two values, however long these were averaged
    assert found.samples == 200
    assert found.inefficiency == 2


def test_a_replica_without_samples_is_left_out():
    known = Average(1.0, 0.1, 1.0, 10)
    assert over_replicas([known, average([])]) == known
