"""Trajectories as a language: states, kinetics of known chains, a network that learns one."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.learning.language import (
    LanguageSettings,
    MarkovModel,
    assign_states,
    dwell_times,
    first_passage_times,
    fit_markov_model,
    implied_timescales,
    kinetics_of,
    load_language_model,
    read_series,
    require_states,
    smooth_recrossings,
    train_language_model,
    transition_matrix,
)
from nnpmm.learning.language.memory import log_probabilities, match_transitions

# Detailed balance with populations 0.5, 0.2, 0.3.
POPULATIONS = np.array([0.5, 0.2, 0.3])
MATRIX = np.array([[0.96, 0.02, 0.02], [0.05, 0.90, 0.05], [0.02 * 5 / 3, 0.1 / 3, 0.0]])
MATRIX[2, 2] = 1 - MATRIX[2, :2].sum()
CHAIN = MarkovModel(MATRIX, 1, POPULATIONS)


@pytest.fixture(scope="module")
def walk():
    return CHAIN.generate(40_000, seed=3)


def test_the_chain_is_what_it_should_be():
    np.testing.assert_allclose(POPULATIONS @ MATRIX, POPULATIONS, atol=1e-12)
    times = CHAIN.passage_times
    expected = 1 + MATRIX[0, 0] * times[0, 2] + MATRIX[0, 1] * times[1, 2]
    assert times[0, 2] == pytest.approx(expected)


def test_kinetics_of_a_chain_are_within_their_errors(walk):
    found = kinetics_of([walk], 3, blocks=20)
    assert (np.abs(found.populations - POPULATIONS) < 4 * found.population_errors).all()
    assert found.populations.sum() == pytest.approx(1)
    off = ~np.eye(3, dtype=bool)
    deviation = (found.passage_times - CHAIN.passage_times)[off] / found.passage_errors[off]
    assert np.abs(deviation).max() < 4
    assert (found.passage_times[~off] == 0).all()
    expected = 1 / (1 - np.diag(MATRIX))
    assert (np.abs(found.dwell - expected) < 4 * found.dwell_errors).all()
    assert (found.population_errors < 0.05).all()


def test_first_passage_times_by_hand():
    states = np.array([0, 0, 1, 2, 0, 1, 1])
    found = first_passage_times(states, 3)
    assert found[0, 1] == pytest.approx((2 + 1 + 1) / 3)
    assert found[0, 2] == pytest.approx((3 + 2) / 2)  # the third visit to 0 never sees 2
    assert found[1, 2] == 1 and found[2, 0] == 1
    assert dwell_times(states)[1].tolist() == [1]


def test_timescales(walk):
    exact = implied_timescales(MATRIX, 1)
    found = implied_timescales(transition_matrix([walk], 3, 1), 1)
    np.testing.assert_allclose(found, exact, rtol=0.1)
    np.testing.assert_allclose(implied_timescales(MATRIX @ MATRIX, 2), exact, rtol=1e-9)


def test_short_visits_belong_to_the_visit_before():
    states = [1, 0, 0, 0, 1, 0, 0, 2, 2, 2, 1, 1, 0, 2, 2]
    assert smooth_recrossings(states, 2).tolist() == [0] * 7 + [2] * 3 + [1] * 3 + [2] * 2
    assert smooth_recrossings(states, 1).tolist() == states
    assert smooth_recrossings(states, 3).tolist() == [0] * 7 + [2] * 8
    assert smooth_recrossings([], 3).size == 0


def test_states_are_the_nearest_centres():
    assert assign_states([0.1, 0.9, 2.2], [0.0, 1.0, 2.0]).tolist() == [0, 1, 2]
    degrees = np.array([[170.0, 0.0], [-175.0, 5.0], [10.0, 0.0]])
    centres = [[-180.0, 0.0], [0.0, 0.0]]
    found = assign_states(degrees, centres, periods=[360.0, None])
    assert found.tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match="2 variables and centres of 1"):
        assign_states(degrees, [0.0, 1.0])


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(SimulationError, match="found 3 transitions"):
        require_states([np.repeat([0, 1, 0, 1], 100)])
    with pytest.raises(SimulationError, match=r"no visit to the state\(s\) 1 of 3"):
        require_states([np.tile([0, 2], 50)])
    with pytest.raises(ConfigError, match="found the state 5, allowed: 0 to 2"):
        require_states([np.array([0, 5])], 3)
    with pytest.raises(ConfigError, match="integers"):
        require_states([np.array([-1, 0])])
    short = np.tile([0, 1], 60)
    with pytest.raises(ConfigError, match="120 frames, too short"):
        train_language_model([short])


QUICK = LanguageSettings(epochs=25, hidden=24, sequence=50, batch=32, learning_rate=1e-2)


@pytest.fixture(scope="module")
def trained(walk):
    return train_language_model([walk], QUICK)


def test_a_chain_is_learned(trained, walk):
    """The cross entropy is near the chain's entropy; new walks have its populations and times."""
    entropy = -(POPULATIONS[:, None] * MATRIX * np.log(MATRIX)).sum()
    assert min(trained.card.validation) < 1.05 * entropy
    new = trained.generate(4000, walkers=20, seed=1)
    found = kinetics_of(list(new), 3, blocks=2)
    assert np.abs(found.populations - POPULATIONS).mean() < 0.03
    off = ~np.eye(3, dtype=bool)
    ratio = found.passage_times[off] / CHAIN.passage_times[off]
    assert np.abs(ratio - 1).max() < 0.3


