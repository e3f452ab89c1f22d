"""Atomic charges that follow a molecule's geometry, for electrostatic embedding."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError
from nnpmm.models.in_process import new_key, recall, remember
from nnpmm.models.protocol import Evaluator, at_each_step

__all__ = [
    "BoundCharges",
    "ChargeModel",
    "Charges",
    "FunctionCharges",
    "InPotential",
    "InducedEnergy",
    "evaluate_in_potential",
    "has_charges",
    "network_charges",
    "point_charges",
]

#: positions (n, 3) nm -> charges (n,) e, and their derivatives; see `FunctionCharges`.
ChargeFunction = Callable[[NDArray[np.float64]], tuple[Any, Any]]

#: From weights, (n,) each, of charges, valence charges and widths to the gradient (n, 3) of their
#: weighted sum.
PullBack = Callable[
    [NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]
]


class InducedEnergy(NamedTuple):
    """Energy of the dipoles that a field induces, and its derivatives.

    Attributes:
        energy: kJ/mol.
        by_field: by the field, (n, 3), e nm.
        by_damped: by the field damped inside the valence densities, (n, 3), e nm.
        by_positions: at fixed fields, (n, 3), kJ/mol/nm.
        by_valence: by the valence charges, (n,), kJ/mol/e.
        by_widths: by the widths, (n,), kJ/mol/nm.
    """

    energy: float
    by_field: NDArray[np.float64]
    by_damped: NDArray[np.float64]
    by_positions: NDArray[np.float64]
    by_valence: NDArray[np.float64]
    by_widths: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Charges:
    """Charges of a molecule at one geometry, with their derivatives.

    Attributes:
        total: of each atom, (n,), e.
        pull_back: from weights of the total charges, of valence charges and of widths, (n,) each,
            to the gradient (n, 3), 1/nm, of their weighted sum.
        valence: the part of each atom's charge that is spread out, with the density
            exp(-r / s) / (8 pi s^3), (n,), e; (0,) if all charges are points.
        widths: s of each atom, (n,), nm; (0,) with points.
        induce: from the field at the atoms and the one damped with widths of 2 s, (n, 3) each,
            kJ/mol/nm/e, to the energy of induced dipoles; None if nothing is polarizable.
    """

    total: NDArray[np.float64]
    pull_back: PullBack
    valence: NDArray[np.float64]
    widths: NDArray[np.float64]
    induce: Callable[[NDArray[np.float64], NDArray[np.float64]], InducedEnergy] | None = None


class BoundCharges(Protocol):
    """A charge model bound to atoms and a total charge. It can be pickled."""

    def __call__(self, positions: NDArray[np.float64]) -> Charges:
        """Return the charges at positions (n, 3) in nm, of whole molecules."""


@runtime_checkable
class ChargeModel(Protocol):
    """Charges for any molecule of some elements."""

    @property
    def name(self) -> str:
        """Name for messages and logs."""

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> BoundCharges:
        """Fix the composition and the total charge.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e.
        """


def point_charges(
    charges: NDArray[Any], pull_back: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Charges:
    """Return point charges (n,), e, with a pull back from weights (n,) to a gradient (n, 3)."""
    empty = np.zeros(0)
    return Charges(np.asarray(charges, float), lambda weights, *_: pull_back(weights), empty, empty)


class InPotential(NamedTuple):
    """A molecule in an electrostatic potential that acts on its charges.

    Attributes:
        energy: of the molecule without the potential, kJ/mol.
        forces: minus the gradient of this energy plus the sum of charges times potentials, which
            are fixed, (n, 3), kJ/mol/nm.
        charges: (n,), e.
    """

    energy: float
    forces: NDArray[np.float64]
    charges: NDArray[np.float64]


def evaluate_in_potential(
    evaluator: Evaluator, positions: NDArray[np.float64], potentials: NDArray[np.float64]
) -> InPotential:
    """Evaluate a network that has charges in a potential.

    An evaluator with a method ``in_potential`` does this in one evaluation. For others the charges
    are a second evaluation.

    Args:
        evaluator: with charges; see `network_charges`.
        positions: (n, 3), nm.
        potentials: (n,), kJ/mol/e.
    """
    own = getattr(evaluator, "in_potential", None)
    if own is not None:
        return InPotential(*own(positions, potentials))
    energy, forces = at_each_step(evaluator)(positions)
    charges = network_charges(evaluator)(positions)
    empty = np.zeros(0)
    gradient = charges.pull_back(potentials, empty, empty)
    return InPotential(energy, forces - gradient, charges.total)


def network_charges(evaluator: Evaluator) -> BoundCharges:
    """Return the charges that a network predicts.

    Args:
        evaluator: with ``charge_tensors``, from positions (n, 3) in nm to charges (n,), e, as torch
            tensors.

    Raises:
        ModelError: it has none.
    """
    if not has_charges(evaluator):
        raise ModelError(
            f"found a {type(evaluator).__name__} without atomic charges; charges from the network "
            "need a model that predicts them, such as AIMNet2: use that one, or charges of another "
            "kind ('emle', a function)"
        )
    return _NetworkCharges(evaluator)


def has_charges(evaluator: Evaluator) -> bool:
    """Whether an evaluator predicts charges with their derivatives."""
    return hasattr(evaluator, "charge_tensors")


@dataclass(frozen=True)
class _NetworkCharges:
    evaluator: Any

    def __call__(self, positions: NDArray[np.float64]) -> Charges:
        import torch

        tensor = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        charges = self.evaluator.charge_tensors(tensor)

        def pull_back(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            (gradient,) = torch.autograd.grad(
                charges, tensor, torch.from_numpy(weights), retain_graph=True
            )
            return np.asarray(gradient.numpy())

        return point_charges(charges.detach().numpy(), pull_back)


@dataclass(frozen=True)
class FunctionCharges:
    """Charges from a Python function.

    Args:
        function: from positions (n, 3) in nm to the charges (n,) in e and their derivatives: an
            array (n, n, 3), dq_i/dr_k in e/nm; a function from weights (n,) to the gradient (n, 3)
            of the sum of charges times weights; or None for charges that do not depend on the
            positions. Another process can read a system with it only if pickle finds the function
            at the top level of a module.
        name: for messages and logs.
    """

    function: ChargeFunction
    name: str = "function"

    def __repr__(self) -> str:
        where = getattr(self.function, "__qualname__", type(self.function).__name__)
        return f"FunctionCharges({where})"

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> BoundCharges:
        """Return the charges of so many atoms; the function itself must know the composition."""
        return _BoundFunction(self.function, len(atomic_numbers), self.name)


class _BoundFunction:
    def __init__(self, function: ChargeFunction, n_atoms: int, name: str) -> None:
        self.function, self.n_atoms, self.name = function, n_atoms, name
        self._key = new_key()

    def __call__(self, positions: NDArray[np.float64]) -> Charges:
        found = self.function(positions)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ModelError(
                f"{self.name} returned a {type(found).__name__}, expected a pair: charges (n,) and "
                "their derivatives, which are None for constant charges"
            )
        charges, derivatives = np.asarray(found[0], dtype=np.float64), found[1]
        if charges.shape != (self.n_atoms,):
            raise ModelError(
                f"{self.name} returned charges of shape {charges.shape}, expected ({self.n_atoms},)"
            )
        if derivatives is None:
            return point_charges(charges, lambda _: np.zeros((self.n_atoms, 3)))
        if callable(derivatives):
            return point_charges(charges, derivatives)
        matrix = np.asarray(derivatives, dtype=np.float64)
        if matrix.shape != (self.n_atoms, self.n_atoms, 3):
            raise ModelError(
                f"{self.name} returned derivatives of shape {matrix.shape}, expected "
                f"({self.n_atoms}, {self.n_atoms}, 3)"
            )
        return point_charges(charges, lambda weights: np.einsum("i,ika->ka", weights, matrix))

    def __reduce__(self) -> tuple[Any, ...]:
        remember(self._key, self)
        try:
            pickle.dumps(self.function)
        except (pickle.PicklingError, AttributeError, TypeError):  # a function within a function
            return (_restore, (self._key, self.name))
        return (_restore, (self._key, self.name, self.function, self.n_atoms))


def _restore(
    key: str, name: str, function: ChargeFunction | None = None, n_atoms: int = 0
) -> _BoundFunction:
    found: _BoundFunction | None = recall(key)
    if found is not None:
        return found
    if function is None:
        raise ModelError(
            f"the function of {name} is not in the memory of this process; define it at the top "
            "level of a module, or couple the system again"
        )
    return _BoundFunction(function, n_atoms, name)
