"""Charges that equilibrate, and the gradient of what depends on them.

Gaussian charges of widths sigma_i = a s_i have the energy

sum_i chi_i q_i + 1/2 sum_ij A_ij q_i q_j,

A_ii = 1 / (sigma_i sqrt(pi)),  A_ij = erf(r_ij / sqrt(2 (sigma_i^2 + sigma_j^2))) / r_ij,

and those of least energy add up to the total charge (Zinovjev, J. Chem. Theory Comput. 2023, 19,
1888, eq. 16): a linear system with one more row for the sum. Atomic units.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Equilibration"]

_SQRT_PI = math.sqrt(math.pi)


class Equilibration:
    """Equilibrated charges of one geometry.

    Args:
        positions: (n, 3), bohr.
        widths: s, (n,), bohr.
        electronegativities: chi, (n,), hartree/e.
        scale: a.
        total: charge, e.

    Attributes:
        charges: (n,), e.
    """

    def __init__(
        self,
        positions: NDArray[np.float64],
        widths: NDArray[np.float64],
        electronegativities: NDArray[np.float64],
        scale: float,
        total: float,
    ) -> None:
        from scipy.special import erf

        n = len(positions)
        self._vectors = positions[:, None] - positions
        self._distances = np.linalg.norm(self._vectors, axis=2) + np.eye(n)  # no zero to divide by
        self._widths, self._scale = widths, scale
        self._sigma = np.sqrt((scale * widths[:, None]) ** 2 + (scale * widths) ** 2)
        matrix = np.zeros((n + 1, n + 1))
        matrix[:n, :n] = erf(self._distances / (math.sqrt(2) * self._sigma)) / self._distances
        matrix[np.arange(n), np.arange(n)] = 1 / (scale * widths * _SQRT_PI)
        matrix[n, :n] = matrix[:n, n] = 1.0
        self._inverse = np.linalg.inv(matrix)
        self._matrix = matrix[:n, :n]
        self.charges = self._inverse[:n] @ np.append(-electronegativities, total)

    def pull_back(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the gradient of the sum of charges times weights, by positions, widths and chi.

        The matrix is symmetric, so that one more solution for the weights gives all: with
        B y = (w, 0), d(w . q) = -sum_i y_i (dchi_i + sum_j dA_ij q_j).

        Args:
            weights: (n,).

        Returns:
            (n, 3), (n,) and (n,).
        """
        n, q = len(weights), self.charges
        adjoint = self._inverse[:n, :n] @ weights
        by_matrix = -0.5 * (np.outer(adjoint, q) + np.outer(q, adjoint))  # of A_ij as of A_ji
        r, sigma = self._distances, self._sigma
        gaussian = math.sqrt(2 / math.pi) / sigma * np.exp(-0.5 * (r / sigma) ** 2)
        by_distance = 2 * by_matrix * (gaussian - self._matrix) / r
        np.fill_diagonal(by_distance, 0.0)
        by_positions = ((by_distance / r)[..., None] * self._vectors).sum(axis=1)
        by_sigma = -2 * by_matrix * gaussian / sigma
        np.fill_diagonal(by_sigma, 0.0)
        by_widths = self._scale**2 * self._widths * (by_sigma / sigma).sum(axis=1)
        by_widths -= by_matrix.diagonal() / (_SQRT_PI * self._scale * self._widths**2)
        return by_positions, by_widths, -adjoint
