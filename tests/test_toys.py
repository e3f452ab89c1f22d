"""Small potentials of the tests have all that the protocols ask for, as the real ones do."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conftest import ROOT
from contracts import assert_forces_match_energy

from nnpmm.models import Evaluator, Potential

TOYS = {
    "toy": ("coupling", lambda module: module.TOY, [8, 1, 1]),
    "stiff_bond": ("freeenergy", lambda module: module.STIFF, [6, 8]),
    "toys": ("simulation", lambda module: module.SpringModel(), [8, 1, 1]),
}
BENT = np.array([[0.0, 0, 0], [0.1, 0, 0], [-0.024, 0.093, 0]])


@pytest.mark.parametrize("module", TOYS)
def test_toys_are_potentials(monkeypatch, module):
    folder, pick, numbers = TOYS[module]
    monkeypatch.syspath_prepend(ROOT / "tests" / folder)
    potential = pick(importlib.import_module(module))
    evaluator = potential.bind(numbers)
    assert isinstance(potential, Potential)
    assert isinstance(evaluator, Evaluator)
    positions = BENT[: len(numbers)]
    found = evaluator.evaluate(positions)
    assert found.energy == pytest.approx(found.member_energies.mean(), abs=1e-9)
    assert_forces_match_energy(evaluator, positions, atol=0.01)
    batch = evaluator.batch(np.stack([positions, 1.01 * positions]))
    assert batch.forces.shape == (2, len(numbers), 3)
    np.testing.assert_allclose(batch.energies[0], found.energy, rtol=0, atol=1e-9)
