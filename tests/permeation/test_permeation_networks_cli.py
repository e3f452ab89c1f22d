"""``nnpmm permeation train`` and ``evaluate``: files, and one line for every error."""

import json
import shutil
import sys

import numpy as np
import pytest
from conftest import ROOT
from network_cases import dimers, response_samples, write_data_set

from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.core.errors import ConfigError
from nnpmm.permeation.dataset.training_data import load_training_data
from nnpmm.permeation.networks.regressor import load_regressor

QUICK = ["--set", "epochs=3", "--set", "members=1"]


def main():
    run_app(permeation, sys.argv[1:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a data set of 40 dimers, 38 of them labelled."""
    folder = tmp_path_factory.mktemp("set")
    write_data_set(folder, response_samples(dimers(40)), slice(2, None))
    return folder


def test_samples_with_features_and_a_label(folder):
    data, missing = load_training_data(folder)
    made = response_samples(dimers(40))
    assert missing == [f"DOPC/{solute}" for solute in made.solutes[:2]]
    assert data.solutes == made.solutes[2:]
    np.testing.assert_array_equal(data.features, made.features[2:])
    np.testing.assert_allclose(data.labels, made.labels[2:], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(data.label_errors, 0.05)


def test_samples_of_several_data_sets(folder, tmp_path, call):
    write_data_set(tmp_path / "trimers", response_samples(["C1-C1-P4", "P1-N0-C3"]))
    both, missing = load_training_data(folder, tmp_path / "trimers")
    assert both.solutes[-2:] == ("C1-C1-P4", "P1-N0-C3") and len(both.labels) == 40
    assert list(both.beads[-3:]) == [2, 3, 3] and len(missing) == 2
    with pytest.raises(ConfigError, match="DOPC/C1-C3 in two data sets"):
        load_training_data(folder, folder)
    shutil.copytree(tmp_path / "trimers", tmp_path / "other")
    settings = tmp_path / "other" / "dataset.json"
    settings.write_text(settings.read_text().replace('"300.0 K"', '"310.0 K"'))
    found = call(main, "train", "-d", folder, "-d", tmp_path / "other", "-o", tmp_path / "model")
    found.assert_one_line_error("different protocols", str(tmp_path / "other"))


@pytest.mark.parametrize("network", ["response", "model-la"])
def test_train_and_evaluate(call, folder, tmp_path, network):
    model, report = tmp_path / "model", tmp_path / "report"
    arguments = ["--network", network, "--seed", "2", "-d", folder, "-o", model]
    found = call(main, "train", *arguments, *QUICK)
    assert found.status == 0, found.err
    assert "2 samples have no label and are left out: DOPC/C1-C1" in found.out
    assert "test: 4 samples, MAE" in found.out
    names = {path.name for path in model.iterdir()}
    assert names == {"model.json", "model.safetensors", "learning.png"}
    card = load_regressor(model).card
    assert (card.training.seed, card.training.epochs, card.network.kind) == (2, 3, network)

    found = call(main, "evaluate", "-m", model, "-d", folder, "-o", report)
    assert found.status == 0, found.err
    record = json.loads((report / "evaluation.json").read_text())
    assert record["part"]["test"]["metrics"] == card.metrics["test"].model_dump()
    assert record["lipid"]["DOPC"]["metrics"]["samples"] == 4  # those never trained on
    assert sum(row["metrics"]["samples"] for row in record["polarity"].values()) == 4
    drawn = {"parity.png", "errors.png", "frames.png"}
    drawn |= {"attention.png"} if network == "model-la" else set()
    names = {path.name for path in report.iterdir()}
    assert names == drawn | {"evaluation.json", "predictions.csv"}
    again = call(main, "evaluate", "-m", model, "-d", folder, "-o", report)
    again.assert_one_line_error("exists already", "--overwrite")
    found = call(main, "evaluate", "-m", model, "-d", folder, "-o", report, "--overwrite")
    assert found.status == 0


def test_evaluate_trimers_with_the_default_model(call, tmp_path):
    write_data_set(tmp_path / "set", response_samples(["C1-C1-P4", "P1-N0-C3", "P4-P4-P4"]))
    found = call(main, "evaluate", "-d", tmp_path / "set", "-o", tmp_path / "report")
    assert found.status == 0, found.err
    assert "0.969" in found.out and "0.95 " not in found.out  # published of trimers, not of dimers
    record = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert set(record["part"]) == {"new"} and set(record["polarity"]) == {"CP", "CNP", "P"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "gru"], ["'gru'", "known networks: model-l, model-la, dnn, response"]),
        (["--split", "folds"], ["'folds'", "allowed: random, solute"]),
        (["--split", "lipid:DPPC"], ["no sample with DPPC", "there are: DOPC"]),
        (["--split", "beads:C1,Q0"], ["no sample with Q0"]),
        (["--set", "epochs=0"], ["epochs", "greater than or equal to 1"]),
        (["--set", "epoch=5"], ["epoch: Extra inputs", "known settings: split, batch_size"]),
        (["--set", "epochs"], ["'epochs'", "expected a setting"]),
        (["--seed", "-1"], ["seed", "greater than or equal to 0"]),
    ],
)
def test_bad_arguments_give_one_line_and_no_files(call, folder, tmp_path, arguments, words):
    found = call(main, "train", *arguments, "-d", folder, "-o", tmp_path / "model")
    found.assert_one_line_error(*words)
    assert not (tmp_path / "model").exists()


def test_existing_model_is_not_overwritten(call, folder, tmp_path):
    (tmp_path / "model.json").write_text("mine")
    found = call(main, "train", "-d", folder, "-o", tmp_path)
    found.assert_one_line_error("model.json: exists already", "--overwrite")
    assert (tmp_path / "model.json").read_text() == "mine"


def test_missing_training_data_is_reported(call, folder, tmp_path):
    found = call(main, "train", "-d", tmp_path / "none", "-o", tmp_path / "model")
    found.assert_one_line_error("found no dataset.json", "dataset build")
    write_data_set(tmp_path / "set", response_samples(dimers(3)), slice(0, 0))
    found = call(main, "train", "-d", tmp_path / "set", "-o", tmp_path / "model")
    found.assert_one_line_error("none of them with a label", "label linear")
    found = call(main, "evaluate", "-m", tmp_path / "set", "-d", folder, "-o", tmp_path / "report")
    found.assert_one_line_error("found no model.json", "permeation train")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_file_in_place_of_the_output_folder_is_refused(call, tmp_path, command):
    file = tmp_path / "file"
    file.touch()
    arguments = [command, "-d", ROOT / "data" / "permeation-monomers", "-o", file]
    call(main, *arguments).assert_one_line_error("cannot be written (Not a directory)")
