"""Scaling, splits and metrics: nothing of the test samples may reach the training."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from nnpmm.errors import ConfigError
from nnpmm.learning.metrics import compare
from nnpmm.learning.scaling import fit_scaler
from nnpmm.permeation.solutes import list_solutes
from nnpmm.permeation.splits import make_split

DIMERS = list_solutes("dimers")
LIPIDS = ["DPPC", "DOPC", "POPC", "DLPC", "DAPC", "DIPC"]
ALL = ([lipid for lipid in LIPIDS for _ in DIMERS], DIMERS * len(LIPIDS))


def _sides(split):
    return (split.train, split.validation, split.test)


@pytest.mark.parametrize("request_", ["random", "solute", "lipid:DOPC", "beads:C1,P4"])
def test_each_sample_is_on_one_side(request_):
    split = make_split(request_, *ALL, seed=3)
    assert sorted(np.concatenate(_sides(split))) == list(range(630))


def test_published_random_split():
    split = make_split("random", *ALL, seed=1)
    assert [len(side) for side in _sides(split)] == [510, 57, 63]
    again, other = (make_split("random", *ALL, seed=seed) for seed in (1, 2))
    assert np.array_equal(split.test, again.test) and not np.array_equal(split.test, other.test)


def test_split_by_solute():
    split = make_split("solute", *ALL, seed=1)
    train, validation, test = ({ALL[1][n] for n in side} for side in _sides(split))
    assert not (train & validation or train & test or validation & test)
    assert [len(train), len(validation), len(test)] == [85, 9, 11]


def test_split_by_lipid():
    split = make_split("lipid:DOPC,DAPC", *ALL, seed=1)
    assert {ALL[0][n] for n in split.test} == {"DOPC", "DAPC"} and len(split.test) == 210
    assert {ALL[0][n] for n in [*split.train, *split.validation]} == set(LIPIDS) - {"DOPC", "DAPC"}
    assert len(split.validation) == 42


def test_split_by_bead_types():
    split = make_split("beads:C1,P4", *ALL, seed=1)
    beads = [{bead for n in side for bead in ALL[1][n].split("-")} for side in _sides(split)]
    assert not ({"C1", "P4"} & (beads[0] | beads[1])) and len(split.test) == 6 * (14 + 13)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("folds", "allowed: random"),
        ("random:3", "allowed: random"),
        ("lipid:", "allowed: random"),
        ("lipid:DSPC", "no sample with DSPC"),
        ("beads:Q0", "no sample with Q0"),
        ("lipid:" + ",".join(LIPIDS), "leaves out all 630"),
    ],
)
def test_splits_that_are_refused(request_, words):
    with pytest.raises(ConfigError, match=words):
        make_split(request_, *ALL, seed=1)


def test_too_few_samples():
    with pytest.raises(ConfigError, match="of 3 samples leaves training, validation or test"):
        make_split("random", ["DOPC"] * 3, DIMERS[:3], seed=1)


def test_scaler_maps_its_samples_onto_the_unit_interval():
    features = np.random.default_rng(1).normal(size=(5, 20, 3)) * [1.0, 1e5, 1e-3] + [0, -1e6, 5]
    scaled = fit_scaler(features, ("a", "b", "c"))(features)
    assert scaled.dtype == np.float32 and scaled.shape == features.shape
    np.testing.assert_array_equal(scaled.min(axis=(0, 1)), 0.0)
    np.testing.assert_array_equal(scaled.max(axis=(0, 1)), 1.0)
    ratio = (features[..., 1] - features[..., 1].min()) / np.ptp(features[..., 1])
    np.testing.assert_allclose(scaled[..., 1], ratio, rtol=0, atol=1e-7)


def test_scaler_does_not_clip():
    scaler = fit_scaler(np.array([[[0.0], [2.0]]]), ("a",))
    np.testing.assert_array_equal(scaler(np.array([[[-1.0], [3.0]]])), [[[-0.5], [1.5]]])


@pytest.mark.parametrize(("value", "words"), [(1.0, "found 1 in all"), (np.nan, "not finite")])
def test_features_that_cannot_be_scaled(value, words):
    features = np.random.default_rng(1).random((2, 4, 2))
    features[..., 1] = value
    with pytest.raises(ConfigError, match=f"feature apl: .*{words}"):
        fit_scaler(features, ("sasa", "apl"))


def test_metrics():
    rng = np.random.default_rng(2)
    labels = rng.normal(size=40)
    predicted = labels + 0.3 * rng.normal(size=40) + 0.2
    found = compare(predicted, labels)
    errors = predicted - labels
    assert found.samples == 40
    assert found.mae == pytest.approx(np.mean(np.abs(errors)))
    assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert found.largest == pytest.approx(np.max(np.abs(errors)))
    assert found.r2 == pytest.approx(
        1 - np.var(errors) / np.var(labels) - errors.mean() ** 2 / np.var(labels)
    )
    assert found.pearson == pytest.approx(pearsonr(predicted, labels).statistic)
    assert found.spearman == pytest.approx(spearmanr(predicted, labels).statistic)


def test_metrics_that_are_not_defined():
    found = compare(np.array([1.0]), np.array([2.0]))
    assert found.mae == 1.0 and found.r2 is None and found.pearson is None
    assert compare(np.array([1.0, 1.0]), np.array([1.0, 2.0])).spearman is None
    with pytest.raises(ConfigError, match="not finite"):
        compare(np.array([np.nan]), np.array([1.0]))
