"""Readable reference of ANI: one torch module from positions to the energy of every network.

Equations 3 to 5 of Smith, Isayev and Roitberg, Chem. Sci. 2017, 8, 3192. The module is plain enough
for ``torch.jit.script``, so the exported TorchScript model is this same code. Faster backends are
compared with it.
"""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import math
from typing import Optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models.ani.autograd import differentiate
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters
from nnpmm.models.protocol import BatchEvaluation, Evaluation, one_by_one
from nnpmm.models.threads import threads_for

__all__ = ["AniModule", "ReferenceKernel"]

_NM_TO_ANGSTROM = 10.0


class _EnsembleLinear(nn.Module):
    """A dense layer of all members at once: (m, atoms, inputs) to (m, atoms, outputs)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)  # (m, inputs, outputs)
        self.register_buffer("bias", bias)  # (m, 1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class _ElementNetwork(nn.Module):
    """The networks of one element, all members side by side."""

    atoms: Tensor

    def __init__(self, parameters: AniParameters, element: str, atoms: list[int]) -> None:
        super().__init__()
        self.register_buffer("atoms", torch.tensor(atoms))
        depth = len(parameters.members[0][element])
        self.layers = nn.ModuleList()
        for d in range(depth):
            layers = [member[element][d] for member in parameters.members]
            weight = torch.from_numpy(np.stack([layer.weight.T for layer in layers]))
            bias = torch.from_numpy(np.stack([layer.bias[None, :] for layer in layers]))
            self.layers.append(_EnsembleLinear(weight.contiguous(), bias))
        self.n_members = len(parameters.members)
        self.last = depth - 1
        self.alpha = CELU_ALPHA

    def forward(self, aev: Tensor) -> Tensor:
        """Return the energy of this element's atoms for every member, (m,), float64, hartree."""
        x = aev.index_select(0, self.atoms).unsqueeze(0).expand(self.n_members, -1, -1)
        for d, layer in enumerate(self.layers):
            x = layer(x)
            if d < self.last:
                # CELU. torch.celu takes 1 / alpha in single precision on its way back.
                x = self.alpha * nn.functional.elu(x / self.alpha)
        return x.squeeze(2).to(torch.float64).sum(1)


