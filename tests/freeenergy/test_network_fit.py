"""Networks of ligands: values from differences, cycle closures, agreement with experiment."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.relative.network_fit import Edge, close_cycles, compare, fit_network

TRUE = {"a": 0.0, "b": 3.0, "c": -2.0, "d": 7.5}
PAIRS = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c"), ("a", "d")]


def edges(noise=None, errors=(1.0, 0.5, 2.0, 1.0, 0.7)):
    shifts = np.zeros(len(PAIRS)) if noise is None else noise
    return [
        Edge(first, second, Estimate(TRUE[second] - TRUE[first] + shift, error))
        for (first, second), shift, error in zip(PAIRS, shifts, errors, strict=True)
    ]


def test_fit_of_exact_differences_returns_the_values():
    fit = fit_network(edges())
    mean = np.mean(list(TRUE.values()))
    for name, value in TRUE.items():
        assert fit.estimate(name).value == pytest.approx(value - mean, abs=1e-9)
    assert fit.chi_square == pytest.approx(0, abs=1e-12)
    assert fit.degrees_of_freedom == 2
    assert fit.names == ("a", "b", "c", "d")


def test_errors_of_a_network_without_cycles():
    """Relative to their mean, each of two ligands has half the error of their difference."""
    fit = fit_network([Edge("a", "b", Estimate(4.0, 1.0))])
    assert fit.estimate("b") == Estimate(pytest.approx(2.0), pytest.approx(0.5))
    assert fit.degrees_of_freedom == 0


def test_fit_errors_match_the_spread_of_repeats():
    """Noise with the errors of the edges: spread of the values, and chi square, as predicted."""
    random = np.random.default_rng(1)
    sizes = np.array([edge.difference.error for edge in edges()])
    fits = [fit_network(edges(sizes * random.normal(size=len(sizes)))) for _ in range(2000)]
    spread = np.std([fit.values for fit in fits], axis=0)
    np.testing.assert_allclose(spread, np.sqrt(np.diag(fits[0].covariance)), rtol=0.06)
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(2, abs=0.15)


def test_edges_are_weighted_by_their_inverse_variance():
    parallel = [Edge("a", "b", Estimate(1.0, 0.1)), Edge("a", "b", Estimate(3.0, 0.2))]
    fit = fit_network(parallel)
    weights = np.array([1 / 0.1**2, 1 / 0.2**2])
    assert np.diff(fit.values)[0] == pytest.approx(weights @ [1.0, 3.0] / weights.sum())


def test_values_relative_to_the_mean_of_measured_ligands():
    """Errors are relative to the measured ligands; a single one has no error."""
    fit = fit_network(edges())
    shifted = fit.from_mean_of({"a": -30.0, "b": -27.0, "x": 5.0})
    for name, value in TRUE.items():
        assert shifted.estimate(name).value == pytest.approx(value - 30.0)
    assert fit.from_mean_of({"b": 1.0}).estimate("b") == Estimate(1.0, pytest.approx(0, abs=1e-7))
    alone = fit.from_mean_of({"a": 0.0}).estimate("b").error
    assert alone == pytest.approx(shifted.from_mean_of({"b": 0.0}).estimate("a").error)
    assert fit.from_mean_of({}) is fit


def test_cycle_closures():
    found = close_cycles(edges(noise=[0.3, 0.0, 0.0, 0.0, -0.2]))
    assert [closure.ligands for closure in found] == [("a", "c", "b"), ("a", "d", "c")]
    first, second = found
    # The cycle a, c, b traverses the edge a to b backwards.
    assert first.sum.value == pytest.approx(-0.3)
    assert first.sum.error == pytest.approx(np.sqrt(1.0 + 0.25 + 4.0))
    assert second.sum.value == pytest.approx(-0.2)
    assert close_cycles(edges()[:2]) == []


def test_agreement_with_experiment():
    measured = {name: value + 10 for name, value in TRUE.items()}
    perfect = compare(TRUE, measured)
    assert perfect.kendall[0] == pytest.approx(1)
    assert perfect.rmse == pytest.approx((0, 0, 0), abs=1e-9)
    off = dict(zip(TRUE, np.add(list(TRUE.values()), [1, -1, 1, -1]), strict=True))
    found = compare(off, measured)
    assert found.rmse[0] == pytest.approx(1)
    assert found.mue[0] == pytest.approx(1)
    assert found.rmse[1] <= 1 <= found.rmse[2]
    assert found.count == 4


@pytest.mark.parametrize(
    ("flawed", "words"),
    [
        ([], "no edges"),
        ([Edge("a", "a", Estimate(0.0, 1.0))], "to itself"),
        ([Edge("a", "b", Estimate(0.0, 0.0))], "an error above 0"),
        ([Edge("a", "b", Estimate(float("nan"), 1.0))], "an error above 0"),
        (
            [Edge("a", "b", Estimate(0.0, 1.0)), Edge("c", "d", Estimate(0.0, 1.0))],
            r"2 parts that no edge connects \(a, b; c, d\)",
        ),
    ],
)
def test_invalid_networks_are_refused(flawed, words):
    for function in (fit_network, close_cycles):
        with pytest.raises(ConfigError, match=words):
            function(flawed)


def test_comparison_of_too_few_ligands_is_refused():
    with pytest.raises(ConfigError, match="found 2 ligands with a calculated and a measured"):
        compare({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "c": 3.0})
