"""The region in torch: joined across the periodic boundary, and its energy as one module.

This does the same as `nnpmm.core.geometry` does with numpy, but on any device and in a form that
``torch.jit.script`` accepts. Both give the same positions.
"""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

from typing import Any, Optional

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.core.errors import SimulationError
from nnpmm.core.geometry import spanning_trees
from nnpmm.coupling.callback import NON_FINITE_ENERGY
from nnpmm.models.protocol import TensorEvaluator

__all__ = ["RegionEnergy", "TensorCallback", "WholeRegionModule"]

_TOO_WIDE = "the region spans half of the periodic box or more, allowed: less; use a larger box"


class WholeRegionModule(nn.Module):
    """Joins a region that the periodic boundary has split.

    Args:
        n_atoms: number of atoms in the region.
        bonds: pairs of row numbers within the region, (m, 2).
        exact_to_half_box: refuse a region that spans half the box or more.
    """

    ancestors: Tensor
    fragment: Tensor
    sizes: Tensor

    def __init__(self, n_atoms: int, bonds: NDArray[np.int64], *, exact_to_half_box: bool) -> None:
        super().__init__()
        steps, fragments = spanning_trees(n_atoms, bonds)
        parent = np.arange(n_atoms)
        parent[steps[:, 1]] = steps[:, 0]
        fragment = np.empty(n_atoms, dtype=np.int64)
        for number, atoms in enumerate(fragments):
            fragment[atoms] = number
        self.register_buffer("ancestors", torch.from_numpy(_ancestors(parent)))
        self.register_buffer("fragment", torch.from_numpy(fragment))
        self.register_buffer(
            "sizes", torch.tensor([[len(atoms)] for atoms in fragments], dtype=torch.float64)
        )
        self.exact_to_half_box = exact_to_half_box
        self.too_wide = _TOO_WIDE  # TorchScript reads attributes, but not a module's globals

    def forward(self, positions: Tensor, box: Tensor) -> Tensor:
        """Return positions (n, 3) with every bond at its nearest image and fragments close.

        Args:
            positions: (n, 3), nm, float64; they keep their gradient.
            box: reduced periodic box vectors as rows, (3, 3), nm, float64.

        Raises:
            RuntimeError: with ``exact_to_half_box``, the region spans half the box or more.
        """
        fixed = positions.detach()
        shift = self.lattice_shift(fixed - fixed.index_select(0, self.ancestors[0]), box)
        # Each round doubles the number of bonds towards the root whose shifts are added up.
        for ancestor in self.ancestors.unbind(0):
            shift = shift + shift.index_select(0, ancestor)
        centres = torch.zeros(self.sizes.shape[0], 3, dtype=shift.dtype, device=shift.device)
        centres = centres.index_add(0, self.fragment, fixed - shift) / self.sizes
        gathering = self.lattice_shift(centres - centres[0], box)
        whole = positions - shift - gathering.index_select(0, self.fragment)
        if self.exact_to_half_box:
            span = (whole.amax(0) - whole.amin(0)) / box.diagonal()
            if bool((span >= 0.5).any()):
                raise RuntimeError(self.too_wide)
        return whole

    def lattice_shift(self, vectors: Tensor, box: Tensor) -> Tensor:
        """Return the lattice vectors by which vectors (n, 3) differ from their nearest images."""
        shift = torch.round(vectors[:, 2:3] / box[2, 2]) * box[2]
        shift = shift + torch.round((vectors[:, 1:2] - shift[:, 1:2]) / box[1, 1]) * box[1]
        return shift + torch.round((vectors[:, 0:1] - shift[:, 0:1]) / box[0, 0]) * box[0]


class RegionEnergy(nn.Module):
    """The network's energy from the positions of a whole system, as TorchForce requires.

    Args:
        network: from positions (n, 3) of the region, nm, float64, to its energy, kJ/mol, a scalar.
        atoms: indices of the region's atoms in the system.
        whole: joins the region.
    """

    atoms: Tensor

    def __init__(self, network: nn.Module, atoms: NDArray[np.int64], whole: WholeRegionModule):
        super().__init__()
        self.network = network
        self.whole = whole
        self.register_buffer("atoms", torch.from_numpy(np.asarray(atoms, dtype=np.int64)))
        self.non_finite = NON_FINITE_ENERGY

    def forward(self, positions: Tensor, box: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Return the energy, kJ/mol, a float64 scalar.

        Args:
            positions: (N, 3) of the system, nm, of any floating type and device.
            box: periodic box vectors as rows, (3, 3), nm, or None.

        Raises:
            RuntimeError: a position or the energy is not finite, or the region is too wide.
        """
        # With OpenCL the positions are in host memory even if the module is on a GPU.
        region = positions.index_select(0, self.atoms.to(positions.device))
        region = region.to(self.atoms.device, torch.float64)
        if box is not None:
            region = self.whole(region, box.to(region.device, torch.float64))
        energy = self.network(region)
        # An atom at NaN has no neighbours, so the network's energy may be finite.
        if not bool(torch.isfinite(energy + region.sum())):
            raise RuntimeError(self.non_finite)
        return energy


class TensorCallback:
    """Called by PythonTorchForce with a State and the region's positions; uses only torch.

    Args:
        evaluator: the potential bound to the region's atoms.
        bonds: pairs of row numbers within the region, (m, 2).
        periodic: the system has a periodic box.
        exact_to_half_box: refuse a region that spans half the box or more.
    """

    def __init__(
        self,
        evaluator: TensorEvaluator,
        bonds: NDArray[np.int64],
        *,
        periodic: bool,
        exact_to_half_box: bool,
    ) -> None:
        self.evaluator = evaluator
        self.bonds = bonds
        self.periodic = periodic
        self.exact_to_half_box = exact_to_half_box
        self._whole = WholeRegionModule(
            len(evaluator.atomic_numbers), bonds, exact_to_half_box=exact_to_half_box
        )

    def __call__(self, state: openmm.State, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy (kJ/mol) and forces (n, 3) in kJ/mol/nm, on the positions' device.

        Raises:
            SimulationError: a position or the energy is not finite.
            RuntimeError: the region is too wide for the box.
        """
        region = positions.detach().to(torch.float64)
        if self.periodic:
            vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
            box = torch.tensor(vectors, device=region.device)
            region = self._whole.to(region.device)(region, box)
        energy, forces = self.evaluator.evaluate_tensors(region)
        # OpenMM reads the energy on the host right after this, so the test costs nothing extra.
        if not bool(torch.isfinite(energy + region.sum().to(energy.device))):
            raise SimulationError(NON_FINITE_ENERGY)
        return energy, forces.to(positions).contiguous()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.evaluator, self.bonds, self.periodic, self.exact_to_half_box))


def _rebuild(
    evaluator: TensorEvaluator, bonds: NDArray[np.int64], periodic: bool, exact_to_half_box: bool
) -> TensorCallback:
    return TensorCallback(evaluator, bonds, periodic=periodic, exact_to_half_box=exact_to_half_box)


def _ancestors(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each atom's ancestor 1, 2, 4, ... bonds up, (k, n), until all reach their root."""
    rows = [parent]
    while (rows[-1] != rows[-1][rows[-1]]).any():
        rows.append(rows[-1][rows[-1]])
    return np.array(rows)
