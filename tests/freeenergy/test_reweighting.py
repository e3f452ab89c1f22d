"""Free energies by reweighting of ensembles whose exact difference is known, and refusals."""

from __future__ import annotations

import numpy as np
import pymbar
import pytest
from openmm import unit
from pymbar.other_estimators import bar_overlap

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy import reweight
from nnpmm.freeenergy.reweighting import MIN_ZWANZIG_SAMPLES

TEMPERATURE = 300.0
KT = 2.4943387854  # kJ/mol


def gaussian(rng, sigma, n, shift=0.0):
    """d of both ensembles in kJ/mol: normal, the means apart by sigma^2; dG is the shift."""
    forward = rng.normal(0.5 * sigma**2, sigma, n) * KT + shift
    backward = rng.normal(-0.5 * sigma**2, sigma, n) * KT + shift
    return forward, backward


def oscillators(rng, stiffness, n, dimensions=3):
    """d of both ensembles and dG in kJ/mol: one force constant times `stiffness`, exact samples."""

    def differences(width):
        x = rng.normal(0.0, width, (n, dimensions))
        return 0.5 * (stiffness - 1) * KT * (x**2).sum(axis=1)

    exact = 0.5 * dimensions * KT * np.log(stiffness)
    return differences(1.0), differences(stiffness**-0.5), exact


@pytest.mark.parametrize("sides", [1, 2])
def test_gaussian_differences(sides):
    samples = gaussian(np.random.default_rng(1), 1.0, 4000, shift=-20.0)
    found = reweight(*samples[:sides], temperature=TEMPERATURE)
    assert found.error < 0.1
    assert abs(found.difference + 20.0) < 3.5 * found.error
    assert len(found.independent_samples) == sides


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("stiffness", [0.7, 2.0])
def test_harmonic_oscillators(stiffness, sides):
    *samples, exact = oscillators(np.random.default_rng(2), stiffness, 4000)
    found = reweight(*samples[:sides], temperature=TEMPERATURE)
    assert found.error < 0.15
    assert abs(found.difference - exact) < 3.5 * found.error


@pytest.mark.parametrize("sides", [1, 2])
def test_errors_match_the_spread_of_repeats(sides):
    rng = np.random.default_rng(3)
    found = [reweight(*gaussian(rng, 0.8, 400)[:sides], temperature=300) for _ in range(200)]
    spread = np.std([each.difference for each in found])
    reported = np.mean([each.error for each in found])
    # The standard deviation of 200 values is known within 5 %.
    assert 0.82 < reported / spread < 1.18
    assert abs(np.mean([each.difference for each in found])) < 4 * spread / np.sqrt(200)


def test_errors_of_a_correlated_series_count_independent_frames():
    """An autoregressive d with correlation time 10: about 20 frames make one sample."""
    rng = np.random.default_rng(4)
    memory, found = np.exp(-1 / 10), []
    for _ in range(60):
        noise = rng.normal(0.0, np.sqrt(1 - memory**2), 8000)
        walk = np.empty(8000)
        walk[0] = rng.normal()
        for step in range(1, 8000):
            walk[step] = memory * walk[step - 1] + noise[step]
        found.append(reweight(KT * 0.5 * walk, temperature=TEMPERATURE))
    spread = np.std([each.difference for each in found])
    assert 0.7 < np.mean([each.error for each in found]) / spread < 1.4
    assert 250 < np.mean([each.independent_samples[0] for each in found]) < 600


