"""Rotamers, barriers and differences of analytic profiles."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm.torsions.profiles import barrier_heights, compare_profiles, maxima, rotamers
from nnpmm.torsions.scan import grid

ANGLES = grid(15.0)
RADIANS = np.radians(ANGLES)


def test_rotamers_and_barriers_of_butane_as_textbooks_draw_it():
    energies = 3.0 * (1 + np.cos(RADIANS)) + 6.0 * (1 + np.cos(3 * RADIANS))
    assert ANGLES[rotamers(energies)].tolist() == [-60.0, 60.0, 180.0]
    assert ANGLES[maxima(energies)].tolist() == [-120.0, 0.0, 120.0]
    heights = barrier_heights(energies, rotamers(energies))
    np.testing.assert_allclose(heights, [18.0, 13.5, 13.5], atol=1e-12, rtol=0)


def test_extrema_at_the_end_of_the_circle_count_once():
    assert ANGLES[maxima(10.0 * np.cos(RADIANS - np.pi))].tolist() == [180.0]
    assert len(rotamers(np.zeros(24))) == 0


def test_ripples_are_no_rotamers():
    energies = 20.0 * np.cos(RADIANS) + 0.1 * np.cos(12 * RADIANS)
    assert ANGLES[rotamers(energies)].tolist() == [180.0]


def test_differences():
    first = 10.0 * (1 + np.cos(2 * RADIANS))
    second = 14.0 * (1 + np.cos(2 * RADIANS)) + 55.0
    found = compare_profiles(first, second)
    assert found.rmse == pytest.approx(4.0 / np.sqrt(2))
    assert found.mae_from_minimum == pytest.approx(4.0)
    assert found.barrier == pytest.approx(8.0)
    assert found.rotamer == pytest.approx(0.0, abs=1e-9)
    swapped = compare_profiles(second, first)
    assert swapped.barrier == pytest.approx(-8.0)
    assert swapped.rmse == pytest.approx(found.rmse)


def test_rotamers_of_either_profile_are_compared():
    first = 10.0 * (1 + np.cos(RADIANS))  # one rotamer, at 180
    second = 10.0 * (1 - np.cos(RADIANS))  # one rotamer, at 0
    assert compare_profiles(first, second).rotamer == pytest.approx(20.0)


def test_angles_without_a_reference_are_left_out():
    first = 10.0 * (1 + np.cos(2 * RADIANS))
    second = first + 3.0
    second[[2, 5]] = 900.0
    first[[2, 5]] = np.nan
    assert compare_profiles(first, second).rmse == pytest.approx(0.0, abs=1e-9)
