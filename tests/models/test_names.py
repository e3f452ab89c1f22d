"""print(model) names the model in one short line; the evaluators too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnpmm import load_model
from nnpmm.models import FunctionModel, OpenmmMlModel, TorchScriptModel

WATER = [8, 1, 1]


class Flat(torch.nn.Module):
    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return positions.sum() * 0.0


def no_force(positions, numbers, charge):
    return 0.0, np.zeros_like(positions)


def test_ani():
    model = load_model("ANI-1x", backend="reference", device="cpu")
    expected = (
        "AniModel('ANI-1x', 8 networks, backend='reference', device='cpu', precision='single')"
    )
    assert repr(model) == expected
    assert repr(model.bind(WATER)) == f"AniEvaluator({expected}, 3 atoms)"
    assert "1 network," in repr(load_model("ANI-1x", members=0, device="cpu"))


def test_torchscript(tmp_path):
    path = tmp_path / "flat.pt"
    torch.jit.script(Flat()).save(path)
    model = TorchScriptModel(str(path), "cpu")
    assert repr(model) == f"TorchScriptModel(path={str(path)!r}, device='cpu')"
    assert repr(model.bind(WATER)) == f"TorchScriptEvaluator({model!r}, 3 atoms)"


def test_openmm_ml_hides_its_arguments():
    model = OpenmmMlModel("ase", arguments={"calculator": np.zeros(1000)})
    assert repr(model) == "OpenmmMlModel('ase', device='auto', calculator=...)"


def test_openmm_ml_evaluator():
    pytest.importorskip("openmmml")
    calculators = pytest.importorskip("ase.calculators.lj")
    model = OpenmmMlModel("ase", arguments={"calculator": calculators.LennardJones()})
    assert repr(model.bind(WATER)) == f"OpenmmMlEvaluator({model!r}, 3 atoms)"


def test_function():
    model = FunctionModel(no_force, name="flat", elements=("H", "O"))
    assert repr(model) == "FunctionModel('flat', H O)"
    assert repr(model.bind(WATER)) == "FunctionEvaluator(FunctionModel('flat', H O), 3 atoms)"
