"""NeuroChem folders: read as torchani reads them, and refused with one line when damaged."""

from __future__ import annotations

import bz2
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import model_directory

from nnpmm.core.errors import WeightsError
from nnpmm.models.ani import parameters_from_torchani
from nnpmm.models.ani.neurochem import read_neurochem
from nnpmm.models.ani.torchani_kernel import import_torchani


@pytest.fixture(scope="module")
def parameters(torchani_folder):
    return read_neurochem(torchani_folder, "ANI-1x")


@pytest.fixture
def folder(torchani_folder, tmp_path):
    """A copy with two of the eight networks, to be damaged."""
    copy = tmp_path / "ani-1x_8x"
    copy.mkdir()
    for path in [*torchani_folder.glob("*.params"), torchani_folder / "sae_linfit.dat"]:
        shutil.copy(path, copy)
    for train in ("train0", "train1"):
        shutil.copytree(torchani_folder / train / "networks", copy / train / "networks")
    return copy


def test_parameters_equal_those_loaded_by_torchani(parameters, torchani_folder):
    torchani = import_torchani()
    from torchani import neurochem

    (constants,) = torchani_folder.glob("*.params")
    constants = neurochem.Constants(str(constants))
    model = SimpleNamespace(
        species=constants.species,
        aev_computer=torchani.AEVComputer(**constants),
        energy_shifter=neurochem.load_sae(str(torchani_folder / "sae_linfit.dat")),
        neural_networks=neurochem.load_model_ensemble(
            constants.species, str(torchani_folder / "train"), 8
        ),
    )
    loaded = parameters_from_torchani(model, "ANI-1x")
    assert loaded.elements == parameters.elements
    assert loaded.member_indices == parameters.member_indices == tuple(range(8))
    for ours, theirs in zip(parameters.members, loaded.members, strict=True):
        assert ours.keys() == theirs.keys()
        for element in ours:
            for a, b in zip(ours[element], theirs[element], strict=True):
                np.testing.assert_array_equal(a.weight, b.weight)
                np.testing.assert_array_equal(a.bias, b.bias)
    for element, energy in parameters.self_energies.items():
        assert loaded.self_energies[element] == pytest.approx(energy, abs=1e-12)
    a, b = parameters.symmetry_functions, loaded.symmetry_functions
    for name in ("radial_cutoff", "angular_cutoff", "radial_eta", "angular_eta", "angular_zeta"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-7), name
    # torchani keeps the shifts in float32.
    for name in ("radial_shifts", "angular_shifts", "angle_shifts"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-7)


def test_shapes_of_ani1x(parameters):
    functions = parameters.symmetry_functions
    assert parameters.elements == ("H", "C", "N", "O")
    assert (functions.radial_length, functions.functions_per_pair) == (64, 32)
    assert functions.aev_length == 384
    assert len(parameters.members) == 8
    for member in parameters.members:
        for layers in member.values():
            widths = [384, *(layer.weight.shape[0] for layer in layers)]
            assert widths[-1] == 1
            for layer, inputs in zip(layers, widths, strict=False):
                assert layer.weight.shape[1] == inputs
                assert layer.bias.shape == (layer.weight.shape[0],)
                assert layer.weight.dtype == layer.bias.dtype == np.float32


@pytest.mark.data
def test_shapes_of_ani2x():
    parameters = read_neurochem(model_directory() / "ani-2x_8x", "ANI-2x")
    assert parameters.elements == ("H", "C", "N", "O", "S", "F", "Cl")
    assert parameters.symmetry_functions.aev_length == 1008
    assert len(parameters.members) == 8
    first = {e: layers[0].weight.shape for e, layers in parameters.members[0].items()}
    assert {shape[1] for shape in first.values()} == {1008}


def test_pair_index_counts_the_upper_triangle(parameters):
    index = parameters.symmetry_functions.pair_index()
    expected = [[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]]
    np.testing.assert_array_equal(index, expected)


def test_members_are_read_in_numerical_order(folder, torchani_folder):
    for name in ("train2", "train10"):
        shutil.copytree(torchani_folder / "train2" / "networks", folder / name / "networks")
    assert read_neurochem(folder, "ANI-1x").member_indices == (0, 1, 2, 10)


def _refused(folder, *words):
    with pytest.raises(WeightsError) as caught:
        read_neurochem(folder, "ANI-1x")
    text = str(caught.value)
    assert "\n" not in text
    assert str(folder) in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize("suffix", ["wparam", "bparam"])
@pytest.mark.parametrize("cut", [1, 4, None])
def test_truncated_weights_are_refused(folder, suffix, cut):
    path = folder / "train1" / "networks" / f"ANN-C.nnf-l2.{suffix}"
    path.write_bytes(b"" if cut is None else path.read_bytes()[:-cut])
    _refused(folder, f"ANN-C.nnf-l2.{suffix}", "expected")


def test_non_finite_weights_are_refused(folder):
    path = folder / "train0" / "networks" / "ANN-H.nnf-l1.bparam"
    values = np.fromfile(path, dtype="<f4")
    values[3] = np.nan
    values.tofile(path)
    _refused(folder, "ANN-H.nnf-l1.bparam", "finite")


@pytest.mark.parametrize(
    "relative",
    [
        "train0/networks/ANN-O.nnf",
        "train1/networks/ANN-N.nnf-l4.wparam",
        "train0/networks/ANN-N.nnf-l1.bparam",
        "sae_linfit.dat",
    ],
)
def test_missing_file_is_refused(folder, relative):
    (folder / relative).unlink()
    _refused(folder, relative.rpartition("/")[2])


def test_empty_description_is_refused(folder):
    (folder / "train0" / "networks" / "ANN-C.nnf").write_bytes(b"")
    _refused(folder, "ANN-C.nnf", "empty")


def test_truncated_description_is_refused(folder):
    path = folder / "train0" / "networks" / "ANN-C.nnf"
    path.write_bytes(path.read_bytes()[:200])
    _refused(folder)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("activation=9", "activation=5", "activation 5"),
        ("activation=6", "activation=9", "activation 9"),
        ("inputsize=384", "inputsize=385", "expected"),
        ("inputsize=384", "", "inputsize"),
    ],
)
def test_altered_description_is_refused(folder, old, new, word):
    path = folder / "train0" / "networks" / "ANN-C.nnf"
    raw = path.read_bytes()
    start = raw.find(b"=\n") + 2
    text = bz2.decompress(raw[start:]).decode()
    assert old in text
    path.write_bytes(raw[:start] + bz2.compress(text.replace(old, new).encode()))
    _refused(folder, word)


@pytest.mark.parametrize("key", ["Rcr", "ShfZ", "Atyp"])
def test_missing_constant_is_refused(folder, key):
    (path,) = folder.glob("*.params")
    kept = [line for line in path.read_text().splitlines() if not line.startswith(key)]
    path.write_text("\n".join(kept))
    _refused(folder, key)


def test_missing_self_energy_is_refused(folder):
    path = folder / "sae_linfit.dat"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("O")]
    path.write_text("\n".join(kept))
    _refused(folder)


def test_folder_without_a_model_is_refused(tmp_path):
    _refused(tmp_path, "expected a *.params file")


def test_unexpected_folder_is_reported_or_ignored(folder):
    """A backup of a network must not stop the loader with something other than WeightsError."""
    (folder / "train0_backup").mkdir()
    try:
        assert read_neurochem(folder, "ANI-1x").member_indices == (0, 1)
    except WeightsError as error:
        assert "\n" not in str(error)
