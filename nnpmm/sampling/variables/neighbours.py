"""Coordination: a smooth count of close pairs between two groups."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.fields import Length
from nnpmm.core.geometry import nearest_image
from nnpmm.core.section import Section
from nnpmm.sampling.variables.geometric import GroupSetting
from nnpmm.sampling.variables.variable import Structure, Variable, VariableError

__all__ = ["Coordination"]

_MAX_PAIRS = 200_000  # each is a bond of a CustomBondForce


class Coordination(Section):
    r"""Coordination number of two groups: the sum of 1 / (1 + (r/r0)^6) over their pairs.

    This equals the usual rational switching function (1 - x^6) / (1 - x^12) with x = r/r0, but is
    defined at r0 too (Iannuzzi, Laio and Parrinello, Phys. Rev. Lett. 2003, 90, 238302).
    """

    type: Literal["coordination"] = "coordination"
    atoms: tuple[GroupSetting, GroupSetting] = Field(description="the two groups of atoms")
    distance: Length = Field(gt=0, description="r0, where a pair counts one half, in nm")

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        groups = [
            structure.atoms(group, f"{name}, group {n + 1}") for n, group in enumerate(self.atoms)
        ]
        shared = set(groups[0].tolist()) & set(groups[1].tolist())
        if shared:
            raise VariableError(
                f"{name}: found {structure.label(min(shared))} in both groups; remove it from one"
            )
        pairs = np.array(list(itertools.product(*(group.tolist() for group in groups))))
        if len(pairs) > _MAX_PAIRS:
            raise VariableError(
                f"{name}: found {len(pairs)} pairs, allowed: up to {_MAX_PAIRS}; select fewer atoms"
            )
        inverse = 1 / self.distance

        def create_force() -> openmm.Force:
            force = openmm.CustomBondForce(f"1/(1 + (r*{inverse!r})^6)")
            for first, second in pairs.tolist():
                force.addBond(first, second, [])
            force.setUsesPeriodicBoundaryConditions(structure.box is not None)
            return force

        def evaluate(positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> float:
            vectors = positions[pairs[:, 1]] - positions[pairs[:, 0]]
            if box is not None:
                vectors = nearest_image(vectors, box)
            distances = np.linalg.norm(vectors, axis=1)
            return float((1 / (1 + (distances * inverse) ** 6)).sum())

        bounds = (0.0, float(len(pairs)))
        return Variable(name, "", None, bounds, create_force, evaluate, f"{len(pairs)} pairs")
