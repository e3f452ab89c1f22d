"""Samples: arrays that must fit together, subsets, and the checksum."""

from dataclasses import replace

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.learning import LabelledSamples


def _samples():
    rng = np.random.default_rng(1)
    return LabelledSamples(
        ("one", "two", "three"),
        rng.normal(size=(3, 4, 2)).astype(np.float32),
        rng.normal(size=3),
        np.full(3, 0.1),
        ("a", "b"),
        np.array([1, 2, 3]),
        {"kind": ["x", "y", "x"]},
    )


def test_some_of_the_samples():
    data = _samples()
    found = data.take(np.array([2, 0]))
    assert found.names == ("three", "one") and len(found) == 2
    assert found.groups == {"kind": ["x", "x"]} and found.sizes.tolist() == [3, 1]
    np.testing.assert_array_equal(found.features, data.features[[2, 0]])
    np.testing.assert_array_equal(found.labels, data.labels[[2, 0]])
    assert replace(data, sizes=None).take(np.array([1])).sizes is None


@pytest.mark.parametrize(
    "change",
    [
        {"names": ("one", "two", "four")},
        {"features": np.zeros((3, 4, 2), dtype=np.float32)},
        {"labels": np.array([1.0, 2.0, 3.0])},
        {"label_errors": np.full(3, 0.2)},
        {"feature_names": ("a", "c")},
        {"sizes": np.array([1, 2, 4])},
        {"sizes": None},
    ],
)
def test_the_checksum_tells_samples_apart(change):
    assert _samples().digest() == _samples().digest()
    assert replace(_samples(), **change).digest() != _samples().digest()


@pytest.mark.parametrize(
    "change",
    [
        {"names": ("one", "two")},
        {"features": np.zeros((3, 2), dtype=np.float32)},
        {"features": np.zeros((3, 4, 3), dtype=np.float32)},
        {"labels": np.zeros(2)},
        {"labels": np.zeros((3, 1))},
        {"label_errors": np.zeros(4)},
    ],
)
def test_arrays_of_different_samples(change):
    with pytest.raises(ConfigError, match="their lengths differ"):
        replace(_samples(), **change)


def test_sizes_and_groups_of_different_samples():
    with pytest.raises(ConfigError, match="sizes: found 2 entries for 3 samples"):
        replace(_samples(), sizes=np.array([1, 2]))
    with pytest.raises(ConfigError, match="group kind: found 1 entries for 3 samples"):
        replace(_samples(), groups={"kind": ["x"]})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(value):
    data = _samples()
    for name in ("labels", "label_errors"):
        with pytest.raises(ConfigError, match="label or its error that is not finite"):
            replace(data, **{name: np.array([0.1, value, 0.1])})
    features = data.features.copy()
    features[1, 2, 1] = value
    with pytest.raises(ConfigError, match="features of two that are not finite"):
        replace(data, features=features)


def test_two_samples_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="found 2 samples named one, allowed: one"):
        replace(_samples(), names=("one", "two", "one"))