def test_memory_is_learned_where_a_markov_model_has_none():
    """Visits have exactly ten frames and a fixed order; a Markov model would vary their lengths."""
    states = np.tile(np.repeat([0, 1], 10), 500)
    model = train_language_model([states], QUICK)
    new = model.generate(400, seed=2)[0]
    lengths = dwell_times(new)[0]
    assert np.mean(lengths == 10) > 0.6  # of a Markov model 4 %


def test_memory_leaves_the_mean_transitions_as_counted(walk):
    """Mean probabilities over the frames in each state are those of the matrix for any memory."""
    states = torch.from_numpy(walk[:4000])
    memory = torch.from_numpy(np.random.default_rng(5).normal(scale=1.5, size=(4000, 3)))

    def mean(offsets):
        chances = torch.softmax(offsets[states] + memory, dim=-1)
        return np.array([chances[states == k].mean(dim=0).numpy() for k in range(3)])

    assert np.abs(mean(log_probabilities(MATRIX)) - MATRIX).max() > 0.02
    np.testing.assert_allclose(mean(match_transitions(memory, states, MATRIX)), MATRIX, atol=1e-5)
    alone = match_transitions(0 * memory, states, MATRIX)
    np.testing.assert_allclose(torch.softmax(alone, dim=-1), MATRIX, atol=1e-8)
    with pytest.raises(SimulationError, match="do not meet those counted"):
        match_transitions(memory * np.nan, states, MATRIX)


WITH_MARKOV = QUICK.model_copy(update={"markov": True, "epochs": 8})


def test_a_markov_model_is_where_memory_starts_from(walk):
    """On a Markov chain memory gains nothing, and the populations are those of the counts."""
    pytest.importorskip("deeptime")
    model = train_language_model([walk], WITH_MARKOV)
    assert model.card.markov is not None
    assert min(model.card.validation) > model.card.markov - 1e-3
    found = kinetics_of(list(model.generate(5000, walkers=40, seed=1)), 3, blocks=2)
    counted = fit_markov_model([walk], 3, 1)
    assert np.abs(found.populations - counted.populations).max() < 0.02
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found.passage_times[off], counted.passage_times[off], rtol=0.15)


def test_memory_is_added_to_a_markov_model(tmp_path):
    """With visits of exactly ten frames memory helps, and the file stores it."""
    pytest.importorskip("deeptime")
    states = np.tile(np.repeat([0, 1], 10), 500)
    settings = WITH_MARKOV.model_copy(update={"epochs": 40})
    model = train_language_model([states], settings)
    assert min(model.card.validation) < 0.3 * model.card.markov
    new = model.generate(400, seed=2)[0]
    assert np.mean(dwell_times(new)[0] == 10) > 0.6
    model.save(tmp_path / "model.json")
    again = load_language_model(tmp_path / "model.json")
    np.testing.assert_array_equal(again.generate(100, seed=1), model.generate(100, seed=1))


def test_training_and_generation_are_deterministic(walk, trained, tmp_path):
    quick = QUICK.model_copy(update={"epochs": 2})
    first, second = (train_language_model([walk], quick) for _ in range(2))
    assert first.card.validation == second.card.validation
    again = first.generate(200, walkers=2, seed=5)
    np.testing.assert_array_equal(again, second.generate(200, walkers=2, seed=5))
    assert (again != first.generate(200, walkers=2, seed=6)).any()
    assert (again[0] != again[1]).any()


def test_a_saved_model_is_the_same(trained, tmp_path):
    path = tmp_path / "model.json"
    trained.save(path)
    again = load_language_model(path)
    np.testing.assert_array_equal(again.generate(100, seed=1), trained.generate(100, seed=1))
    assert json.loads(path.read_text())["transitions"] == trained.card.transitions
    card = json.loads(path.read_text())
    (tmp_path / "other.json").write_text(json.dumps({**card, "n_states": 4}))
    shutil.copy(path.with_suffix(".safetensors"), tmp_path / "other.safetensors")
    with pytest.raises(InputFileError, match=r"other.safetensors: does not fit"):
        load_language_model(tmp_path / "other.json")
    weights = path.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(InputFileError, match="sha256"):
        load_language_model(path)


def test_series_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4))
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    assert read_series(tmp_path / "a.npy").shape == (4,)
    assert read_series(tmp_path / "b.csv").shape == (2, 2)
    (tmp_path / "c.txt").write_text("1 nan\n")
    with pytest.raises(InputFileError, match="all finite"):
        read_series(tmp_path / "c.txt")
    np.save(tmp_path / "d.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputFileError, match="cannot be read"):
        read_series(tmp_path / "d.npy")


def test_deeptime_gives_the_chain_back(walk):
    pytest.importorskip("deeptime")
    model = fit_markov_model([walk], 3, 1)
    np.testing.assert_allclose(model.matrix, MATRIX, atol=0.01)
    np.testing.assert_allclose(model.populations, POPULATIONS, atol=0.03)
    from deeptime.markov.msm import MarkovStateModel

    theirs = MarkovStateModel(model.matrix).mfpt([0], [2])
    assert model.passage_times[0, 2] == pytest.approx(theirs)
    once = np.append(np.tile([0, 1], 50), [2, 2])  # which comes back from nowhere
    with pytest.raises(SimulationError, match="found 2 connected states of 3"):
        fit_markov_model([once], 3, 1)
    for poor, words in ((np.repeat([0, 1], 50), "found 1 transitions"), (once, "state.s. 3 of 4")):
        with pytest.raises(SimulationError, match=words):
            fit_markov_model([poor], int(poor.max()) + (2 if "of 4" in words else 1), 1)
