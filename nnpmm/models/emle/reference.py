"""Readable reference of EMLE in torch; `nnpmm.models.emle.model` is the fast version."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nnpmm.core.constants import BOHR_IN_NM
from nnpmm.models.ani.parameters import AniParameters, Layer
from nnpmm.models.ani.reference import AniModule
from nnpmm.models.emle.parameters import EmleParameters

__all__ = ["reference_charges"]

_NM_TO_ANGSTROM = 10.0


def reference_charges(
    parameters: EmleParameters, symbols: list[str], charge: int, positions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return charges and valence charges in e, and widths in nm, (n,) each, float64.

    Args:
        parameters: of the model.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        positions: (n, 3), nm; autograd differentiates by them.
    """
    aev = _environments(parameters, symbols, positions)
    features = (aev / aev.norm(dim=1, keepdim=True))[:, torch.from_numpy(parameters.columns)]
    species = [parameters.elements.index(symbol) for symbol in symbols]
    widths = _gaussian_process(parameters, parameters.widths, features, species)
    chi = _gaussian_process(parameters, parameters.electronegativities, features, species)
    charges = _equilibrated(parameters, positions / BOHR_IN_NM, widths, chi, charge)
    core = torch.from_numpy(parameters.core_charges[species])
    return charges, charges - core, widths * BOHR_IN_NM


def _environments(parameters: EmleParameters, symbols: list[str], positions: Tensor) -> Tensor:
    """Return all columns of ANI-2x's AEV, (n, 1008), by ANI's reference without its networks."""
    functions = parameters.functions
    none = (Layer(np.zeros((1, functions.aev_length), np.float32), np.zeros(1, np.float32)),)
    networks = dict.fromkeys(functions.elements, none)
    energies = dict.fromkeys(functions.elements, 0.0)
    without_networks = AniParameters("", functions, (networks,), energies, (0,))
    module = AniModule(without_networks, symbols, torch.float64)
    columns = torch.from_numpy(functions.columns_of(symbols))
    aev = torch.zeros(len(symbols), functions.aev_length, dtype=torch.float64)
    return aev.index_copy(1, columns, module.environment(_NM_TO_ANGSTROM * positions))


def _gaussian_process(
    parameters: EmleParameters,
    values: tuple[np.ndarray, ...],
    features: Tensor,
    species: list[int],
) -> Tensor:
    coefficients = parameters.coefficients(values)
    found = []
    for atom, number in enumerate(species):
        products = torch.from_numpy(parameters.references[number]) @ features[atom]
        found.append(values[number].mean() + products**2 @ torch.from_numpy(coefficients[number]))
    return torch.stack(found)


def _equilibrated(
    parameters: EmleParameters, positions: Tensor, widths: Tensor, chi: Tensor, charge: int
) -> Tensor:
    n, sigma = len(positions), parameters.gaussian_scale * widths
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            if i == j:
                row.append(1 / (sigma[i] * math.sqrt(math.pi)))
                continue
            distance = (positions[i] - positions[j]).norm()
            width = torch.sqrt(2 * (sigma[i] ** 2 + sigma[j] ** 2))
            row.append(torch.erf(distance / width) / distance)
        rows.append(torch.stack([*row, torch.ones((), dtype=torch.float64)]))
    last = torch.ones(n + 1, dtype=torch.float64)
    last[n] = 0.0
    matrix = torch.stack([*rows, last])
    right = torch.cat([-chi, torch.tensor([float(charge)], dtype=torch.float64)])
    return torch.linalg.solve(matrix, right)[:n]
