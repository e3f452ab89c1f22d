"""Evaluators refuse coincident atoms and warn of angstrom, but not at each step of dynamics."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import openmm
import pytest
import torch

from nnpmm.core.errors import SimulationError
from nnpmm.models import FunctionModel, OpenMMPotential, TorchScriptModel, load_model
from nnpmm.models.geometry import _closest_images, check_geometry

WATER = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
NUMBERS = [8, 1, 1]


class Flat(torch.nn.Module):
    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return positions.sum() * 0.0


def _ani(folder):
    return load_model("ANI-1x", members=0, device="cpu")


def _torchscript(folder):
    torch.jit.script(Flat()).save(folder / "flat.pt")
    return TorchScriptModel(str(folder / "flat.pt"), "cpu")


def _force_field(folder):
    system = openmm.System()
    for _ in NUMBERS:
        system.addParticle(1.0)
    return OpenMMPotential(system)


@pytest.fixture(params=[_ani, _torchscript, _force_field])
def evaluator(request, tmp_path):
    return request.param(tmp_path).bind(NUMBERS)


@pytest.mark.parametrize("close", [0.0, 0.019])
def test_coincident_atoms_are_refused(evaluator, close):
    positions = WATER.copy()
    positions[2] = positions[1] + [0, 0, close]
    for call in (evaluator, evaluator.evaluate, evaluator.member_energies):
        with pytest.raises(SimulationError, match=r"atoms 1 and 2 .* allowed: 0.02 nm"):
            call(positions)
    with pytest.raises(SimulationError, match="atoms 1 and 2"):
        evaluator.batch(np.array([WATER, positions]))


BOXES = {
    "cubic": 2.2 * np.eye(3),
    "truncated octahedron": 2.6 * np.array([[1, 0, 0], [1 / 3, 0.943, 0], [-1 / 3, 0.471, 0.816]]),
}


@pytest.mark.parametrize("images", [(1, 0, 0), (0, -1, 0), (0, 0, 1), (-1, 1, 1), (3, -2, 5)])
@pytest.mark.parametrize("shape", BOXES)
def test_atoms_that_coincide_with_images_are_refused(shape, images):
    box, evaluator = BOXES[shape], load_model("ANI-1x", members=0, device="cpu").bind(NUMBERS)
    positions = WATER.copy()  # at a corner of the cell
    positions[2] = positions[1] + [0, 0.015, 0] + images @ box
    for call in (evaluator, evaluator.evaluate, evaluator.member_energies):
        with pytest.raises(SimulationError, match=r"atoms 1 and 2 .* 0.0150 nm apart"):
            call(positions, box)
    assert np.isfinite(evaluator(WATER + images @ box, box)[0])


def test_a_box_is_checked_before_its_images(evaluator):
    with pytest.raises(SimulationError, match=r"found a box of shape \(2, 3\)"):
        evaluator(WATER, np.eye(3)[:2])


def test_bonds_across_the_boundary_give_no_warning():
    box, evaluator = BOXES["cubic"], load_model("ANI-1x", members=0, device="cpu").bind(NUMBERS)
    torn = WATER + np.array([[2.2, 0, 0], [0, 0, 0], [0, 0, 2.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluator(torn, box)
    far = np.array([[0, 0, 0], [1.1, 0, 0], [0, 1.1, 0]])
    with pytest.warns(UserWarning, match=r"every atom is 1\.10 nm or more from all others"):
        evaluator(far, box)


@pytest.mark.parametrize("shape", BOXES)
def test_closest_pair_in_a_box_includes_all_images(shape):
    box, rng = BOXES[shape], np.random.default_rng(5)
    shifts = np.array(list(itertools.product(range(-4, 5), repeat=3))) @ box
    for _ in range(5):
        positions = rng.uniform(-2, 4, size=(8, 3))
        vectors = positions[:, None, None] - positions[:, None] - shifts
        distances = np.linalg.norm(vectors, axis=-1)
        distances[distances == 0] = np.inf  # each atom and itself
        i, j, _ = np.unravel_index(distances.argmin(), distances.shape)
        found = _closest_images(positions, box)
        assert found[:2] == (min(i, j), max(i, j))
        assert abs(found[2] - distances.min()) < 1e-12


def test_positions_in_angstrom_give_a_warning(evaluator):
    calls = (evaluator, evaluator.evaluate, evaluator.member_energies, check_geometry)
    for call in calls:  # at different depths in nnpmm
        with pytest.warns(UserWarning, match="divide by 10 if these are in angstrom") as caught:
            call(10 * WATER)
        assert caught[0].filename == __file__  # the user's line


def test_steps_of_dynamics_are_not_checked(evaluator, monkeypatch):
    def refuse(positions):
        raise AssertionError("the geometry is checked")

    for module in ("bound", "ani.model"):
        monkeypatch.setattr(f"nnpmm.models.{module}.check_geometry", refuse)
    assert np.isfinite(evaluator.at_each_step(WATER)[0])


def test_geometries_of_function_models_are_not_checked():
    flat = FunctionModel(lambda positions, *_: (0.0, np.zeros_like(positions)), "flat")
    assert flat.bind(NUMBERS)(np.zeros((3, 3)))[0] == 0


def test_legitimate_geometries_are_accepted():
    """Fragments that part, compressed atoms, one atom: neither refused nor warned of."""
    model = load_model("ANI-1x", members=0, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.bind([8, 1, 1, 8, 1, 1])(np.concatenate([WATER, WATER + 3.0]))
        model.bind(NUMBERS)(np.array([[0, 0, 0], [0.096, 0, 0], [5.0, 0, 0]]))
        model.bind(NUMBERS)(0.4 * WATER)
        model.bind([6])(np.zeros((1, 3)))
