"""load_model: names, files, choices, and models that travel by pickle."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

import nnpmm
from nnpmm.core.errors import InputFileError, ModelError
from nnpmm.models import TorchScriptModel, load_model
from nnpmm.models.ani import BACKENDS, choose_backend, published_name
from nnpmm.models.preparation import prepare_nnp


@pytest.fixture(scope="module")
def molecule(paracetamol):
    """Atomic numbers and positions (nm)."""
    numbers = [atom.GetAtomicNum() for atom in paracetamol.GetAtoms()]
    return numbers, paracetamol.GetConformer().GetPositions() / 10


@pytest.fixture(scope="module")
def prepared(paracetamol, tmp_path_factory):
    """model.json of paracetamol with two networks of ANI-1x."""
    from rdkit import Chem

    folder = tmp_path_factory.mktemp("prepared")
    (folder / "x.sdf").write_text(Chem.MolToMolBlock(paracetamol) + "$$$$\n")
    return prepare_nnp(folder / "x.sdf", "all", "ANI-1x", members=[1, 4], output=folder).model_file


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("ANI-2x", "ANI-2x"),
        ("ani2x", "ANI-2x"),
        ("ANI_2X", "ANI-2x"),
        ("ani-1x", "ANI-1x"),
        ("Ani1ccX", "ANI-1ccx"),
    ],
)
def test_names_in_any_spelling(name, published):
    assert published_name(name) == published


@pytest.mark.parametrize("name", ["ANI-3x", "", "mace-99", "ANI"])
def test_an_unknown_model_lists_those_known(name):
    with pytest.raises(
        ModelError, match=r"known: ANI-2x, ANI-1x, ANI-1ccx, AIMNet2, a model\.json"
    ) as info:
        load_model(name)
    assert repr(name) in str(info.value)
    assert isinstance(info.value, nnpmm.NnpmmError)


def test_members(ani1x):
    assert load_model("ANI-1x", 3).parameters.member_indices == (3,)
    chosen = load_model("ANI-1x", members=[6, 0])
    assert chosen.parameters.member_indices == (6, 0)
    assert chosen.provenance["members"] == [6, 0]
    np.testing.assert_array_equal(
        chosen.parameters.members[0]["H"][0].bias, ani1x.parameters.members[6]["H"][0].bias
    )


@pytest.mark.parametrize("members", [8, -1, [0, 8], [1, 1], [], "0"])
def test_invalid_members_are_refused(members):
    with pytest.raises(ModelError, match=r"ANI-1x here contains \[0, 1, 2, 3, 4, 5, 6, 7\]"):
        load_model("ANI-1x", members=members)


@pytest.mark.parametrize("members", [np.int64(2), np.arange(2), [np.int32(1)]])
def test_members_as_numpy_integers(members):
    """Indices that come out of a numpy array are as good as Python's."""
    chosen = load_model("ANI-1x", members=members)
    expected = load_model("ANI-1x", members=np.atleast_1d(members).tolist())
    assert chosen.provenance["digest"] == expected.provenance["digest"]


def test_members_of_a_prepared_file(prepared):
    assert load_model(prepared, members=4).parameters.member_indices == (4,)
    with pytest.raises(ModelError, match=r"here contains \[1, 4\]"):
        load_model(prepared, members=0)


def test_unknown_backend():
    with pytest.raises(ModelError, match=r"the backend 'fast', available: auto, .*reference"):
        load_model("ANI-1x", 0, backend="fast")


