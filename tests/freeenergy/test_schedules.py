"""States at equal thermodynamic length, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from test_estimators import KT, TEMPERATURE

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy import place_states, thermodynamic_lengths

PARTICLES = 3  # coordinates of each oscillator


def springs(constants, n=4000, seed=1):
    """Energies of springs, (n, K) kJ/mol, with PARTICLES coordinates."""
    rng = np.random.default_rng(seed)
    constants = np.asarray(constants)
    squares = (rng.normal(size=(len(constants), n, PARTICLES)) ** 2).sum(-1) / constants[:, None]
    return [0.5 * KT * constants * x[:, None] for x in squares]


def test_lengths_between_springs():
    """The metric of ln k is n/2: the length is (n/2)^(1/2) ln(k/k0)."""
    constants = [1.0, 1.5, 3.0, 4.0, 8.0]
    found = thermodynamic_lengths(springs(constants), temperature=TEMPERATURE)
    exact = (PARTICLES / 2) ** 0.5 * np.diff(np.log(constants))
    np.testing.assert_allclose(found, exact, rtol=0.04)


def test_lengths_between_shifted_wells():
    """Normal distributions of one width: the length is their distance in standard deviations."""
    rng, centres = np.random.default_rng(2), np.array([0.0, 0.5, 2.0, 5.0])
    windows = [
        0.5 * KT * (rng.normal(centre, 1.0, 5000)[:, None] - centres) ** 2 for centre in centres
    ]
    found = thermodynamic_lengths(windows, temperature=TEMPERATURE)
    np.testing.assert_allclose(found, np.diff(centres), rtol=0.04)


def test_springs_are_placed_in_a_geometric_progression():
    """The states of the pilot are not in a geometric progression."""
    constants = [1.0, 1.4, 1.8, 5.0, 7.0, 16.0]
    lengths = thermodynamic_lengths(springs(constants), temperature=TEMPERATURE)
    placed = place_states(constants, lengths, count=5)
    np.testing.assert_allclose(placed, [1, 2, 4, 8, 16], rtol=0.06)
    again = thermodynamic_lengths(springs(placed, seed=3), temperature=TEMPERATURE)
    assert again.max() / again.min() < 1.1
    before = thermodynamic_lengths(springs(np.linspace(1, 16, 5)), temperature=TEMPERATURE)
    assert before.max() / before.min() > 5


def test_equal_lengths_keep_the_states():
    values = [1.0, 0.7, 0.3, 0.2, 0.0]
    np.testing.assert_allclose(place_states(values, np.ones(4), count=5), values, atol=1e-12)
    np.testing.assert_allclose(place_states([0, 1, 2], [3, 3], count=5), [0, 0.5, 1, 1.5, 2])


def test_intervals_of_zero_length_get_no_states():
    placed = place_states([1.0, 0.5, 0.0], [0.0, 2.0], count=4)
    assert placed[0] == 1.0 and (placed[1:] < 0.5).all() and np.all(np.diff(placed) < 0)


def test_pilot_without_overlap_is_refused():
    with pytest.raises(SimulationError, match="states weak and stiff of the pilot have"):
        thermodynamic_lengths(
            springs([1.0, 2.0, 1e5]), temperature=TEMPERATURE, names=["soft", "weak", "stiff"]
        )


@pytest.mark.parametrize(
    ("values", "lengths", "count", "words"),
    [
        ([1.0, 0.0], [1.0], 1, "2 states of a pilot and 1 to place"),
        ([1.0, 0.2, 0.5], [1.0, 1.0], 3, "rising or falling"),
        ([1.0, 0.5, 0.0], [1.0], 3, "a number of 0 or more"),
        ([1.0, 0.5, 0.0], [1.0, -1.0], 3, "a number of 0 or more"),
    ],
)
def test_invalid_pilots_are_refused(values, lengths, count, words):
    with pytest.raises(ConfigError, match=words):
        place_states(values, lengths, count=count)
