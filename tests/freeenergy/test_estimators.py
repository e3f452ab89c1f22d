"""Estimators on states whose free energies are known, judged in standard errors."""

from __future__ import annotations

import numpy as np
import pymbar
import pytest
from openmm import unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy import Estimate, bar, combine, exponential_average, mbar, subsample
from nnpmm.freeenergy.estimators import contrast_error
from nnpmm.freeenergy.overlap import weakest_link

TEMPERATURE = 300.0
KT = GAS_CONSTANT * TEMPERATURE  # kJ/mol


def oscillators(rng, constants, samples):
    """Energies (K, N), kJ/mol, of exact samples of oscillators k/2 kT x^2, and G from the first."""
    pairs = zip(constants, samples, strict=True)
    x = np.concatenate([rng.normal(0, k**-0.5, n) for k, n in pairs])
    exact = 0.5 * KT * np.log(np.array(constants) / constants[0])
    return 0.5 * KT * np.array(constants)[:, None] * x**2, exact


def wells(rng, centers, samples, offsets=0.0):
    """Energies (K, N), kJ/mol, of samples of wells of width 1 with free energies `offsets`."""
    pairs = zip(centers, samples, strict=True)
    x = np.concatenate([rng.normal(center, 1.0, n) for center, n in pairs])
    centers = np.array(centers)
    return KT * 0.5 * (x - centers[:, None]) ** 2 + np.broadcast_to(offsets, len(centers))[:, None]


def walk(rng, n, time):
    """An autoregressive series (n,) of unit variance with this correlation time in samples."""
    memory = np.exp(-1 / time)
    found, noise = np.empty(n), rng.normal(0, np.sqrt(1 - memory**2), n)
    found[0] = rng.normal()
    for step in range(1, n):
        found[step] = memory * found[step - 1] + noise[step]
    return found


def test_mbar_of_harmonic_oscillators():
    """A state without samples follows by reweighting."""
    counts = [3000, 3000, 3000, 0]
    energies, exact = oscillators(np.random.default_rng(5), [1.0, 2.0, 4.0, 3.0], counts)
    found = mbar(energies, counts, temperature=TEMPERATURE)
    assert (np.abs(found.delta[0] - exact)[1:] < 4 * found.error[0, 1:]).all()
    assert found.error[0, 1:].max() < 0.03 * KT
    np.testing.assert_allclose(found.overlap.sum(axis=1), 1.0, rtol=0, atol=1e-6)
    assert not found.overlap[:, 3].any()
    ends = found.between(0, 2)
    assert (ends.value, ends.error) == (found.delta[0, 2], found.error[0, 2])


def test_mbar_errors_match_the_spread_of_repeats():
    """The root mean square of 80 deviations in units of their errors is 1 within 8 %."""
    rng, deviations = np.random.default_rng(1), []
    for _ in range(80):
        energies, exact = oscillators(rng, [1.0, 3.0, 9.0], [200] * 3)
        ends = mbar(energies, [200] * 3, temperature=TEMPERATURE).between()
        deviations.append((ends.value - exact[-1]) / ends.error)
    assert 0.75 < np.sqrt(np.mean(np.square(deviations))) < 1.25


def test_mbar_is_independent_of_the_order_of_states():
    """The first two states overlap only through the others."""
    centers = np.array([0.0, 12.0, 3.0, 6.0, 9.0])
    energies = wells(np.random.default_rng(7), centers, [300] * 5, KT * centers)
    found = mbar(energies, [300] * 5, temperature=TEMPERATURE)
    assert (np.abs(found.delta[0] - KT * centers)[1:] < 4 * found.error[0, 1:]).all()
    assert found.error[0, 1] < 0.5 * KT


def test_mbar_is_invariant_to_offsets_of_samples():
    rng = np.random.default_rng(3)
    energies, _ = oscillators(rng, [1.0, 2.0], [50, 50])
    found = mbar(energies, [50, 50], temperature=TEMPERATURE)
    shifted = energies + rng.normal(-1e5, 1e3, 100)
    again = mbar(shifted, [50, 50], temperature=TEMPERATURE)
    np.testing.assert_allclose(again.delta, found.delta, rtol=0, atol=1e-6)
    in_kcal = energies / 4.184 * unit.kilocalorie_per_mole
    again = mbar(in_kcal, [50, 50], temperature=TEMPERATURE * unit.kelvin)
    np.testing.assert_allclose(again.delta, found.delta, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 0, 4, 1, 2]])
def test_disconnected_states_are_refused(seed, order):
    """MBAR itself joins two groups 30 standard deviations apart, with small errors."""
    centers = np.array([0.0, 2.0, 32.0, 34.0, 36.0])[order]
    energies = wells(np.random.default_rng(seed), centers, [300] * 5)
    with pytest.raises(SimulationError, match="overlap too little") as refused:
        mbar(energies, [300] * 5, temperature=TEMPERATURE, names=[f"{c:g}" for c in centers])
    words = str(refused.value).split()
    low, high = sorted((float(words[1]), float(words[3])))
    assert low < 5 and high > 30  # the two states are on different sides of the gap


