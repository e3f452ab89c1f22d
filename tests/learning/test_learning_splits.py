"""Splits at random, by groups that stay together, and by values that are left out."""

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.learning import make_split

GROUPS = {
    "color": ["red", "green", "blue", "black", "white"] * 20,
    "parts": [{"a", "b"}, {"b"}, {"c"}, {"a", "c"}, {"d"}] * 20,
}


def _split(request, seed=1, **options):
    return make_split(request, GROUPS, 100, seed=seed, **options)


@pytest.mark.parametrize("request_", ["random", "color", "color:red,blue", "parts:a"])
def test_each_sample_is_on_one_side(request_):
    split = _split(request_, shares=(3, 1, 1))
    assert sorted(np.concatenate(split)) == list(range(100))
    assert all(np.array_equal(np.sort(side), side) for side in split)


def test_shares():
    assert [len(side) for side in _split("random")] == [80, 10, 10]
    assert [len(side) for side in _split("random", shares=(1, 1, 2))] == [25, 25, 50]
    assert [len(side) for side in _split("color:red", shares=(3, 1, 9))] == [60, 20, 20]


def test_a_seed_settles_the_split():
    one, again, other = (_split("random", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.test, again.test) and not np.array_equal(one.test, other.test)


def test_groups_stay_together():
    sides = [{GROUPS["color"][n] for n in side} for side in _split("color", shares=(3, 1, 1))]
    assert [len(side) for side in sides] == [3, 1, 1] and len(set.union(*sides)) == 5


def test_values_are_left_out():
    split = _split("parts:a")
    assert all(("a" in GROUPS["parts"][n]) == (n in split.test) for n in range(100))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("shape", "allowed: random, color, color:VALUE,..., parts:VALUE,..."),
        ("random:3", "allowed: random"),
        ("color:", "allowed: random"),
        ("parts", "allowed: random"),
        ("color:pink", "no sample with pink, there are: black, blue"),
        ("parts:a,b,c,d", "leaves out all 100"),
    ],
)
def test_splits_that_are_refused(request_, words):
    with pytest.raises(ConfigError, match=words):
        _split(request_)


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_samples(count):
    with pytest.raises(ConfigError, match=f"of {count} samples leaves training, validation or"):
        make_split("random", {}, count, seed=1)


def test_groups_of_other_samples():
    with pytest.raises(ConfigError, match="group color: found 100 values for 99 samples"):
        make_split("random", {"color": GROUPS["color"]}, 99, seed=1)
