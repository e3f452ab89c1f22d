"""The checks of ``contracts`` turn red for a small fault of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from contracts import assert_conserves_energy, assert_jumps_like, assert_smooth

CUTOFF = 0.5


def spring(positions, *, jump=0.0, step=0.0, scale=1.0):
    """A spring between two atoms; within a cutoff energy and force may be off by a constant."""
    bond = positions[1] - positions[0]
    r = np.linalg.norm(bond)
    energy = 0.5 * 2e5 * (r - 0.1) ** 2 + (jump if r < CUTOFF else 0.0)
    pull = 2e5 * (r - 0.1) + (step if r < CUTOFF else 0.0)
    force = scale * pull * bond / r
    return energy, np.array([force, -force])


def with_(**fault):
    return lambda positions: spring(positions, **fault)


# Atoms 0.5 nm apart, give or take 1e-6 nm: 2e5 kJ/mol/nm^2 leave 2e-7 kJ/mol for a smooth spring.
PATH = np.zeros((8, 2, 3))
PATH[:, 1, 0] = CUTOFF + 1e-6 * (np.arange(8) - 3.5)


def test_jumps_are_found():
    bounds = {"energy_atol": 1e-5, "force_atol": 0.01}
    assert_smooth(spring, PATH, **bounds)
    for fault in ({"jump": 1e-4}, {"step": 0.1}):
        with pytest.raises(AssertionError):
            assert_smooth(with_(**fault), PATH, **bounds)


def test_another_jump_is_found():
    jumping = with_(jump=0.02, step=1.0)
    assert_jumps_like(jumping, jumping, PATH, atol=1e-3)
    for fault in ({"jump": 0.022}, {"jump": 0.02, "step": 1.1}):
        with pytest.raises(AssertionError):
            assert_jumps_like(with_(**fault), jumping, PATH, atol=1e-3)
    with pytest.raises(AssertionError, match="does not jump"):
        assert_jumps_like(spring, spring, PATH, atol=1e-3)


@pytest.mark.parametrize("scale", [0.99, 1.01])
def test_forces_one_percent_off_do_not_conserve_energy(scale):
    start, masses = np.array([[0.0, 0, 0], [0.11, 0, 0]]), np.array([12.0, 1.0])
    assert_conserves_energy(spring, start, masses)
    with pytest.raises(AssertionError, match="the total energy spreads"):
        assert_conserves_energy(with_(scale=scale), start, masses)
