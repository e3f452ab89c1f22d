"""ANI as a TorchScript file for openmm-torch's TorchForce; it needs torch alone."""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import io
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.reference import AniModule

__all__ = ["energy_module", "export_torchscript"]


class _RegionEnergy(nn.Module):
    """Mean energy of the ensemble from positions of the region or of the whole system.

    ``links`` are link atoms as (row of the atom inside, index of the one outside, distance, nm); a
    region with some is followed by the atoms outside, in their order.
    """

    atoms: Tensor
    anchors: Tensor
    distances: Tensor

    def __init__(
        self,
        ani: AniModule,
        atoms: Sequence[int] | NDArray[np.int64],
        links: Sequence[tuple[int, int, float]] = (),
    ) -> None:
        super().__init__()
        self.ani = ani
        hosts = [outside for _, outside, _ in links]
        self.register_buffer("atoms", torch.as_tensor(np.array([*atoms, *hosts], dtype=np.int64)))
        anchors, distances = [row for row, _, _ in links], [distance for _, _, distance in links]
        self.register_buffer("anchors", torch.as_tensor(np.array(anchors, dtype=np.int64)))
        self.register_buffer("distances", torch.as_tensor(np.array(distances, dtype=np.float64)))
        self.n_region, self.n_all = len(atoms), len(atoms) + len(hosts)

    def forward(self, positions: Tensor) -> Tensor:
        # TorchForce hands over every particle of the system, a caller of his own the region alone.
        if positions.shape[0] != self.n_all:
            positions = positions.index_select(0, self.atoms)
        if self.n_all > self.n_region:
            inside = positions.index_select(0, self.anchors)
            bonds = positions[self.n_region :] - inside
            lengths = torch.linalg.norm(bonds, dim=1, keepdim=True)
            reach = self.distances.to(positions.dtype).unsqueeze(1) / lengths
            positions = torch.cat([positions[: self.n_region], inside + reach * bonds])
        return self.ani(positions).mean()


def energy_module(parameters: AniParameters, symbols: Sequence[str], precision: str) -> nn.Module:
    """Return a module from positions (n, 3) in nm to the energy in kJ/mol, a float64 scalar.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        precision: ``"single"`` or ``"double"``.
    """
    dtype = torch.float64 if precision == "double" else torch.float32
    return _RegionEnergy(AniModule(parameters, list(symbols), dtype), range(len(symbols))).eval()


def export_torchscript(
    parameters: AniParameters,
    symbols: Sequence[str],
    atoms: Sequence[int] | NDArray[np.int64],
    links: Sequence[tuple[int, int, float]] = (),
) -> bytes:
    """Return a TorchScript module as the bytes of a ``.pt`` file.

    Its ``forward`` takes positions in nm, shape (n, 3) of the region or (N, 3) of the system that
    the region belongs to, and returns the potential energy in kJ/mol without self energies, a
    float64 scalar with a gradient. The region must be whole. One with link atoms is (n + m, 3), the
    m atoms outside its cut bonds at the end, or (N, 3).

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom of the region.
        atoms: 0-based indices of these atoms in the system.
        links: link atoms as (row of the atom inside, index of the one outside, distance, nm).
    """
    capped = [*symbols, *("H" for _ in links)]
    module = _RegionEnergy(AniModule(parameters, capped, torch.float32), atoms, links).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format that TorchForce reads
        scripted = torch.jit.script(module)
        buffer = io.BytesIO()
        torch.jit.save(scripted, buffer)
    return buffer.getvalue()
