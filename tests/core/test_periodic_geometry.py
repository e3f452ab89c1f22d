"""Nearest images, reduced boxes and images in the cells around, in a skewed box."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnpmm.core.geometry import images_around, nearest_image, reduced_box, wrapped

BOX = np.array([[2.0, 0.0, 0.0], [0.7, 1.9, 0.0], [-0.9, 0.6, 2.2]])
SHIFTS = np.array(list(itertools.product(range(-3, 4), repeat=3)))


def test_nearest_image_of_short_vectors():
    rng = np.random.default_rng(0)
    short = rng.normal(size=(200, 3))
    short *= rng.uniform(0, 0.9, (200, 1)) / np.linalg.norm(short, axis=1)[:, None]
    far = short + rng.integers(-3, 4, (200, 3)) @ BOX
    np.testing.assert_allclose(nearest_image(far, BOX), short, rtol=0, atol=1e-12)
    one = nearest_image(far[0], BOX)
    np.testing.assert_allclose(one, short[0], rtol=0, atol=1e-12)


def test_nearest_image_of_vectors_that_face_each_other():
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(5, 3)) @ BOX
    vectors = nearest_image(points[:, None] - points[None], BOX)
    assert vectors.shape == (5, 5, 3)
    np.testing.assert_allclose(vectors, -np.swapaxes(vectors, 0, 1), rtol=0, atol=1e-12)


def test_reduced_box_spans_the_same_lattice():
    skewed = BOX.copy()
    skewed[1] += 2 * BOX[0]
    skewed[2] += 3 * skewed[1] - 5 * BOX[0]
    before = skewed.copy()
    found = reduced_box(skewed)
    np.testing.assert_array_equal(skewed, before)
    combinations = found @ np.linalg.inv(BOX)
    np.testing.assert_allclose(combinations, np.round(combinations), rtol=0, atol=1e-12)
    assert np.linalg.det(found) == pytest.approx(np.linalg.det(BOX), rel=0, abs=1e-12)
    assert (np.abs(found[[1, 2, 2], [0, 0, 1]]) <= 0.5 * np.diag(found)[[0, 0, 1]]).all()


def test_wrapped_positions_lie_in_the_cell():
    rng = np.random.default_rng(0)
    positions = rng.uniform(-9, 9, (50, 3))
    inside = wrapped(positions, BOX)
    fractions = inside @ np.linalg.inv(BOX)
    assert (fractions > -1e-12).all() and (fractions < 1 + 1e-12).all()
    steps = (positions - inside) @ np.linalg.inv(BOX)
    np.testing.assert_allclose(steps, np.round(steps), rtol=0, atol=1e-11)


def test_the_cells_around_hold_the_closest_image():
    rng = np.random.default_rng(0)
    first, second = (rng.uniform(size=(20, 3)) @ BOX for _ in range(2))
    images = images_around(second, BOX)
    assert images.shape == (27, 20, 3)
    np.testing.assert_array_equal(images[13], second)
    found = np.linalg.norm(images - first, axis=2).min(axis=0)
    every = np.linalg.norm((SHIFTS @ BOX)[:, None] + second - first, axis=2).min(axis=0)
    np.testing.assert_allclose(found, every, rtol=0, atol=1e-12)


def test_nearest_images_in_many_boxes_are_those_in_each():
    generator = np.random.default_rng(8)
    boxes = np.array([np.diag(generator.uniform(2, 4, 3)) for _ in range(5)])
    boxes[:, 1, 0], boxes[:, 2, 0], boxes[:, 2, 1] = 0.3, -0.4, 0.5
    vectors = generator.uniform(-9, 9, (5, 7, 3))
    expected = [nearest_image(v, box) for v, box in zip(vectors, boxes, strict=True)]
    np.testing.assert_array_equal(nearest_image(vectors, boxes[:, None]), expected)
