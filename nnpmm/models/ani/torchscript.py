"""ANI as a TorchScript file for openmm-torch's TorchForce; it needs torch alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.reference import AniModule
from nnpmm.models.scripting import RegionEnergy, scripted

__all__ = ["energy_module", "export_torchscript"]


def energy_module(
    parameters: AniParameters, symbols: Sequence[str], precision: str
) -> torch.nn.Module:
    """Return a module from positions (n, 3) in nm to the energy in kJ/mol, a float64 scalar.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        precision: ``"single"`` or ``"double"``.
    """
    dtype = torch.float64 if precision == "double" else torch.float32
    network = AniModule(parameters, list(symbols), dtype)
    return RegionEnergy(network, symbols, 0, range(len(symbols))).eval()


def export_torchscript(
    parameters: AniParameters,
    symbols: Sequence[str],
    atoms: Sequence[int] | NDArray[np.int64],
    links: Sequence[tuple[int, int, float]] = (),
) -> bytes:
    """Return a TorchScript module as the bytes of a ``.pt`` file.

    Its ``forward`` takes positions in nm, shape (n, 3) of the region or (N, 3) of the system that
    the region belongs to, and returns the potential energy in kJ/mol without self energies, a
    float64 scalar with a gradient. The region must be whole. One with link atoms is (n + m, 3), the
    m atoms outside its cut bonds at the end, or (N, 3).

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom of the region.
        atoms: 0-based indices of these atoms in the system.
        links: link atoms as (row of the atom inside, index of the one outside, distance, nm).
    """
    capped = [*symbols, *("H" for _ in links)]
    network = AniModule(parameters, capped, torch.float32)
    return scripted(RegionEnergy(network, symbols, 0, atoms, links))
