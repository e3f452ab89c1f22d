"""Dipoles that a field induces in a molecule (Zinovjev, J. Chem. Theory Comput. 2023, 19, 1888).

mu = A^-1 F',  E = -1/2 mu . F

F is the field of the environment at the atoms, F' that field damped inside the valence densities
(eq. 20). A has 1/alpha_i on its diagonal, alpha_i = -60 v_i s_i^3 k_i, and the dipoles' interaction
I/r^3 - 3 r r/r^5 off it, whose parts Thole's exponential damping multiplies by 1 - exp(-u) and
1 - (1 + u) exp(-u), u = r^3 / (a sqrt(alpha_i alpha_j)).

In a distorted molecule, such as a minimiser may try, EMLE may find a valence charge above zero.
Such an atom has no electrons to polarize: its alpha is zero, where the equations would give NaN.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.models.charges import InducedEnergy

__all__ = ["induce"]

_NO_POLARIZABILITY = 1e-9  # nm^3, in place of zero; atoms have 1e-3


def induce(
    positions: NDArray[np.float64],
    valence: NDArray[np.float64],
    widths: NDArray[np.float64],
    scales: NDArray[np.float64],
    thole: float,
    field: NDArray[np.float64],
    damped: NDArray[np.float64],
) -> InducedEnergy:
    """Return the energy of induced dipoles and its derivatives.

    Args:
        positions: (n, 3), nm.
        valence: valence charges v, (n,), e.
        widths: s, (n,), nm.
        scales: k, (n,).
        thole: a.
        field: F, (n, 3), kJ/mol/nm/e.
        damped: F', (n, 3), kJ/mol/nm/e.
    """
    inputs = tuple(
        torch.tensor(each, dtype=torch.float64, requires_grad=True)
        for each in (field, damped, positions, valence, widths)
    )
    f, f_damped, x, v, s = inputs
    dipoles = _dipoles(x, v, s, torch.from_numpy(scales), thole, f_damped)
    energy = -0.5 * (dipoles * f).sum()
    gradients = torch.autograd.grad(energy, inputs)
    return InducedEnergy(float(energy.detach()), *(each.numpy() for each in gradients))


def _dipoles(
    positions: Tensor, valence: Tensor, widths: Tensor, scales: Tensor, thole: float, damped: Tensor
) -> Tensor:
    n = len(positions)
    alpha = torch.clamp(-60 * valence * widths**3 * scales, min=_NO_POLARIZABILITY)
    diagonal = torch.eye(n, dtype=torch.float64)
    vectors = positions.unsqueeze(1) - positions
    square = (vectors * vectors).sum(2) + diagonal  # nothing divides by zero
    r3 = square**1.5
    u = r3 / (thole * torch.sqrt(alpha.unsqueeze(1) * alpha))
    screened = (1 - torch.exp(-u)) / r3 * (1 - diagonal)
    along = 3 * (1 - (1 + u) * torch.exp(-u)) / (r3 * square) * (1 - diagonal)
    outer = vectors.unsqueeze(3) * vectors.unsqueeze(2)
    unit = torch.eye(3, dtype=torch.float64)
    blocks = (screened + torch.diag(1 / alpha))[..., None, None] * unit - along[
        ..., None, None
    ] * outer
    matrix = COULOMB_CONSTANT * blocks.permute(0, 2, 1, 3).reshape(3 * n, 3 * n)
    return torch.linalg.solve(matrix, damped.reshape(-1)).reshape(n, 3)