def test_states_without_overlap_are_refused_after_few_iterations(monkeypatch):
    """pymbar iterates 10,000 times unless MBAR itself, not its solvers, gets the limit."""
    updates, update = [], pymbar.mbar_solvers.self_consistent_update

    def counted(*arguments, **options):
        updates.append(1)
        return update(*arguments, **options)

    monkeypatch.setattr(pymbar.mbar_solvers, "self_consistent_update", counted)
    rng = np.random.default_rng(3)
    constants = np.array([1.0, 2.0, 1e5])
    sampled = np.concatenate([rng.normal(scale=c**-0.5, size=(100, 3)) for c in constants])
    reduced = 0.5 * constants[:, None] * (sampled**2).sum(axis=1)
    energies = GAS_CONSTANT * 300.0 * reduced
    with pytest.raises(SimulationError, match="overlap"):
        mbar(energies, np.array([100, 100, 100]), temperature=300.0)
    assert 1 < len(updates) < 1100


@pytest.mark.parametrize(("gap", "refused"), [(4.0, False), (5.0, True)])
def test_minimum_overlap_is_that_of_adjacent_states(gap, refused):
    """A ladder with one wide step, across which the overlap is 0.05 or 0.014."""
    centers = [0.0, 1.0, 2.0, 2.0 + gap, 3.0 + gap]
    energies = wells(np.random.default_rng(4), centers, [4000] * 5)
    found = mbar(energies, [4000] * 5, temperature=TEMPERATURE, min_overlap=1e-6)
    link, pair = weakest_link(found.overlap, found.samples)
    assert pair == (2, 3)
    # The overlap of the two neighbours is a little less than that of both sides of the step.
    assert 0.5 < 0.5 * (found.overlap[2, 3] + found.overlap[3, 2]) / link <= 1.0
    assert (link < 0.03) is refused
    if refused:
        with pytest.raises(SimulationError, match=r"states 2 and 3 overlap .* allowed: 0\.03"):
            mbar(energies, [4000] * 5, temperature=TEMPERATURE)


def test_many_similar_states_are_accepted():
    """Each of 60 states shares its samples with all others: 1/60 is less than the limit."""
    energies = wells(np.random.default_rng(6), np.linspace(0, 1, 60), [20] * 60)
    found = mbar(energies, [20] * 60, temperature=TEMPERATURE)
    assert found.overlap.max() < 0.03 and found.spectral_gap > 0.5
    assert abs(found.between().value) < 4 * found.between().error


