"""Evaluations of some geometries of one region between static ends, as one CUDA graph."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.models.aimnet.cuda.operations import Operations
from nnpmm.models.aimnet.cuda.packing import Model
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.cuda.device import full_precision
from nnpmm.models.cuda.graph import Replay

__all__ = ["Ends", "Engine"]

_NM_TO_ANGSTROM = 10.0


class Ends(NamedTuple):
    """What an evaluation reads and writes, float64, nm and kJ/mol: two tensors and views of them.

    Attributes:
        inputs: all that is read, in this order: positions, (k, n, 3); potentials, (k, n), factors
            of the charges in what the forces are of; scale, (1,), factor of the energies in it.
        outputs: all that is written: forces, (k, n, 3); mean charges, (k, n); mean energies, (k,);
            member energies, (k, m).
    """

    inputs: Tensor
    positions: Tensor
    potentials: Tensor
    scale: Tensor
    outputs: Tensor
    forces: Tensor
    charges: Tensor
    energies: Tensor
    members: Tensor

    @classmethod
    def allocate(
        cls, geometries: int, n_atoms: int, members: int, device: str, *, pinned: bool
    ) -> Ends:
        """Return zeros with a scale of one."""
        k, n = geometries, n_atoms
        sizes = [3 * k * n, k * n, 1], [3 * k * n, k * n, k, k * members]
        shapes = [(k, n, 3), (k, n), (1,)], [(k, n, 3), (k, n), (k,), (k, members)]
        found: list[Tensor] = []
        for size, shape in zip(sizes, shapes, strict=True):
            whole = torch.zeros(sum(size), dtype=torch.float64, device=device, pin_memory=pinned)
            views = zip(whole.split(size), shape, strict=True)
            found += [whole, *(part.view(each) for part, each in views)]
        ends = cls(*found)
        ends.scale.fill_(1)
        return ends


class Engine:
    """Evaluates a fixed number of geometries of one region.

    A run reads ``ends.inputs`` and writes ``ends.outputs``; these tensors stay the same.

    Args:
        parameters: the ensemble.
        model: its networks for the atoms.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        device: of torch; without CUDA nothing is captured.
        geometries: how many are evaluated together.
    """

    def __init__(
        self,
        parameters: AimnetParameters,
        model: Model,
        symbols: list[str],
        charge: int,
        device: str,
        geometries: int = 1,
    ) -> None:
        self.geometries = geometries
        self._on_gpu = on_gpu = device.startswith("cuda")
        sizes = (geometries, len(symbols), len(parameters.members))
        self.ends = Ends.allocate(*sizes, device, pinned=False)
        self._host = host = Ends.allocate(*sizes, "cpu", pinned=on_gpu)
        self._neutral = self.ends.inputs[self.ends.positions.numel() :].clone()
        operations = Operations(parameters, model, symbols, charge, geometries)
        # Steps that do not contain this object: its memory is free as soon as nobody needs it.
        upload = partial(self.ends.inputs.copy_, host.inputs, non_blocking=True)
        evaluate = partial(_evaluate, operations, self.ends)
        download = partial(host.outputs.copy_, self.ends.outputs, non_blocking=True)
        self._on_device = Replay([evaluate], capture=on_gpu)
        self._from_host = Replay([upload, evaluate, download], capture=on_gpu)

    def run(self, positions: Tensor) -> None:
        """Evaluate positions (k, n, 3), nm, of any device, without waiting for the device."""
        self.ends.positions.copy_(positions)
        self.ends.inputs[self.ends.positions.numel() :].copy_(self._neutral)
        self._on_device()

    def run_from_host(
        self,
        positions: NDArray[np.float64],
        potentials: NDArray[np.float64] | None = None,
        scale: float = 1.0,
    ) -> Ends:
        """Copy the inputs up, evaluate, copy down and wait: the only synchronisation.

        Args:
            positions: (k, n, 3), nm.
            potentials: factors of the charges in what the forces are of, (k, n), kJ/mol/e.
            scale: factor of the energies in it.

        Returns:
            The ends in host memory, which the next run overwrites.
        """
        host = self._host
        host.positions.numpy()[:] = positions
        host.potentials.numpy()[:] = 0.0 if potentials is None else potentials
        host.scale.numpy()[:] = scale
        self._from_host()
        if self._on_gpu:
            torch.cuda.current_stream().synchronize()
        return host


def _evaluate(operations: Operations, ends: Ends) -> None:
    """Do what is captured on a GPU, from the device's inputs to its outputs."""
    with full_precision():
        found = operations(ends.positions, ends.potentials, ends.scale)
    torch.mul(found.gradient.transpose(1, 2), -_NM_TO_ANGSTROM, out=ends.forces)
    torch.mean(found.charges, dim=0, dtype=torch.float64, out=ends.charges)
    torch.mean(found.energies, dim=1, out=ends.energies)
    ends.members.copy_(found.energies)
