"""Charges that add up to the total charge, and the Coulomb energy of two of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.models.aimnet.parameters import AimnetParameters

__all__ = ["Coulomb", "Shares", "equilibrate", "return_charges"]

_NM_TO_ANGSTROM = 10.0
#: Added to the sum of the weights by which the missing charge is shared out.
_LEAST_WEIGHT = 1e-6
_NEAREST = 1e-6  # distance from the Coulomb cutoff, as a fraction of it, as published


class Shares(NamedTuple):
    """Of the missing charge, and their derivatives by the weights, but for the common part."""

    shares: Tensor
    slopes: Tensor


def equilibrate(raw: Tensor, weights: Tensor, total_charge: float) -> tuple[Tensor, Shares]:
    """Return charges (m, k, n) to which what is missing has been added, by the squared weights."""
    squares = weights * weights
    per_weight = (squares.sum(2, keepdim=True) + _LEAST_WEIGHT).reciprocal()
    rest = total_charge - raw.sum(2, keepdim=True)
    shares = squares * per_weight
    slopes = weights * (2 * rest * per_weight)
    return torch.addcmul(raw, shares, rest), Shares(shares, slopes)


def return_charges(by_charges: Tensor, shares: Shares) -> tuple[Tensor, Tensor]:
    """Return derivatives by the charges before `equilibrate`, and by the weights, (m, k, n)."""
    left = by_charges - (by_charges * shares.shares).sum(2, keepdim=True)
    return left, left * shares.slopes


class Coulomb:
    """Energy of two unit charges, less what the networks cover.

    Args:
        parameters: its cutoff.
        n_atoms: of one geometry.
        like: a tensor of the device and type wanted.
    """

    def __init__(self, parameters: AimnetParameters, n_atoms: int, like: Tensor) -> None:
        self._cutoff = parameters.coulomb_cutoff
        others = 1 - torch.eye(n_atoms, dtype=like.dtype, device=like.device)
        self._constant = COULOMB_CONSTANT * _NM_TO_ANGSTROM * others
        self._slope = self._constant * (2 / self._cutoff**2)

    def __call__(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Return energies, kJ/mol, and their derivatives, (k, n, n), from distances in angstrom."""
        x = (distances / self._cutoff).clamp(max=1 - _NEAREST)
        part = (1 - x * x).reciprocal()
        within = torch.exp(1 - part)
        alone = self._constant / distances
        energies = torch.addcmul(alone, within, alone, value=-1)
        # Of x / r nothing is left within the cutoff but a constant; beyond, the factor is zero.
        slopes = torch.addcdiv(within * part * part * self._slope, energies, distances, value=-1)
        return energies, slopes
