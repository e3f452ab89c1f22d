"""AIMNet2 against the TorchScript file in which it was published, and against values it gave."""

from __future__ import annotations

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from aimnet2_file import VALUES, PublishedFile
from conftest import aimnet_file, load_aimnet

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.backends import BACKENDS
from nnpmm.models.aimnet.weights import PUBLISHED

ENERGY_TOLERANCE, FORCE_TOLERANCE, CHARGE_TOLERANCE = 0.01, 0.5, 1e-5
MOLECULES = json.loads(VALUES.read_text())["molecules"]


@pytest.fixture(scope="module")
def published():
    return PublishedFile(aimnet_file())


@pytest.fixture(scope="module", params=product(BACKENDS, ["single", "double"]), ids="-".join)
def model(request):
    backend, precision = request.param
    return load_aimnet(backend=backend, precision=precision)


def assert_equal(model, numbers, positions, charge, expected):
    evaluator = model.bind(numbers, charge)
    found = evaluator.evaluate(positions)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=FORCE_TOLERANCE)
    np.testing.assert_allclose(
        found.member_energies, expected.member_energies, rtol=0, atol=ENERGY_TOLERANCE
    )
    charges = evaluator.charges(positions)
    np.testing.assert_allclose(charges, expected.charges, rtol=0, atol=CHARGE_TOLERANCE)


@pytest.mark.parametrize("name", MOLECULES)
def test_energies_and_forces_match_stored_values(model, name):
    values = {
        key: np.array(value) if isinstance(value, list) else value
        for key, value in MOLECULES[name].items()
    }
    numbers, positions, charge = (values.pop(key) for key in ("numbers", "positions", "charge"))
    assert_equal(model, numbers, positions, charge, SimpleNamespace(**values))


def test_stored_values_cover_charges_and_elements():
    assert {molecule["charge"] for molecule in MOLECULES.values()} == {-2, -1, 0, 1, 2}
    numbers = {number for molecule in MOLECULES.values() for number in molecule["numbers"]}
    assert numbers == {1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53}


@pytest.mark.parametrize("charge", [-2, -1, 0, 1, 2])
def test_all_elements_together_in_every_charge_state(model, published, charge):
    """A cluster as no molecule is, so that every pair of elements is near."""
    generator = np.random.default_rng(3)
    elements = [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53]
    numbers = np.array([*elements, *generator.permutation(elements)[:12]])
    numbers = np.append(numbers, 6 if (numbers.sum() - charge) % 2 == 0 else 7)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) * 0.2
    positions = grid + generator.normal(scale=0.01, size=grid.shape)
    expected = published.evaluate(numbers, positions, charge)
    assert_equal(model, numbers, positions, charge, expected)


def test_single_member_matches_stored_values(published):
    numbers, positions = (np.array(MOLECULES["acetate"][key]) for key in ("numbers", "positions"))
    expected = published.evaluate(numbers, positions, -1)
    found = load_aimnet(members=[3, 1]).bind(numbers, -1).evaluate(positions)
    np.testing.assert_allclose(
        found.member_energies, expected.member_energies[[3, 1]], rtol=0, atol=ENERGY_TOLERANCE
    )
    assert found.energy == pytest.approx(found.member_energies.mean(), rel=0, abs=1e-9)
    assert np.ptp(expected.member_energies) > 1.0  # the members differ


def test_total_energies_match_the_file():
    """With self energies: the file adds them in float32, to a few tenths of kJ/mol at worst."""
    water = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    data = {
        "coord": torch.tensor(10 * water[None], dtype=torch.float32),
        "numbers": torch.tensor([[8, 1, 1]]),
        "charge": torch.zeros(1),
    }
    expected = EV_TO_KJ_PER_MOL * torch.jit.load(aimnet_file())(data)["energy"].item()
    evaluator = load_aimnet().bind([8, 1, 1])
    total = evaluator(water)[0] + evaluator.energy_offset
    assert total == pytest.approx(expected, rel=0, abs=0.05)


def test_digest_matches_the_published_file(model):
    assert model.parameters.digest() == PUBLISHED["AIMNet2"].digest
