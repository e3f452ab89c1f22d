"""Device memory of one engine: all tensors, by the names of the kernels' arguments.

Nothing is allocated during an evaluation, so that a CUDA graph can capture it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.triton.constants import Blocks, Constants
from nnpmm.models.ani.triton.layout import (
    NetworkTables,
    pack_atoms,
    pack_networks,
    pack_shifts,
    pack_tiles,
)

__all__ = [
    "Buffers",
    "Model",
    "allocate_buffers",
    "allocate_cells",
    "allocate_rows",
    "build_tables",
]

_NM_TO_ANGSTROM = 10.0


@dataclass(frozen=True)
class Model:
    """Parameters on the device, which all engines of one composition share.

    Args:
        parameters: the ensemble, restricted to the elements present.
        networks: its networks on the device.
        shifts: its shifts on the device.
        double: whether the kernels calculate in float64.
        device: torch device.
    """

    parameters: AniParameters
    networks: NetworkTables
    shifts: Tensor
    double: bool
    device: str

    @classmethod
    def pack(
        cls, parameters: AniParameters, symbols: list[str], device: str, double: bool
    ) -> Model:
        """Restrict the ensemble to the elements present, and copy it to the device."""
        restricted = parameters.restricted_to(symbols)
        dtype = torch.float64 if double else torch.float32
        networks = pack_networks(restricted, device, dtype)
        shifts = pack_shifts(restricted.symmetry_functions, device, dtype)
        return cls(restricted, networks, shifts, double, device)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the networks' weights."""
        return self.networks.parameters.dtype


@dataclass(frozen=True)
class Buffers:
    """Input and output, each in contiguous memory, so that one copy transfers it.

    Args:
        inputs: `positions` (k n, 3) and `box` (3, 3), nm.
        outputs: `forces` (k n, 3) and `results` (k, 3 + m), kJ/mol and nm; see `reduction`.
    """

    inputs: Tensor
    outputs: Tensor
    positions: Tensor
    box: Tensor
    forces: Tensor
    results: Tensor


def allocate_buffers(n_rows: int, geometries: int, members: int, device: str) -> Buffers:
    """Return buffers for a number of geometries; the initial box is the unit box."""
    n = 3 * n_rows
    inputs = torch.zeros(n + 9, dtype=torch.float64, device=device)
    inputs[n:] = torch.eye(3, dtype=torch.float64, device=device).flatten()
    width = 3 + members
    outputs = torch.zeros(n + geometries * width, dtype=torch.float64, device=device)
    return Buffers(
        inputs,
        outputs,
        positions=inputs[:n].view(-1, 3),
        box=inputs[n:].view(3, 3),
        forces=outputs[:n].view(-1, 3),
        results=outputs[n:].view(-1, width),
    )


def build_tables(
    model: Model, species: list[int], geometries: int, blocks: Blocks
) -> dict[str, Tensor]:
    """Return the tables that the kernels only read."""
    networks, device = model.networks, model.device
    atoms = pack_atoms(species, len(model.parameters.elements), geometries, device)
    tiles = pack_tiles(atoms, networks, blocks.rows, blocks.first_columns, device)
    # Factors from hartree to kJ/mol, and from the members' summed gradient to the mean force.
    force_unit = -HARTREE_TO_KJ_PER_MOL * _NM_TO_ANGSTROM / len(model.parameters.members)
    units = torch.tensor([HARTREE_TO_KJ_PER_MOL, force_unit], dtype=torch.float64, device=device)
    return {
        "atoms": atoms.atoms,
        "rows": atoms.rows,
        "species": atoms.species,
        "tiles": tiles.rows,
        "blocks": tiles.blocks,
        "parameters": networks.parameters,
        "layers": networks.layers,
        "depths": networks.depths,
        "shifts": model.shifts,
        "units": units,
    }


def allocate_rows(constants: Constants, n: int, model: Model) -> dict[str, Tensor]:
    """Allocate the memory of n rows.

    ANI-2x needs 26 kB per atom for H, C, N and O: 19.5 kB for the activations of eight members,
    3.1 kB for neighbours, 1.5 kB each for the AEV and its gradient, 0.9 kB for the rest. With all
    seven elements it needs 31.5 kB, so 100,000 atoms need 3.2 GB. Up to about 1,000 atoms, the
    gradients of single members need 10 kB per atom more.
    """
    c, device, dtype = constants, model.device, model.dtype

    def numbers(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    def integers(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.int32, device=device)

    aev = numbers(n, c.aev_padded.value).zero_()  # the padding is never written
    return {
        "index": integers(n, c.list_length.value),
        "vectors": numbers(n, 3, c.list_length.value),
        "counts": integers(n, 2),
        "aev": aev,
        "aev_gradient": aev,  # overwrites the AEV, which is no longer needed
        "activations": numbers(c.members.value, n, c.activation_width.value),
        "energies": torch.empty((n, c.members.value), dtype=torch.float64, device=device),
        "partial_gradients": numbers(c.groups.value, n, c.aev_padded.value),
        "angular_gradients": numbers(n, 3, c.angular_bound.value),
        "centre_gradients": numbers(n, 3),
    }


def allocate_cells(n_atoms: int, device: str) -> tuple[int, dict[str, Tensor]]:
    """Return the largest number of cells along a box vector, and the tables of the cells.

    There are about as many cells as atoms, and at least eight along each vector. Fewer than three
    would make a cell's neighbours on both sides the same cell.
    """
    cells = max(8, math.ceil(n_atoms ** (1 / 3)))
    atoms = torch.empty((2, n_atoms), dtype=torch.int32, device=device)
    numbers = torch.arange(cells**3 + 1, dtype=torch.int32, device=device)
    return cells, {
        "keys": atoms[0],
        "sorted_atoms": atoms[1],
        "cell_numbers": numbers,
        "cell_starts": torch.empty_like(numbers),
    }
