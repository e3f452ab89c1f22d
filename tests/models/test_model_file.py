"""model.json: edited, truncated and missing content is detected."""

from __future__ import annotations

import json
import shutil

import pytest
from openmm.app import Element, Topology
from rdkit import Chem

from nnpmm._version import __version__
from nnpmm.core.errors import InputFileError, WeightsError
from nnpmm.models import load_model, read_model_file
from nnpmm.models.preparation import prepare_nnp


@pytest.fixture(scope="module")
def original(paracetamol, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "drug.sdf").write_text(Chem.MolToMolBlock(paracetamol) + "$$$$\n")
    prepare_nnp(folder / "drug.sdf", "all", "ANI-1x", members=[2], output=folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(original, tmp_path / "copy")


def _edit(folder, **changes):
    path = folder / "model.json"
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
    return path


def _topology(symbols):
    topology = Topology()
    residue = topology.addResidue("LIG", topology.addChain())
    for symbol in symbols:
        topology.addAtom("X", Element.getBySymbol(symbol) if symbol else None, residue)
    return topology


def _refused(path, *words, kind=InputFileError):
    with pytest.raises(kind) as caught:
        load_model(path)
    text = str(caught.value)
    assert "\n" not in text
    for word in (str(path.parent), "prepare-nnp", *words):
        assert word in text, text


def test_model_file_content(original, paracetamol):
    content = read_model_file(original / "model.json")
    symbols = tuple(atom.GetSymbol() for atom in paracetamol.GetAtoms())
    assert content.model == "ANI-1x"
    assert content.members == (2,)
    assert content.atoms == tuple(range(20))
    assert content.elements == symbols
    assert (content.selection, content.formal_charge) == ("all", 0)
    assert (content.structure_file, content.n_structure_atoms) == ("drug.sdf", 20)
    assert content.nnpmm_version == __version__
    assert content.weights.verified(original).name == "model.safetensors"
    assert content.torchscript.verified(original).name == "model.pt"


def test_folder_can_be_moved(folder):
    assert load_model(folder / "model.json").parameters.member_indices == (2,)


@pytest.mark.parametrize(
    "changes",
    [
        {"atoms": list(range(1, 21))},
        {"elements": ["N"] + 19 * ["C"]},
        {"n_structure_atoms": 21},
        {"fingerprint": "0" * 64},
    ],
)
def test_edited_atoms_are_refused(folder, changes):
    _refused(_edit(folder, **changes), "fingerprint", "edited")


def test_fewer_atoms_than_elements_are_refused(folder):
    _refused(_edit(folder, atoms=list(range(19))), "19 atoms and 20 elements", "edited")


def test_unknown_schema_is_refused(folder):
    _refused(_edit(folder, schema_version=2), "schema version 2", "reads 1")


@pytest.mark.parametrize("key", ["atoms", "weights", "schema_version", "fingerprint"])
def test_missing_key_is_refused(folder, key):
    _refused(_edit(folder, **{key: ...}), "not a model.json", key)


def test_unknown_key_is_refused(folder):
    _refused(_edit(folder, cutoff=1.0), "not a model.json", "cutoff")


@pytest.mark.parametrize("content", ["", "{", "[]", "hello", "\x00"])
def test_invalid_json_is_refused(folder, content):
    path = folder / "model.json"
    path.write_text(content)
    _refused(path, "not a model.json")


def test_binary_file_is_refused(folder):
    path = folder / "model.json"
    path.write_bytes(b"\xff\xfe\x80")
    _refused(path, "not text")


def test_wrong_type_is_refused(folder):
    _refused(_edit(folder, atoms="all"), "atoms")


@pytest.mark.parametrize("where", [0, 5000, -1])
def test_altered_weights_are_refused(folder, where):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    _refused(folder / "model.json", "model.safetensors", "sha256", kind=WeightsError)


def test_truncated_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    _refused(folder / "model.json", "truncated", kind=WeightsError)


def test_missing_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    _refused(folder / "model.json", "model.safetensors", "cannot be read", kind=WeightsError)


@pytest.mark.parametrize("changes", [{"members": [3]}, {"model": "ANI-1ccx"}])
def test_weights_of_other_networks_are_refused(folder, changes):
    _refused(_edit(folder, **changes), "model.json says", kind=WeightsError)


def test_matching_topology_is_accepted(original):
    content = read_model_file(original / "model.json")
    content.check_topology(_topology(content.elements))


def test_deuterium_in_the_topology_of_a_run(original):
    content = read_model_file(original / "model.json")
    content.check_topology(_topology(["D" if s == "H" else s for s in content.elements]))


def test_mismatched_topologies_are_refused(original):
    content = read_model_file(original / "model.json")
    symbols = list(content.elements)
    for found, message in (
        ([*symbols, "O"], "prepared for 20 atoms .drug.sdf., but the topology has 21"),
        (symbols[:-1], "the topology has 19"),
        (["N", *symbols[1:]], "atom 0 is N in the topology but C"),
        ([*symbols[:-1], None], "atom 19 is no element in the topology but H"),
    ):
        with pytest.raises(InputFileError, match=message):
            content.check_topology(_topology(found))
