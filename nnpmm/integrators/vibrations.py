"""The fastest vibration of a region, from the mass-weighted Hessian of its network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from nnpmm.core.errors import SimulationError
from nnpmm.models.hessian import HESSIAN_STEP
from nnpmm.models.minimum import relax
from nnpmm.models.protocol import Evaluator

__all__ = ["Vibration", "fastest_vibration"]

# Frequencies of stretches hardly depend on how well the geometry is relaxed.
_RELAXATION = 200  # evaluations of the network
_TOLERANCE = 1e-3  # relative error of the largest eigenvalue; that of the period is half of it
_SPEED_OF_LIGHT = 2.99792458e-2  # cm/ps


@dataclass(frozen=True)
class Vibration:
    """A normal mode.

    Attributes:
        period: ps.
        pair: rows of the two atoms whose distance changes most in it.
    """

    period: float
    pair: tuple[int, int]

    @property
    def wavenumber(self) -> float:
        """Wavenumber in 1/cm."""
        return 1 / (self.period * _SPEED_OF_LIGHT)


def fastest_vibration(
    evaluator: Evaluator,
    positions: NDArray[np.float64],
    masses: NDArray[np.float64],
    constraints: ArrayLike = (),
) -> Vibration:
    r"""Return the normal mode of the shortest period of a molecule in vacuum.

    The geometry is relaxed first. The mode belongs to the largest eigenvalue omega^2 of
    P M^(-1/2) H M^(-1/2) P, where H is the network's Hessian, M holds the masses, and P projects
    on the motions that the constraints allow (E. B. Wilson, J. C. Decius, P. C. Cross, Molecular
    Vibrations, 1955). The Lanczos method finds it from products of H with vectors, which are
    differences of forces: some fifty evaluations of the network, however large the molecule is.

    Args:
        evaluator: the network bound to n atoms.
        positions: (n, 3), nm, whole.
        masses: (n,), amu; all positive.
        constraints: pairs of rows whose distance is constrained, (m, 2).

    Raises:
        SimulationError: the network returned forces that are not finite, or that are not smooth
            enough for a vibration to be found.
    """
    relaxed = relax(evaluator, positions, evaluations=_RELAXATION)
    weight = np.repeat(1 / np.sqrt(masses), 3)
    pairs = np.asarray(constraints, dtype=np.int64).reshape(-1, 2)
    fixed = _fixed_directions(relaxed, weight, pairs)

    def project(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return vector - fixed @ (fixed.T @ vector)

    def product(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        direction = weight * project(np.ravel(vector))
        length = np.linalg.norm(direction)
        if length == 0:
            return direction
        shift = (HESSIAN_STEP / length) * direction.reshape(-1, 3)
        forward, backward = evaluator.batch(np.stack([relaxed + shift, relaxed - shift])).forces
        return project(weight * (backward - forward).ravel() * (length / (2 * HESSIAN_STEP)))

    size = relaxed.size
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(1).normal(size=size)  # ARPACK's own start is not reproducible
    if not product(start).any():  # nothing vibrates, and ARPACK fails for a zero vector
        return Vibration(math.inf, (0, size // 3 - 1))
    try:
        values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=_TOLERANCE)
    except ArpackError as error:
        raise SimulationError(
            f"could not find the fastest vibration of the region ({error}); the network's forces "
            "are not smooth enough"
        ) from error
    period = 2 * math.pi / math.sqrt(values[0]) if values[0] > 0 else math.inf
    return Vibration(period, _stretched_pair(relaxed, weight * project(vectors[:, 0])))


def _fixed_directions(
    positions: NDArray[np.float64],
    weight: NDArray[np.float64],
    pairs: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return an orthonormal basis (3n, m) of the mass-weighted motions that constraints forbid."""
    columns = np.zeros((positions.size, len(pairs)))
    for column, (i, j) in enumerate(pairs):
        apart = positions[i] - positions[j]
        columns[3 * i : 3 * i + 3, column] = apart
        columns[3 * j : 3 * j + 3, column] = -apart
    basis: NDArray[np.float64] = scipy.linalg.orth(columns * weight[:, np.newaxis])
    return basis


def _stretched_pair(
    positions: NDArray[np.float64], displacement: NDArray[np.float64]
) -> tuple[int, int]:
    """Return the two rows whose distance changes most along a displacement (3n,)."""
    apart = positions[:, np.newaxis] - positions
    distances = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(distances, 1.0)
    moved = displacement.reshape(-1, 3)
    relative = moved[:, np.newaxis] - moved
    # Bonds are the shortest distances: change over distance prefers them to 1-3 pairs.
    change = np.abs(np.einsum("ijk,ijk->ij", relative, apart)) / distances**2
    i, j = np.unravel_index(np.argmax(change), change.shape)
    return (int(min(i, j)), int(max(i, j)))
