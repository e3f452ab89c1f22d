"""Charges that add up to the total charge, and the Coulomb energy of two of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.models.aimnet.parameters import LEAST_CHARGE_WEIGHT, AimnetParameters

__all__ = ["Coulomb", "Shares", "differentiate_charges", "equilibrate"]

_NM_TO_ANGSTROM = 10.0
_EDGE = 1e-6  # least distance from the Coulomb cutoff, as a fraction of it, as published


class Shares(NamedTuple):
    """Fractions of the missing charge, and their derivatives at a constant sum of the weights."""

    shares: Tensor
    slopes: Tensor


def equilibrate(raw: Tensor, weights: Tensor, total_charge: float) -> tuple[Tensor, Shares]:
    """Return charges (m, k, n) with the missing charge, distributed by the squared weights."""
    squares = weights * weights
    per_weight = (squares.sum(2, keepdim=True) + LEAST_CHARGE_WEIGHT).reciprocal()
    rest = total_charge - raw.sum(2, keepdim=True)
    shares = squares * per_weight
    slopes = weights * (2 * rest * per_weight)
    return torch.addcmul(raw, shares, rest), Shares(shares, slopes)


def differentiate_charges(by_charges: Tensor, shares: Shares) -> tuple[Tensor, Tensor]:
    """Return derivatives by the charges before `equilibrate`, and by the weights, (m, k, n)."""
    raw = by_charges - (by_charges * shares.shares).sum(2, keepdim=True)
    return raw, raw * shares.slopes


class Coulomb:
    """Long-range energy of two unit charges, without the short-range part of the networks.

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
        x = (distances / self._cutoff).clamp(max=1 - _EDGE)
        part = (1 - x * x).reciprocal()
        within = torch.exp(1 - part)
        alone = self._constant / distances
        energies = torch.addcmul(alone, within, alone, value=-1)
        # Within the cutoff, x / r is a constant; beyond it, the factor is zero.
        slopes = torch.addcdiv(within * part * part * self._slope, energies, distances, value=-1)
        return energies, slopes
