from __future__ import annotations

import numpy as np
import pytest

from nnpmm.simulation.molecules import join_molecules

BOXES = {
    "cubic": np.diag([2.0, 2.5, 3.0]),
    "triclinic": np.array([[2.0, 0.0, 0.0], [0.9, 2.1, 0.0], [-0.8, 0.7, 2.4]]),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_atoms_wrapped_one_by_one_are_joined_again(box):
    rng = np.random.default_rng(7)
    # Two chains, one with a ring, each longer than half the box.
    steps = rng.normal(size=(30, 3))
    whole = np.cumsum(0.15 * steps / np.linalg.norm(steps, axis=1)[:, None], axis=0)
    pairs = np.array([(i, i + 1) for i in range(29) if i != 14])
    pairs[::3] = pairs[::3, ::-1]  # bonds may be named from either end
    wrapped = whole - np.floor(whole @ np.linalg.inv(box)) @ box
    assert np.abs(wrapped - whole).max() > 0.5
    joined = join_molecules(wrapped, box, pairs)
    for chain in (slice(0, 15), slice(15, 30)):
        shift = joined[chain] - whole[chain]
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-12)
    np.testing.assert_array_equal(joined[[0, 15]], wrapped[[0, 15]])


def test_whole_molecules_and_vacuum_are_left_alone():
    positions = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [1.9, 0.0, 0.0]])
    pairs = np.array([(0, 1), (1, 2)])
    np.testing.assert_array_equal(join_molecules(positions, None, pairs), positions)
    np.testing.assert_array_equal(join_molecules(positions, BOXES["cubic"], pairs[:1]), positions)
