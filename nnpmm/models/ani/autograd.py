"""Energy and forces of the kernels that torch differentiates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.models.protocol import Evaluation
from nnpmm.models.threads import threads_for

__all__ = ["differentiate"]


def differentiate(
    energies: Callable[[torch.Tensor], torch.Tensor],
    positions: NDArray[np.float64],
    device: str,
    threads: int | None = None,
) -> Evaluation:
    """Return energy, forces and member energies; the energy is the mean over the members.

    Args:
        energies: of the members, (m,) float64 in kJ/mol, from positions in nm.
        positions: (n, 3) in nm.
        device: of torch.
        threads: of the CPU; None leaves it to `threads_for`.
    """
    tensor = torch.tensor(positions, device=device, requires_grad=True)
    with threads_for(len(positions), threads):
        members = energies(tensor)
        energy = members.mean()
        # A lone atom has no neighbours, and torchani's energy of it no gradient.
        (gradient,) = torch.autograd.grad(energy, tensor, allow_unused=True)
    forces = np.zeros_like(positions) if gradient is None else -gradient.cpu().numpy()
    return Evaluation(float(energy.detach()), forces, members.detach().cpu().numpy())