def test_unknown_precision_and_device():
    with pytest.raises(ModelError, match=r"precision 'half'.*single.*double"):
        load_model("ANI-1x", 0, precision="half")
    for device in ("gpu", "cpu:x", "tpu"):
        with pytest.raises(ModelError, match=f"device '{device}', allowed: auto, cpu, cuda"):
            load_model("ANI-1x", 0, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_missing_gpu_is_reported(device):
    with pytest.raises(ModelError, match="sees 0 CUDA devices; use device='cpu'"):
        load_model("ANI-1x", 0, device=device)


def test_precision(molecule):
    numbers, positions = molecule
    single, double = (
        load_model("ANI-1x", 0, precision=p).bind(numbers)(positions)[0]
        for p in ("single", "double")
    )
    assert single != double
    assert abs(single - double) < 0.01


def test_provenance_describes_the_model(ani1x):
    found = ani1x.provenance
    assert found["model"] == "ANI-1x"
    assert found["members"] == list(range(8))
    assert found["weights"].startswith("torchani: ")
    assert found["digest"] == ani1x.parameters.digest()
    assert (ani1x.name, ani1x.elements) == ("ANI-1x", ("H", "C", "N", "O"))


def test_model_json_round_trip(prepared, molecule):
    numbers, positions = molecule
    model = load_model(prepared)
    direct = load_model("ANI-1x", members=[1, 4])
    assert model.source == f"model file: {prepared}"
    assert model.parameters.digest() == direct.parameters.digest()
    found, expected = model.bind(numbers), direct.bind(numbers)
    assert found(positions)[0] == expected(positions)[0]
    np.testing.assert_array_equal(found(positions)[1], expected(positions)[1])
    assert found.energy_offset == expected.energy_offset


def test_torchscript_file_equals_the_model(prepared, molecule):
    numbers, positions = molecule
    model = load_model(prepared.with_name("model.pt"))
    assert isinstance(model, TorchScriptModel)
    assert model.provenance["backend"] == "torchscript"
    evaluator, direct = model.bind(numbers), load_model(prepared, backend="reference").bind(numbers)
    for _ in range(3):  # TorchScript optimises itself in the first calls
        energy, forces = evaluator(positions)
        np.testing.assert_allclose(energy, direct(positions)[0], rtol=0, atol=1e-3)
        np.testing.assert_allclose(forces, direct(positions)[1], rtol=0, atol=1e-2)
    np.testing.assert_array_equal(evaluator.member_energies(positions), [energy])


def test_digest_of_a_torchscript_file_is_that_of_its_content(prepared, tmp_path):
    content = prepared.with_name("model.pt").read_bytes()
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c.pt")]
    for path, data in zip(paths, (content, content, content + b" "), strict=True):
        path.write_bytes(data)
    first, same, other = (load_model(path).provenance["digest"] for path in paths)
    assert first == same == hashlib.sha256(content).hexdigest()
    assert other != first
    paths[0].unlink()
    with pytest.raises(ModelError, match=r"a\.pt: cannot be read \(No such file"):
        _ = load_model(paths[0]).provenance


def test_missing_torchscript_file_is_reported(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path / "x.pt").bind([6])


def test_options_fixed_by_a_torchscript_file_are_refused(prepared):
    path = prepared.with_name("model.pt")
    for choice in ({"members": 0}, {"weights": "x"}, {"backend": "reference"}):
        (option,) = choice
        expected = f"model.pt: found the option {option}, the family TorchScript takes: device"
        with pytest.raises(ModelError, match=expected):
            load_model(path, **choice)


@pytest.mark.parametrize("content", [b"", b"not TorchScript", b"PK\x03\x04 cut"])
def test_invalid_torchscript_file_is_refused(tmp_path, content):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a TorchScript module") as caught:
        load_model(path).bind([6])
    assert "\n" not in str(caught.value)


def test_missing_and_contradictory_files_are_refused(tmp_path, prepared):
    with pytest.raises(InputFileError, match="cannot be read"):
        load_model(tmp_path / "none.json")
    with pytest.raises(ModelError, match=r"found the option weights, the family model\.json takes"):
        load_model(prepared, weights=tmp_path)


@pytest.mark.parametrize("kind", ["name", "json", "pt"])
def test_pickles_are_small_and_give_the_same_evaluator(kind, prepared, molecule):
    numbers, positions = molecule
    choices = {
        "name": ("ANI-1x", [0, 7]),
        "json": (prepared, [4]),
        "pt": (prepared.with_name("model.pt"), None),
    }
    model = load_model(*choices[kind])
    evaluator = model.bind(numbers)
    stored = [pickle.dumps(x) for x in (model, evaluator)]
    assert max(map(len, stored)) < 20_000
    again, bound_again = map(pickle.loads, stored)
    assert again.provenance == model.provenance
    energy = evaluator(positions)[0]
    for other in (again.bind(numbers), bound_again):
        assert other(positions)[0] == pytest.approx(energy, rel=0, abs=1e-3)


def test_pickles_survive_a_change_of_folder(prepared, molecule, tmp_path, monkeypatch):
    numbers, positions = molecule
    monkeypatch.chdir(prepared.parent)
    for name in ("model.json", "model.pt"):
        evaluator = load_model(name).bind(numbers)
        stored = pickle.dumps(evaluator)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            again = pickle.loads(stored)
        assert again(positions)[0] == pytest.approx(evaluator(positions)[0], rel=0, abs=1e-3)


def test_backend_and_device_are_chosen_together(monkeypatch):
    """On a machine with a GPU: "auto" skips what does not run there, a CPU backend stays off it."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert choose_backend("cpu") == ("cpu", "cpu")
    assert choose_backend("reference") == ("reference", "cuda")
    assert choose_backend("reference", "cpu") == ("reference", "cpu")
    assert choose_backend("auto", "cpu") == ("cpu", "cpu")
    name, device = choose_backend("auto")
    assert device == "cuda"
    assert "cuda" in BACKENDS[name].devices
    with pytest.raises(ModelError, match="found the device 'cuda', the backend 'cpu' allows: cpu"):
        choose_backend("cpu", "cuda")


def test_auto_on_a_machine_without_gpu_is_the_cpu_backend():
    model = load_model("ANI-1x", device="cpu")
    assert (model.backend, model.device) == ("cpu", "cpu")


def test_threads_are_checked_and_kept():
    model = load_model("ANI-1x", threads=1)
    assert pickle.loads(pickle.dumps(model)).threads == 1
    with pytest.raises(ModelError, match="found threads = '0', allowed: 1 to"):
        load_model("ANI-1x", threads=0)
