"""The network on the graph of bonds: principal neighbourhood aggregation.

G. Corso et al., NeurIPS 2020 (arXiv 2004.05718), with residual connections and batch normalization
as used by H. Stärk et al., ICML 2022 (arXiv 2110.04126).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnpmm.graphs.features import ATOM_FEATURES, BOND_FEATURES, GraphBatch
from nnpmm.graphs.segments import extremes, means, sums
from nnpmm.graphs.settings import GraphSettings

__all__ = ["MEAN_LOG_DEGREE", "BondNetwork", "aggregate"]

#: Mean of ln(degree + 1) over the heavy atoms of the lipophilicity data.
MEAN_LOG_DEGREE = 1.13
_SMALLEST_VARIANCE = 1e-5  # the square root has an infinite slope at 0


def aggregate(messages: Tensor, target: Tensor, atoms: int) -> tuple[Tensor, Tensor]:
    """Aggregate the messages of the neighbours of each atom, and return the aggregates and scales.

    The aggregates (atoms, 4 width) are mean, largest, smallest and standard deviation; the scales
    (3, atoms) are 1, ln(d + 1) / delta and delta / ln(d + 1), with d neighbours and delta the mean
    of ln(d + 1) (Corso et al., eq. 5-8). The third is 0 for an atom without neighbours.

    Args:
        messages: (m, width).
        target: (m,) atom that receives each message.
        atoms: number of atoms.
    """
    mean = means(messages, target, atoms)
    square = means(messages**2, target, atoms)
    spread = torch.sqrt((square - mean**2).clamp(min=0.0) + _SMALLEST_VARIANCE)
    degree = torch.bincount(target, minlength=atoms)
    scale = torch.log(degree.to(messages.dtype) + 1.0) / MEAN_LOG_DEGREE
    inverse = torch.where(degree > 0, 1.0 / scale, 0.0)
    aggregates = torch.cat([mean, *extremes(messages, target, atoms), spread], dim=1)
    return aggregates, torch.stack([torch.ones_like(scale), scale, inverse])


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # A linear layer on (source, target, bond) in three parts: there are fewer atoms than bonds.
        self.source = nn.Linear(width, width, bias=False)
        self.target = nn.Linear(width, width, bias=False)
        self.bond = nn.Linear(BOND_FEATURES, width)
        self.message = nn.Linear(width, width)
        self.own = nn.Linear(width, width)
        # Acts on the aggregates once; scaling its output is equivalent to scaling its input, and
        # cheaper.
        self.heard = nn.Linear(4 * width, 3 * width, bias=False)
        self.normalize = nn.BatchNorm1d(width)

    def forward(self, atoms: Tensor, batch: GraphBatch) -> Tensor:
        """Return new states of the atoms, (n, width)."""
        source = self.source(atoms).index_select(0, batch.source)
        target = self.target(atoms).index_select(0, batch.target)
        messages = self.message(torch.relu(source + target + self.bond(batch.bonds)))
        aggregates, scales = aggregate(messages, batch.target, len(atoms))
        heard = self.heard(aggregates).unflatten(1, (3, -1))
        updated = self.own(atoms) + torch.einsum("nsw,sn->nw", heard, scales)
        return atoms + torch.relu(self.normalize(updated))


class BondNetwork(nn.Module):
    """Maps graphs of molecules to a state of each molecule.

    Args:
        settings: size of the network.
    """

    def __init__(self, settings: GraphSettings) -> None:
        super().__init__()
        self.atoms = nn.Linear(ATOM_FEATURES, settings.width)
        self.layers = nn.ModuleList(_Layer(settings.width) for _ in range(settings.layers))
        self.features = 4 * settings.width

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return the state of each molecule, (molecules, 4 width).

        The state contains sum, mean, largest and smallest value over the atoms. The sum is divided
        by ten, so that it is about as large as the others.
        """
        atoms = self.atoms(batch.atoms)
        for layer in self.layers:
            atoms = layer(atoms, batch)
        owner, count = batch.molecule, batch.molecules
        total = sums(atoms, owner, count)
        return torch.cat(
            [0.1 * total, means(atoms, owner, count), *extremes(atoms, owner, count)], dim=1
        )
