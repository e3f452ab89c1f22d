"""Evaluators refuse coincident atoms and warn of angstrom, but not at each step of dynamics."""

from __future__ import annotations

import warnings

import numpy as np
import openmm
import pytest
import torch

from nnpmm.core.errors import SimulationError
from nnpmm.models import FunctionModel, OpenMMPotential, TorchScriptModel, load_model

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


def test_positions_in_angstrom_are_warned_of(evaluator):
    with pytest.warns(UserWarning, match="divide by 10 if these are in angstrom"):
        evaluator(10 * WATER)


def test_steps_of_dynamics_are_not_checked(evaluator, monkeypatch):
    def refuse(positions):
        raise AssertionError("the geometry is checked")

    for module in ("bound", "ani.model"):
        monkeypatch.setattr(f"nnpmm.models.{module}.check_geometry", refuse)
    assert np.isfinite(evaluator.at_each_step(WATER)[0])


def test_a_function_may_describe_anything():
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
