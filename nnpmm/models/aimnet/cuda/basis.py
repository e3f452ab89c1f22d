"""Distances of all pairs, the basis functions of their vectors, and the way back to positions."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nnpmm.models.aimnet.parameters import AimnetParameters

__all__ = ["Basis", "BasisFunctions"]


class Basis(NamedTuple):
    """What the positions of some geometries determine.

    Attributes:
        distances: (k, i, j), angstrom; the cutoff from an atom to itself.
        components: one, and the parts of the unit vector from i to j, (k, c, i, j).
        radial: radial functions and their derivatives by the distance, (k, 2, g, i, j).
        functions: radial functions times components, (k, g, c, i, j).
    """

    distances: Tensor
    components: Tensor
    radial: Tensor
    functions: Tensor


class BasisFunctions:
    """Gaussians of the distance with a cosine cutoff, as scalars and along unit vectors.

    Args:
        parameters: their constants.
        n_atoms: of one geometry.
        geometries: number of geometries.
        like: a tensor of the device and type wanted.
    """

    def __init__(
        self, parameters: AimnetParameters, n_atoms: int, geometries: int, like: Tensor
    ) -> None:
        self._cutoff, self._root = parameters.cutoff, math.sqrt(parameters.eta)
        self._shifts = -self._root * like.new_tensor(parameters.shifts).view(-1, 1, 1)
        self._diagonal = parameters.cutoff * torch.eye(
            n_atoms, dtype=like.dtype, device=like.device
        )
        n_radial = len(parameters.shifts)
        self._components = like.new_ones(geometries, 4, n_atoms, n_atoms)
        self._radial = like.new_empty(geometries, 2, n_radial, n_atoms, n_atoms)

    def __call__(self, positions: Tensor) -> Basis:
        """Describe positions (k, n, 3), angstrom; the next call overwrites what is returned."""
        columns = positions.transpose(1, 2)
        vectors = columns[:, :, None, :] - columns[:, :, :, None]
        distances = torch.linalg.vector_norm(vectors, dim=1) + self._diagonal
        torch.div(vectors, distances[:, None], out=self._components[:, 1:])
        # The cosine cutoff, (1 + cos(pi r / cutoff)) / 2, is the square of this cosine.
        half_turns = distances.clamp(max=self._cutoff) * (0.5 * math.pi / self._cutoff)
        cosine = torch.cos(half_turns)
        switch = cosine * cosine
        slope = cosine * torch.sin(half_turns) * (-math.pi / self._cutoff)
        offsets = torch.add(self._shifts, distances[:, None], alpha=self._root)
        bells = torch.exp(-offsets * offsets)
        values, slopes = self._radial.unbind(1)
        torch.mul(bells, switch[:, None], out=values)
        by_distance = torch.addcmul(slope[:, None], offsets, switch[:, None], value=-2 * self._root)
        torch.mul(bells, by_distance, out=slopes)
        functions = values[:, :, None] * self._components[:, None]
        return Basis(distances, self._components, self._radial, functions)

    def gradient(self, basis: Basis, by_functions: Tensor, by_distances: Tensor) -> Tensor:
        """Return the gradient with respect to positions, (k, 3, n), per angstrom.

        Args:
            basis: the last one.
            by_functions: derivatives by the basis functions, (k, g, c, i, j).
            by_distances: further ones by the distances, (k, i, j).
        """
        sums = (by_functions[:, None] * basis.radial[:, :, :, None]).sum(2)
        by_components, along = sums.unbind(1)
        # The unit vector turns with the part of the vector's change that is across it.
        turned = by_components[:, 1:] / basis.distances[:, None]
        along[:, 1:] -= turned
        by_distances = by_distances + (along * basis.components).sum(1)
        by_vectors = torch.addcmul(turned, by_distances[:, None], basis.components[:, 1:])
        return by_vectors.sum(2) - by_vectors.sum(3)