def test_one_ensemble_matches_pymbar():
    forward, _ = gaussian(np.random.default_rng(5), 0.8, 300)
    kept = pymbar.timeseries.subsample_correlated_data(forward)
    expected = pymbar.other_estimators.exp(forward[np.array(kept)] / KT)
    found = reweight(forward, temperature=TEMPERATURE)
    np.testing.assert_allclose(found.difference, KT * expected["Delta_f"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.error, KT * expected["dDelta_f"], rtol=0, atol=1e-8)
    weights = np.exp(-forward[np.array(kept)] / KT)
    effective = weights.sum() ** 2 / (weights**2).sum()
    np.testing.assert_allclose(found.effective_samples, effective, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.overlap, effective / len(kept), rtol=0, atol=1e-9)


def test_two_ensembles_of_unequal_size_match_pymbar():
    forward, backward = gaussian(np.random.default_rng(6), 2.0, 400)
    backward = backward[:150]
    found = reweight(forward, backward, temperature=TEMPERATURE)
    kept = [np.array(pymbar.timeseries.subsample_correlated_data(d)) for d in (forward, backward)]
    works = forward[kept[0]] / KT, -backward[kept[1]] / KT
    expected = pymbar.bar(*works, uncertainty_method="MBAR")
    assert found.independent_samples == tuple(map(len, kept))
    np.testing.assert_allclose(found.difference, KT * expected["Delta_f"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.error, KT * expected["dDelta_f"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.overlap, bar_overlap(*works), rtol=0, atol=1e-6)


def intermediate_states(rng, sigma, n, values):
    """d of the normal ensembles at values of lambda_nnp, kJ/mol; the difference is 0."""
    return {value: KT * rng.normal((0.5 - value) * sigma**2, sigma, n) for value in values}


def test_intermediate_states_bridge_a_gap():
    """At 7 kT the ends alone are refused; five steps give the value with a correct error."""
    rng, found = np.random.default_rng(13), []
    for _ in range(30):
        steps = intermediate_states(rng, 7.0, 300, np.linspace(0, 1, 7))
        ends = steps.pop(0.0), steps.pop(1.0)
        found.append(reweight(*ends, temperature=TEMPERATURE, between=steps))
        with pytest.raises(SimulationError, match="overlap too little"):
            reweight(*ends, temperature=TEMPERATURE)
    values = np.array([each.difference for each in found])
    errors = np.array([each.error for each in found])
    assert (errors < 1.0).all()
    assert 0.6 < np.sqrt(np.mean((values / errors) ** 2)) < 1.4
    assert len(found[0].independent_samples) == 7


def test_one_gap_among_many_states_is_refused():
    """One of nine steps overlaps too little, although all have enough samples: it is refused."""
    steps = intermediate_states(np.random.default_rng(14), 10.0, 3000, [0, *np.linspace(0.5, 1, 9)])
    ends = steps.pop(0), steps.pop(1.0)
    with pytest.raises(SimulationError, match=r"found [1-9]\d.* effective .* overlap of 0\.0\d"):
        reweight(*ends, temperature=TEMPERATURE, between=steps)


def test_order_of_intermediate_states_does_not_matter():
    steps = intermediate_states(np.random.default_rng(15), 4.0, 200, [0.0, 0.25, 0.5, 0.75, 1.0])
    ends = steps.pop(0.0), steps.pop(1.0)
    found, reversed_order = (
        reweight(*ends, temperature=TEMPERATURE, between=dict(order))
        for order in (steps.items(), reversed(steps.items()))
    )
    assert found == reversed_order


@pytest.mark.parametrize("values", [(0.0, 0.5), (0.5, 1.0), (-0.1,), (np.nan,)])
def test_invalid_intermediate_values_are_refused(values):
    between = {value: [1.0, 2.0] for value in values}
    with pytest.raises(ConfigError, match=r"with frames at 1; allowed: values between 0 and 1"):
        reweight([1.0, 2.0], [1.0, 2.0], temperature=TEMPERATURE, between=between)


def test_intermediate_states_require_both_end_states():
    with pytest.raises(ConfigError, match=r"lambda_nnp \[0.5\] without frames at 1"):
        reweight([1.0, 2.0], temperature=TEMPERATURE, between={0.5: [1.0, 2.0]})


def test_overlap_of_identical_ensembles_is_nearly_one():
    forward, backward = gaussian(np.random.default_rng(7), 1e-3, 200)
    for found in (reweight(forward, temperature=300), reweight(forward, backward, temperature=300)):
        np.testing.assert_allclose(found.overlap, 1.0, rtol=0, atol=1e-4)
        assert 0 <= found.error < 1e-3


@pytest.mark.parametrize(("sides", "sigma"), [(1, 4.0), (1, 40.0), (2, 7.0), (2, 100.0)])
def test_too_little_overlap_is_refused(sides, sigma):
    samples = gaussian(np.random.default_rng(8), sigma, 1000)[:sides]
    with pytest.raises(
        SimulationError, match=r"overlap too little: found .* allowed: .*sample more"
    ):
        reweight(*samples, temperature=TEMPERATURE)


@pytest.mark.parametrize("sides", [1, 2])
def test_too_few_samples_are_refused(sides):
    """The ensembles overlap fully, but there are only a few frames."""
    samples = gaussian(np.random.default_rng(9), 0.1, 8)[:sides]
    with pytest.raises(SimulationError, match=r"overlap too little: .* independent frames"):
        reweight(*samples, temperature=TEMPERATURE)


def test_misleading_effective_sample_size_is_refused():
    """Many frames of a distant ensemble, with a large effective sample size and a wrong value.

    The seed is one of the few that miss the tail of the distribution, which determines the mean.
    """
    forward, _ = gaussian(np.random.default_rng(43), 3.0, 30_000)
    weights = np.exp(-forward / KT)
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert effective > MIN_ZWANZIG_SAMPLES
    assert -np.log(weights.mean()) > 6 / np.sqrt(effective)  # it would be near 0 with the tail
    with pytest.raises(SimulationError, match="overlap too little"):
        reweight(forward, temperature=TEMPERATURE)


def test_conformation_missing_in_one_ensemble_is_refused():
    """Half of the NNP/MM frames are not sampled by the force field: refused, or a larger error."""
    rng = np.random.default_rng(10)
    forward = rng.normal(0.0, 0.5, 400) * KT + 10 * KT
    backward = rng.normal(0.0, 0.5, 400) * KT - 10 * KT
    with pytest.raises(SimulationError, match="overlap too little"):
        reweight(forward, backward, temperature=TEMPERATURE)


@pytest.mark.parametrize("difference", [0.0, 3.0])
def test_identical_frames_count_as_one_sample(difference):
    with pytest.raises(SimulationError, match="from 1 independent frames"):
        reweight(np.full(1000, difference), temperature=TEMPERATURE)


def test_quantities_and_plain_numbers_agree():
    forward, backward = gaussian(np.random.default_rng(11), 0.5, 300)
    plain = reweight(forward, backward, temperature=300)
    kcal = unit.kilocalorie_per_mole
    found = reweight(forward / 4.184 * kcal, backward / 4.184 * kcal, temperature=300 * unit.kelvin)
    np.testing.assert_allclose(found.difference, plain.difference, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [0, -300, np.nan, np.inf])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ConfigError, match=r"found a temperature of .* allowed: more than 0 K"):
        reweight([1.0, 2.0], temperature=temperature)


@pytest.mark.parametrize("differences", [[], [[1.0, 2.0]], 3.0])
def test_differences_of_wrong_shape_are_refused(differences):
    with pytest.raises(ConfigError, match="found differences at lambda_nnp = 0 of shape"):
        reweight(differences, temperature=TEMPERATURE)
    with pytest.raises(ConfigError, match="found differences at lambda_nnp = 1 of shape"):
        reweight([1.0, 2.0], differences, temperature=TEMPERATURE)


def test_non_finite_difference_is_refused():
    with pytest.raises(
        SimulationError, match=r"non-finite energy in differences at lambda_nnp = 0 \(frame 1\)"
    ):
        reweight([1.0, np.nan, 2.0], temperature=TEMPERATURE)
