"""Distances, angles, torsions, and a position along a vector, of atoms or centres of mass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from nnpmm.core.geometry import nearest_image
from nnpmm.core.section import Section
from nnpmm.sampling.variables.variable import Group, Structure, Variable

__all__ = ["Angle", "Distance", "GroupSetting", "Position", "Torsion"]


def _indices(value: Any) -> Any:
    """Convert one index, or a list of them, to a group."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


GroupSetting = Annotated[Group, BeforeValidator(_indices)]
_GROUPS = (
    "as a selection in mdtraj's language or 0-based indices; several atoms count by their centre "
    "of mass"
)
_ALL = Field(description=f"the groups of atoms in order, each {_GROUPS}")


class Distance(Section):
    """Distance between two groups, nm."""

    type: Literal["distance"] = "distance"
    atoms: tuple[GroupSetting, GroupSetting] = _ALL

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        return _centroids(name, structure, self.atoms, "distance(g1, g2)", _distance, unit="nm")


class Angle(Section):
    """Angle at the second of three groups, rad."""

    type: Literal["angle"] = "angle"
    atoms: tuple[GroupSetting, GroupSetting, GroupSetting] = _ALL

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        bounds = (0.0, math.pi)
        return _centroids(
            name, structure, self.atoms, "angle(g1, g2, g3)", _angle, unit="rad", bounds=bounds
        )


class Torsion(Section):
    """Torsion of four groups about the line from the second to the third, rad, -pi to pi."""

    type: Literal["torsion"] = "torsion"
    atoms: tuple[GroupSetting, GroupSetting, GroupSetting, GroupSetting] = _ALL

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        return _centroids(
            name,
            structure,
            self.atoms,
            "dihedral(g1, g2, g3, g4)",
            _torsion,
            unit="rad",
            bounds=(-math.pi, math.pi),
            period=2 * math.pi,
        )


class Position(Section):
    r"""Position of a group along the vector from one group to another, nm.

    s = (r - r_from) . (r_to - r_from) / |r_to - r_from|, from the three distances: s = (d^2(group,
    from) + d^2(from, to) - d^2(group, to)) / (2 d(from, to)).
    """

    type: Literal["position"] = "position"
    atoms: GroupSetting = Field(description=f"the atoms whose position is measured, {_GROUPS}")
    origin: GroupSetting = Field(description="group where the vector begins")
    towards: GroupSetting = Field(description="group where the vector ends")

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        expression = "(distance(g1, g2)^2 + d^2 - distance(g1, g3)^2)/(2*d); d = distance(g2, g3)"
        groups = (self.atoms, self.origin, self.towards)
        return _centroids(name, structure, groups, expression, _position, unit="nm")


def _centroids(
    name: str,
    structure: Structure,
    groups: Sequence[Group],
    expression: str,
    function: Any,
    *,
    unit: str,
    bounds: tuple[float, float] | None = None,
    period: float | None = None,
) -> Variable:
    """Return a variable from two versions of a function of centres of mass.

    Args:
        name: name of the variable.
        structure: the structure of the groups.
        groups: the groups g1, g2, ...
        expression: the function for OpenMM, of g1, g2, ...
        function: the same function for numpy; its argument is a function that returns the vector
            from group i to group j.
        unit: as in `Variable`, like bounds and period.
        bounds: limits of the values, or None.
        period: period of the values, or None.
    """
    centres = [structure.centre(group, f"{name}, group {n + 1}") for n, group in enumerate(groups)]

    def create_force() -> openmm.Force:
        force = openmm.CustomCentroidBondForce(len(centres), expression)
        for atoms, weights in centres:
            force.addGroup(atoms.tolist(), weights.tolist())
        force.addBond(list(range(len(centres))), [])
        force.setUsesPeriodicBoundaryConditions(structure.box is not None)
        return force

    def evaluate(positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> float:
        points = [weights @ positions[atoms] for atoms, weights in centres]

        def vector(i: int, j: int) -> NDArray[np.float64]:
            difference = points[j] - points[i]
            return difference if box is None else nearest_image(difference, box)

        return float(function(vector))

    label = ", ".join(
        structure.label(int(atoms[0])) if len(atoms) == 1 else f"{len(atoms)} atoms"
        for atoms, _ in centres
    )
    return Variable(name, unit, period, bounds, create_force, evaluate, label)


def _distance(vector: Any) -> float:
    return float(np.linalg.norm(vector(0, 1)))


def _angle(vector: Any) -> float:
    a, b = vector(1, 0), vector(1, 2)
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def _torsion(vector: Any) -> float:
    """With the sign of IUPAC; formula of Blondel and Karplus, J. Comput. Chem. 1996, 17, 1132."""
    a, b, c = vector(0, 1), vector(1, 2), vector(2, 3)
    first, second = np.cross(a, b), np.cross(b, c)
    return float(np.arctan2(np.linalg.norm(b) * (a @ second), first @ second))


def _position(vector: Any) -> float:
    axis = vector(1, 2)
    return float(vector(1, 0) @ axis / np.linalg.norm(axis))
