"""Inputs of a pass, an atom's features and sums over its neighbours, and their derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["PassInputs"]

_FIRST_VECTOR = 2  # after an atom's own features and the sums of scalars


class PassInputs:
    """The inputs of one pass, with their buffers.

    Args:
        combinations: matrices from radial functions to combinations of vectors, (m f, g, h).
        shape: (k, g, n, m, f).

    Attributes:
        own: features of the atoms, (k, g, n, m, f), which the caller writes.
        by_own: derivatives by the features, of the same shape.
    """

    def __init__(self, combinations: Tensor, shape: tuple[int, int, int, int, int]) -> None:
        geometries, radial, atoms, *rest = shape
        self._shape = shape
        self._combine = combinations
        self._spread = 2 * combinations.transpose(1, 2).contiguous()
        # Along axis 2: own features, sums of scalars, and sums of the three components of vectors.
        self._values, self._derivatives = (
            combinations.new_zeros(geometries, radial, 5, atoms, *rest) for _ in range(2)
        )
        self.own, self.by_own = self._values[:, :, 0], self._derivatives[:, :, 0]
        self._combined = combinations.new_empty(0)

    def collect(self, functions: Tensor, inputs: Tensor) -> None:
        """Write the inputs of the pass.

        Args:
            functions: the basis, (k, g, c, i, j).
            inputs: (m, k n, inputs).
        """
        k, g, n, m, f = self._shape
        own, sums = self._matrices(self._values)
        torch.bmm(_flat(functions), own, out=sums)
        width = 2 * g * f
        scalars = inputs[:, :, :width].view(m, k, n, 2, g, f)
        scalars.copy_(self._values[:, :, :_FIRST_VECTOR].permute(4, 0, 3, 2, 1, 5))
        vectors = self._values[:, :, _FIRST_VECTOR:].permute(4, 5, 0, 2, 3, 1)
        self._combined = torch.bmm(vectors.reshape(m * f, k * 3 * n, g), self._combine)
        squares = (self._combined * self._combined).view(m, f, k, 3, n, -1)
        lengths = inputs[:, :, width : width + f * squares.shape[-1]].view(m, k, n, f, -1)
        torch.sum(squares, dim=3, out=lengths.permute(0, 3, 1, 2, 4))

    def differentiate(self, by_inputs: Tensor, by_functions: Tensor, *, add: bool) -> None:
        """Write derivatives by the basis, and those by the features as an atom's own inputs.

        `differentiate_features` adds the derivatives through the sums of an atom's neighbours.

        Args:
            by_inputs: derivatives by the inputs of the pass, (m, k n, inputs).
            by_functions: output, derivatives by the basis, (k, g, c, i, j).
            add: whether to add to the output or to overwrite it.
        """
        k, g, n, m, f = self._shape
        width = 2 * g * f
        scalars = by_inputs[:, :, :width].view(m, k, n, 2, g, f)
        self._derivatives[:, :, :_FIRST_VECTOR] = scalars.permute(1, 4, 3, 2, 0, 5)
        after = width + f * self._combine.shape[2]
        by_lengths = by_inputs[:, :, width:after].view(m, k, n, f, -1).permute(0, 3, 1, 2, 4)
        by_combined = self._combined.view(m, f, k, 3, n, -1) * by_lengths[:, :, :, None]
        by_vectors = torch.bmm(by_combined.reshape(self._combined.shape), self._spread)
        self._derivatives[:, :, _FIRST_VECTOR:] = by_vectors.view(m, f, k, 3, n, g).permute(
            2, 5, 3, 4, 0, 1
        )
        own, _ = self._matrices(self._values)
        _, by_sums = self._matrices(self._derivatives)
        _flat(by_functions).baddbmm_(by_sums, own.transpose(1, 2), beta=float(add))

    def differentiate_features(self, functions: Tensor) -> None:
        """Add to the derivatives by an atom's features those through its neighbours' sums.

        Args:
            functions: the basis, (k, g, c, i, j).
        """
        by_own, by_sums = self._matrices(self._derivatives)
        by_own.baddbmm_(_flat(functions).transpose(1, 2), by_sums)

    def _matrices(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the own features, (k g, n, m f), and the sums, (k g, 4 n, m f)."""
        k, g, n, m, f = self._shape
        matrices = values.view(k * g, 5 * n, m * f)
        return matrices[:, :n], matrices[:, n:]


def _flat(functions: Tensor) -> Tensor:
    """Return the basis as matrices (k g, 4 n, n)."""
    n = functions.shape[-1]
    return functions.view(-1, 4 * n, n)
