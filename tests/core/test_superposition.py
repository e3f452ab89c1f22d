"""Root-mean-square deviation after superposition."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnpmm.core.geometry import superposed_rmsd


def test_the_rotation_is_the_best_one_and_no_reflection():
    """scipy.spatial finds the same; the best match of two of the pairs would be a mirror image."""
    rng = np.random.default_rng(2)
    points = rng.normal(size=(6, 3))
    for other in (points + 0.3 * rng.normal(size=(6, 3)), points * [1, 1, -1.1], -points):
        a, b = points - points.mean(axis=0), other - other.mean(axis=0)
        _, distance = Rotation.align_vectors(b, a)
        assert superposed_rmsd(points, other) == pytest.approx(distance / np.sqrt(6), abs=1e-9)


def test_rmsd_forgets_rotation_but_not_mirror_images():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    assert superposed_rmsd(points @ turn.T + 3.0, points) == pytest.approx(0.0, abs=1e-7)
    assert superposed_rmsd(points * [1, 1, -1], points) > 0.3
    # Along one axis, displacements +-a about the mean cannot be superposed away.
    line = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    assert superposed_rmsd(line * 1.4, line) == pytest.approx(0.2)
