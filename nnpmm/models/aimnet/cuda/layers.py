"""The layers of a pass, forward and back to what the pass takes in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import gelu

from nnpmm.models.aimnet.cuda.packing import CONSTANT, Dense

__all__ = ["Layers"]


class Layers:
    """Layers of all members for a fixed number of rows.

    Args:
        layers: of one pass.
        n_rows: atoms of all geometries.

    Attributes:
        inputs: of the first layer, (m, rows, inputs); the caller writes the first columns, and
            leaves the others.
    """

    def __init__(self, layers: Sequence[Dense], n_rows: int) -> None:
        self._layers = layers
        first = layers[0]
        members, width, _ = first.weight.shape
        self.inputs = first.weight.new_zeros(members, n_rows, width)
        self.inputs[:, :, first.inputs] = CONSTANT
        self._sums: list[Tensor] = []

    def forward(self) -> Tensor:
        """Return the outputs, (m, rows, outputs)."""
        x, self._sums = self.inputs, []
        for layer in self._layers:
            x = torch.bmm(x, layer.weight)
            if layer.gelu:
                self._sums.append(x)
                x = gelu(x)
        return x

    def backward(self, gradient: Tensor) -> Tensor:
        """Return derivatives by the inputs, (m, rows, inputs), from those by the last outputs.

        What comes to the constant columns goes to no other.
        """
        sums = reversed(self._sums)
        for layer in reversed(self._layers):
            if layer.gelu:
                gradient = torch.ops.aten.gelu_backward(gradient, next(sums))
            gradient = torch.bmm(gradient, layer.weight.transpose(1, 2))
        return gradient
