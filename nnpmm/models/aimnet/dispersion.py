"""DFT-D3 with Becke-Johnson damping as a torch module."""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import numpy as np
import torch
from torch import Tensor, nn

from nnpmm.core.constants import BOHR_IN_NM, HARTREE_TO_KJ_PER_MOL
from nnpmm.models.aimnet.parameters import LEAST_DISPERSION_WEIGHT, Dispersion

__all__ = ["DispersionModule"]

_BOHR_IN_ANGSTROM = 10 * BOHR_IN_NM


class DispersionModule(nn.Module):
    """Dispersion energy of a fixed list of elements; see `Dispersion` for the papers.

    Args:
        tables: constants and tables of all elements.
        species: row of each atom's element in the tables, in order.
        pairs: the atoms i < j of all pairs, (2, p).
    """

    pairs: Tensor
    radii_sum: Tensor
    reference: Tensor
    c6: Tensor
    r8_factor: Tensor
    damping6: Tensor
    damping8: Tensor

    def __init__(self, tables: Dispersion, species: list[int], pairs: Tensor) -> None:
        super().__init__()
        self.n_atoms = len(species)
        i, j = (np.array(species, dtype=np.int64)[each] for each in pairs.numpy())
        covalent = tables.covalent_radii.astype(np.float64)
        radii = tables.radii.astype(np.float64)
        r8_factor = 3 * radii[i] * radii[j]
        damping = tables.a1 * np.sqrt(r8_factor) + tables.a2
        self.register_buffer("pairs", pairs)
        self.register_buffer("radii_sum", torch.from_numpy(covalent[i] + covalent[j]))
        self.register_buffer("reference", torch.from_numpy(tables.reference_coordination[species]))
        self.register_buffer("c6", torch.from_numpy(tables.c6[i, j]))
        self.register_buffer("r8_factor", torch.from_numpy(tables.s8 * r8_factor))
        self.register_buffer("damping6", torch.from_numpy(damping**6))
        self.register_buffer("damping8", torch.from_numpy(damping**8))
        self.s6 = tables.s6
        self.counting = tables.counting
        self.weighting = tables.weighting
        self.to_bohr = 1 / _BOHR_IN_ANGSTROM
        self.hartree = HARTREE_TO_KJ_PER_MOL
        self.least_weight = LEAST_DISPERSION_WEIGHT

    def forward(self, distances: Tensor) -> Tensor:
        """Return the energy, kJ/mol, a float64 scalar.

        Args:
            distances: of the pairs, (p,), angstrom.
        """
        r = distances * self.to_bohr
        r2 = r * r
        r6 = r2 * r2 * r2
        terms = self.s6 / (r6 + self.damping6) + self.r8_factor / (r6 * r2 + self.damping8)
        return -self.hartree * (self.coefficients(r) * terms).to(torch.float64).sum()

    def coefficients(self, r: Tensor) -> Tensor:
        """Return C6 of every pair, (p,), hartree bohr^6, from distances in bohr."""
        i, j = self.pairs[0], self.pairs[1]
        counts = torch.sigmoid(self.counting * (self.radii_sum / r - 1))
        coordination = counts.new_zeros(self.n_atoms).index_add(0, i, counts)
        coordination = coordination.index_add(0, j, counts)
        # Absent reference systems, with a coordination of -1 and a C6 of 0, count too: what was
        # published does so. It matters for atoms without neighbours only.
        weights = torch.exp(-self.weighting * (coordination.unsqueeze(1) - self.reference) ** 2)
        weights_i, weights_j = weights.index_select(0, i), weights.index_select(0, j)
        total = weights_i.sum(1) * weights_j.sum(1)
        weighted = (weights_i.unsqueeze(2) * weights_j.unsqueeze(1) * self.c6).sum((1, 2))
        known = (total >= self.least_weight).to(total.dtype)
        return known * weighted / total.clamp(min=self.least_weight)
