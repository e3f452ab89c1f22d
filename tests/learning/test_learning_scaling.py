"""Scaling: the bounds are those of the samples, and nothing is clipped."""

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.learning import fit_scaler


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
