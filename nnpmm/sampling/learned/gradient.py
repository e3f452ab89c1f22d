"""A learned variable and its gradient at one geometry, as a force asks for them at every step.

The chain rule by hand in numpy: several times faster than `Projection.gradient`, which a machine
differentiates and which it must agree with. The derivatives of a torsion are those of Blondel and
Karplus, J. Comput. Chem. 1996, 17, 1132.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.sampling.learned.features import FeatureSet

__all__ = ["GradientAtOnce"]

Array = NDArray[np.float64]


class GradientAtOnce:
    """Evaluates a learned variable with its gradient.

    Args:
        features: that it is a function of.
        arrays: numbers of its network, as `Projection` has them.
        component: which variable.
    """

    def __init__(self, features: FeatureSet, arrays: Mapping[str, Array], component: int) -> None:
        rows = {atom: row for row, atom in enumerate(features.atoms)}

        def table(groups: Any, size: int) -> NDArray[np.int64]:
            found = [[rows[atom] for atom in group] for group in groups]
            return np.array(found, dtype=np.int64).reshape(-1, size).T

        pairs = table((*features.distances, *features.contacts), 2)
        torsions = table(features.torsions, 4)
        self._first, self._second, self._torsions = pairs[0], pairs[1], torsions
        self._targets = np.concatenate([*pairs, *torsions])
        self._count, self._distances = len(rows), len(features.distances)
        self._contact_distance = features.contact_distance
        self._shift, self._scale = arrays["shift"], arrays["scale"]
        depth = sum(name.startswith("weight") for name in arrays)
        self._layers = [(arrays[f"weight{k}"], arrays[f"bias{k}"]) for k in range(depth)]
        self._output_shift = arrays["output_shift"]
        self._output = np.ascontiguousarray(arrays["output_matrix"][:, component])

    def __call__(self, positions: Array) -> tuple[float, Array]:
        """Return the variable and its gradient (n, 3), 1/nm.

        Args:
            positions: (n, 3) nm of the features' atoms.
        """
        apart = positions[self._first] - positions[self._second]
        length = np.sqrt((apart * apart).sum(axis=1))
        ratio = (length[self._distances :] / self._contact_distance) ** 6
        contacts = 1 / (1 + ratio)
        sine, cosine, turns = _torsions(positions, self._torsions)
        circle = np.column_stack((sine, cosine))
        values = np.concatenate((length[: self._distances], circle.ravel(), contacts))
        value, slopes = self._network(values)
        end = self._distances + circle.size
        stretch = length.copy()
        stretch[: self._distances] = slopes[: self._distances]
        stretch[self._distances :] = (
            slopes[end:] * -6 * contacts**2 * ratio / length[self._distances :]
        )
        around = slopes[self._distances : end].reshape(-1, 2)
        angle = around[:, 0] * cosine - around[:, 1] * sine
        pull = apart * (stretch / length)[:, None]
        gradient = np.zeros((self._count, 3))
        twist = [each * angle[:, None] for each in turns]
        np.add.at(gradient, self._targets, np.concatenate((pull, -pull, *twist)))
        return value, gradient

    def _network(self, values: Array) -> tuple[float, Array]:
        """Return the variable, and its derivatives with respect to the features."""
        hidden, inner = (values - self._shift) / self._scale, []
        for weight, bias in self._layers[:-1]:
            hidden = np.tanh(weight @ hidden + bias)
            inner.append(hidden)
        weight, bias = self._layers[-1]
        value = float((weight @ hidden + bias - self._output_shift) @ self._output)
        slopes = self._output @ weight
        for (weight, _), hidden in zip(self._layers[-2::-1], inner[::-1], strict=True):
            slopes = (slopes * (1 - hidden * hidden)) @ weight
        return value, slopes / self._scale


def _cross(a: Array, b: Array) -> Array:
    """Return the cross products of (m, 3), faster than numpy's for few."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def _torsions(positions: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, list[Array]]:
    """Return sin and cos (m,) of torsions, and the angle's derivatives (m, 3) at its atoms."""
    a, b, c, d = positions[rows]
    first, axis, last = b - a, c - b, d - c
    left, right = _cross(first, axis), _cross(axis, last)
    square = (axis * axis).sum(axis=1)
    length = np.sqrt(square)
    left_square, right_square = (left * left).sum(axis=1), (right * right).sum(axis=1)
    radius = np.sqrt(left_square * right_square)
    sine = length * (first * right).sum(axis=1) / radius
    cosine = (left * right).sum(axis=1) / radius
    at_a = -left * (length / left_square)[:, None]
    at_d = right * (length / right_square)[:, None]
    before = ((first * axis).sum(axis=1) / square)[:, None]
    behind = ((last * axis).sum(axis=1) / square)[:, None]
    at_b = -(1 + before) * at_a + behind * at_d
    at_c = -(1 + behind) * at_d + before * at_a
    return sine, cosine, [at_a, at_b, at_c, at_d]
