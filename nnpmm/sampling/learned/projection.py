"""A trained network from features to a few variables: its file, its values, its gradients.

::

    NAME.json           kind, features, elements, what it was trained on, checksum of the weights
    NAME.safetensors    shift and scale of the features, layers, shift and matrix of the outputs

The network is h = tanh(W h + b) layer by layer, linear in the last one, between shifted and scaled
features and outputs. In float64, so that gradients are exact to rounding.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.core.errors import SimulationError
from nnpmm.sampling.learned.features import FeatureSet
from nnpmm.sampling.learned.gradient import GradientAtOnce
from nnpmm.sampling.variables.variable import Structure, VariableError

__all__ = ["Projection", "ProjectionRecord", "load_projection", "save_projection"]

Kind = Literal["autoencoder", "time-lagged", "deep-tica"]


class ProjectionRecord(Card):
    """What is known of a learned variable."""

    kind: Kind
    features: FeatureSet
    elements: tuple[str, ...] = Field(description="of the features' atoms")
    n_atoms: int = Field(description="of the system")
    variables: int = Field(ge=1, description="number of outputs")
    low: tuple[float, ...] = Field(description="least value of each in training")
    high: tuple[float, ...] = Field(description="largest value of each in training")
    training: dict[str, Any] = Field({}, description="settings, data, losses")
    meaning: tuple[dict[str, Any], ...] = Field((), description="features that correlate with each")


@dataclass(frozen=True, eq=False)
class Projection:
    """A learned function of positions.

    Attributes:
        record: what is known of it.
        arrays: its numbers, by name.
    """

    record: ProjectionRecord
    arrays: dict[str, NDArray[np.float64]]

    def check(self, structure: Structure, what: str) -> None:
        """Refuse another molecule than that of the training.

        Raises:
            VariableError: another number of atoms, or other elements.
        """
        record, elements = self.record, structure.elements
        if len(elements) != record.n_atoms:
            raise VariableError(
                f"{what}: was learned in a system of {record.n_atoms} atoms, found {len(elements)}"
            )
        for index, element in zip(record.features.atoms, record.elements, strict=True):
            if elements[index] != element:
                raise VariableError(
                    f"{what}: was learned on another molecule: atom {index} is {elements[index]} "
                    f"here and was {element}"
                )
        structure.require_one_molecule(np.array(record.features.atoms), what)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the variables (..., d) of features (..., f)."""
        shift, scale, layers, output_shift, output_matrix = self._numbers
        hidden = (features - shift) / scale
        for number, (weight, bias) in enumerate(layers, 1):
            hidden = hidden @ weight.T + bias
            if number < len(layers):
                hidden = torch.tanh(hidden)
        return (hidden - output_shift) @ output_matrix

    @functools.cached_property
    def _numbers(self) -> tuple[Any, ...]:
        """The arrays as tensors: shift, scale, layers, and those of the outputs."""
        numbers = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        depth = sum(name.startswith("weight") for name in numbers)
        layers = [(numbers[f"weight{k}"], numbers[f"bias{k}"]) for k in range(depth)]
        last = numbers["output_shift"], numbers["output_matrix"]
        return numbers["shift"], numbers["scale"], layers, *last

    def values(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variables (frames, d) of the features' atoms at (frames, n, 3) nm."""
        chosen = np.ascontiguousarray(positions, dtype=np.float64)
        with torch.no_grad():
            found = self.outputs(self.record.features.evaluate(torch.from_numpy(chosen)))
        return np.asarray(found.numpy())

    def gradient(
        self, positions: NDArray[np.float64], component: int
    ) -> tuple[float, NDArray[np.float64]]:
        """Return one variable and its gradient (n, 3), 1/nm, at the features' atoms.

        The reference of `GradientAtOnce`, which a force uses.

        Args:
            positions: (n, 3) nm of the features' atoms.
            component: which variable.
        """
        where = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        value = self.outputs(self.record.features.evaluate(where))[component]
        (gradient,) = torch.autograd.grad(value, where)
        return float(value.detach()), gradient.numpy()

    def create_force(self, component: int, *, periodic: bool) -> openmm.Force:
        """Return a force whose energy is one of the variables, with its exact gradient."""
        force = openmm.PythonForce(ProjectionCallback(self, component))
        force.setParticles(list(self.record.features.atoms))
        # A non-periodic force in a periodic system is handed corrupted positions (openmm 5421).
        force.setUsesPeriodicBoundaryConditions(periodic)
        return force


class ProjectionCallback:
    """Called by OpenMM with the State of the features' atoms; returns a variable as an energy.

    Args:
        projection: of the atoms.
        component: which variable.
    """

    def __init__(self, projection: Projection, component: int) -> None:
        self.projection, self.component = projection, component
        self._gradient = GradientAtOnce(projection.record.features, projection.arrays, component)

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """Return the variable and minus its gradient (n, 3).

        Raises:
            SimulationError: the variable is not finite.
        """
        value, gradient = self._gradient(state.getPositions(asNumpy=True)._value)
        if not np.isfinite(value):
            raise SimulationError("a learned variable is not finite; use a smaller time step")
        return value, -gradient

    def __reduce__(self) -> tuple[Any, ...]:
        record = self.projection.record.model_dump(mode="json")
        return (_rebuild, (record, self.projection.arrays, self.component))


def _rebuild(
    record: dict[str, Any], arrays: dict[str, NDArray[np.float64]], component: int
) -> ProjectionCallback:
    return ProjectionCallback(
        Projection(ProjectionRecord.model_validate(record), arrays), component
    )


def save_projection(path: Path, projection: Projection) -> None:
    """Write a learned variable: ``NAME.json`` and ``NAME.safetensors``.

    Raises:
        ConfigError: the name does not end in .json.
        UnwritableError: a file cannot be written.
    """
    save_card(path, projection.record, projection.arrays)


def load_projection(path: Path) -> Projection:
    """Read what ``save_projection`` wrote.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    return Projection(*load_card(path, ProjectionRecord))
