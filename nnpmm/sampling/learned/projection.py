"""A trained network from features to a few variables: its file, its values, its gradients.

::

    NAME.json           kind, features, elements, what it was trained on, checksum of the weights
    NAME.safetensors    shift and scale of the features, layers, shift and matrix of the outputs

Features are shifted and scaled, each layer is h = tanh(W h + b), the last layer is linear, and a
shift and a matrix convert its result to the variables. All calculations are in float64.
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
from pydantic import AliasChoices, Field

from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.core.errors import SimulationError
from nnpmm.sampling.learned.features import FeatureSet
from nnpmm.sampling.learned.gradient import CompiledGradient
from nnpmm.sampling.variables.variable import Structure, VariableError

__all__ = ["Projection", "ProjectionRecord", "load_projection", "save_projection"]

Kind = Literal["autoencoder", "time-lagged", "deep-tica"]


class ProjectionRecord(Card):
    """Description of the learned variables of a file."""

    kind: Kind
    features: FeatureSet
    elements: tuple[str, ...] = Field(description="elements of the features' atoms")
    n_atoms: int = Field(description="number of atoms of the system")
    variables: int = Field(ge=1, description="number of outputs")
    low: tuple[float, ...] = Field(description="least value of each in training")
    high: tuple[float, ...] = Field(description="largest value of each in training")
    training: dict[str, Any] = Field({}, description="settings, data, losses")
    correlated_features: tuple[dict[str, Any], ...] = Field(
        (),
        validation_alias=AliasChoices("correlated_features", "meaning"),  # the older name
        description="of each variable, with their rank correlations",
    )


@dataclass(frozen=True, eq=False)
class Projection:
    """Learned variables as a function of positions.

    Attributes:
        record: description of the variables.
        arrays: scaling and weights of the network: ``shift`` (f,), ``scale`` (f,), ``weight0``,
            ``bias0``, ..., ``output_shift``, ``output_matrix``.
    """

    record: ProjectionRecord
    arrays: dict[str, NDArray[np.float64]]

    def check(self, structure: Structure, what: str) -> None:
        """Refuse a molecule that differs from that of the training.

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
        shift, scale, layers, output_shift, output_matrix = self._tensors
        hidden = (features - shift) / scale
        for number, (weight, bias) in enumerate(layers, 1):
            hidden = hidden @ weight.T + bias
            if number < len(layers):
                hidden = torch.tanh(hidden)
        return (hidden - output_shift) @ output_matrix

    @functools.cached_property
    def _tensors(self) -> tuple[Any, ...]:
        """The arrays as tensors: shift, scale, layers, output shift, output matrix."""
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        depth = sum(name.startswith("weight") for name in tensors)
        layers = [(tensors[f"weight{k}"], tensors[f"bias{k}"]) for k in range(depth)]
        output = tensors["output_shift"], tensors["output_matrix"]
        return tensors["shift"], tensors["scale"], layers, *output

    def values(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variables (frames, d) of the features' atoms at (frames, n, 3) nm."""
        contiguous = np.ascontiguousarray(positions, dtype=np.float64)
        with torch.no_grad():
            variables = self.outputs(self.record.features.evaluate(torch.from_numpy(contiguous)))
        return np.asarray(variables.numpy())

    def gradient(
        self, positions: NDArray[np.float64], component: int
    ) -> tuple[float, NDArray[np.float64]]:
        """Return one variable and its gradient (n, 3), 1/nm, at the features' atoms.

        This is the slow reference for `CompiledGradient`, which a force uses.

        Args:
            positions: (n, 3) of the features' atoms, nm.
            component: 0-based index of the variable.
        """
        tensor = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        value = self.outputs(self.record.features.evaluate(tensor))[component]
        (gradient,) = torch.autograd.grad(value, tensor)
        return float(value.detach()), gradient.numpy()

    def create_force(self, component: int, *, periodic: bool) -> openmm.Force:
        """Return a force whose energy is one of the variables, with its exact gradient."""
        force = openmm.PythonForce(ProjectionCallback(self, component))
        force.setParticles(list(self.record.features.atoms))
        # OpenMM gives a non-periodic force in a periodic system corrupted positions (openmm 5421).
        force.setUsesPeriodicBoundaryConditions(periodic)
        return force


class ProjectionCallback:
    """Called by OpenMM with the State of the features' atoms; returns a variable as an energy.

    Args:
        projection: the learned variables.
        component: 0-based index of the variable.
    """

    def __init__(self, projection: Projection, component: int) -> None:
        self.projection, self.component = projection, component
        self._gradient = CompiledGradient(projection.record.features, projection.arrays, component)

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """Return the variable and minus its gradient (n, 3), 1/nm.

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
