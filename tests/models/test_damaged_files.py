"""Weights, model.json and TorchScript files of wrong content: one line before anything is compiled.

The checksums fit, as in a file that another program wrote.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from nnpmm.core.errors import InputFileError, ModelError, WeightsError
from nnpmm.models import load_model, read_model_file
from nnpmm.models.ani import load_parameters, save_parameters
from nnpmm.models.model_file import StoredFile, fingerprint


@pytest.fixture(scope="module")
def content(ani1x, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.safetensors"
    save_parameters(ani1x.parameters.subset(0), path)
    with safe_open(path, framework="numpy") as file:
        text = file.metadata()["ani"]
        return json.loads(text), {key: file.get_tensor(key) for key in file.keys()}


def _refused(path, tensors, constants):
    save_file(tensors, path, metadata={"ani": json.dumps(constants)})
    with pytest.raises(WeightsError, match="not a readable ANI weights file") as caught:
        load_parameters(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400 + len(str(path))


def test_file_content_is_checked(content, tmp_path):
    constants, tensors = content
    save_file(tensors, tmp_path / "w", metadata={"ani": json.dumps(constants)})
    assert load_parameters(tmp_path / "w").member_indices == (0,)


WRONG = [-1, 0, float("nan"), 1e300, float("inf"), "5", None, [5.2], True]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    "name", ["radial_cutoff", "angular_cutoff", "radial_eta", "angular_eta", "angular_zeta"]
)
def test_invalid_constants_are_refused(content, tmp_path, name, value):
    constants, tensors = content
    functions = constants["symmetry_functions"] | {name: value}
    _refused(tmp_path / "w", tensors, constants | {"symmetry_functions": functions})


@pytest.mark.parametrize("value", [5.0, [], None, ["a"], [float("nan")], [[1.0]], [1e300], "abc"])
@pytest.mark.parametrize("name", ["radial_shifts", "angular_shifts", "angle_shifts", "elements"])
def test_invalid_lists_are_refused(content, tmp_path, name, value):
    constants, tensors = content
    functions = constants["symmetry_functions"] | {name: value}
    _refused(tmp_path / "w", tensors, constants | {"symmetry_functions": functions})


@pytest.mark.parametrize(
    "change",
    [
        {"self_energies": {}},
        {"self_energies": []},
        {"self_energies": {"H": "a", "C": 1, "N": 1, "O": 1}},
        {"self_energies": {"H": float("nan"), "C": 1.0, "N": 1.0, "O": 1.0}},
        {"member_indices": []},
        {"member_indices": [0, 0]},
        {"member_indices": ["0"]},
        {"member_indices": [0.0]},
        {"member_indices": 3},
        {"member_indices": list(range(100_000))},
        {"name": 5},
        {"symmetry_functions": []},
        {"symmetry_functions": {"x" * 100_000: 1}},
    ],
)
def test_invalid_metadata_is_refused(content, tmp_path, change):
    constants, tensors = content
    _refused(tmp_path / "w", tensors, constants | change)


CHANGES = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "int": lambda x: x.astype(np.int32),
    "bool": lambda x: x != 0,
    "nan": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 1, np.float32(np.nan), x),
    "inf": lambda x: np.full_like(x, np.inf),
    "huge": lambda x: np.full_like(x, 1e30),
    "flat": lambda x: x.reshape(1, 1, *x.shape),
    "short": lambda x: x[:-1],
    "empty": lambda x: x[:0],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("key", ["0.C.0.weight", "0.H.1.bias", "0.N.2.weight"])
def test_invalid_tensors_are_refused(content, tmp_path, key, change):
    constants, tensors = content
    _refused(tmp_path / "w", tensors | {key: CHANGES[change](tensors[key])}, constants)


@pytest.mark.parametrize("key", ["0.C.0.weight", "0.O.3.bias"])
def test_missing_tensors_are_refused(content, tmp_path, key):
    constants, tensors = content
    _refused(tmp_path / "w", {k: v for k, v in tensors.items() if k != key}, constants)


def _model_json(path, **changes):
    stored = {"file": "x", "sha256": "0" * 64}
    entries = {
        "schema_version": 1, "model": "ANI-1x", "members": [0], "atoms": [0, 1],
        "elements": ["C", "H"], "selection": "all", "formal_charge": 0, "structure_file": "x.pdb",
        "n_structure_atoms": 2, "weights": stored, "torchscript": stored, "nnpmm_version": "1",
    } | changes  # fmt: skip
    entries["fingerprint"] = fingerprint(
        entries["n_structure_atoms"], entries["atoms"], entries["elements"]
    )
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"elements": ["C"]},
        {"elements": ["C", "H", "H"]},
        {"elements": []},
        {"schema_version": "9" * 100_000},
        {"schema_version": list(range(100_000))},
        {"x" * 100_000: 1},
    ],
)
def test_contradictory_model_json_is_refused(tmp_path, changes):
    path = _model_json(tmp_path / "model.json", **changes)
    with pytest.raises(InputFileError) as caught:
        read_model_file(path)
    assert len(str(caught.value)) < 500 + len(str(path)) and "\n" not in str(caught.value)


def test_model_json_with_many_members(ani1x, tmp_path):
    save_parameters(ani1x.parameters.subset(0), tmp_path / "w")
    weights = StoredFile.from_content("w", (tmp_path / "w").read_bytes()).model_dump()
    path = _model_json(tmp_path / "model.json", weights=weights, members=list(range(100_000)))
    with pytest.raises(WeightsError, match=r"model.json says") as caught:
        load_model(path)
    assert len(str(caught.value)) < 1000


class _Tuple(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.sum(), x


class _Int(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return 5


class _Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        pass


class _Detached(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.sum().detach()


class _Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor):
        return self.weight.sum()


class _TwoArguments(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor):
        return (x * y).sum()


class _Raises(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        raise ValueError("no such thing")


class _PerAtom(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.sum(1)


class _Integers(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.sum().long()


class _Good(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return (x**2).sum().reshape(1)


@pytest.mark.parametrize(
    "module",
    [_Tuple, _Int, _Nothing, _Detached, _Constant, _TwoArguments, _Raises, _PerAtom, _Integers],
)
def test_torchscript_without_an_energy_is_refused(module, tmp_path):
    path = tmp_path / "bad.pt"
    torch.jit.script(module()).save(path)
    with pytest.raises(ModelError) as caught:
        load_model(path, device="cpu").bind([6, 1, 1])
    text = str(caught.value)
    assert str(path) in text and "expected a module from positions" in text
    assert "\n" not in text and len(text) < 500 + len(str(path))


def test_valid_torchscript_is_accepted(tmp_path):
    torch.jit.script(_Good()).save(tmp_path / "good.pt")
    positions = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.4]])
    energy, forces = load_model(tmp_path / "good.pt", device="cpu").bind([6, 1])(positions)
    assert energy == pytest.approx(0.35)
    np.testing.assert_allclose(forces, -2 * positions)
