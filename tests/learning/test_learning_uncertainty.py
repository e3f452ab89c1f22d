"""Errors of predictions: raw ones, and the factor that calibrates them."""

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.learning import calibrate, raw_errors, split_frames


def test_raw_errors():
    members = np.array([[1.0, 2.0], [3.0, 2.0]])
    blocks = np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0]])
    np.testing.assert_allclose(
        raw_errors(members, blocks), [np.sqrt(2.0), np.sqrt(1.0 / 3.0)], rtol=1e-12
    )
    np.testing.assert_allclose(raw_errors(members[:1], blocks)[1], np.sqrt(1.0 / 3.0), rtol=1e-12)


@pytest.mark.parametrize(("frames", "sizes"), [(2, [1, 1]), (25, [3] * 5 + [2] * 5)])
def test_blocks_of_frames(frames, sizes):
    features = np.arange(frames)[None, :, None]
    blocks = list(split_frames(features))
    assert [block.shape[1] for block in blocks] == sizes
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), features)


@pytest.mark.parametrize("label_error", [0.0, 0.3])
def test_calibration_finds_the_scale(label_error):
    rng = np.random.default_rng(4)
    errors = rng.uniform(0.1, 0.5, 4000)
    differences = rng.normal(size=4000) * np.hypot(2.5 * errors, label_error)
    found = calibrate(differences, errors, np.full(4000, label_error))
    assert found == pytest.approx(2.5, rel=0.1)


def test_few_samples_leave_the_scale_near_one():
    few = calibrate(np.zeros(3), np.ones(3), np.zeros(3))
    assert 0.8 < few < 0.95  # sqrt(10 / 13)
    assert few == pytest.approx(np.sqrt(10.0 / 13.0), rel=0.01)
    assert calibrate(np.full(3, 4.0), np.ones(3), np.zeros(3)) == pytest.approx(
        np.sqrt((10.0 + 3 * 16.0) / 13.0), rel=0.01
    )


@pytest.mark.parametrize("shape", [(3, 1, 2), (3, 2)])
def test_a_single_frame_has_no_blocks(shape):
    with pytest.raises(ConfigError, match="at least two frames"):
        list(split_frames(np.zeros(shape)))
