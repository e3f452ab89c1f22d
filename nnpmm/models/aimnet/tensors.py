"""Charges of a kernel without autograd as a tensor that torch's autograd differentiates."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError

__all__ = ["DifferentiatesCharges", "charge_tensors"]


class DifferentiatesCharges(Protocol):
    """A kernel with charges and their gradient, on float64 positions (n, 3) in nm."""

    def charges(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean charges (n,), e."""

    def charge_gradient(
        self, positions: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the gradient of the sum of weights (n,) times charges, (n, 3), per nm."""


class _Charges(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, positions: torch.Tensor, kernel: DifferentiatesCharges
    ) -> torch.Tensor:
        array = _as_array(positions)
        context.array, context.kernel, context.like = array, kernel, positions
        return torch.from_numpy(kernel.charges(array)).to(positions.device)

    @staticmethod
    def backward(context: Any, *weights: torch.Tensor) -> tuple[torch.Tensor, None]:
        # torch would take the gradient for a constant, and second derivatives would lack a part.
        if torch.is_grad_enabled():
            raise ModelError(
                "found a request for second derivatives of charges, this backend has only first "
                "derivatives; use backend='reference'"
            )
        gradient = context.kernel.charge_gradient(context.array, _as_array(weights[0]))
        return torch.from_numpy(gradient).to(context.like), None


def charge_tensors(kernel: DifferentiatesCharges, positions: torch.Tensor) -> torch.Tensor:
    """Return the mean charges (n,), e, float64.

    Args:
        kernel: evaluates them and their gradient.
        positions: (n, 3) in nm, of any floating type and device.

    Raises:
        ModelError: on the way back, if derivatives are to be differentiated again.
    """
    found: torch.Tensor = _Charges.apply(positions, kernel)
    return found


def _as_array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float64)
