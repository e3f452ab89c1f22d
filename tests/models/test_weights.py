"""Sources of weights and their order; only published weights are accepted."""

from __future__ import annotations

import pytest
from conftest import model_directory

from nnpmm.core.errors import ModelError, WeightsError
from nnpmm.models.ani import save_parameters
from nnpmm.models.ani.weights import PUBLISHED, find_weights, sources

pytestmark = pytest.mark.usefixtures("clean_sources")


def test_weights_are_searched_in_order(tmp_path, monkeypatch, torchani_folder, ani1x):
    expected = ani1x.parameters.digest()
    assert expected == PUBLISHED["ANI-1x"].digest

    def found(given=None):
        result = find_weights("ANI-1x", given)
        assert result.parameters.digest() == expected
        return result.source

    given, configured = tmp_path / "given" / "ani-1x_8x", tmp_path / "configured" / "ani-1x_8x"
    given.parent.mkdir()
    configured.parent.mkdir()
    given.symlink_to(torchani_folder)
    configured.symlink_to(torchani_folder)

    assert found() == f"torchani: {torchani_folder}"
    (entry,) = [source for source in sources("ANI-1x") if source.kind == "cache"]
    save_parameters(ani1x.parameters, entry.path)
    assert found() == f"cache: {entry.path}"
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(configured.parent))
    assert found() == f"NNPMM_MODEL_DIR: {configured}"
    assert found(given.parent) == f"weights: {given}"
    assert found(given) == f"weights: {given}"  # the model's own folder is as good
    order = [source.kind for source in sources("ANI-1x", given)]
    assert order == ["weights", "NNPMM_MODEL_DIR", "cache", "torchani", "download"]


def test_model_directory_without_the_model_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path))
    assert find_weights("ANI-1x").source.startswith("torchani: ")


@pytest.mark.data
@pytest.mark.parametrize("name", ["ANI-2x", "ANI-1ccx"])
def test_other_models_from_a_folder(name):
    found = find_weights(name, model_directory())
    assert found.parameters.digest() == PUBLISHED[name].digest


def test_missing_folders_are_named(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"^weights: found no folder .*none"):
        find_weights("ANI-1x", tmp_path / "none")
    with pytest.raises(WeightsError, match=r"^weights: .* contains no folder ani-1x_8x"):
        find_weights("ANI-1x", tmp_path)
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match=r"NNPMM_MODEL_DIR: found no folder .*gone"):
        find_weights("ANI-1x")


def test_folder_of_another_model_is_refused(torchani_folder):
    with pytest.raises(WeightsError, match="contains no folder ani-2x_8x"):
        find_weights("ANI-2x", torchani_folder)


def test_unknown_model():
    with pytest.raises(ModelError, match="'ANI-9', known models: ANI-2x, ANI-1x, ANI-1ccx"):
        find_weights("ANI-9")


def test_offline_error_lists_the_remedies():
    with pytest.raises(WeightsError) as caught:
        find_weights("ANI-2x")  # the torchani wheel contains empty files of it
    text = str(caught.value)
    assert "\n" not in text
    for word in (
        "ANI-2x",
        "NNPMM_OFFLINE",
        "NNPMM_MODEL_DIR",
        "weights=...",
        "ani-2x_8x",
        "ANI-1x",
    ):
        assert word in text


def test_flipped_bit_is_detected(tampered):
    with pytest.raises(WeightsError, match="not those of the published ANI-1x") as caught:
        find_weights("ANI-1x", tampered)
    assert str(tampered) in str(caught.value)


def test_changed_cache_is_detected(ani1x):
    (entry,) = [source for source in sources("ANI-1x") if source.kind == "cache"]
    save_parameters(ani1x.parameters.subset([0, 1, 2, 3, 4, 5, 7, 6]), entry.path)
    with pytest.raises(WeightsError, match="delete it and try again"):
        find_weights("ANI-1x")
    entry.path.write_bytes(entry.path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match=entry.path.name):
        find_weights("ANI-1x")


def test_cache_folder(tmp_path, monkeypatch):
    def cache():
        (entry,) = [source for source in sources("ANI-1x") if source.kind == "cache"]
        return entry.path

    assert cache().is_relative_to(tmp_path / "cache")
    monkeypatch.delenv("NNPMM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache().is_relative_to(tmp_path / "xdg" / "nnpmm")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache().is_relative_to(tmp_path / "home" / ".cache" / "nnpmm")
