"""Splits of samples by solute, lipid and type of bead."""

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.learning import make_split
from nnpmm.permeation.dataset.splits import PUBLISHED_SHARES, split_groups
from nnpmm.permeation.martini.solute_sets import list_solutes

DIMERS = list_solutes("dimers")
LIPIDS = ["DPPC", "DOPC", "POPC", "DLPC", "DAPC", "DIPC"]
ALL = ([lipid for lipid in LIPIDS for _ in DIMERS], DIMERS * len(LIPIDS))


def _split(request, lipids, solutes, *, seed):
    groups = split_groups(lipids, solutes)
    return make_split(request, groups, len(solutes), seed=seed, shares=PUBLISHED_SHARES)


def _sides(split):
    return (split.train, split.validation, split.test)


@pytest.mark.parametrize("request_", ["random", "solute", "lipid:DOPC", "beads:C1,P4"])
def test_each_sample_is_in_one_part(request_):
    split = _split(request_, *ALL, seed=3)
    assert sorted(np.concatenate(_sides(split))) == list(range(630))


def test_published_random_split():
    split = _split("random", *ALL, seed=1)
    assert [len(side) for side in _sides(split)] == [510, 57, 63]
    again, other = (_split("random", *ALL, seed=seed) for seed in (1, 2))
    assert np.array_equal(split.test, again.test) and not np.array_equal(split.test, other.test)


def test_split_by_solute():
    split = _split("solute", *ALL, seed=1)
    train, validation, test = ({ALL[1][n] for n in side} for side in _sides(split))
    assert not (train & validation or train & test or validation & test)
    assert [len(train), len(validation), len(test)] == [85, 9, 11]


def test_split_by_lipid():
    split = _split("lipid:DOPC,DAPC", *ALL, seed=1)
    assert {ALL[0][n] for n in split.test} == {"DOPC", "DAPC"} and len(split.test) == 210
    assert {ALL[0][n] for n in [*split.train, *split.validation]} == set(LIPIDS) - {"DOPC", "DAPC"}
    assert len(split.validation) == 42


def test_split_by_bead_types():
    split = _split("beads:C1,P4", *ALL, seed=1)
    beads = [{bead for n in side for bead in ALL[1][n].split("-")} for side in _sides(split)]
    assert not ({"C1", "P4"} & (beads[0] | beads[1])) and len(split.test) == 6 * (14 + 13)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("folds", "allowed: random, solute, lipid, solute:VALUE,..., lipid:VALUE,..., beads:VAL"),
        ("beads", "allowed: random"),
        ("random:3", "allowed: random"),
        ("lipid:", "allowed: random"),
        ("lipid:DSPC", "no sample with DSPC"),
        ("beads:Q0", "no sample with Q0"),
        ("lipid:" + ",".join(LIPIDS), "leaves out all 630"),
    ],
)
def test_invalid_splits_are_refused(request_, words):
    with pytest.raises(ConfigError, match=words):
        _split(request_, *ALL, seed=1)


def test_too_few_samples_are_refused():
    with pytest.raises(ConfigError, match="of 3 samples leaves training, validation or test"):
        _split("random", ["DOPC"] * 3, DIMERS[:3], seed=1)
