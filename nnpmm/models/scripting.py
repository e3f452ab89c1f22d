"""Torch modules of a region's energy, and their TorchScript files for openmm-torch's TorchForce."""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import io
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from openmm.app import Element
from torch import Tensor, nn

__all__ = ["RegionEnergy", "scripted"]


class RegionEnergy(nn.Module):
    """Mean energy of an ensemble from positions of the region or of the whole system, in nm.

    A region with link atoms is followed by the atoms outside its cut bonds, in their order.

    Args:
        network: from positions (n, 3) of the region, with link atoms at the end, to the energy of
            every member, (m,).
        symbols: chemical symbol of each atom of the region. The module stores their atomic numbers
            and the charge, so that it is not used for another molecule by mistake.
        charge: total charge of the region, e.
        atoms: 0-based indices of the region's atoms in the system.
        links: link atoms as (row of the atom inside, index of the one outside, distance, nm).
    """

    atomic_numbers: Tensor
    total_charge: Tensor
    atoms: Tensor
    anchors: Tensor
    distances: Tensor

    def __init__(
        self,
        network: nn.Module,
        symbols: Sequence[str],
        charge: int,
        atoms: Sequence[int] | NDArray[np.int64],
        links: Sequence[tuple[int, int, float]] = (),
    ) -> None:
        super().__init__()
        self.network = network
        numbers = [Element.getBySymbol(symbol).atomic_number for symbol in symbols]
        self.register_buffer("atomic_numbers", torch.tensor(numbers))
        self.register_buffer("total_charge", torch.tensor(charge))
        hosts = [outside for _, outside, _ in links]
        self.register_buffer("atoms", torch.as_tensor(np.array([*atoms, *hosts], dtype=np.int64)))
        anchors, distances = [row for row, _, _ in links], [distance for _, _, distance in links]
        self.register_buffer("anchors", torch.as_tensor(np.array(anchors, dtype=np.int64)))
        self.register_buffer("distances", torch.as_tensor(np.array(distances, dtype=np.float64)))
        self.n_region, self.n_all = len(atoms), len(atoms) + len(hosts)

    def forward(self, positions: Tensor) -> Tensor:
        """Return the energy from positions (n, 3), or (N, 3) of the whole system, in nm."""
        # TorchForce passes every particle of the system, other callers the region alone.
        if positions.shape[0] != self.n_all:
            positions = positions.index_select(0, self.atoms)
        if self.n_all > self.n_region:
            inside = positions.index_select(0, self.anchors)
            bonds = positions[self.n_region :] - inside
            lengths = torch.linalg.norm(bonds, dim=1, keepdim=True)
            scale = self.distances.to(positions.dtype).unsqueeze(1) / lengths
            positions = torch.cat([positions[: self.n_region], inside + scale * bonds])
        return self.network(positions).mean()


def scripted(module: nn.Module) -> bytes:
    """Return a module compiled by TorchScript, as the bytes of a ``.pt`` file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format that TorchForce reads
        compiled = torch.jit.script(module.eval())
        buffer = io.BytesIO()
        torch.jit.save(compiled, buffer)
    return buffer.getvalue()
