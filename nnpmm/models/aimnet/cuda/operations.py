"""One evaluation: from positions to energies, charges and gradients."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.cuda.basis import Basis, BasisFunctions
from nnpmm.models.aimnet.cuda.charges import Coulomb, Shares, differentiate_charges, equilibrate
from nnpmm.models.aimnet.cuda.dispersion import PairDispersion
from nnpmm.models.aimnet.cuda.inputs import PassInputs
from nnpmm.models.aimnet.cuda.layers import Layers
from nnpmm.models.aimnet.cuda.packing import HEADS, Model
from nnpmm.models.aimnet.parameters import PASSES, AimnetParameters

__all__ = ["Operations", "Results"]

_NM_TO_ANGSTROM = 10.0


class Results(NamedTuple):
    """Results of some geometries.

    Attributes:
        energies: energies of the members, (k, m), kJ/mol, float64.
        charges: charges of the members, (m, k, n), e.
        gradient: gradient by positions, (k, 3, n), per angstrom.
    """

    energies: Tensor
    charges: Tensor
    gradient: Tensor


class Operations:
    """The operations of an evaluation, with fixed shapes and without synchronisation.

    Args:
        parameters: the ensemble.
        model: its networks for the atoms.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        geometries: number of geometries that are evaluated together.
    """

    def __init__(
        self,
        parameters: AimnetParameters,
        model: Model,
        symbols: list[str],
        charge: int,
        geometries: int,
    ) -> None:
        like = model.features
        n_radial, n, members, features = like.shape
        self._shape = (geometries, n_radial, n, members, features)
        self._charge = float(charge)
        self._model = model
        species = [parameters.elements.index(symbol) for symbol in symbols]
        self._basis = BasisFunctions(parameters, n, geometries, like)
        self._coulomb = Coulomb(parameters, n, like)
        self._dispersion = PairDispersion(parameters.dispersion, species, like)
        self._inputs = [PassInputs(model.combinations, self._shape) for _ in range(PASSES)]
        self._inputs[0].own.copy_(like)
        self._layers = [Layers(layers, geometries * n) for layers in model.passes]
        self._no_charges = like.new_zeros(members, geometries, n)
        # The columns of a pass are features, heads, and zeros as padding.
        self._first_head = n_radial * (features - 1)
        widths = [layers[-1].weight.shape[2] for layers in model.passes]
        self._by_outputs = [like.new_zeros(members, geometries * n, width) for width in widths[:-1]]
        self._seed = like.new_zeros(widths[-1])
        self._seed[0] = EV_TO_KJ_PER_MOL / members

    @torch.no_grad()
    def __call__(self, positions: Tensor, potentials: Tensor, scale: Tensor) -> Results:
        """Evaluate the geometries and the gradient of their mean energies and charges; all float64.

        Args:
            positions: (k, n, 3), nm.
            potentials: factors of the charges in the differentiated sum, (k, n), kJ/mol/e.
            scale: factor of the energies in this sum, (1,).
        """
        potentials, scale = (each.to(self._seed.dtype) for each in (potentials, scale))
        # A float32 position far from the origin has few digits left: shift before rounding.
        shifted = (positions - positions[:, :1]) * _NM_TO_ANGSTROM
        basis = self._basis(shifted.to(self._seed.dtype))
        outputs, charges, shares = self._passes(basis)
        k, _, n, members, _ = self._shape
        coulomb, coulomb_slopes = self._coulomb(basis.distances)
        dispersion, by_distances = self._dispersion(basis.distances)
        by_geometry = charges.transpose(0, 1)
        on_charges = torch.bmm(by_geometry, coulomb)
        atomic = outputs[:, :, 0].view(members, k, n).sum(2, dtype=torch.float64)
        of_charges = (on_charges * by_geometry).sum(2, dtype=torch.float64)
        constant = dispersion[:, None] + self._model.shifted_energies
        energies = torch.add(constant, atomic.T, alpha=EV_TO_KJ_PER_MOL)
        energies = torch.add(energies, of_charges, alpha=0.5)
        by_charges = torch.addcmul(potentials[:, None], on_charges, scale) / members
        by_functions = self._back(basis, by_charges.transpose(0, 1), shares, scale)
        products = torch.bmm(by_geometry.transpose(1, 2), by_geometry)
        by_distances = torch.addcmul(by_distances, products, coulomb_slopes, value=0.5 / members)
        gradient = self._basis.gradient(basis, by_functions, by_distances * scale)
        return Results(energies, charges, gradient)

    def _passes(self, basis: Basis) -> tuple[Tensor, Tensor, list[Shares]]:
        """Return the outputs of the last pass, the charges (m, k, n), and all passes' shares."""
        k, g, n, members, features = self._shape
        first, charges, all_shares = self._first_head, self._no_charges, []
        for p in range(PASSES - 1):
            outputs = self._pass(p, basis)
            heads = outputs[:, :, first : first + HEADS].view(members, k, n, HEADS)
            charges, shares = equilibrate(charges + heads[..., 0], heads[..., 1], self._charge)
            all_shares.append(shares)
            change = outputs[:, :, :first].view(members, k, n, g, features - 1)
            before, after = self._inputs[p].own, self._inputs[p + 1].own
            torch.add(before[..., :-1], change.permute(1, 3, 2, 0, 4), out=after[..., :-1])
            after[..., -1] = charges.permute(1, 2, 0)[:, None]
        return self._pass(PASSES - 1, basis), charges, all_shares

    def _pass(self, p: int, basis: Basis) -> Tensor:
        """Return the outputs of a pass, (m, k n, outputs)."""
        layers = self._layers[p]
        self._inputs[p].collect(basis.functions, layers.inputs)
        return layers.forward()

    def _back(
        self, basis: Basis, by_charges: Tensor, shares: list[Shares], scale: Tensor
    ) -> Tensor:
        """Return derivatives by the basis functions, (k, g, c, i, j), through all passes.

        Args:
            basis: as in the passes.
            by_charges: derivatives by the charges after the passes, (m, k, n).
            shares: shares of the two passes that yield charges.
            scale: factor of the energies.
        """
        k, _, n, members, _ = self._shape
        by_functions = torch.empty_like(basis.functions)
        by_outputs = (self._seed * scale).expand(members, k * n, -1)
        for p in reversed(range(PASSES)):
            inputs, last = self._inputs[p], p == PASSES - 1
            by_inputs = self._layers[p].backward(by_outputs)
            inputs.differentiate(by_inputs, by_functions, add=not last)
            if p > 0:
                inputs.differentiate_features(basis.functions)
                if not last:  # the features are part of those of the next pass
                    inputs.by_own[..., :-1] += self._inputs[p + 1].by_own[..., :-1]
                by_charges = by_charges + inputs.by_own[..., -1].sum(1).permute(2, 0, 1)
                by_charges, by_weights = differentiate_charges(by_charges, shares[p - 1])
                by_outputs = self._output_derivatives(p - 1, inputs.by_own, by_charges, by_weights)
        return by_functions

    def _output_derivatives(
        self, p: int, by_own: Tensor, by_charges: Tensor, by_weights: Tensor
    ) -> Tensor:
        """Return derivatives by the outputs of pass p, (m, k n, outputs).

        Args:
            p: the pass.
            by_own: derivatives by the features after it, (k, g, n, m, f).
            by_charges: derivatives by its charges, (m, k, n).
            by_weights: derivatives by their weights, (m, k, n).
        """
        k, g, n, members, features = self._shape
        first, by_outputs = self._first_head, self._by_outputs[p]
        of_features = by_outputs[:, :, :first].view(members, k, n, g, features - 1)
        of_features.copy_(by_own[..., :-1].permute(3, 0, 2, 1, 4))
        heads = by_outputs[:, :, first : first + HEADS].view(members, k, n, HEADS)
        heads[..., 0], heads[..., 1] = by_charges, by_weights
        return by_outputs
