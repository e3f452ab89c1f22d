"""AIMNet2 as a TorchScript file for openmm-torch's TorchForce; it needs torch alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.aimnet.reference import AimnetModule
from nnpmm.models.scripting import RegionEnergy, scripted

__all__ = ["energy_module", "export_torchscript"]


def energy_module(
    parameters: AimnetParameters, symbols: Sequence[str], charge: int, precision: str
) -> torch.nn.Module:
    """Return a module from positions (n, 3) in nm to the energy in kJ/mol, a float64 scalar.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        precision: ``"single"`` or ``"double"``.
    """
    dtype = torch.float64 if precision == "double" else torch.float32
    network = AimnetModule(parameters, list(symbols), charge, dtype)
    return RegionEnergy(network, symbols, charge, range(len(symbols))).eval()


def export_torchscript(
    parameters: AimnetParameters,
    symbols: Sequence[str],
    charge: int,
    atoms: Sequence[int] | NDArray[np.int64],
    links: Sequence[tuple[int, int, float]] = (),
) -> bytes:
    """Return a TorchScript module as the bytes of a ``.pt`` file, for one charge of the region.

    It takes and returns what `nnpmm.models.ani.torchscript.export_torchscript` says.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom of the region.
        charge: total charge of the region, e.
        atoms: 0-based indices of these atoms in the system.
        links: link atoms as (row of the atom inside, index of the one outside, distance, nm).
    """
    capped = [*symbols, *("H" for _ in links)]
    network = AimnetModule(parameters, capped, charge, torch.float32)
    return scripted(RegionEnergy(network, symbols, charge, atoms, links))
