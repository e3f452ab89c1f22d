"""Published figures and real ligands: ANI-2x and ANI-1ccx from the model zoo."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import load_with, model_directory, shared_data, usable_backends

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models import load_model
from nnpmm.models.ani import BACKENDS
from nnpmm.structures.readers import read_structure

pytestmark = pytest.mark.data

METHANE = 0.1 * np.array(
    [
        [0.03192167, 0.00638559, 0.01301679],
        [-0.83140486, 0.39370209, -0.26395324],
        [-0.66518241, -0.84461308, 0.20759389],
        [0.45554739, 0.54289633, 0.81170881],
        [0.66091919, -0.16799635, -0.91037834],
    ]
)
# hartree/angstrom, printed by torchani's documentation for this geometry.
METHANE_FORCES = [
    [0.0478, -0.1304, -0.0551],
    [-0.1353, 0.1581, -0.0776],
    [0.0804, -0.0388, 0.0387],
    [0.0254, 0.0076, 0.0433],
    [-0.0183, 0.0035, 0.0508],
]
METHANE_ENERGY = -40.459790705  # hartree, eight networks (SCINE parrot's tests)
BOHR_IN_ANGSTROM = 0.529177210903


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_methane_ani2x(backend):
    model = load_with("ANI-2x", backend, weights=model_directory())
    evaluator = model.bind([6, 1, 1, 1, 1])
    energy, forces = evaluator(METHANE)
    total = (energy + evaluator.energy_offset) / HARTREE_TO_KJ_PER_MOL
    np.testing.assert_allclose(total, METHANE_ENERGY, rtol=0, atol=1e-7)
    in_hartree = forces / HARTREE_TO_KJ_PER_MOL / 10
    np.testing.assert_allclose(in_hartree, METHANE_FORCES, rtol=0, atol=5.1e-5)
    carbon_gradient = [-0.02528022, 0.06900198, 0.02918080]  # hartree/bohr, SCINE parrot
    np.testing.assert_allclose(
        -in_hartree[0] * BOHR_IN_ANGSTROM, carbon_gradient, rtol=0, atol=3e-7
    )


@pytest.mark.parametrize("name", ["ANI-2x", "ANI-1ccx"])
def test_backends_agree_on_a_real_ligand(name):
    structure = read_structure(shared_data("cb7-b2/b2_tripos.mol2"))
    numbers = [atom.element.atomic_number for atom in structure.topology.atoms()]
    results = [
        load_model(name, backend=backend, precision=precision, weights=model_directory())
        .bind(numbers)
        .evaluate(structure.positions)
        for backend, precision in sorted(usable_backends(), key=lambda choice: choice[1])
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other.energy, results[0].energy, rtol=0, atol=0.01)
        np.testing.assert_allclose(other.forces, results[0].forces, rtol=0, atol=0.5)


@pytest.mark.parametrize("ligand", ["3hkw", "3lka"])
def test_sulfur_and_fluorine(ligand):
    """All of C, H, N, O, F, S in drug molecules; chlorine below."""
    structure = read_structure(shared_data(f"nnpops-ligands/{ligand}_ligand.mol2"))
    numbers = [atom.element.atomic_number for atom in structure.topology.atoms()]
    _assert_single_equals_torchani_double(numbers, structure.positions)


def test_all_seven_elements_together():
    generator = np.random.default_rng(11)
    numbers = [1, 6, 7, 8, 9, 16, 17, 17, 9, 16, 1]
    positions = generator.uniform(0, 0.45, size=(len(numbers), 3))
    _assert_single_equals_torchani_double(numbers, positions, force_tolerance=5.0)


def _assert_single_equals_torchani_double(numbers, positions, force_tolerance=0.5):
    weights = model_directory()
    exact = load_model("ANI-2x", backend="torchani", precision="double", weights=weights)
    expected = exact.bind(numbers).evaluate(positions)
    for backend in ("cpu", "reference"):
        fast = load_model("ANI-2x", backend=backend, weights=weights)
        found = fast.bind(numbers).evaluate(positions)
        np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=0.01)
        np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=force_tolerance)
        double = dataclasses.replace(fast, precision="double")
        found = double.bind(numbers).evaluate(positions)
        np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=1e-6)
        # torchani's forces carry the 1 / alpha of torch.celu in single precision.
        np.testing.assert_allclose(found.forces, expected.forces, rtol=3e-8, atol=1e-4)
