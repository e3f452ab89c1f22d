"""Readable reference of AIMNet2: one torch module from positions to energies and charges.

Anstine, Zubatyuk and Isayev, Chem. Sci. 2025, 16, 10228. The module is plain enough for
``torch.jit.script``, so that an exported TorchScript model is this same code.
"""

# No postponed annotations here: torch.jit.script reads the classes' annotations as types.

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnpmm.core.constants import COULOMB_CONSTANT, EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.dispersion import DispersionModule
from nnpmm.models.aimnet.parameters import LEAST_CHARGE_WEIGHT, AimnetParameters
from nnpmm.models.ani.autograd import differentiate
from nnpmm.models.ani.parameters import Layer
from nnpmm.models.protocol import BatchEvaluation, Evaluation
from nnpmm.models.threads import threads_for

__all__ = ["AimnetModule", "ReferenceKernel"]

_NM_TO_ANGSTROM = 10.0


class _Perceptron(nn.Module):
    """Dense layers of all members at once, with GELU between them and, if asked, at the end."""

    def __init__(self, networks: Sequence[Sequence[Layer]], *, gelu_at_end: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _EnsembleLinear(layers) for layers in zip(*networks, strict=True)
        )
        self.last_gelu = len(self.layers) - (0 if gelu_at_end else 1)

    def forward(self, x: Tensor) -> Tensor:
        for depth, layer in enumerate(self.layers):
            x = layer(x)
            if depth < self.last_gelu:
                x = nn.functional.gelu(x)
        return x


