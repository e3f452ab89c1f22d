"""Root-mean-square deviation after superposition."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnpmm.core.superposition import superposed, superposed_rmsd


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


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_rotated_frames_return_to_the_reference(n):
    rng = np.random.default_rng(n)
    reference = rng.normal(size=(n, 3))
    turns = Rotation.random(5, random_state=n).as_matrix()
    frames = reference @ turns + rng.normal(size=(5, 1, 3))
    moved = superposed(frames, np.arange(n), reference)
    np.testing.assert_allclose(moved, np.broadcast_to(reference, moved.shape), atol=1e-12)
    np.testing.assert_array_equal(superposed(frames[2], np.arange(n), reference), moved[2])


def test_all_atoms_move_with_those_that_are_superposed():
    rng = np.random.default_rng(8)
    reference = rng.normal(size=(9, 3))
    frame = reference @ Rotation.random(random_state=1).as_matrix() - 2.0
    moved = superposed(frame, np.arange(4), reference[:4])
    np.testing.assert_allclose(moved, reference, atol=1e-12)


def test_atoms_on_a_line_keep_their_distances_to_all_others():
    rng = np.random.default_rng(5)
    frame = np.concatenate([np.outer([0.0, 0.1, 0.3], [1.0, 2.0, 2.0]), rng.normal(size=(4, 3))])
    reference = np.outer([0.0, 0.1, 0.3], [0.0, 0.0, 3.0])
    moved = superposed(frame, np.arange(3), reference)
    np.testing.assert_allclose(moved[:3], reference, atol=1e-12)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (frame, moved)]
    np.testing.assert_allclose(*distances, atol=1e-12)
