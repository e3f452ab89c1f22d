"""Copies of a System share what this process has loaded; another process reads it again."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import subprocess
import sys

import numpy as np
import openmm
import pytest
from rdkit import Chem

from nnpmm.core.errors import ModelError, WeightsError
from nnpmm.coupling.transports import create_region_force
from nnpmm.models import FunctionModel, load_model
from nnpmm.models.ani import AniModel
from nnpmm.models.preparation import prepare_nnp

WATER = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
NUMBERS = [8, 1, 1]
UNPICKLE = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"


def _system(model) -> openmm.System:
    system = openmm.System()
    for mass in (16.0, 1.0, 1.0):
        system.addParticle(mass)
    bonds = np.array([[0, 1], [0, 2]])
    system.addForce(
        create_region_force(
            model.bind(NUMBERS), np.arange(3), bonds, periodic=False, exact_to_half_box=False
        )
    )
    return system


def _energy(system: openmm.System) -> float:
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(WATER)
    return context.getState(energy=True).getPotentialEnergy()._value


def _copies(system: openmm.System) -> list[openmm.System]:
    written = openmm.XmlSerializer.serialize(system)
    return [copy.deepcopy(system), openmm.XmlSerializer.deserialize(written)]


def _own_function():
    return FunctionModel(lambda x, numbers, charge: (float((x**2).sum()), -2 * x))


def test_copies_read_no_weights(monkeypatch):
    model = load_model("ANI-1x", members=[0, 1], device="cpu")
    system = _system(model)

    def refuse(*arguments):
        raise AssertionError("the weights are read again")

    monkeypatch.setattr("nnpmm.models.ani.family.find_weights", refuse)
    monkeypatch.setattr("nnpmm.models.ani.cpu.kernel.pack_networks", refuse)
    for again in _copies(system):
        assert _energy(again) == _energy(system)


@pytest.mark.parametrize("kind", ["parameters", "function"])
def test_models_in_memory_are_copied(ani1x, kind):
    model = AniModel(ani1x.parameters.subset(3)) if kind == "parameters" else _own_function()
    system = _system(model)
    for again in _copies(system):
        assert _energy(again) == _energy(system)


def test_copy_keeps_the_parameters_of_the_original(ani1x):
    model = AniModel(ani1x.parameters.subset(4))
    again = _copies(_system(model))[1]
    expected = model.bind(NUMBERS)(WATER)[0]
    del model
    gc.collect()
    assert _energy(again) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", ["parameters", "function"])
def test_models_in_memory_do_not_reach_another_process(ani1x, kind, tmp_path):
    model = AniModel(ani1x.parameters.subset(3)) if kind == "parameters" else _own_function()
    path = tmp_path / "evaluator"
    path.write_bytes(pickle.dumps(model.bind(NUMBERS)))
    command = [sys.executable, "-c", UNPICKLE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "ModelError" in done.stderr.splitlines()[-1], done.stderr
    assert "not in the memory of this process" in done.stderr


def test_copy_of_a_deleted_model_is_an_error(ani1x):
    model = AniModel(ani1x.parameters.subset(5))
    stored = pickle.dumps(model)
    del model
    gc.collect()
    with pytest.raises(ModelError, match="not in the memory of this process"):
        pickle.loads(stored)


@pytest.mark.parametrize(
    ("file", "error"), [("model.json", WeightsError), ("model.pt", ModelError)]
)
def test_changed_file_is_refused(paracetamol, tmp_path, file, error):
    """A copy in the same process uses the model in memory; reading a changed file is refused."""
    (tmp_path / "drug.sdf").write_text(Chem.MolToMolBlock(paracetamol) + "$$$$\n")
    for folder, member in (("a", 6), ("b", 7)):  # no other test has these in memory
        prepare_nnp(
            tmp_path / "drug.sdf", "all", "ANI-1x", members=[member], output=tmp_path / folder
        )
    numbers = [atom.GetAtomicNum() for atom in paracetamol.GetAtoms()]
    evaluator = load_model(tmp_path / "a" / file).bind(numbers)
    stored = pickle.dumps(evaluator)
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    assert pickle.loads(stored) is evaluator
    del evaluator
    gc.collect()
    with pytest.raises(error, match="changed since"):
        pickle.loads(stored)


def test_other_options_give_other_evaluators(ani1x):
    parameters = ani1x.parameters.subset(0)
    single, double = (
        AniModel(parameters, backend="reference", precision=p).bind(NUMBERS)
        for p in ("single", "double")
    )
    again = [pickle.loads(pickle.dumps(x)) for x in (single, double)]
    assert [x.model.precision for x in again] == ["single", "double"]
    assert pickle.loads(pickle.dumps(single)) is single
