"""Readable reference of ANI for part of a system: one centre after the other, by autograd.

Equations 3 to 5 of Smith, Isayev and Roitberg, Chem. Sci. 2017, 8, 3192. `LocalAni` is
compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models.ani.local import kinds_of
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters
from nnpmm.models.local import LocalEvaluation, Neighbourhoods

__all__ = ["LocalAniReference"]

_NM_TO_ANGSTROM = 10.0


class LocalAniReference:
    """ANI for centres and their neighbours; see `nnpmm.models.local.LocalPotential`.

    Args:
        parameters: the ensemble.
        elements: chemical symbols of all atoms that will occur.
        precision: ``"single"`` or ``"double"``.
    """

    def __init__(
        self, parameters: AniParameters, elements: Collection[str], precision: str
    ) -> None:
        self._dtype = torch.float64 if precision == "double" else torch.float32
        self._parameters = parameters.restricted_to(elements)
        self._functions = self._parameters.symmetry_functions
        self._pair_index = self._functions.pair_index()

    @property
    def cutoff(self) -> float:
        """Range of the symmetry functions, nm."""
        return self._functions.radial_cutoff / _NM_TO_ANGSTROM

    def evaluate(
        self, atomic_numbers: NDArray[np.int64], neighbourhoods: Neighbourhoods
    ) -> LocalEvaluation:
        """Return energies of the centres and gradients; see `nnpmm.models.local.LocalPotential`.

        Raises:
            ModelError: an element other than those that this was made for.
        """
        start, atoms, vectors = neighbourhoods
        kinds = kinds_of(atomic_numbers, self._functions)
        members = np.zeros((len(self._parameters.members), len(start) - 1))
        gradients = np.zeros((len(atoms), 3))
        for i in range(len(start) - 1):
            own = slice(start[i], start[i + 1])
            x = torch.tensor(vectors[own] * _NM_TO_ANGSTROM, dtype=self._dtype).requires_grad_()
            energies = self._networks(kinds[i], self._environment(x, kinds[atoms[own]]))
            members[:, i] = energies.detach().numpy()
            if len(x):
                (gradients[own],) = torch.autograd.grad(energies.mean(), x)
        return LocalEvaluation(
            HARTREE_TO_KJ_PER_MOL * members.mean(axis=0),
            HARTREE_TO_KJ_PER_MOL * _NM_TO_ANGSTROM * gradients,
            HARTREE_TO_KJ_PER_MOL * members.sum(axis=1),
        )

    def _environment(self, vectors: Tensor, kinds: NDArray[np.int64]) -> Tensor:
        """Return the columns of one centre from its neighbours, (k, 3) in angstrom."""
        f = self._functions
        radial = vectors.new_zeros(len(f.elements), len(f.radial_shifts))
        n_pairs = int(self._pair_index.max()) + 1
        angular = vectors.new_zeros(n_pairs, len(f.angular_shifts), len(f.angle_shifts))
        r = (vectors * vectors).sum(1).sqrt()
        shifts = torch.tensor(f.radial_shifts, dtype=vectors.dtype)
        for j in range(len(r)):
            if r[j] < f.radial_cutoff:
                term = torch.exp(-f.radial_eta * (r[j] - shifts) ** 2)
                radial[kinds[j]] += 0.25 * term * _switch(r[j], f.radial_cutoff)
        near = [j for j in range(len(r)) if r[j] < f.angular_cutoff]
        for place, j in enumerate(near):
            for k in near[:place]:
                pair = self._pair_index[kinds[j], kinds[k]]
                angular[pair] += self._angular(vectors[j], vectors[k], r[j], r[k])
        return torch.cat([radial.flatten(), angular.flatten()])

    def _angular(self, u: Tensor, v: Tensor, r_u: Tensor, r_v: Tensor) -> Tensor:
        f = self._functions
        angle_shifts = torch.tensor(f.angle_shifts, dtype=u.dtype)
        shifts = torch.tensor(f.angular_shifts, dtype=u.dtype)
        angle = torch.acos(0.95 * (u @ v) / (r_u * r_v))
        by_angle = (0.5 + 0.5 * torch.cos(angle - angle_shifts)) ** f.angular_zeta
        by_distance = torch.exp(-f.angular_eta * (0.5 * (r_u + r_v) - shifts) ** 2)
        switch = _switch(r_u, f.angular_cutoff) * _switch(r_v, f.angular_cutoff)
        return 2 * switch * by_distance[:, None] * by_angle[None, :]

    def _networks(self, kind: int, columns: Tensor) -> Tensor:
        """Return each member's energy of one centre, (m,), hartree."""
        element, energies = self._functions.elements[kind], []
        for member in self._parameters.members:
            x, layers = columns, member[element]
            for depth, layer in enumerate(layers):
                x = torch.as_tensor(layer.weight).to(x.dtype) @ x
                x = x + torch.as_tensor(layer.bias).to(x.dtype)
                if depth < len(layers) - 1:
                    x = CELU_ALPHA * torch.nn.functional.elu(x / CELU_ALPHA)
            energies.append(x[0])
        return torch.stack(energies)


def _switch(r: Tensor, cutoff: float) -> Tensor:
    return 0.5 * torch.cos(math.pi * r / cutoff) + 0.5
