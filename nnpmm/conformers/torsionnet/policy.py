"""The policy: messages among atoms, then among rotors, a memory, and angles for each rotor.

After TorsionNet (T. Gogineni et al., NeurIPS 2020), with three differences. Positions enter by
distances and torsions, so that the policy is invariant to rotation and translation. Each rotor has
its own memory. And each rotor chooses among the angles of its kind, knowing the present one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from nnpmm.conformers.torsionnet.environment import SCALARS, Observation
from nnpmm.conformers.torsionnet.graph import ATOM_FEATURES, PAIR_FEATURES, MoleculeGraph
from nnpmm.core.section import Section

__all__ = ["Batch", "Memory", "Policy", "PolicySettings", "batch_of", "joined"]

_CUTOFF = 0.7  # nm, beyond which atoms exchange no messages
Memory = tuple[Tensor, Tensor]


class PolicySettings(Section):
    """The network."""

    width: int = Field(48, ge=4, description="width of the features of atoms, rotors and memory")
    layers: int = Field(3, ge=1, description="number of layers of messages among atoms")
    radial: int = Field(12, ge=2, description="number of Gaussians that describe a distance")
    stay: float = Field(
        2.0, description="preference of an untrained policy for the present angle of a rotor"
    )


@dataclass(frozen=True, eq=False)
class Batch:
    """t conformers of each of e molecules, their nodes and rotors one after the other.

    Attributes:
        atoms: features of the nodes, (n, f).
        pairs: of nodes, (2, p).
        pair_features: (p, g).
        torsions: nodes of the rotors, (r, 4).
        neighbours: pairs of rotors, (2, q).
        angles: of each rotor's choices, radians, (r, a).
        allowed: which choices a rotor has, (r, a).
        molecule_of_atom: (n,).
        molecule_of_rotor: (r,).
        molecules: their number e.
        positions: (t, n, 3).
        now: torsions of the rotors, radians, (t, r).
        scalars: (t, e, 3).
    """

    atoms: Tensor
    pairs: Tensor
    pair_features: Tensor
    torsions: Tensor
    neighbours: Tensor
    angles: Tensor
    allowed: Tensor
    molecule_of_atom: Tensor
    molecule_of_rotor: Tensor
    molecules: int
    positions: Tensor
    now: Tensor
    scalars: Tensor


def batch_of(graphs: Sequence[MoleculeGraph], observations: Sequence[Observation]) -> Batch:
    """Return one conformer of each of several molecules, as t = 1."""
    nodes = np.cumsum([0, *(len(g.atoms) for g in graphs)])
    rotors = np.cumsum([0, *(len(g.torsions) for g in graphs)])
    most = max(g.angles.shape[1] for g in graphs)
    angles = np.concatenate(
        [
            np.pad(g.angles, ((0, 0), (0, most - g.angles.shape[1])), constant_values=np.nan)
            for g in graphs
        ]
    )
    each = range(len(graphs))

    def rows(arrays: Sequence[np.ndarray], axis: int = 0) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays, axis=axis))

    def belongs(ends: np.ndarray) -> Tensor:
        return torch.from_numpy(np.repeat(np.arange(len(graphs)), np.diff(ends)))

    return Batch(
        atoms=rows([g.atom_features for g in graphs]),
        pairs=rows([graphs[e].pairs + nodes[e] for e in each], axis=1),
        pair_features=rows([g.pair_features for g in graphs]),
        torsions=rows([graphs[e].torsions + nodes[e] for e in each]),
        neighbours=rows([graphs[e].neighbours + rotors[e] for e in each], axis=1),
        angles=torch.from_numpy(np.nan_to_num(angles)).float(),
        allowed=torch.from_numpy(~np.isnan(angles)),
        molecule_of_atom=belongs(nodes),
        molecule_of_rotor=belongs(rotors),
        molecules=len(graphs),
        positions=rows([o.positions for o in observations])[None].float(),
        now=rows([o.torsions for o in observations])[None].float(),
        scalars=torch.from_numpy(np.array([o.scalars for o in observations]))[None].float(),
    )


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the conformers of batches of the same molecules, one after the other in time."""
    return replace(
        batches[0],
        positions=torch.cat([b.positions for b in batches]),
        now=torch.cat([b.now for b in batches]),
        scalars=torch.cat([b.scalars for b in batches]),
    )


def _perceptron(inputs: int, width: int, outputs: int, *, bias: bool = True) -> nn.Sequential:
    last = nn.Linear(width, outputs, bias=bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), last)