def test_weakest_link_of_constructed_overlap_matrices():
    """Six states in two groups of three, in an order that hides the groups."""
    matrix = np.full((6, 6), 0.02)
    matrix[:3, :3] = matrix[3:, 3:] = 0.94 / 3
    matrix[:3, :3] += 1e-3 * (np.eye(3) - 1 / 3)
    matrix[0, 4] = matrix[4, 0] = 0.021
    order = np.array([0, 3, 1, 4, 2, 5])
    link, pair = weakest_link(matrix[np.ix_(order, order)], np.full(6, 50))
    assert link == pytest.approx(8 * 0.02 + 0.021) and pair == (0, 3)
    apart = np.kron(np.eye(3), np.full((2, 2), 0.5))
    order = np.array([0, 2, 4, 1, 3, 5])
    link, _ = weakest_link(apart[np.ix_(order, order)], np.array([10, 70, 200, 10, 70, 200]))
    assert link == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_weakest_link_is_the_minimum_over_all_divisions(seed):
    """Seven random states are compared over all 63 divisions into two groups."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(50, 200, 7)
    energies = wells(rng, rng.uniform(0, 12, 7), counts)
    found = mbar(energies, counts, temperature=TEMPERATURE, min_overlap=0.0)
    both = 0.5 * (found.overlap + found.overlap.T)
    links = []
    for bits in range(1, 64):
        group = np.array([bits >> n & 1 for n in range(7)], dtype=bool)
        links.append(both[np.ix_(group, ~group)].sum())
    link, _ = weakest_link(found.overlap, counts)
    assert link == pytest.approx(min(links), rel=1e-9)


def test_spectral_gap():
    """1 for one state, 0 for two that are far apart."""
    near = mbar(*_two_wells(1e-3), temperature=TEMPERATURE)
    far = mbar(*_two_wells(20.0), temperature=TEMPERATURE, min_overlap=0.0)
    assert near.spectral_gap > 0.999 and abs(far.spectral_gap) < 1e-6


def _two_wells(distance):
    return wells(np.random.default_rng(8), [0.0, distance], [300, 300]), [300, 300]


def test_bar_matches_pymbar():
    rng = np.random.default_rng(9)
    forward, backward = rng.normal(2.0, 2.0, 400), rng.normal(2.0, 2.0, 150)
    found = bar(KT * forward, KT * backward, temperature=TEMPERATURE).between()
    expected = pymbar.bar(forward, backward, uncertainty_method="MBAR")
    np.testing.assert_allclose(found.value, KT * expected["Delta_f"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.error, KT * expected["dDelta_f"], rtol=0, atol=1e-6)
    assert abs(found.value) < 4 * found.error  # works with mean sigma^2 / 2 both ways: dG = 0
    with pytest.raises(SimulationError, match="states 0 and 1 overlap too little"):
        bar(rng.normal(32.0, 8.0, 500) * KT, rng.normal(32.0, 8.0, 500) * KT, temperature=300)
    with pytest.raises(ConfigError, match=r"found 0 values from state 0 .* exponential_average"):
        bar([], [1.0], temperature=TEMPERATURE)


def test_exponential_average():
    """Works of mean sigma^2 / 2 - 3: dG = -3 kT."""
    rng = np.random.default_rng(10)
    found = exponential_average(KT * (rng.normal(0.5, 1.0, 4000) - 3), temperature=TEMPERATURE)
    assert abs(found.value + 3 * KT) < 4 * found.error < 0.3 * KT
    with pytest.raises(SimulationError, match=r"overlap too little: .* at least 100 and 0\.1"):
        exponential_average(KT * rng.normal(8.0, 4.0, 4000), temperature=TEMPERATURE)


def test_correlated_series_are_thinned():
    """A correlation time of 20 samples leaves one of about 40."""
    white, slow = (
        np.random.default_rng(6).normal(size=2000),
        walk(np.random.default_rng(6), 8000, 20),
    )
    assert len(subsample(white)) > 1500
    assert 130 < len(subsample(slow)) < 300
    assert subsample(np.ones(10)).tolist() == [0]
    with pytest.raises(ConfigError, match=r"found a series of shape \(0,\)"):
        subsample([])


def test_equilibration_is_discarded():
    """A decay over the first 300 of 3000 samples."""
    series = walk(np.random.default_rng(11), 3000, 3) + 30 * np.exp(-np.arange(3000) / 100)
    all_of_it, kept = subsample(series), subsample(series, equilibration=True)
    assert all_of_it[0] == 0 and 200 <= kept[0] <= 900
    assert len(kept) > 3 * len(all_of_it)
    assert abs(series[kept].mean()) < 4 / np.sqrt(len(kept))
    still = np.concatenate([np.arange(50.0), np.zeros(50)])
    assert len(subsample(still, equilibration=True)) >= 1


def test_repeats_are_combined_with_the_larger_error():
    agreeing = combine([Estimate(1.0, 0.3), Estimate(1.1, 0.4)])
    assert agreeing.value == pytest.approx(1.05) and agreeing.error == pytest.approx(0.25)
    scattered = combine([Estimate(value, 0.1) for value in (0.0, 1.0, 2.0, 3.0)])
    assert scattered.error == pytest.approx(np.sqrt(5 / 3) / 2)
    assert combine([Estimate(2.0, 0.5)]) == Estimate(2.0, 0.5)
    with pytest.raises(ConfigError, match="no repeats"):
        combine([])


@pytest.mark.parametrize("seed", range(4))
def test_large_energy_differences_are_solved(seed):
    """A weight from 1 to 0 of an energy of 100 kT: normal gaps, whose mean depends on the weight.

    The solver stops at its start where this is zero for all states (seed 0).
    """
    rng = np.random.default_rng(seed)
    weights, counts, spread = np.array([1.0, 0.5, 0.0]), [99, 87, 79], 2.5
    gaps = np.concatenate(
        [
            rng.normal(-100.0 - spread**2 * weight, spread, size=count)
            for weight, count in zip(weights, counts, strict=True)
        ]
    )
    found = mbar(KT * np.outer(weights, gaps), counts, temperature=TEMPERATURE).between()
    exact = KT * (100.0 + 0.5 * spread**2)
    assert abs(found.value - exact) < 3 * found.error


def test_error_of_a_difference_from_a_mean():
    """Against the covariance matrix that the differences come from."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T
    variances = np.diag(covariance)
    differences = variances[:, None] + variances[None] - 2 * covariance
    weights = np.array([0.0, 0.5, 0.0, 0.3, 0.2])
    vector = np.array([1.0, 0, 0, 0, 0]) - weights
    found = contrast_error(np.sqrt(differences), vector)
    assert found == pytest.approx(np.sqrt(vector @ covariance @ vector))
    with pytest.raises(ConfigError, match="with the sum 0"):
        contrast_error(np.sqrt(differences), weights)


@pytest.mark.parametrize(
    ("energies", "samples"), [([[1.0, 2.0]], [1, 1]), ([[1.0], [2.0]], [1, 1]), ([[], []], [0, 0])]
)
def test_invalid_shapes_are_refused(energies, samples):
    with pytest.raises(ConfigError, match=r"found energies of shape .* allowed: \(states, samples"):
        mbar(energies, samples, temperature=TEMPERATURE)


def test_non_finite_energies_and_zero_temperature_are_refused():
    with pytest.raises(SimulationError, match=r"non-finite energy in state 1 \(sample 2\)"):
        mbar([[0, 0, 0], [0, 0, np.nan]], [2, 1], temperature=TEMPERATURE)
    with pytest.raises(ConfigError, match="found a temperature of 0 K"):
        exponential_average([1.0], temperature=0)
