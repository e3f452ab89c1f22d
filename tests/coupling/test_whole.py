"""Regions and molecules split by the periodic boundary are made whole."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm.coupling import make_whole

BOXES = {
    "cubic": np.diag([2.0, 2.5, 3.0]),
    "triclinic": np.array([[2.0, 0.0, 0.0], [0.9, 2.1, 0.0], [-0.8, 0.7, 2.4]]),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_individually_wrapped_atoms_are_made_whole(box):
    rng = np.random.default_rng(7)
    # Two chains, one with a ring, each longer than half the box.
    steps = rng.normal(size=(30, 3))
    whole = np.cumsum(0.15 * steps / np.linalg.norm(steps, axis=1)[:, None], axis=0)
    pairs = np.array([(i, i + 1) for i in range(29) if i != 14])
    pairs[::3] = pairs[::3, ::-1]  # bonds in either direction
    wrapped = whole - np.floor(whole @ np.linalg.inv(box)) @ box
    assert np.abs(wrapped - whole).max() > 0.5
    joined = make_whole(wrapped, box, pairs, gather=False)
    for chain in (slice(0, 15), slice(15, 30)):
        shift = joined[chain] - whole[chain]
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-12)
    np.testing.assert_array_equal(joined[[0, 15]], wrapped[[0, 15]])


def test_whole_molecules_and_vacuum_are_not_changed():
    positions = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [1.9, 0.0, 0.0]])
    pairs = np.array([(0, 1), (1, 2)])
    np.testing.assert_array_equal(make_whole(positions, None, pairs, gather=False), positions)
    alone = make_whole(positions, BOXES["cubic"], pairs[:1], gather=False)
    np.testing.assert_array_equal(alone, positions)


def test_make_whole_moves_fragments_together():
    box = np.diag([2.0, 2.0, 2.0])
    positions = np.array([[0.05, 0, 0], [1.95, 0, 0], [1.0, 1.9, 0.1], [1.0, 0.05, 0.1]])
    whole = make_whole(positions, box, [(0, 1), (2, 3)])
    np.testing.assert_allclose(whole[1], [-0.05, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(whole[3] - whole[2]), 0.15, atol=1e-12)
    assert np.abs(whole[2:].mean(axis=0) - whole[:2].mean(axis=0)).max() <= 1.0
    np.testing.assert_array_equal(make_whole(positions, None, [(0, 1)]), positions)


def test_make_whole_in_a_triclinic_box():
    box = np.array([[3.0, 0, 0], [1.0, 2.8, 0], [-1.0, 0.9, 2.6]])
    generator = np.random.default_rng(0)
    chain = np.cumsum(generator.uniform(-0.1, 0.1, size=(8, 3)), axis=0)
    shifts = generator.integers(-2, 3, size=(8, 3)) @ box
    bonds = [(i, i + 1) for i in range(7)]
    whole = make_whole(chain + shifts, box, bonds)
    np.testing.assert_allclose(whole - whole[0], chain - chain[0], atol=1e-12)
