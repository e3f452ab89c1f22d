"""Errors of predictions, ablations, and results of evaluations, on synthetic samples."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from network_cases import dimers, response_samples

from nnpmm.core.errors import ConfigError
from nnpmm.learning import NetworkSettings, compare, compare_errors, make_split
from nnpmm.permeation.dataset.splits import PUBLISHED_SHARES, split_groups
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini.solute_sets import list_solutes
from nnpmm.permeation.networks.ablations import first_frames, without_bead_normalisation
from nnpmm.permeation.networks.evaluation import (
    evaluate,
    frames_study,
    polarity,
)
from nnpmm.permeation.networks.figures import (
    attention_figure,
    errors_figure,
    frames_figure,
    learning_figure,
    parity_figure,
)
from nnpmm.permeation.networks.recipes import PUBLISHED_TRAINING, recipe
from nnpmm.permeation.networks.regressor import load_default_regressor
from nnpmm.permeation.networks.report import predictions_table, reports_by_group
from nnpmm.permeation.networks.training import train


@pytest.fixture(scope="module")
def response():
    """A response network of two members, trained on dimers."""
    network, protocol = recipe("response")
    quick = protocol.model_copy(update={"members": 2, "epochs": 60, "learning_rate": 3e-2})
    return train(response_samples(dimers(105)), network, quick)


@pytest.fixture(scope="module")
def evaluation(response):
    return evaluate(response.model, response_samples(dimers(105)))


@pytest.fixture(scope="module")
def chains():
    return response_samples(list_solutes("trimers:40"), frames=100, seed=2)


def test_extensive_network_extrapolates_from_dimers_to_trimers(response, chains):
    """Trimers have weaker interactions per bead than all dimers, and dG grows with the size."""
    expected = compare(evaluate(response.model, chains).predicted, chains.labels)
    assert response.model.card.metrics["test"].mae < 0.3
    assert expected.mae < 0.4 and expected.r2 > 0.98 and expected.spearman > 0.98


def test_intensive_network_does_not_extrapolate_to_trimers(chains):
    network, protocol = recipe("response")
    whole = network.model_copy(update={"extensive": False})
    quick = protocol.model_copy(update={"members": 1, "epochs": 60, "learning_rate": 3e-2})
    model = train(response_samples(dimers(105)), whole, quick).model
    assert model.card.metrics["test"].mae < 0.3  # dimers are described as well
    found = compare(model.predict(chains.features), chains.labels)
    assert found.mae > 0.6 and found.spearman > 0.95  # the order is right, the size is not


def test_predictions_require_the_numbers_of_beads(response, chains):
    with pytest.raises(ConfigError, match="no numbers of beads"):
        response.model.predict(chains.features)
    with pytest.raises(ConfigError, match="for 40 samples: give one"):
        response.model.predict(chains.features, beads=np.array([3]))
    with pytest.raises(ConfigError, match="positive number"):
        response.model.predict(chains.features, beads=np.zeros(40))


def test_predicted_errors_match_the_deviations(response):
    fresh = response_samples(dimers(105), seed=7)
    predicted, errors = response.model.predict_with_error(fresh.features, beads=fresh.beads)
    assert predicted.shape == errors.shape == (105,) and np.all(errors > 0)
    np.testing.assert_array_equal(
        predicted, response.model.predict(fresh.features, beads=fresh.beads)
    )
    found = compare_errors(predicted - fresh.labels, errors, np.zeros(105))
    assert 0.6 < found.rms < 1.7 and found.within_two > 0.75


def test_errors_decrease_with_the_number_of_frames(response):
    long = response_samples(dimers(60), frames=200, seed=3)
    means = [
        response.model.predict_with_error(part.features, beads=part.beads)[1].mean()
        for part in (first_frames(long, 20), long)
    ]
    assert (
        2.2 < means[0] / means[1] < 4.5
    )  # sqrt(10) if all errors came from the noise of the frames


def test_error_of_a_single_frame_is_refused(response):
    short = first_frames(response_samples(dimers(4)), 1)
    assert response.model.predict(short.features, beads=short.beads).shape == (4,)
    with pytest.raises(ConfigError, match="at least two frames"):
        response.model.predict_with_error(short.features, beads=short.beads)


def test_samples_are_assigned_to_their_parts(response, evaluation, chains):
    data = evaluation.data
    groups = split_groups(data.lipids, data.solutes)
    split = make_split("random", groups, 105, seed=1, shares=PUBLISHED_SHARES)
    for part, indices in split._asdict().items():
        assert {evaluation.parts[n] for n in indices} == {part}
    assert set(response.model.card.data.parts(chains.names)) == {"new"}
    elsewhere = replace(data, lipids=("DPPC",) * 105)
    assert set(response.model.card.data.parts(elsewhere.names)) == {"new"}


def test_reports_match_the_model_card(response, evaluation):
    reports = reports_by_group(evaluation)["part"]
    for part, metrics in response.model.card.metrics.items():
        assert reports[part].metrics == metrics
    assert evaluation.report().metrics.samples == 105
    by_part = evaluation.by_part()
    assert list(by_part) == ["train", "validation", "test"]
    assert by_part["test"].report() == reports["test"]


def test_reports_without_unseen_samples(evaluation):
    reports = reports_by_group(evaluation.by_part()["train"])
    assert list(reports["part"]) == ["train"] and reports["lipid"] == reports["polarity"] == {}


@pytest.mark.parametrize(
    ("solute", "families"), [("C1-C5", "C"), ("P4-Nda", "NP"), ("P1-N0-C3", "CNP"), ("C1", "C")]
)
def test_polarity(solute, families):
    assert polarity(solute) == families


def test_predictions_table(evaluation):
    rows = list(csv.DictReader(io.StringIO(predictions_table(evaluation))))
    assert len(rows) == 105 and rows[3]["solute"] == evaluation.data.solutes[3]
    assert float(rows[3]["predicted"]) == pytest.approx(evaluation.predicted[3], abs=1e-4)
    assert rows[3]["part"] == evaluation.parts[3] and rows[3]["label_error"] == "0.0500"


def test_errors_decrease_in_the_study_of_frames(response):
    data = response_samples(dimers(105), seed=8, noise=3.0)
    np.testing.assert_array_equal(first_frames(data, 5).features, data.features[:, :5])
    found = frames_study(response.model, data, [1, 5, 20])
    errors = [found[count].mae for count in (1, 5, 20)]
    assert errors[0] > 1.5 * errors[1] > 2.0 * errors[2]
    with pytest.raises(ConfigError, match="21 frames, allowed: 1 to 20"):
        frames_study(response.model, data, [21])


def test_features_of_whole_molecules(chains):
    both = replace(
        chains, solutes=("C1-C1", *chains.solutes[1:]), features=np.ones_like(chains.features)
    )
    features = without_bead_normalisation(both).features
    expected = [1, 2, 1, 2, 2, 1, 1, 1]
    np.testing.assert_array_equal(features[0], np.tile(expected, (100, 1)))
    np.testing.assert_array_equal(features[1], np.tile([1, 3, 1, 3, 3, 1, 1, 1], (100, 1)))
    np.testing.assert_array_equal(both.features, 1)


@pytest.mark.parametrize("kind", ["model-l", "model-la", "dnn"])
def test_published_recipes(kind):
    network, protocol = recipe(kind)
    assert protocol == PUBLISHED_TRAINING and not network.extensive
    assert network == NetworkSettings(kind=kind, features=FEATURE_NAMES)


def test_published_protocol():
    expected = {
        "split": "random",
        "batch_size": 32,
        "learning_rate": 3e-4,
        "weight_decay": 0.0,
        "epochs": 1000,
        "anneal": False,
        "members": 1,
        "seed": 1,
    }
    assert PUBLISHED_TRAINING.model_dump() == expected


def test_unknown_recipe_is_refused():
    with pytest.raises(ConfigError, match="'gru', known networks: model-l, model-la, dnn, resp"):
        recipe("gru")


def test_figures(response, evaluation, tmp_path):
    weights = np.full((3, 20), 1 / 20)
    figures = [
        learning_figure(response.curves, response.model.card.kept_epochs),
        parity_figure(evaluation),
        errors_figure(evaluation),
        attention_figure(weights, 60.0),
        frames_figure({"test": {5: 0.4, 20: 0.2}}, 60.0),
    ]
    for n, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{n}.png")
    assert all(axes.get_xlabel() for figure in figures for axes in figure.axes)
    drawn = figures[4].axes[0].lines[0]
    np.testing.assert_allclose(drawn.get_xdata(), [0.3, 1.2])


def test_documentation_matches_the_model_card():
    """If this fails after a new training: python benchmarks/permeation_model_card.py."""
    card = load_default_regressor().card
    page = (ROOT / "docs" / "permeation-model.md").read_text()
    assert f"`{card.data.sha256[:16]}`" in page
    for part, metrics in card.metrics.items():
        assert f"| {part} | {metrics.samples} | {metrics.mae:.3f} | {metrics.rmse:.3f} |" in page


def test_shipped_model_predicts():
    model = load_default_regressor()
    assert model.card.metrics["test"].r2 > 0.98
    data = response_samples(["C1-P4", "C1-C1-P4"])
    predicted, errors = model.predict_with_error(data.features, beads=data.beads)
    assert np.isfinite(predicted).all() and np.all((errors > 0) & (errors < 3))
