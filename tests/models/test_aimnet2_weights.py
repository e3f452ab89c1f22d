"""Sources of AIMNet2's weights, checks of the published file, and the stored format."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import aimnet_file
from safetensors import safe_open
from safetensors.numpy import save_file

from nnpmm.core.errors import ModelError, WeightsError
from nnpmm.models import load_model
from nnpmm.models.aimnet import load_parameters, save_parameters, weights
from nnpmm.models.aimnet.weights import PUBLISHED, find_weights, sources
from nnpmm.models.weight_sources import WeightsSource

pytestmark = pytest.mark.usefixtures("clean_sources")
PUBLISHED_MODEL = PUBLISHED["AIMNet2"]


@pytest.fixture(scope="module")
def parameters():
    aimnet_file()
    return load_model("AIMNet2").parameters


@pytest.fixture
def published():
    return aimnet_file()


@pytest.fixture
def no_package(monkeypatch):
    def missing(name):
        raise weights.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(weights.importlib.metadata, "distribution", missing)


def cache_path():
    (entry,) = [source for source in sources("AIMNet2") if source.kind == "cache"]
    return entry.path


def test_weights_are_searched_in_order(tmp_path, monkeypatch):
    published = aimnet_file()
    given, configured = tmp_path / "given", tmp_path / "configured"
    for folder in (given, configured):
        folder.mkdir()
        (folder / published.name).symlink_to(published)

    def found(where=None):
        result = find_weights("AIMNet2", where)
        assert result.parameters.digest() == PUBLISHED_MODEL.digest
        return result.source

    assert found() == f"auto3d: {published}"
    assert found() == f"cache: {cache_path()}"  # the package was read once
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(configured))
    assert found() == f"NNPMM_MODEL_DIR: {configured / published.name}"
    assert found(given) == f"weights: {given / published.name}"
    assert found(given / published.name) == f"weights: {given / published.name}"
    order = [source.kind for source in sources("AIMNet2", given)]
    assert order == ["weights", "NNPMM_MODEL_DIR", "cache", "auto3d", "download"]


def test_unwritable_cache_is_not_needed(tmp_path, monkeypatch):
    published = aimnet_file()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "file"))
    for _ in range(2):
        assert find_weights("AIMNet2").source == f"auto3d: {published}"


def test_model_directory_of_other_models_is_skipped(tmp_path, monkeypatch):
    aimnet_file()
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path))
    assert find_weights("AIMNet2").source.startswith("auto3d: ")


def test_missing_files_are_reported(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"^weights: found no .*none, expected aimnet2_wb97m"):
        find_weights("AIMNet2", tmp_path / "none")
    with pytest.raises(WeightsError, match=rf"^weights: found {tmp_path}, expected aimnet2_wb97m"):
        find_weights("AIMNet2", tmp_path)
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match=r"NNPMM_MODEL_DIR: found no .*gone"):
        find_weights("AIMNet2")
    with pytest.raises(ModelError, match="'AIMNet3', known models: AIMNet2"):
        find_weights("AIMNet3")


def test_file_with_another_digest_is_refused(tmp_path, monkeypatch):
    """A TorchScript file is a program, so torch must not open a file with a flipped bit."""
    import torch

    content = bytearray(aimnet_file().read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / PUBLISHED_MODEL.file).write_bytes(content)

    def refuse(*_, **__):
        raise AssertionError("the file is opened")

    monkeypatch.setattr(torch.jit, "load", refuse)
    with pytest.raises(WeightsError, match="not the published file of AIMNet2") as caught:
        find_weights("AIMNet2", tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_changed_cache_is_detected(parameters):
    save_parameters(parameters.subset([0, 1, 3, 2]), cache_path())
    with pytest.raises(WeightsError, match="not those of the published AIMNet2") as caught:
        find_weights("AIMNet2")
    assert "delete it and try again" in str(caught.value)
    cache_path().write_bytes(cache_path().read_bytes()[:-5])
    with pytest.raises(WeightsError, match=cache_path().name):
        find_weights("AIMNet2")


def test_offline_error_lists_the_remedies(no_package):
    with pytest.raises(WeightsError) as caught:
        find_weights("AIMNet2")
    text = str(caught.value)
    assert "\n" not in text
    for word in ("NNPMM_OFFLINE is set", "pip install --no-deps auto3d==2.3.1", "NNPMM_MODEL_DIR"):
        assert word in text
    assert PUBLISHED_MODEL.file in text and "auto3d==2.3.1" in text


def wheel(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Auto3D/__init__.py", "raise SystemExit('imported')")
        for name, data in content.items():
            archive.writestr(f"Auto3D/models/{name}", data)


@pytest.fixture
def online(monkeypatch, tmp_path):
    """No package, downloads allowed; return the wheel that pip finds, to be written."""
    nowhere = WeightsSource("auto3d", None, False, "auto3d is not installed")
    monkeypatch.setattr(weights, "_package_source", lambda file: nowhere)
    monkeypatch.setenv("NNPMM_OFFLINE", "0")
    made = tmp_path / "Auto3D-2.3.1-py3-none-any.whl"
    monkeypatch.setattr(
        weights, "_fetch_wheel", lambda folder: Path(shutil.copy(made, folder / made.name))
    )
    return made


def test_wheel_is_downloaded_once(published, online):
    wheel(online, {PUBLISHED_MODEL.file: published.read_bytes()})
    first = find_weights("AIMNet2")
    assert first.source == "downloaded: auto3d==2.3.1"
    assert first.parameters.digest() == PUBLISHED_MODEL.digest
    online.unlink()
    assert find_weights("AIMNet2").source == f"cache: {cache_path()}"
    assert os.listdir(cache_path().parent) == [cache_path().name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("page", "the download failed: File is not a zip file"),
        ({}, "the wheel contains no file aimnet2_wb97m_ens_f.jpt"),
        ({PUBLISHED_MODEL.file: b"something else"}, "not the published file of AIMNet2"),
    ],
)
def test_failed_download_leaves_no_files(online, content, reason):
    if isinstance(content, dict):
        wheel(online, content)
    else:
        online.write_text("<html>please sign in</html>")
    with pytest.raises(WeightsError, match=reason) as caught:
        find_weights("AIMNet2")
    assert "\n" not in str(caught.value)
    assert os.listdir(cache_path().parent) == []


def test_pip_without_an_index(monkeypatch):
    """The reason is pip's; nothing is left behind."""
    nowhere = WeightsSource("auto3d", None, False, "auto3d is not installed")
    monkeypatch.setattr(weights, "_package_source", lambda file: nowhere)
    monkeypatch.setenv("NNPMM_OFFLINE", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(WeightsError, match=r"the download failed: ERROR: No matching.*auto3d"):
        find_weights("AIMNet2")
    assert os.listdir(cache_path().parent) == []


@pytest.fixture
def stored(parameters, tmp_path):
    """One network in a file, as JSON and arrays."""
    save_parameters(parameters.subset(2), tmp_path / "good")
    with safe_open(tmp_path / "good", framework="numpy") as file:
        constants = json.loads(file.metadata()["aimnet2"])
        return constants, {key: file.get_tensor(key) for key in file.keys()}


def test_round_trip(parameters, tmp_path):
    pair = parameters.subset([3, 1])
    save_parameters(pair, tmp_path / "pair")
    read = load_parameters(tmp_path / "pair")
    assert read.digest() == pair.digest() != parameters.digest()
    assert read.member_indices == (3, 1)
    assert read.self_energies == parameters.self_energies


def test_digest_depends_on_every_part(parameters):
    one = parameters.subset(0)
    (network,) = one.members
    changed = network.embedding.copy()
    changed[3, 2, 1] = np.nextafter(changed[3, 2, 1], np.float32(np.inf))
    variants = [
        dataclasses.replace(one, members=(dataclasses.replace(network, embedding=changed),)),
        dataclasses.replace(one, dispersion=dataclasses.replace(one.dispersion, s8=0.39)),
        dataclasses.replace(one, eta=14.0),
        dataclasses.replace(one, self_energies={**one.self_energies, "H": -14.0}),
        dataclasses.replace(one, member_indices=(1,)),
    ]
    assert len({variant.digest() for variant in (one, *variants)}) == 6


def refused(path, tensors, constants):
    save_file(tensors, path, metadata={"aimnet2": json.dumps(constants)})
    with pytest.raises(WeightsError, match="not a readable AIMNet2 weights file") as caught:
        load_parameters(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("cutoff", "eta") for value in (-1, float("nan"), "5", None)),
        ("coulomb_cutoff", 1e9),
        *(("shifts", value) for value in ([], 3.0, ["a"], [0.5])),
        *(("elements", value) for value in ([], ["H", "H"], ["Xy"], 5)),
        *(("member_indices", value) for value in ([], [7], [-1], "a")),
        *(("dispersion", value) for value in ({}, None, [1])),
        *(("self_energies", value) for value in ({}, None)),
        ("name", 3),
    ],
)
def test_invalid_constants_are_refused(stored, tmp_path, name, value):
    constants, tensors = stored
    refused(tmp_path / "w", tensors, constants | {name: value})


@pytest.mark.parametrize(
    "name",
    [
        *("2.embedding", "2.feature_combinations", "2.charge_combinations", "2.self_energies"),
        *("2.pass0.0.weight", "2.pass1.2.bias", "2.pass2.3.weight", "2.output.2.weight"),
        *("dispersion.c6", "dispersion.radii", "dispersion.reference_coordination"),
    ],
)
def test_invalid_arrays_are_refused(stored, tmp_path, name):
    constants, tensors = stored
    for wrong in (
        tensors[name][:-1],
        tensors[name].astype(np.float64),
        np.full_like(tensors[name], np.nan),
        np.zeros((2, 2, 2, 2, 2), dtype=np.float32),
    ):
        refused(tmp_path / "w", tensors | {name: np.ascontiguousarray(wrong)}, constants)
    refused(tmp_path / "w", {k: v for k, v in tensors.items() if k != name}, constants)


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_truncated_and_missing_files_are_refused(parameters, tmp_path, keep):
    save_parameters(parameters.subset(0), tmp_path / "w")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:keep])
    for path in (tmp_path / "w", tmp_path / "none"):
        with pytest.raises(WeightsError, match="not a readable AIMNet2 weights file"):
            load_parameters(path)
