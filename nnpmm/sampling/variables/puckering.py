r"""Puckering of rings of five and six atoms: the coordinates of Cremer and Pople.

D. Cremer and J. A. Pople, J. Am. Chem. Soc. 1975, 97, 1354. The mean plane contains R' = sum_j R_j
sin(2 pi j/N) and R'' = sum_j R_j cos(2 pi j/N). With the heights z_j of the atoms above it,

    q_2 cos(phi) =  (2/N)^(1/2) sum_j z_j cos(4 pi j/N)
    q_2 sin(phi) = -(2/N)^(1/2) sum_j z_j sin(4 pi j/N)
    q_3          =  N^(-1/2)    sum_j (-1)^j z_j            (N = 6)

and for six atoms q_2 = Q sin(theta), q_3 = Q cos(theta). The chairs are theta = 0 and 180 degrees.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.section import Section
from nnpmm.sampling.variables.geometric import GroupSetting
from nnpmm.sampling.variables.variable import Structure, Variable, VariableError

__all__ = ["Puckering"]

_SIZES = (5, 6)
# nm^2, added under the square root of q_2. It makes theta differentiable at the poles and changes
# theta by less than 0.1 degrees at amplitudes of 0.05 nm.
_SOFTENING = 1e-10


class Puckering(Section):
    """A puckering coordinate of a ring: theta and phi in rad, the amplitude Q in nm."""

    type: Literal["puckering"] = "puckering"
    atoms: GroupSetting = Field(
        description="the ring's five or six atoms in their order along it, as 0-based indices, or "
        "a selection of a ring whose atoms are numbered in that order"
    )
    coordinate: Literal["theta", "phi", "amplitude"] = Field(
        "theta", description="coordinate: theta (six atoms), phi, or the total amplitude Q"
    )

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        atoms = structure.atoms(self.atoms, name)
        size = len(atoms)
        if size not in _SIZES:
            raise VariableError(f"{name}: found {size} atoms, allowed: rings of 5 or 6 atoms")
        if self.coordinate == "theta" and size == 5:
            raise VariableError(f"{name}: found theta of a ring of 5 atoms; use phi or amplitude")
        _require_ring(atoms, structure, name)

        def create_force() -> openmm.Force:
            return _create_force(self.coordinate, atoms.tolist())

        def evaluate(positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> float:
            return _coordinates(positions[atoms])[self.coordinate]

        bounds, period, unit = _RANGES[self.coordinate]
        label = f"{self.coordinate} of the ring at {structure.label(int(atoms[0]))}"
        return Variable(name, unit, period, bounds, create_force, evaluate, label)


#: Bounds, period and unit of each coordinate.
_RANGES: dict[str, tuple[tuple[float, float], float | None, str]] = {
    "theta": ((0.0, math.pi), None, "rad"),
    "phi": ((-math.pi, math.pi), 2 * math.pi, "rad"),
    "amplitude": ((0.0, math.inf), None, "nm"),
}


def _require_ring(atoms: NDArray[np.int64], structure: Structure, name: str) -> None:
    bonds = {frozenset((a.index, b.index)) for a, b in structure.topology.bonds()}
    for first, second in zip(atoms, np.roll(atoms, -1), strict=True):
        if frozenset((int(first), int(second))) not in bonds:
            raise VariableError(
                f"{name}: found no bond between {structure.label(int(first))} and "
                f"{structure.label(int(second))}; give the ring's atoms in their order along it"
            )


def _create_force(coordinate: str, atoms: list[int]) -> openmm.Force:
    """Return a force that calculates the coordinate from weighted sums of atomic coordinates.

    OpenMM would need seconds to differentiate one expression of all 18 coordinates.
    """
    size = len(atoms)
    turn, scale, steps = 2 * math.pi / size, math.sqrt(2 / size), range(size)
    sums = {
        "a": [scale * math.cos(2 * turn * j) for j in steps],
        "b": [-scale * math.sin(2 * turn * j) for j in steps],
        "u": [math.sin(turn * j) for j in steps],
        "v": [math.cos(turn * j) for j in steps],
    }
    lines = [
        *("nx = uy*vz - uz*vy", "ny = uz*vx - ux*vz", "nz = ux*vy - uy*vx"),
        "n = sqrt(nx^2 + ny^2 + nz^2)",
        "a = (ax*nx + ay*ny + az*nz)/n",
        "b = (bx*nx + by*ny + bz*nz)/n",
    ]
    third = "0"
    if size == 6:
        third = "c"
        sums["c"] = [(-1) ** j / math.sqrt(6) for j in steps]
        lines.append("c = (cx*nx + cy*ny + cz*nz)/n")
    result = {
        "theta": f"atan2(sqrt(a^2 + b^2 + {_SOFTENING!r}), {third})",
        "phi": "atan2(b, a)",
        "amplitude": f"sqrt(a^2 + b^2 + {third}^2 + {_SOFTENING!r})",
    }[coordinate]
    force = openmm.CustomCVForce("; ".join([result, *reversed(lines)]))
    for symbol, factors in sums.items():
        for axis in "xyz":
            if f"{symbol}{axis}" in force.getEnergyFunction():
                force.addCollectiveVariable(f"{symbol}{axis}", _weighted_sum(axis, atoms, factors))
    return force


def _weighted_sum(axis: str, atoms: list[int], factors: list[float]) -> openmm.Force:
    """Return a force whose energy is sum_j factor_j x_j for one axis x, y or z."""
    force = openmm.CustomExternalForce(f"factor*{axis}")
    force.addPerParticleParameter("factor")
    for atom, factor in zip(atoms, factors, strict=True):
        force.addParticle(atom, [factor])
    return force


def _coordinates(ring: NDArray[np.float64]) -> dict[str, float]:
    """Return theta, phi and Q of the positions (N, 3) of a ring, as defined above."""
    size = len(ring)
    steps = np.arange(size)
    centred = ring - ring.mean(axis=0)
    turn = 2 * np.pi / size
    normal = np.cross(np.sin(turn * steps) @ centred, np.cos(turn * steps) @ centred)
    heights = centred @ (normal / np.linalg.norm(normal))
    scale = np.sqrt(2 / size)
    a = scale * heights @ np.cos(2 * turn * steps)
    b = -scale * heights @ np.sin(2 * turn * steps)
    c = heights @ (-1.0) ** steps / np.sqrt(6) if size == 6 else 0.0
    return {
        "theta": float(np.arctan2(np.hypot(a, b), c)),
        "phi": float(np.arctan2(b, a)),
        "amplitude": float(np.sqrt((heights**2).sum())),
    }
