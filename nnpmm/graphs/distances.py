"""The network on conformers, whose only input is the distances between atoms.

H. Stärk et al., ICML 2022 (arXiv 2110.04126), section 4.2. Messages here are the same in both
directions, so that each pair is evaluated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import silu

from nnpmm.graphs.segments import extremes, means, sums
from nnpmm.graphs.settings import SpatialSettings

__all__ = ["ConformerBatch", "DistanceNetwork", "collate_conformers", "distance_features"]

_UNIT = 0.1  # nm, of distances in the sines


class ConformerBatch(NamedTuple):
    """Several conformers, one after the other, of n atoms and p pairs in all.

    Attributes:
        distances: (p,) of each pair of atoms of a conformer, nm.
        first: (p,) index of an atom.
        second: (p,) index of the other atom.
        conformer: (n,) conformer of each atom.
        conformers: number of conformers.
    """

    distances: Tensor
    first: Tensor
    second: Tensor
    conformer: Tensor
    conformers: int


def collate_conformers(positions: Sequence[NDArray[np.float32]]) -> ConformerBatch:
    """Return conformers as one batch.

    Args:
        positions: (k, n, 3) of each molecule, nm; k and n may differ.
    """
    distances, first, second, sizes = [], [], [], []
    start = 0
    for geometries in positions:
        count, atoms = geometries.shape[:2]
        i, j = np.triu_indices(atoms, 1)
        distances.append(np.linalg.norm(geometries[:, i] - geometries[:, j], axis=-1).ravel())
        shifts = start + atoms * np.arange(count)[:, None]
        first.append((shifts + i).ravel())
        second.append((shifts + j).ravel())
        sizes += [atoms] * count
        start += count * atoms
    return ConformerBatch(
        torch.from_numpy(np.concatenate(distances).astype(np.float32)),
        torch.from_numpy(np.concatenate(first)),
        torch.from_numpy(np.concatenate(second)),
        torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)),
        len(sizes),
    )


def distance_features(distances: Tensor, frequencies: int) -> Tensor:
    """Return d, sin(d / 2^k) and cos(d / 2^k) for k = 0, 1, ..., (p, 1 + 2 frequencies).

    Args:
        distances: (p,), nm; d is in units of 0.1 nm.
        frequencies: number of k.
    """
    scaled = distances[:, None] / _UNIT
    angles = scaled / 2.0 ** torch.arange(frequencies, dtype=distances.dtype)
    return torch.cat([0.1 * scaled, torch.sin(angles), torch.cos(angles)], dim=1)


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # A linear layer on (sum of both atoms, pair) in two parts, as there are fewer atoms.
        self.ends = nn.Linear(width, width, bias=False)
        self.pair = nn.Linear(width, width)
        self.update = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, atoms: Tensor, pairs: Tensor, batch: ConformerBatch) -> tuple[Tensor, Tensor]:
        """Return new states of the atoms (n, width) and of the pairs (p, width)."""
        ends = self.ends(atoms)
        both = ends.index_select(0, batch.first) + ends.index_select(0, batch.second)
        messages = silu(self.pair(pairs) + both)
        heard = sums(messages, batch.first, len(atoms)) + sums(messages, batch.second, len(atoms))
        others = torch.bincount(batch.conformer, minlength=batch.conformers)[batch.conformer] - 1
        mean = heard / others.clamp(min=1)[:, None].to(heard.dtype)
        return atoms + self.update(mean), pairs + messages


class DistanceNetwork(nn.Module):
    """Maps the distances of conformers to features of each, relative to the others in the batch.

    Args:
        settings: size of the network.
        outputs: number of features of each conformer.
    """

    def __init__(self, settings: SpatialSettings, outputs: int) -> None:
        super().__init__()
        width = settings.width
        self.frequencies = settings.frequencies
        self.start = nn.Parameter(torch.randn(width))
        self.pairs = nn.Sequential(nn.Linear(1 + 2 * settings.frequencies, width), nn.SiLU())
        self.layers = nn.ModuleList(_Layer(width) for _ in range(settings.layers))
        self.head = nn.Sequential(
            # Statistics of the current batch: running averages lag behind the training by more than
            # conformers differ.
            nn.BatchNorm1d(3 * width, track_running_stats=False),
            nn.Linear(3 * width, 3 * width),
            nn.ReLU(),
            nn.Linear(3 * width, outputs),
        )

    def forward(self, batch: ConformerBatch) -> Tensor:
        """Return features (conformers, outputs); there must be at least two conformers."""
        atoms = self.start.expand(len(batch.conformer), -1)
        pairs = self.pairs(distance_features(batch.distances, self.frequencies))
        for layer in self.layers:
            atoms, pairs = layer(atoms, pairs, batch)
        owner, count = batch.conformer, batch.conformers
        states = [means(atoms, owner, count), *extremes(atoms, owner, count)]
        features: Tensor = self.head(torch.cat(states, dim=1))
        return features
