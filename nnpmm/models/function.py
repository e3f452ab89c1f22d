"""A potential that is a Python function."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.errors import ModelError, RegionError, SimulationError
from nnpmm.models.bound import BoundPotential
from nnpmm.models.in_process import new_key, recall, remember
from nnpmm.models.protocol import Evaluation

__all__ = ["FunctionEvaluator", "FunctionModel"]

#: (positions (n, 3) nm, atomic numbers (n,), charge e) -> (energy kJ/mol, forces (n, 3) kJ/mol/nm)
PotentialFunction = Callable[
    [NDArray[np.float64], NDArray[np.int64], int], tuple[float, NDArray[np.float64]]
]


@dataclass(frozen=True)
class FunctionModel:
    """A user-defined potential for a molecule in vacuum.

    Args:
        function: from positions (n, 3) in nm, atomic numbers (n,) and total charge in e to the
            energy in kJ/mol and the forces (n, 3) in kJ/mol/nm. Another process can read a system
            with it only if pickle finds the function at the top level of a module.
        name: for messages and logs.
        elements: supported chemical symbols; None for any element.
        neutral_only: it describes neutral molecules only.
    """

    function: PotentialFunction
    name: str = "function"
    elements: tuple[str, ...] | None = None
    neutral_only: bool = False

    def __repr__(self) -> str:
        known = "any element" if self.elements is None else " ".join(self.elements)
        return f"FunctionModel({self.name!r}, {known})"

    @property
    def provenance(self) -> dict[str, Any]:
        """The function's module and name: nothing else is known about it."""
        where = f"{self.function.__module__}.{getattr(self.function, '__qualname__', '?')}"
        return {"model": self.name, "backend": "function", "weights": where}

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> FunctionEvaluator:
        """Fix composition and charge.

        Raises:
            RegionError: an element or a charge that the function does not support.
        """
        numbers = np.asarray(atomic_numbers, dtype=np.int64)
        found = {Element.getByAtomicNumber(int(number)).symbol for number in numbers}
        if self.elements is not None and not found.issubset(self.elements):
            raise RegionError(
                f"found the elements {', '.join(sorted(found - set(self.elements)))}, {self.name} "
                f"supports {', '.join(self.elements)}; select other atoms or use another model"
            )
        if self.neutral_only and charge != 0:
            raise RegionError(
                f"found a charge of {charge:+d} e, but {self.name} describes only neutral "
                "molecules; use a model that takes charges"
            )
        return FunctionEvaluator(self, numbers, charge)


class FunctionEvaluator(BoundPotential):
    """A function bound to a composition; see `nnpmm.models.protocol.Evaluator`."""

    model: FunctionModel
    needs_molecule = False  # a function may describe anything

    def __init__(self, model: FunctionModel, atomic_numbers: NDArray[np.int64], charge: int):
        self.model = model
        self.atomic_numbers = atomic_numbers
        self.charge = charge
        self._key = new_key()

    def __reduce__(self) -> tuple[Any, ...]:
        remember(self._key, self)
        try:
            pickle.dumps(self.model)
        except (pickle.PicklingError, AttributeError, TypeError):  # a function within a function
            return (_restore, (self._key, self.model.name))
        return (
            _restore,
            (self._key, self.model.name, self.model, self.atomic_numbers, self.charge),
        )

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            raise SimulationError(
                f"{self.model.name}: a function model does not support a periodic box"
            )
        energy, forces = self.model.function(positions, self.atomic_numbers, self.charge)
        forces = np.asarray(forces, dtype=np.float64)
        if forces.shape != positions.shape:
            raise SimulationError(
                f"{self.model.name} returned forces of shape {forces.shape}, expected "
                f"{positions.shape}"
            )
        return Evaluation(float(energy), forces, np.array([float(energy)]))


def _restore(key: str, name: str, *arguments: Any) -> FunctionEvaluator:
    """Return the evaluator of this process, or create it again from the arguments.

    Raises:
        ModelError: it was created in another process and its function cannot be imported.
    """
    found = recall(key)
    if found is not None:
        return found
    if not arguments:
        raise ModelError(
            f"the function of {name} is not in the memory of this process; define it at the top "
            "level of a module, or couple the system again"
        )
    return FunctionEvaluator(*arguments)
