"""Pre-training and the training of a property: learning, interruptions, changed settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.locks import locked_folder
from nnpmm.graphs.bonds import BondNetwork
from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.pretraining import load_pretrained, pretrain
from nnpmm.graphs.properties import load_property_model
from nnpmm.graphs.settings import FinetuningSettings, GraphSettings, PretrainingSettings

SMILES = (
    "CCO", "CCCC", "CC(C)O", "c1ccccc1", "Cc1ccccc1", "CC(=O)O", "CCN", "C1CCCCC1", "CC#N",
    "COC", "CC(C)=O", "CCCCCC", "c1ccncc1", "CCCl", "CC(=O)N", "OCCO", "C1CCOC1", "CCS",
    "Oc1ccccc1", "CCCBr", "C=CC=C", "CC(C)(C)C", "Nc1ccccc1", "CCOCC",
)  # fmt: skip
NETWORK = GraphSettings(width=16, layers=2)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "molecules.csv"
    rows = [f"{text},{Crippen.MolLogP(Chem.MolFromSmiles(text)):.3f}" for text in SMILES]
    path.write_text("\n".join(["smiles,logp", *rows]) + "\n")
    return path


def pretraining(table, **changes) -> PretrainingSettings:
    values = {
        "molecules": (table,),
        "conformers": 2,
        "conformer_folder": table.parent / "conformers",
        "network": NETWORK,
        "batch": 12,
        "validation": 0.2,
        "epochs": 4,
        "learning_rate": 3e-3,
    }
    return PretrainingSettings(**{**values, **changes})


def property_settings(table, **changes) -> FinetuningSettings:
    values = {
        "data": table,
        "value": "logp",
        "network": NETWORK,
        "epochs": 4,
        "batch": 8,
        "members": 2,
        "test": 0.2,
        "validation": 0.2,
    }
    return FinetuningSettings(**{**values, **changes})


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at(number: int):
    def report(*progress):
        if progress[-2:][0] == number and progress[0] != "conformers":
            raise Stopped

    return report


@pytest.fixture(scope="module")
def pretrained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    return folder, pretrain(pretraining(table, epochs=60), folder)


def test_pretraining_matches_graphs_with_their_conformers(pretrained):
    _, card = pretrained
    count = round(0.2 * len(SMILES))
    chance = 1.0 / count
    assert card.molecules == len(SMILES) and len(card.training) == 60
    # At random the loss is ln(others) of a batch of 9 or 10 molecules.
    assert card.training[0] > 1.5 and card.training[-1] < 0.0
    assert max(card.agreement[30:]) > 2 * chance


def test_an_interrupted_pretraining_ends_in_the_same_files(table, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain(pretraining(table), whole)
    with pytest.raises(Stopped):
        pretrain(pretraining(table), parts, report=stop_at(2))
    assert not (parts / "model.json").exists()
    pretrain(pretraining(table), parts)
    for name in ("model.safetensors", "model.json", "checkpoint.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    other, shorter = tmp_path / "other", pretraining(table, epochs=2)
    pretrain(shorter, other)
    pretrain(pretraining(table), other)  # more epochs
    assert (whole / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    pretrain(pretraining(table, seed=2), tmp_path / "seed")
    found = (tmp_path / "seed" / "model.safetensors").read_bytes()
    assert found != (whole / "model.safetensors").read_bytes()


def test_a_pretraining_refuses_other_settings(table, tmp_path):
    pretrain(pretraining(table, epochs=1), tmp_path)
    with pytest.raises(ConfigError, match=r"was started with temperature 0.1, found 0.5"):
        pretrain(pretraining(table, epochs=1, temperature=0.5), tmp_path)


def test_molecules_without_conformers_are_named(table, tmp_path):
    strained = tmp_path / "strained.csv"
    strained.write_text(table.read_text() + "C1#CC1,0\n")
    card = pretrain(pretraining(table, molecules=(strained,), epochs=1), tmp_path / "a")
    assert card.without_conformers == ("C1#CC1",) and card.molecules == len(SMILES)


def test_too_few_molecules(table, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("smiles\nCCO\nCC\nC\n")
    with pytest.raises(ConfigError, match="found 3 molecules with conformers, expected four"):
        pretrain(pretraining(table, molecules=(few,)), tmp_path / "a")


def test_a_property_begins_with_the_pretrained_weights(pretrained, table, tmp_path):
    folder, _ = pretrained
    _, bonds = load_pretrained(folder / "model.json")
    tiny = property_settings(
        table, network=None, pretrained=folder / "model.json", epochs=1, learning_rate=1e-12
    )
    model = finetune(tiny, tmp_path / "a")
    for member in model.networks:
        for name, weights in bonds.named_parameters():
            found = dict(member.bonds.named_parameters())[name]
            np.testing.assert_allclose(found.detach(), weights.detach(), rtol=0, atol=1e-9)
    assert model.card.pretraining_sha256 is not None
    again = tiny.model_copy(update={"pretrained": tmp_path / "a" / "model.json"})
    third = finetune(again, tmp_path / "c")  # from another property, which is the same here
    for first, member in zip(model.networks, third.networks, strict=True):
        for one, other in zip(first.bonds.parameters(), member.bonds.parameters(), strict=True):
            np.testing.assert_allclose(one.detach(), other.detach(), rtol=0, atol=1e-9)
    random = finetune(property_settings(table, epochs=1), tmp_path / "b")
    assert random.card.pretraining_sha256 is None


def test_a_property_is_learned(table, tmp_path):
    settings = property_settings(table, epochs=60, learning_rate=1e-2, members=3)
    model = finetune(settings, tmp_path)
    spread = np.std([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in SMILES])
    assert model.card.metrics["train"].rmse < 0.4 * spread
    loaded = load_property_model(tmp_path / "model.json")
    (values, errors), (again, _) = model.predict(SMILES[:5]), loaded.predict(SMILES[:5])
    np.testing.assert_array_equal(values, again)
    assert errors is not None and (errors > 0).all()
    card = model.card
    assert sorted([*card.train, *card.validation, *card.test]) == sorted(
        Chem.CanonSmiles(text) for text in SMILES
    )
    assert len(card.test) == round(0.2 * len(SMILES))


def test_seeds_share_the_test_and_nothing_else(table, tmp_path):
    cards = [
        finetune(property_settings(table, epochs=1, seed=n), tmp_path / str(n)).card for n in (1, 2)
    ]
    assert cards[0].test == cards[1].test
    assert set(cards[0].validation) != set(cards[1].validation)


def test_an_interrupted_training_ends_in_the_same_files(table, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    finetune(property_settings(table), whole)
    for moment in (2, 5):  # epochs of two members
        with pytest.raises(Stopped):
            finetune(property_settings(table), parts, progress=stop_at(moment))
    finetune(property_settings(table), parts)
    for name in ("model.safetensors", "model.json", "member-2.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_a_damaged_checkpoint_is_made_again(table, tmp_path):
    settings = property_settings(table, members=1)
    finetune(settings, tmp_path)
    weights, state = tmp_path / "model.safetensors", tmp_path / "member-1.safetensors"
    before = weights.read_bytes()
    state.write_bytes(state.read_bytes()[:100])
    finetune(settings, tmp_path)
    assert weights.read_bytes() == before


def test_a_training_refuses_other_settings_and_other_files(pretrained, table, tmp_path):
    finetune(property_settings(table, epochs=1), tmp_path)
    with pytest.raises(ConfigError, match="was started with split random, found scaffold"):
        finetune(property_settings(table, epochs=1, split="scaffold"), tmp_path)
    with pytest.raises(ValueError, match="found 'pretrained' and 'network': give one"):
        property_settings(table, pretrained=pretrained[0] / "model.json")
    path = tmp_path / "model.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"weights_sha256": "0"}))
    with pytest.raises(InputFileError, match="does not match its sha256"):
        load_property_model(path)
    with pytest.raises(InputFileError):
        load_pretrained(path)


def test_bad_data_leave_nothing_behind(table, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(table.read_text() + "C[Fe],0\n")
    with pytest.raises(InputFileError, match="element Fe"):
        pretrain(pretraining(table, molecules=(bad,)), tmp_path / "a")
    with pytest.raises(InputFileError, match="element Fe"):
        finetune(property_settings(bad), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_second_process_is_kept_out(table, tmp_path):
    with locked_folder(tmp_path):
        with pytest.raises(ConfigError, match="another process is working in this folder"):
            pretrain(pretraining(table), tmp_path)
        with pytest.raises(ConfigError, match="another process is working in this folder"):
            finetune(property_settings(table), tmp_path)


def test_torchs_generator_is_left_as_it_was(table, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    finetune(property_settings(table, epochs=1), tmp_path / "a")
    pretrain(pretraining(table, epochs=1), tmp_path / "b")
    assert torch.equal(torch.rand(3), expected)


def test_a_single_value_has_nothing_to_learn(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("smiles,logp\n" + "".join(f"{text},1\n" for text in SMILES))
    with pytest.raises(
        ConfigError, match="all molecules have the value 1, so there is nothing to learn"
    ):
        finetune(property_settings(path), tmp_path / "a")


def test_networks_of_many_sizes():
    for width, layers in ((4, 1), (32, 3)):
        network = BondNetwork(GraphSettings(width=width, layers=layers))
        assert network.features == 4 * width and len(network.layers) == layers
