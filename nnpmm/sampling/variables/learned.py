"""A variable from the file of a trained network."""

from __future__ import annotations

from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import SettingsPath
from nnpmm.core.files import sha256_of
from nnpmm.core.section import Section
from nnpmm.sampling.variables.variable import Structure, Variable, VariableError

__all__ = ["LearnedVariable"]


class LearnedVariable(Section):
    """A variable that ``nnpmm sample learn`` has trained on the same system."""

    type: Literal["learned"] = "learned"
    file: SettingsPath = Field(
        description="JSON file of nnpmm sample learn, in one folder with its .safetensors file"
    )
    component: int = Field(1, ge=1, description="number of the variable in that file, from 1")
    sha256: str | None = Field(
        None,
        description="checksum of the .json file; null: that of the present file, which a run keeps",
    )

    @model_validator(mode="after")
    def _add_checksum(self) -> Self:
        """Add the checksum of the file, so that a run cannot continue with another network."""
        if self.sha256 is None and self.file.is_file():
            object.__setattr__(self, "sha256", sha256_of(self.file.read_bytes()))
        return self

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        from nnpmm.sampling.learned import load_projection

        projection = load_projection(self.file)
        found = sha256_of(self.file.read_bytes())
        if self.sha256 != found:
            raise VariableError(
                f"{name}: {self.file} is another file than the settings were made for (sha256 "
                f"{found}, in the settings {self.sha256}); restore it, or start a new run"
            )
        projection.check(structure, name)
        count, index = projection.record.variables, self.component - 1
        if index >= count:
            raise VariableError(
                f"{name}: found component {self.component} of a file with {count} variable(s)"
            )
        atoms = list(projection.record.features.atoms)

        def create_force() -> openmm.Force:
            return projection.create_force(index, periodic=structure.box is not None)

        def evaluate(positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> float:
            return projection.gradient(positions[atoms], index)[0]

        label = f"{projection.record.kind} of {len(atoms)} atoms"
        return Variable(name, "", None, None, create_force, evaluate, label)
