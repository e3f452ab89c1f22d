"""D3 dispersion of all pairs as matrix products; see `nnpmm.models.aimnet.parameters.Dispersion`.

An atom has a row of weights with a column for each reference system of each element of the region,
zero for those of other elements. C6 of all pairs is then the product of these rows with the table
of all systems and with the rows again.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nnpmm.core.constants import BOHR_IN_NM, HARTREE_TO_KJ_PER_MOL
from nnpmm.models.aimnet.parameters import LEAST_DISPERSION_WEIGHT, Dispersion

__all__ = ["PairDispersion"]

_BOHR = 10 * BOHR_IN_NM  # angstrom
_SMALLEST = 1e-9  # of an atom's weights: far below it C6 is zero
_NEVER = -1e5  # an exponent


class PairDispersion:
    """Energies of some geometries of a fixed list of elements, and derivatives by the distances.

    Args:
        tables: constants and tables of all elements.
        species: row of each atom's element in the tables.
        like: a tensor of the device and type wanted.
    """

    def __init__(self, tables: Dispersion, species: list[int], like: Tensor) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(like)

        present = sorted(set(species))
        systems = tables.reference_coordination.shape[1]
        others = 1 - np.eye(len(species))
        covalent = tables.covalent_radii[species].astype(np.float64)
        radii = tables.radii[species].astype(np.float64)
        product = 3 * np.outer(radii, radii)
        damping = tables.a1 * np.sqrt(product) + tables.a2
        # A distance counts by a logistic function of this over it; an atom does not count itself.
        counted = tables.counting * np.add.outer(covalent, covalent)
        self._counted = tensor(np.where(others, counted, _NEVER))
        self._counting, self._weighting = tables.counting, tables.weighting
        self._reference = tensor(tables.reference_coordination[present].ravel())
        own = np.repeat(np.equal.outer(species, present), systems, axis=1)
        self._own = tensor(np.where(own, 0.0, _NEVER))
        c6 = HARTREE_TO_KJ_PER_MOL * tables.c6[np.ix_(present, present)].astype(np.float64)
        self._c6 = tensor(c6.swapaxes(1, 2).reshape(len(self._reference), -1))
        self._damping = tensor(np.stack([damping**6, damping**8]))
        self._factors = tensor(np.stack([tables.s6 * others, tables.s8 * product * others]))
        self._exponents = like.new_tensor([3.0, 4.0]).view(2, 1, 1)

    def __call__(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Return energies (k,), kJ/mol, float64, and derivatives (k, n, n) by each distance.

        Args:
            distances: (k, n, n), angstrom; any but zero from an atom to itself.
        """
        r = distances * (1 / _BOHR)
        # Weights of the reference systems. Absent ones, with a coordination of -1 and a C6 of 0,
        # count too: what was published does so. It matters for atoms without neighbours only.
        by_radii = self._counted / r
        counts = torch.sigmoid(by_radii - self._counting)
        offsets = counts.sum(2)[:, :, None] - self._reference
        weights = torch.addcmul(self._own, offsets, offsets, value=-self._weighting).exp()
        total = weights.sum(2, keepdim=True)
        of_pairs = total * total.transpose(1, 2)
        per_total = torch.threshold(of_pairs, LEAST_DISPERSION_WEIGHT, math.inf).reciprocal()
        weighted = weights @ self._c6
        c6 = weighted @ weights.transpose(1, 2)
        # Damped powers, sixth and eighth.
        powers = (r * r)[:, None] ** self._exponents
        damped = powers + self._damping
        terms = self._factors / damped
        values = terms.sum(1) * per_total
        rows = (c6 * values).sum(2)
        energies = -0.5 * rows.sum(1, dtype=torch.float64)
        slopes = (self._exponents * powers * terms / damped).sum(1) * per_total * c6
        # By way of the weights and the coordination numbers.
        by_total = rows[:, :, None] / total.clamp(min=_SMALLEST)
        by_weights = (by_total - values @ weighted) * offsets * weights
        by_coordination = -2 * self._weighting * by_weights.sum(2, keepdim=True)
        by_counts = torch.ops.aten.sigmoid_backward(by_coordination.expand_as(counts), counts)
        return energies, torch.addcmul(slopes, by_counts, by_radii, value=-1) / distances
