"""The callback of a step: what it checks, and what it leaves to the public interface."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from toy import TOY

from nnpmm.core.errors import SimulationError
from nnpmm.coupling.callback import (
    NON_FINITE_ENERGY,
    BoxCallback,
    RegionCallback,
    spans_less_than_half,
)
from nnpmm.models import FunctionModel

WATER = np.array([[0, 0, 0], [0.076, 0.059, 0], [-0.076, 0.059, 0]])
BONDS = np.array([[0, 1], [0, 2]])


def state_at(positions) -> openmm.State:
    """Return the State of particles at some positions, as a callback receives it."""
    system = openmm.System()
    for _ in positions:
        system.addParticle(1.0)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(positions=True)


def flat(energy):
    """Return a network with constant energy."""
    model = FunctionModel(lambda positions, *_: (energy, np.zeros_like(positions)), "flat")
    return model.bind([8, 1, 1])


def region_callback(evaluator):
    return RegionCallback(evaluator, BONDS, periodic=True, exact_to_half_box=True)


def test_callback_returns_the_energy_and_forces_of_the_evaluator():
    expected = TOY.bind([8, 1, 1])(WATER)
    energy, forces = region_callback(TOY.bind([8, 1, 1]))(state_at(WATER))
    assert energy == pytest.approx(expected[0], abs=1e-9)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("make", [region_callback, BoxCallback])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_position_stops_the_run(make, bad):
    """Such atoms have no neighbours, so the energy would be finite."""
    broken = WATER.copy()
    broken[1, 2] = bad
    with pytest.raises(SimulationError, match="non-finite position of region atom 1"):
        make(flat(0.0))(state_at(broken))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_energy_stops_the_run(bad):
    with pytest.raises(SimulationError, match=NON_FINITE_ENERGY):
        region_callback(flat(bad))(state_at(WATER))


def test_callback_skips_unit_conversion_and_checks(monkeypatch):
    def refuse(*_):
        raise AssertionError("a step converts units or checks shapes")

    callback = region_callback(TOY.bind([8, 1, 1]))
    for name in ("in_md_units", "checked_positions", "check_geometry"):
        monkeypatch.setattr(f"nnpmm.models.bound.{name}", refuse)
    assert np.isfinite(callback(state_at(WATER))[0])


@pytest.mark.parametrize(
    "box", [np.diag([2.0, 2.5, 3.0]), [[2.0, 0.0, 0.0], [0.9, 2.1, 0.0], [-0.8, 0.7, 2.4]]]
)
def test_region_narrower_than_half_the_box_is_left_as_it_is(box):
    """If the one fast check holds, the three slower steps change nothing, for two molecules."""
    callback = RegionCallback(TOY.bind([8, 1, 1, 8]), BONDS, periodic=True, exact_to_half_box=True)
    rng, skipped, box = np.random.default_rng(3), 0, np.array(box)
    for scale in rng.uniform(0.8, 1.8, 300):
        positions = rng.uniform(-5, 5, 3) + scale * rng.uniform(0, 0.5, (4, 3)) @ box
        if spans_less_than_half(positions, box):
            np.testing.assert_array_equal(callback._joined(positions, box), positions)
            skipped += 1
        for bad in (np.nan, np.inf, -np.inf):
            broken = positions.copy()
            broken[2, 1] = bad
            with np.errstate(invalid="ignore"):
                assert not spans_less_than_half(broken, box)
    assert 30 < skipped < 270
