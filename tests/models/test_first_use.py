"""A fast kernel that is wrong on this machine is left, or said to be wrong."""

from __future__ import annotations

import dataclasses
import pickle
import warnings

import numpy as np
import pytest

from nnpmm.core.errors import SimulationError
from nnpmm.models.ani import BACKENDS, AniModel
from nnpmm.models.backends import Backend

WATER = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
NUMBERS = [8, 1, 1]


class _Faulty:
    """The reference with a fault."""

    def __init__(self, parameters, symbols, device, precision, threads, *, fault):
        if fault == "start":
            raise RuntimeError("no kernel image is available\nfor execution on the device")
        self.kernel = BACKENDS["reference"].factory(parameters, symbols, device, "double", threads)
        self.fault = fault
        self.evaluations = 0

    def evaluate(self, positions, box):
        self.evaluations += 1
        found = self.kernel.evaluate(positions, box)
        if self.fault == "energy":
            return found._replace(energy=found.energy + 0.02)
        if self.fault == "force":
            forces = found.forces.copy()
            forces[1, 2] += 0.6
            return found._replace(forces=forces)
        if self.fault == "nan":
            return found._replace(forces=found.forces * np.nan)
        if self.fault == "crash":
            raise RuntimeError("PassManager::run failed\nsomewhere")
        if self.fault == "input":
            raise SimulationError("atoms overlap")
        if self.fault == "rounding":
            return found._replace(energy=found.energy + 0.005, forces=found.forces + 0.1)
        return found

    def member_energies(self, positions, box):
        return self.evaluate(positions, box).member_energies

    def batch(self, positions):
        return self.kernel.batch(positions)


@pytest.fixture
def parameters(ani1x):
    return ani1x.parameters.subset([0, 1])


@pytest.fixture
def expected(parameters):
    model = AniModel(parameters, backend="reference", device="cpu", precision="double")
    return model.bind(NUMBERS)(WATER)


@pytest.fixture
def fast(monkeypatch):
    """Put a faulty backend before the others, as triton is on a GPU."""

    def install(fault, *, compared=True):
        def factory(*arguments):
            return _Faulty(*arguments, fault=fault)

        others = {name: b for name, b in BACKENDS.items() if name != "fast"}
        BACKENDS.clear()
        BACKENDS["fast"] = Backend("for tests", factory, lambda: None, compared=compared)
        BACKENDS.update(others)

    kept = dict(BACKENDS)
    yield install
    BACKENDS.clear()
    BACKENDS.update(kept)


FAULTS = {
    "energy": "differs from the float64 reference by 0.02 kJ/mol",
    "force": "0.6 kJ/mol/nm, allowed: 0.01 and 0.5",
    "nan": "nan kJ/mol/nm",
    "crash": "fails .RuntimeError: PassManager::run failed",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("first", ["call", "members", "batch", "tensors", "step"])
def test_auto_replaces_a_kernel_with_wrong_results(fast, parameters, expected, fault, first):
    fast(fault)
    evaluator = AniModel(parameters, device="cpu").bind(NUMBERS)
    assert evaluator.backend == "fast"
    with pytest.warns(RuntimeWarning, match=FAULTS[fault]) as caught:
        if first == "call":
            found = evaluator(WATER)
        elif first == "members":
            found = (evaluator.member_energies(WATER).mean(), expected[1])
        elif first == "batch":
            batch = evaluator.batch(WATER[None])
            found = (batch.energies[0], batch.forces[0])
        elif first == "tensors":
            import torch

            energy, forces = evaluator.evaluate_tensors(torch.tensor(WATER))
            found = (float(energy), forces.numpy())
        else:
            found = evaluator.at_each_step(WATER)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the user's line
    assert "'cpu' is used instead" in str(caught[0].message)
    assert evaluator.backend == "cpu"
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=0.5)


def test_auto_replaces_a_kernel_that_cannot_start(fast, parameters, expected):
    fast("start")
    with pytest.warns(RuntimeWarning, match=r"'fast' on cpu cannot start .*no kernel image") as got:
        evaluator = AniModel(parameters, device="cpu").bind(NUMBERS)
    assert got[0].filename == __file__
    assert "\n" not in str(got[0].message)
    assert evaluator.backend == "cpu"
    np.testing.assert_allclose(evaluator(WATER)[0], expected[0], rtol=0, atol=0.01)


@pytest.mark.parametrize("fault", ["none", "rounding"])
def test_correct_kernel_is_kept_and_compared_once(fast, parameters, fault):
    fast(fault)
    evaluator = AniModel(parameters, device="cpu").bind(NUMBERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            evaluator(WATER)
        pickle.loads(pickle.dumps(evaluator))(WATER)
    assert evaluator.backend == "fast"
    assert evaluator._kernel.evaluations == 5  # one more than asked for


@pytest.mark.parametrize("fault", ["energy", "force", "nan"])
def test_kernel_chosen_by_name_is_kept_with_a_warning(fast, parameters, fault):
    fast(fault)
    evaluator = AniModel(parameters, backend="fast", device="cpu").bind(NUMBERS)
    with pytest.warns(RuntimeWarning, match="results may be wrong: use backend='auto'"):
        evaluator(WATER)
    assert evaluator.backend == "fast"


def test_failure_of_a_kernel_chosen_by_name_is_raised(fast, parameters):
    fast("crash")
    evaluator = AniModel(parameters, backend="fast", device="cpu").bind(NUMBERS)
    with pytest.raises(RuntimeError, match="PassManager"):
        evaluator(WATER)
    fast("start")
    with pytest.raises(RuntimeError, match="no kernel image"):
        AniModel(parameters, backend="fast", device="cpu").bind(NUMBERS)


def test_invalid_input_does_not_replace_the_kernel(fast, parameters):
    fast("input")
    evaluator = AniModel(parameters, device="cpu").bind(NUMBERS)
    with pytest.raises(SimulationError, match="atoms overlap"):
        evaluator(WATER)
    assert evaluator.backend == "fast"


def test_large_regions_are_not_compared(fast, parameters, monkeypatch, caplog):
    monkeypatch.setattr("nnpmm.models.ani.first_use._LARGEST", 2)
    fast("energy")
    evaluator = AniModel(parameters, device="cpu").bind(NUMBERS)
    for _ in range(2):
        evaluator(WATER)
    assert evaluator.backend == "fast"
    assert caplog.text.count("found 3 atoms, the comparison covers up to 2") == 1


def test_gpu_kernels_are_compared_and_the_cpu_backend_is_not():
    assert {name for name, b in BACKENDS.items() if b.compared} == {"triton", "nnpops"}


def test_replaced_choices_are_no_longer_automatic(parameters):
    model = AniModel(parameters, device="cpu")
    assert model.automatic
    assert not dataclasses.replace(model, backend="reference").automatic
