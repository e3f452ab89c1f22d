"""ANI parameters in a safetensors file."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from nnpmm.core.errors import WeightsError
from nnpmm.models.ani import load_parameters, save_parameters


@pytest.fixture(scope="module")
def pair(ani1x):
    """Two networks of ANI-1x, not the first ones."""
    return ani1x.parameters.subset([5, 2])


@pytest.fixture
def stored(pair, tmp_path):
    path = tmp_path / "pair.safetensors"
    save_parameters(pair, path)
    return path


def test_round_trip_keeps_the_digest(pair, stored):
    read = load_parameters(stored)
    assert read.digest() == pair.digest()
    assert read.symmetry_functions == pair.symmetry_functions
    assert read.self_energies == pair.self_energies
    assert read.name == "ANI-1x"


def test_a_subset_keeps_its_indices_and_their_order(ani1x, pair, stored):
    read = load_parameters(stored)
    assert read.member_indices == (5, 2)
    for index, member in zip((5, 2), read.members, strict=True):
        np.testing.assert_array_equal(
            member["C"][0].weight, ani1x.parameters.members[index]["C"][0].weight
        )
    assert read.subset(2).digest() == ani1x.parameters.subset(2).digest()


def test_digest_depends_on_every_part(pair):
    layer = pair.members[1]["O"][3]
    changed = layer.bias.copy()
    changed[0] = np.nextafter(changed[0], np.float32(np.inf))
    members = [dict(member) for member in pair.members]
    members[1]["O"] = (*members[1]["O"][:3], dataclasses.replace(layer, bias=changed))
    functions = dataclasses.replace(pair.symmetry_functions, radial_eta=16.000001)
    variants = [
        dataclasses.replace(pair, members=tuple(members)),
        dataclasses.replace(pair, members=pair.members[::-1]),
        dataclasses.replace(pair, symmetry_functions=functions),
        dataclasses.replace(pair, self_energies={**pair.self_energies, "H": -0.6}),
        dataclasses.replace(pair, name="ANI-1ccx"),
        dataclasses.replace(pair, member_indices=(5, 3)),
    ]
    digests = {variant.digest() for variant in (pair, *variants)}
    assert len(digests) == len(variants) + 1


def test_saving_over_a_file_leaves_no_other_files(pair, stored):
    save_parameters(pair.subset(5), stored)
    assert load_parameters(stored).member_indices == (5,)
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_failed_save_leaves_no_files(pair, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save_parameters(pair, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def _refused(path):
    with pytest.raises(WeightsError, match="not a readable ANI weights file") as caught:
        load_parameters(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_truncated_file_is_refused(stored, keep):
    stored.write_bytes(stored.read_bytes()[:keep])
    _refused(stored)


def test_missing_file_is_refused(tmp_path):
    _refused(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"ani": "not json"},
        {"ani": "{}"},
        {"ani": "[]"},
        {"ani": json.dumps({"name": "ANI-1x", "symmetry_functions": 3})},
    ],
)
def test_other_safetensors_file_is_refused(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": np.zeros(3, dtype=np.float32)}, path, metadata=metadata)
    _refused(path)


def test_file_with_missing_layers_is_refused(pair, tmp_path):
    path = tmp_path / "x.safetensors"
    tensors = {
        f"5.{element}.{depth}.{kind}": np.ascontiguousarray(getattr(layer, kind))
        for element, layers in pair.members[0].items()
        for depth, layer in enumerate(layers)
        for kind in ("weight", "bias")
    }
    save_file(tensors, path, metadata={"ani": pair.constants_json()})  # which names network 2 too
    _refused(path)
