"""nnpmm sample language: train, generate, evaluate, and errors of bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_sample import nnpmm

from nnpmm.cli.sample_language import _gain
from nnpmm.learning.language import load_language_model


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Two wells with noise, 6,000 frames."""
    rng = np.random.default_rng(1)
    state = np.cumsum(rng.random(6000) < 0.03) % 2
    path = tmp_path_factory.mktemp("series") / "x.npy"
    np.save(path, np.where(state, 1.0, -1.0) + 0.2 * rng.normal(size=6000))
    return path


def test_train_generate_evaluate(series, tmp_path, capsys):
    model, new = tmp_path / "model.json", tmp_path / "new.npy"
    options = ("--centers", "-1;1", "--smooth", 2)
    assert nnpmm("sample", "language", "train", series, *options, "--epochs", 8, "-o", model) == 0
    assert "2 states, 6000 frames" in capsys.readouterr().out
    command = ("sample", "language", "generate", model, "--length", 3000, "--walkers", 4)
    assert nnpmm(*command, "-o", new) == 0
    assert np.load(new).shape == (4, 3000)
    capsys.readouterr()
    assert nnpmm("sample", "language", "evaluate", new, series, *options, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in data["rows"]] == ["reference", "generated"]
    assert data["rows"][1]["population_mean_absolute_error"] < 0.15
    assert nnpmm("sample", "language", "evaluate", new, series, *options) == 0
    assert "first passage 0 to 1" in capsys.readouterr().out


def test_memory_is_added_to_a_markov_model(series, tmp_path, capsys):
    """The card has the loss of the Markov model, and the command prints the gain by memory."""
    pytest.importorskip("deeptime")
    model = tmp_path / "model.json"
    options = ("--centers", "-1;1", "--markov", "--epochs", 2, "--patience", 2)
    command = ("sample", "language", "train", series, *options, "--learning-rate", 2e-3)
    assert nnpmm(*command, "-o", model) == 0
    card = load_language_model(model).card
    assert card.settings.markov and card.settings.epochs == card.settings.patience == 2
    assert card.settings.learning_rate == 2e-3
    out = capsys.readouterr().out
    assert f"{card.markov:.4f} nats per frame" in out and "memory" in out


def test_gain_by_memory_is_printed():
    assert _gain(0.3, 0.2) == "Markov model 0.3000 nats per frame; memory gains 0.1000"
    assert "does not improve" in _gain(0.3, 0.3)


def test_a_markov_model_is_compared(series, tmp_path, capsys):
    pytest.importorskip("deeptime")
    states = (np.load(series) > 0).astype(int)
    np.save(tmp_path / "new.npy", states)
    np.savetxt(tmp_path / "long.txt", states, fmt="%d")
    command = ("sample", "language", "evaluate", tmp_path / "new.npy", tmp_path / "long.txt")
    assert nnpmm(*command, "--training", tmp_path / "long.txt", "--lag", 2) == 0
    out = capsys.readouterr().out
    assert "Markov model, lag 2" in out and "off by 0.000" in out
    assert nnpmm(*command, "--training", tmp_path / "long.txt", "--lag", 2, "--json") == 0
    out = capsys.readouterr().out
    rows = json.loads(out, parse_constant=lambda name: pytest.fail(f"found {name} in JSON"))["rows"]
    assert rows[-1]["population_errors"] == [None, None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "not states: give --centers"),
        (("--centers", "1"), "--centers: found '1'"),
        (("--centers", "0,0;1,1"), "1 variables and centres of 2"),
        (("--centers", "-1;1;9"), "no visit to the state(s) 2"),
        (("--centers", "-1;1", "--smooth", "5000"), "found no visit of 5000 frames"),
        (("--centers", "-1;1", "--smooth", "140"), "transitions between states, needed: 20"),
        (("--centers", "-1;1", "-o", "x.pt"), "expected .json"),
    ],
)
def test_invalid_training_data_give_one_line(series, options, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nnpmm("sample", "language", "train", series, *options) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("generated", "reference", "words"),
    [
        ([0, 1], [0, 2], "no visit to the state(s) 1 of 3"),
        ([0, 0], [0, 1], "no visit to the state(s) 1 of 2"),
        ([0, 2], [0, 1], "found the state 2, allowed: 0 to 1"),
        ([0, 1], [0, 1, 1, 1] * 2 + [1] * 80, None),
    ],
)
def test_invalid_evaluations_give_one_line(generated, reference, words, tmp_path, capsys):
    """States that one of the two never visits, and too few transitions, with their number."""
    few = words is None
    for name, states in (("new", generated), ("long", reference)):
        repeated = states if few and name == "long" else states * 50
        np.save(tmp_path / f"{name}.npy", np.array(repeated))
    command = ("sample", "language", "evaluate", tmp_path / "new.npy", tmp_path / "long.npy")
    assert nnpmm(*command) == 2
    error = capsys.readouterr().err
    assert (words or "found 3 transitions between states, needed: 20") in error
    assert error.count("\n") == 1