class _EnsembleLinear(nn.Module):
    """A dense layer of all members at once: (m, atoms, inputs) to (m, atoms, outputs)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        weight = np.stack([layer.weight.T for layer in layers])
        self.register_buffer("weight", torch.from_numpy(weight).contiguous())
        bias = np.stack([layer.bias for layer in layers])
        self.register_buffer("bias", torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)


class AimnetModule(nn.Module):
    """AIMNet2 for a fixed list of elements and a total charge.

    Axes in the comments: e members, i and j atoms, f features, g radial functions, h their
    combinations, c the parts of a vector.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom, in order.
        charge: total charge, e.
        dtype: float32, or float64 for checks.
    """

    embedding: Tensor
    feature_combinations: Tensor
    charge_combinations: Tensor
    shifts: Tensor
    diagonal: Tensor
    pairs: Tensor
    shifted_energies: Tensor

    def __init__(
        self, parameters: AimnetParameters, symbols: list[str], charge: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        species = [parameters.elements.index(symbol) for symbol in symbols]
        members = parameters.members
        self.n_atoms, self.n_members = len(species), len(members)
        self.charge = float(charge)
        self.cutoff, self.eta = parameters.cutoff, parameters.eta
        self.coulomb_cutoff = parameters.coulomb_cutoff
        self.to_angstrom = _NM_TO_ANGSTROM
        self.ev = EV_TO_KJ_PER_MOL
        self.coulomb = COULOMB_CONSTANT * _NM_TO_ANGSTROM
        self.least_weight = LEAST_CHARGE_WEIGHT

        def stacked(arrays: list[NDArray[np.float32]]) -> Tensor:
            return torch.from_numpy(np.stack(arrays))

        self.register_buffer("embedding", stacked([m.embedding[species] for m in members]))
        self.register_buffer(
            "feature_combinations", stacked([m.feature_combinations for m in members])
        )
        self.register_buffer(
            "charge_combinations", stacked([m.charge_combinations for m in members])
        )
        self.register_buffer("shifts", torch.tensor(parameters.shifts, dtype=torch.float64))
        self.register_buffer("diagonal", torch.eye(self.n_atoms))
        self.register_buffer("pairs", torch.triu_indices(self.n_atoms, self.n_atoms, 1))
        self.first = _Perceptron([m.passes[0] for m in members])
        self.second = _Perceptron([m.passes[1] for m in members], gelu_at_end=True)
        self.third = _Perceptron([m.passes[2] for m in members], gelu_at_end=True)
        self.output = _Perceptron([m.output for m in members])
        self.dispersion = DispersionModule(parameters.dispersion, species, self.pairs)
        self.to(dtype)
        # The networks' own self energies differ from their mean by tenths of an eV.
        mean = [parameters.self_energies[symbol] for symbol in symbols]
        own = np.array([m.self_energies[species].astype(np.float64) - mean for m in members])
        self.register_buffer("shifted_energies", torch.from_numpy(own.sum(1)))

    def forward(self, positions: Tensor) -> Tensor:
        """Return the energy of every member, (m,), kJ/mol, float64, without self energies.

        Args:
            positions: (n, 3) in nm, of whole molecules, of any floating type.
        """
        return self.energies_and_charges(positions)[0]

    def energies_and_charges(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energies as `forward` does, and the charges of every member, (m, n), e."""
        # A float32 position far from the origin has few digits left: shift before rounding.
        shifted = (positions - positions[0].detach()) * self.to_angstrom
        x = shifted.to(self.shifts.dtype)
        vectors = x.unsqueeze(0) - x.unsqueeze(1)
        # An atom is at the cutoff from itself, where it sees nothing.
        squares = (vectors * vectors).sum(2) + self.diagonal * self.cutoff**2
        distances = squares.sqrt()
        features, charges = self.networks(vectors, distances)
        atomic = self.output(features).squeeze(2).to(torch.float64)
        of_pairs = distances[self.pairs[0], self.pairs[1]]
        energies = self.ev * (atomic.sum(1) + self.shifted_energies)
        energies = energies + self.long_range_coulomb(of_pairs, charges)
        return energies + self.dispersion(of_pairs), charges

    def networks(self, vectors: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features after the last pass, (m, n, outputs), and the charges, (m, n).

        Args:
            vectors: from atom i to atom j, (n, n, 3), angstrom.
            distances: their lengths, (n, n); the cutoff on the diagonal.
        """
        basis = self.basis(vectors, distances)
        features = self.embedding
        found = self.first(self.surroundings(basis, features, self.feature_combinations))
        first, weights, change = found.split([1, 1, found.shape[2] - 2], dim=2)
        charges = self.equilibrated(first.squeeze(2), weights.squeeze(2))
        features = features + change.reshape(features.shape)
        found = self.second(self.messages(basis, features, charges))
        correction, weights, change = found.split([1, 1, found.shape[2] - 2], dim=2)
        charges = self.equilibrated(charges + correction.squeeze(2), weights.squeeze(2))
        features = features + change.reshape(features.shape)
        return self.third(self.messages(basis, features, charges)), charges

    def basis(self, vectors: Tensor, distances: Tensor) -> Tensor:
        """Return radial functions of the distances and these times the unit vector, (g, i, c, j).

        The first of the four components c is the scalar.
        """
        cosine = 0.5 * torch.cos(distances.clamp(max=self.cutoff) * (math.pi / self.cutoff)) + 0.5
        from_shifts = distances.unsqueeze(0) - self.shifts.reshape(-1, 1, 1)
        radial = torch.exp(-self.eta * from_shifts**2) * cosine
        units = (vectors / distances.unsqueeze(2)).transpose(1, 2)
        components = torch.cat([torch.ones_like(units[:, :1]), units], dim=1)
        return radial.unsqueeze(2) * components

    def messages(self, basis: Tensor, features: Tensor, charges: Tensor) -> Tensor:
        """Return what a pass with charges takes in: of features and of charges, (m, n, inputs)."""
        n_radial = self.shifts.shape[0]
        as_features = charges.reshape(self.n_members, self.n_atoms, 1, 1)
        around = self.surroundings(
            basis, as_features.expand(-1, -1, 1, n_radial), self.charge_combinations
        )[:, :, n_radial:]
        of_features = self.surroundings(basis, features, self.feature_combinations)
        return torch.cat([of_features, charges.unsqueeze(2), around], dim=2)

    def surroundings(self, basis: Tensor, features: Tensor, combinations: Tensor) -> Tensor:
        """Return an atom's features with sums over its neighbours, (m, n, inputs).

        The sums of scalars enter as they are. Those of vectors enter by the squared lengths of
        their combinations, which do not depend on the orientation.

        Args:
            basis: (g, i, c, j).
            features: of the neighbours, for each radial function, (e, j, f, g).
            combinations: of radial functions into vectors, (e, f, g, h).
        """
        sums = torch.einsum("gicj,ejfg->efcig", [basis, features])
        scalar, vector = sums.split([1, 3], dim=2)
        scalars = scalar.squeeze(2).transpose(1, 2).flatten(2)
        vectors = torch.einsum("efcig,efgh->efcih", [vector, combinations])
        lengths = (vectors * vectors).sum(2).transpose(1, 2).flatten(2)
        return torch.cat([features.flatten(2), scalars, lengths], dim=2)

    def equilibrated(self, charges: Tensor, weights: Tensor) -> Tensor:
        """Return charges (m, n) that add up to the total one: the rest is shared by weight."""
        shares = weights**2
        shares = shares / (shares.sum(1, keepdim=True) + self.least_weight)
        return charges + shares * (self.charge - charges.sum(1, keepdim=True))

    def long_range_coulomb(self, distances: Tensor, charges: Tensor) -> Tensor:
        """Return the Coulomb energy of every member, (m,), kJ/mol, less what the networks cover.

        Args:
            distances: of the pairs i < j, (p,), angstrom.
            charges: (m, n), e.
        """
        x = (distances / self.coulomb_cutoff).clamp(max=1 - 1e-6)
        beyond = 1 - torch.exp(1 - 1 / (1 - x * x))
        i, j = self.pairs[0], self.pairs[1]
        products = charges.index_select(1, i) * charges.index_select(1, j)
        return self.coulomb * (products * (beyond / distances)).to(torch.float64).sum(1)


class ReferenceKernel:
    """The ``reference`` backend: `AimnetModule` and torch's autograd, on positions in nm."""

    def __init__(
        self,
        parameters: AimnetParameters,
        symbols: list[str],
        charge: int,
        device: str,
        precision: str,
        threads: int | None = None,
    ) -> None:
        dtype = torch.float64 if precision == "double" else torch.float32
        self._module = AimnetModule(parameters, symbols, charge, dtype).to(device).eval()
        self._device, self._threads = device, threads

    def evaluate(self, positions: NDArray[np.float64]) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3)."""
        return differentiate(self._module, positions, self._device, self._threads)

    def member_energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        with torch.no_grad(), threads_for(len(positions), self._threads):
            found: NDArray[np.float64] = self._module(self._tensor(positions)).cpu().numpy()
        return found

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        found = zip(*map(self.evaluate, positions), strict=True)
        return BatchEvaluation(*(np.array(each) for each in found))

    def charges(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean charges (n,), e, at positions (n, 3)."""
        with torch.no_grad():
            found: NDArray[np.float64] = self.charge_tensors(self._tensor(positions)).cpu().numpy()
        return found

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64]
    ) -> tuple[Evaluation, NDArray[np.float64]]:
        """Return energy, forces in potentials (n,), kJ/mol/e, members, and the mean charges."""
        tensor = self._tensor(positions).requires_grad_(True)
        with threads_for(len(positions), self._threads):
            energies, of_members = self._module.energies_and_charges(tensor)
            energy, charges = energies.mean(), of_members.to(torch.float64).mean(0)
            total = energy + (charges * self._tensor(potentials)).sum()
            (gradient,) = torch.autograd.grad(total, tensor)
        members = energies.detach().cpu().numpy()
        found = Evaluation(float(energy.detach()), -gradient.cpu().numpy(), members)
        return found, charges.detach().cpu().numpy()

    def charge_tensors(self, positions: Tensor) -> Tensor:
        """Return the mean charges (n,), e, which autograd differentiates; nothing leaves a device.

        Args:
            positions: (n, 3), of any floating type and device.
        """
        with threads_for(len(positions), self._threads):
            tensor = positions.to(self._device, torch.float64)
            return self._module.energies_and_charges(tensor)[1].to(torch.float64).mean(0)

    def evaluate_tensors(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return energy and forces from positions (n, 3); nothing leaves the device."""
        tensor = positions.detach().to(self._device, torch.float64).requires_grad_(True)
        with threads_for(len(positions), self._threads):
            energy = self._module(tensor).mean()
            (gradient,) = torch.autograd.grad(energy, tensor)
        return energy.detach(), -gradient

    def _tensor(self, array: NDArray[np.float64]) -> Tensor:
        return torch.tensor(array, device=self._device)
