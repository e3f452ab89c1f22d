"""The layers of a pass, forward and back to what the pass takes in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnpmm.models.aimnet.cuda.packing import Dense

__all__ = ["Layers"]


class Layers:
    """Layers of all members for a fixed number of rows, with memory of their own.

    The column after a layer's inputs stays one, so that the products add the biases.

    Args:
        layers: of one pass.
        n_rows: atoms of all geometries.

    Attributes:
        inputs: of the first layer, (m, rows, inputs); the caller writes the first columns.
    """

    def __init__(self, layers: Sequence[Dense], n_rows: int) -> None:
        self._layers = layers
        self._inputs, self._sums = [], []
        for layer in layers:
            members, n_inputs, n_outputs = layer.weight.shape
            inputs = layer.weight.new_zeros(members, n_rows, n_inputs)
            inputs[:, :, layer.inputs] = 1
            self._inputs.append(inputs)
            self._sums.append(layer.weight.new_empty(members, n_rows, n_outputs))
        self.inputs = self._inputs[0]
        self._results = [
            inputs[:, :, : layer.inputs] for layer, inputs in zip(layers, self._inputs, strict=True)
        ][1:]
        self._results.append(torch.empty_like(self._sums[-1]))

    def forward(self) -> Tensor:
        """Return the outputs, (m, rows, outputs), which the next call overwrites."""
        steps = zip(self._layers, self._inputs, self._sums, self._results, strict=True)
        for layer, inputs, sums, results in steps:
            torch.bmm(inputs, layer.weight, out=sums)
            if layer.gelu:
                torch.ops.aten.gelu.out(sums, out=results)
        return results if layer.gelu else sums

    def backward(self, gradient: Tensor) -> Tensor:
        """Return derivatives by the inputs, (m, rows, inputs), from those by the outputs."""
        for layer, sums in zip(reversed(self._layers), reversed(self._sums), strict=True):
            if layer.gelu:
                gradient = torch.ops.aten.gelu_backward(gradient, sums)
            gradient = torch.bmm(gradient, layer.weight[:, : layer.inputs].transpose(1, 2))
        return gradient