class AniModule(nn.Module):
    """ANI for a fixed list of elements.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom, in order.
        dtype: float32, or float64 for checks.
    """

    species: Tensor
    pair_index: Tensor
    radial_shifts: Tensor
    angular_shifts: Tensor
    angle_shifts: Tensor
    pairs: Tensor

    def __init__(self, parameters: AniParameters, symbols: list[str], dtype: torch.dtype) -> None:
        super().__init__()
        parameters = parameters.restricted_to(symbols)
        functions = parameters.symmetry_functions
        species = [functions.elements.index(symbol) for symbol in symbols]
        self.n_atoms = len(species)
        self.n_elements = len(functions.elements)
        self.radial_cutoff = functions.radial_cutoff
        self.angular_cutoff = functions.angular_cutoff
        self.radial_eta = functions.radial_eta
        self.angular_eta = functions.angular_eta
        self.angular_zeta = functions.angular_zeta
        self.radial_width = len(functions.radial_shifts)
        self.angular_width = functions.functions_per_pair
        self.n_pair_types = self.n_elements * (self.n_elements + 1) // 2
        self.register_buffer("species", torch.tensor(species))
        self.register_buffer("pair_index", torch.from_numpy(functions.pair_index()))
        self.register_buffer(
            "radial_shifts", torch.tensor(functions.radial_shifts, dtype=torch.float64)
        )
        # Column = radial shift * number of angle shifts + angle shift.
        grid = torch.cartesian_prod(
            torch.tensor(functions.angular_shifts, dtype=torch.float64),
            torch.tensor(functions.angle_shifts, dtype=torch.float64),
        )
        self.register_buffer("angular_shifts", grid[:, 0].clone())
        self.register_buffer("angle_shifts", grid[:, 1].clone())
        self.register_buffer("pairs", torch.triu_indices(self.n_atoms, self.n_atoms, 1))
        self.networks = nn.ModuleList(
            _ElementNetwork(parameters, e, [i for i, s in enumerate(symbols) if s == e])
            for e in functions.elements
        )
        self.hartree = HARTREE_TO_KJ_PER_MOL
        self.to_angstrom = _NM_TO_ANGSTROM
        self.to(dtype)

    def forward(self, positions: Tensor, box: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Return the energy of every member, shape (m,), kJ/mol, float64.

        Args:
            positions: (n, 3) in nm, of any floating type.
            box: reduced periodic box vectors as rows, (3, 3), in nm, if the atoms meet their own
                images; without it the region must be whole.
        """
        # A float32 position far from the origin has few digits left: shift before rounding.
        shifted = (positions - positions[0].detach()) * self.to_angstrom
        dtype = self.radial_shifts.dtype
        scaled_box: Optional[Tensor] = None  # noqa: UP045
        if box is not None:
            scaled_box = (box * self.to_angstrom).to(dtype)
        aev = self.environment(shifted.to(dtype), scaled_box)
        energies = torch.zeros(1, dtype=torch.float64, device=positions.device)
        for network in self.networks:
            energies = energies + network(aev)
        return energies * self.hartree

    def environment(
        self,
        positions: Tensor,
        box: Optional[Tensor] = None,  # noqa: UP045
    ) -> Tensor:
        """Return the AEV of every atom, (n, aev_length), from positions (n, 3) in angstrom."""
        i, j = self.pairs[0], self.pairs[1]
        vectors = positions.index_select(0, j) - positions.index_select(0, i)
        if box is not None:
            for axis in (2, 1, 0):  # nearest image in a reduced box
                images = torch.round(vectors[:, axis] / box[axis, axis]).detach()
                vectors = vectors - images.unsqueeze(1) * box[axis]
        distances = (vectors * vectors).sum(1).sqrt()
        near = (distances < self.radial_cutoff).nonzero().squeeze(1)
        i, j = i.index_select(0, near), j.index_select(0, near)
        vectors, distances = vectors.index_select(0, near), distances.index_select(0, near)
        radial = self.radial(i, j, distances)
        near = (distances < self.angular_cutoff).nonzero().squeeze(1)
        i, j = i.index_select(0, near), j.index_select(0, near)
        vectors, distances = vectors.index_select(0, near), distances.index_select(0, near)
        return torch.cat([radial, self.angular(i, j, vectors, distances)], dim=1)

    def radial(self, i: Tensor, j: Tensor, distances: Tensor) -> Tensor:
        """Equation 3: sums over neighbours of each element, (n, elements * radial shifts)."""
        r = distances.unsqueeze(1)
        cutoff = 0.5 * torch.cos(r * (math.pi / self.radial_cutoff)) + 0.5
        terms = 0.25 * torch.exp(-self.radial_eta * (r - self.radial_shifts) ** 2) * cutoff
        rows = torch.cat(
            [i * self.n_elements + self.species[j], j * self.n_elements + self.species[i]]
        )
        columns = terms.new_zeros(self.n_atoms * self.n_elements, self.radial_width)
        columns = columns.index_add(0, rows, torch.cat([terms, terms]))
        return columns.reshape(self.n_atoms, -1)

    def angular(self, i: Tensor, j: Tensor, vectors: Tensor, distances: Tensor) -> Tensor:
        """Equation 4: sums over pairs of neighbours, (n, element pairs * angular functions)."""
        centres, order = torch.cat([i, j]).sort(stable=True)
        neighbours = torch.cat([j, i]).index_select(0, order)
        vectors = torch.cat([vectors, -vectors]).index_select(0, order)
        distances = torch.cat([distances, distances]).index_select(0, order)
        # Every centre's neighbours now lie side by side: list their pairs.
        counts = torch.bincount(centres, minlength=self.n_atoms)
        starts = counts.cumsum(0) - counts
        most = int(counts.max().item())
        first, second = torch.triu_indices(most, most, 1, device=counts.device).unbind(0)
        centre, pair = (second.unsqueeze(0) < counts.unsqueeze(1)).nonzero().unbind(1)
        a = starts.index_select(0, centre) + first.index_select(0, pair)
        b = starts.index_select(0, centre) + second.index_select(0, pair)

        r_a, r_b = (
            distances.index_select(0, a).unsqueeze(1),
            distances.index_select(0, b).unsqueeze(1),
        )
        dot = (vectors.index_select(0, a) * vectors.index_select(0, b)).sum(1, keepdim=True)
        # The factor keeps the arc cosine's derivative finite at 0 and 180 degrees.
        angle = torch.acos(0.95 * dot / (r_a * r_b))
        cutoff_a = 0.5 * torch.cos(r_a * (math.pi / self.angular_cutoff)) + 0.5
        cutoff_b = 0.5 * torch.cos(r_b * (math.pi / self.angular_cutoff)) + 0.5
        angle_factor = (0.5 * (1.0 + torch.cos(angle - self.angle_shifts))) ** self.angular_zeta
        mean = 0.5 * (r_a + r_b)
        radial_factor = torch.exp(-self.angular_eta * (mean - self.angular_shifts) ** 2)
        terms = 2.0 * angle_factor * radial_factor * cutoff_a * cutoff_b

        species_a = self.species[neighbours.index_select(0, a)]
        species_b = self.species[neighbours.index_select(0, b)]
        rows = centre * self.n_pair_types + self.pair_index[species_a, species_b]
        columns = terms.new_zeros(self.n_atoms * self.n_pair_types, self.angular_width)
        return columns.index_add(0, rows, terms).reshape(self.n_atoms, -1)


class ReferenceKernel:
    """The ``reference`` backend: `AniModule` and torch's autograd."""

    def __init__(
        self,
        parameters: AniParameters,
        symbols: list[str],
        device: str,
        precision: str,
        threads: int | None = None,
    ) -> None:
        dtype = torch.float64 if precision == "double" else torch.float32
        self._module = AniModule(parameters, symbols, dtype).to(device)
        self._device, self._threads = device, threads

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm."""
        cell = self._tensor(box)
        return differentiate(
            lambda tensor: self._module(tensor, cell), positions, self._device, self._threads
        )

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        with torch.no_grad(), threads_for(len(positions), self._threads):
            return self._module(self._tensor(positions), self._tensor(box)).cpu().numpy()

    def evaluate_tensors(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return energy and forces from positions (n, 3) in nm; nothing leaves the device."""
        tensor = positions.detach().to(self._device, torch.float64).requires_grad_(True)
        with threads_for(len(positions), self._threads):
            energy = self._module(tensor).mean()
            (gradient,) = torch.autograd.grad(energy, tensor)
        return energy.detach(), -gradient

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        return one_by_one(self, positions)

    def _tensor(self, array: NDArray[np.float64] | None) -> Tensor | None:
        return None if array is None else torch.tensor(array, device=self._device)
