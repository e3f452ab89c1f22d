"""Training and files of a permeation model, on synthetic samples."""

import json
from dataclasses import replace

import numpy as np
import pytest
from network_cases import dimers, response_samples

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.learning import TrainingSettings
from nnpmm.permeation.networks.recipes import recipe
from nnpmm.permeation.networks.regressor import load_regressor, save_regressor
from nnpmm.permeation.networks.training import train
from nnpmm.permeation.runs.protocol import preset


@pytest.fixture(scope="module")
def data():
    return replace(response_samples(dimers(40)), protocol=preset("short"))


@pytest.fixture(scope="module")
def trained(data):
    return train(data, recipe("response")[0], TrainingSettings(epochs=3, members=2)).model


def test_model_card_describes_the_training(data, trained):
    card = trained.card
    assert card.data.sha256 == data.digest() and card.data.lipids == ("DOPC",)
    assert card.data.protocol == preset("short") and card.data.frames == 20
    every = (*card.data.train, *card.data.validation, *card.data.test)
    assert sorted(every) == sorted(f"DOPC/{solute}" for solute in data.solutes)
    assert [len(card.data.train), len(card.data.validation), len(card.data.test)] == [32, 4, 4]


def test_save_and_load(data, trained, tmp_path):
    save_regressor(trained, tmp_path / "model")
    found = load_regressor(tmp_path / "model")
    assert found.card == trained.card
    for predicted, expected in zip(
        *(m.predict_with_error(data.features, beads=data.beads) for m in (found, trained)),
        strict=True,
    ):
        np.testing.assert_array_equal(predicted, expected)


def test_models_of_older_versions_are_read(data, trained, tmp_path):
    """Cards of older versions call an extensive network ``per_bead``."""
    save_regressor(trained, tmp_path)
    path = tmp_path / "model.json"
    record = json.loads(path.read_text())
    record["network"]["per_bead"] = record["network"].pop("extensive")
    path.write_text(json.dumps(record))
    found = load_regressor(tmp_path)
    assert found.card == trained.card and found.card.network.extensive
    record["network"]["extensive"] = True  # ambiguous
    path.write_text(json.dumps(record))
    with pytest.raises(InputFileError, match="per_bead"):
        load_regressor(tmp_path)


def test_missing_model_is_reported(tmp_path):
    with pytest.raises(InputFileError, match=r"found no model.json; .* permeation train"):
        load_regressor(tmp_path)


def test_inconsistent_samples_are_refused(data):
    with pytest.raises(ConfigError, match="39 lipids and 40 solutes: their numbers differ"):
        replace(data, lipids=data.lipids[1:])
    with pytest.raises(ConfigError, match="their lengths differ"):
        replace(data, labels=data.labels[1:])
    spoiled = data.features.copy()
    spoiled[3, 2, 1] = np.inf
    with pytest.raises(ConfigError, match=f"features of DOPC/{data.solutes[3]} that are not fin"):
        replace(data, features=spoiled)


def test_samples_of_the_training_data(data):
    samples = data.samples()
    assert samples.names == data.names and samples.sizes.tolist() == data.beads.tolist()
    assert samples.groups["solute"] == data.solutes and samples.groups["lipid"] == data.lipids
    assert samples.groups["beads"][0] == set(data.solutes[0].split("-"))
    np.testing.assert_array_equal(samples.labels, data.labels)
