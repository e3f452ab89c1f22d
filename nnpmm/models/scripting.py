"""Torch modules of a region's energy, and their TorchScript files for openmm-torch's TorchForce."""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import io
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["RegionEnergy", "scripted"]


class RegionEnergy(nn.Module):
    """Mean energy of an ensemble from positions of the region or of the whole system, in nm.

    Args:
        network: from positions (n, 3) of the region to the energy of every member, (m,).
        atoms: 0-based indices of the region's atoms in the system, (n,).
    """

    atoms: Tensor

    def __init__(self, network: nn.Module, atoms: Sequence[int] | NDArray[np.int64]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("atoms", torch.as_tensor(np.asarray(atoms, dtype=np.int64)))
        self.n_region = len(atoms)

    def forward(self, positions: Tensor) -> Tensor:
        """Return the energy from positions (n, 3), or (N, 3) of the whole system, in nm."""
        # TorchForce hands over every particle of the system, a caller of his own the region alone.
        if positions.shape[0] != self.n_region:
            positions = positions.index_select(0, self.atoms)
        return self.network(positions).mean()


def scripted(module: nn.Module) -> bytes:
    """Return a module compiled by TorchScript, as the bytes of a ``.pt`` file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format that TorchForce reads
        compiled = torch.jit.script(module.eval())
        buffer = io.BytesIO()
        torch.jit.save(compiled, buffer)
    return buffer.getvalue()