def _summed(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """Return sums (t, count, w) of values (t, m, w) by their rows (m,)."""
    return values.new_zeros(values.shape[0], count, values.shape[2]).index_add(1, rows, values)


class Policy(nn.Module):
    """Logits of each rotor's angles, and the value of each molecule.

    Args:
        settings: of the network.
    """

    def __init__(self, settings: PolicySettings) -> None:
        super().__init__()
        width = settings.width
        self.embed = nn.Linear(ATOM_FEATURES, width)
        inputs = settings.radial + PAIR_FEATURES
        self.filters = nn.ModuleList(
            _perceptron(inputs, width, width) for _ in range(settings.layers)
        )
        self.updates = nn.ModuleList(
            _perceptron(width, width, width) for _ in range(settings.layers)
        )
        self.pool = _perceptron(4 * width, width, width)
        self.talk = _perceptron(2 * width + 4, width, width)
        self.memory = nn.LSTM(2 * width + 2 + SCALARS, width)
        self.choose = _perceptron(2 * width + 5, width, 1, bias=False)
        self.appraise = _perceptron(width + SCALARS, width, 1)
        self.stay = nn.Parameter(torch.tensor(settings.stay))
        centres = torch.linspace(0.0, _CUTOFF, settings.radial)
        self.register_buffer("centres", centres, persistent=False)
        # An untrained policy prefers only the present angles.
        nn.init.zeros_(self.get_parameter("choose.2.weight"))

    def forward(self, batch: Batch, memory: Memory | None = None) -> tuple[Tensor, Tensor, Memory]:
        """Return logits (t, r, a), values (t, e), and the memory after the last conformer.

        Args:
            batch: conformers in the order in which they were found.
            memory: after those before; None at the start.
        """
        rotors, molecules = self._rotors(batch)
        recalled, memory = self.memory(
            torch.cat([rotors, molecules[:, batch.molecule_of_rotor]], dim=-1), memory
        )
        # Without the torsions at the end of the features, which the choices contain.
        both = torch.cat([rotors[..., : recalled.shape[-1]], recalled], dim=-1)
        return self._logits(batch, both), self._values(batch, recalled), memory

    def _rotors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return features of rotors with their torsions, and of molecules with their scalars."""
        hidden = self._atoms(batch)
        i, j, k, m = (hidden[:, batch.torsions[:, place]] for place in range(4))
        forth, back = torch.cat([i, j, k, m], dim=-1), torch.cat([m, k, j, i], dim=-1)
        rotors = self.pool(forth) + self.pool(back)
        now = torch.stack([torch.cos(batch.now), torch.sin(batch.now)], dim=-1)
        one, other = batch.neighbours
        pair = torch.cat([rotors[:, one], rotors[:, other], now[:, one], now[:, other]], dim=-1)
        rotors = rotors + _summed(self.talk(pair), one, rotors.shape[1])
        count = torch.bincount(batch.molecule_of_atom, minlength=batch.molecules)[:, None]
        mean = _summed(hidden, batch.molecule_of_atom, batch.molecules) / count
        return torch.cat([rotors, now], dim=-1), torch.cat([mean, batch.scalars], dim=-1)

    def _atoms(self, batch: Batch) -> Tensor:
        i, j = batch.pairs
        distance = (batch.positions[:, i] - batch.positions[:, j]).norm(dim=-1)[..., None]
        centres = self.get_buffer("centres")
        spacing = centres[1] - centres[0]
        radial = torch.exp(-(((distance - centres) / spacing) ** 2))
        fade = 0.5 * (1 + torch.cos(np.pi * (distance / _CUTOFF).clamp(max=1.0)))
        features = batch.pair_features.expand(len(distance), -1, -1)
        edges = torch.cat([radial, features], dim=-1)
        hidden = self.embed(batch.atoms).expand(len(distance), -1, -1)
        for weigh, update in zip(self.filters, self.updates, strict=True):
            messages = fade * weigh(edges) * hidden[:, j]
            hidden = hidden + update(_summed(messages, i, hidden.shape[1]))
        return hidden

    def _logits(self, batch: Batch, rotors: Tensor) -> Tensor:
        turn = batch.angles - batch.now[..., None]
        nearest = turn.cos().masked_fill(~batch.allowed, -2.0).argmax(dim=-1, keepdim=True)
        here = torch.zeros_like(turn).scatter(-1, nearest, 1.0)
        angles = batch.angles.expand_as(turn)
        choices = torch.stack([angles.cos(), angles.sin(), turn.cos(), turn.sin(), here], dim=-1)
        wide = rotors[:, :, None].expand(-1, -1, choices.shape[2], -1)
        logits = self.choose(torch.cat([wide, choices], dim=-1))[..., 0] + self.stay * here
        return logits.masked_fill(~batch.allowed, -torch.inf)

    def _values(self, batch: Batch, recalled: Tensor) -> Tensor:
        count = torch.bincount(batch.molecule_of_rotor, minlength=batch.molecules)[:, None]
        mean = _summed(recalled, batch.molecule_of_rotor, batch.molecules) / count
        return self.appraise(torch.cat([mean, batch.scalars], dim=-1))[..., 0]
