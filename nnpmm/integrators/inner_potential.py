"""An inner potential made of harmonic terms that are fitted to the Hessian of a network.

Use it for regions whose force field is poor or has no bonded terms. At a minimum of the network,
where every term is at rest, a term k/2 (q - q0)^2 adds k grad q grad q^T to the Hessian. The force
constants that come closest to the network's Hessian, mass-weighted, are found by non-negative least
squares, so that the inner potential is bounded from below and stable by itself. (Force fields from
Hessians: Seminario, Int. J. Quantum Chem. 1996, 60, 1271; here all terms at once.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
import scipy.optimize
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import RegionError
from nnpmm.core.geometry import WholeRegion
from nnpmm.core.units import in_md_units
from nnpmm.coupling.boundary import bond_labels
from nnpmm.models.hessian import network_hessian
from nnpmm.models.minimum import find_minimum
from nnpmm.models.protocol import Potential
from nnpmm.structures.bonds import topology_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["FittedTerm", "InnerPotential", "fit_inner_potential"]

_LARGEST_ANGLE = 3.0  # rad; beyond, the direction in which an angle bends is not defined
_SMALLEST = 1e-6  # kJ/mol/nm^2 or kJ/mol/rad^2; the fit leaves smaller constants in place of zero
_HEIGHT = (
    "0.5*k*(height-rest)^2;"
    "height=((x1-x2)*nx+(y1-y2)*ny+(z1-z2)*nz)/sqrt(nx^2+ny^2+nz^2);"
    "nx=ay*bz-az*by; ny=az*bx-ax*bz; nz=ax*by-ay*bx;"
    "ax=x3-x2; ay=y3-y2; az=z3-z2; bx=x4-x2; by=y4-y2; bz=z4-z2"
)


@dataclass(frozen=True)
class FittedTerm:
    """k/2 (q - q0)^2 of an internal coordinate q.

    Attributes:
        kind: ``"distance"``, ``"angle"``, or ``"height"`` of the first atom over the plane of the
            three others.
        rows: of the atoms in the region.
        rest: q0, nm or rad.
        constant: k, kJ/mol/nm^2 or kJ/mol/rad^2.
    """

    kind: str
    rows: tuple[int, ...]
    rest: float
    constant: float


@dataclass(frozen=True)
class InnerPotential:
    """Terms fitted to a network; the ``inner_potential`` of `nnpmm.coupling.Mechanical`.

    Attributes:
        terms: with positive force constants.
        residual: Frobenius norm of the mass-weighted Hessian minus that of the terms, relative to
            that of the Hessian.
    """

    terms: tuple[FittedTerm, ...]
    residual: float

    def create_forces(self, atoms: NDArray[np.int64]) -> list[openmm.Force]:
        """Return OpenMM's forces.

        Args:
            atoms: the region's sorted indices in the system, (n,).
        """
        distances, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
        heights = openmm.CustomCompoundBondForce(4, _HEIGHT)
        heights.addPerBondParameter("rest")
        heights.addPerBondParameter("k")
        for term in self.terms:
            indices = [int(atoms[row]) for row in term.rows]
            if term.kind == "distance":
                distances.addBond(*indices, term.rest, term.constant)
            elif term.kind == "angle":
                angles.addAngle(*indices, term.rest, term.constant)
            else:
                heights.addBond(indices, [term.rest, term.constant])
        forces = (
            (distances, distances.getNumBonds()),
            (angles, angles.getNumAngles()),
            (heights, heights.getNumBonds()),
        )
        return [force for force, n_terms in forces if n_terms]


def fit_inner_potential(
    model: Potential,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    positions: Any,
    *,
    charge: int = 0,
) -> InnerPotential:
    """Fit bonds, angles, distances of atoms two bonds apart, and planes to a network's Hessian.

    No term depends on a torsion, so all conformers share the inner potential; the network provides
    the rest. The region is first minimised in vacuum from the given positions.

    Args:
        model: the network.
        topology: with elements and bonds.
        region: 0-based indices of its atoms, whole molecules.
        positions: of all atoms, (n, 3), nm or a Quantity.
        charge: of the region, e.

    Raises:
        RegionError: no bonds in the region, bonds that it cuts, or the model cannot describe it.
        SimulationError: no minimum was found.
    """
    atoms = atom_indices(region, topology.getNumAtoms())
    elements = region_elements(topology, atoms)
    _refuse_fragments(topology, set(atoms.tolist()))
    pairs = [(int(i), int(j)) for i, j in topology_bonds(topology, atoms)]
    if not pairs:
        raise RegionError("the topology has no bonds in the region; give one with all bonds")
    start = np.asarray(in_md_units(positions, unit.nanometer), dtype=np.float64)[atoms]
    box = topology.getPeriodicBoxVectors()
    if box is not None:
        vectors = in_md_units(box, unit.nanometer)
        start = WholeRegion(len(atoms), np.array(pairs))(start, vectors)
    evaluator = model.bind([element.atomic_number for element in elements], charge=charge)
    minimum = find_minimum(evaluator, start)
    masses = np.array([element.mass._value for element in elements])
    return _fit(pairs, minimum, network_hessian(evaluator, minimum), masses)


def _refuse_fragments(topology: Topology, members: set[int]) -> None:
    """Refuse cut bonds: without link atoms the fragment is a radical, of another geometry."""
    cut = [
        (a.index, b.index)
        for a, b in topology.bonds()
        if (a.index in members) != (b.index in members)
    ]
    if cut:
        raise RegionError(
            f"the region cuts {len(cut)} covalent bond{'s' if len(cut) > 1 else ''} "
            f"({bond_labels(topology, cut)}), but an inner potential can only be fitted to whole "
            "molecules; use the force field or one network as inner potential, or select whole "
            "molecules"
        )


def _fit(
    bonds: list[tuple[int, int]],
    minimum: NDArray[np.float64],
    hessian: NDArray[np.float64],
    masses: NDArray[np.float64],
) -> InnerPotential:
    """Return the terms along the bonds of a molecule at its minimum, with their constants."""
    weight = np.repeat(1 / np.sqrt(masses), 3)
    upper = np.triu_indices(len(weight))
    target = (hessian * np.outer(weight, weight))[upper]
    coordinates = _coordinates(bonds, minimum)
    columns = []
    for kind, rows in coordinates:
        gradient = weight * _gradient(_VALUES[kind], rows, minimum)
        columns.append(np.outer(gradient, gradient)[upper])
    constants, residual = scipy.optimize.nnls(np.array(columns).T, target)
    terms = []
    for (kind, rows), constant in zip(coordinates, constants, strict=True):
        if constant > _SMALLEST:
            rest = _VALUES[kind](minimum[list(rows)])
            terms.append(FittedTerm(kind, rows, rest, float(constant)))
    return InnerPotential(tuple(terms), float(residual / np.linalg.norm(target)))


def _coordinates(
    bonds: list[tuple[int, int]], positions: NDArray[np.float64]
) -> list[tuple[str, tuple[int, ...]]]:
    """Return kind and rows of all bonds, angles with their 1-3 distances, and heights."""
    neighbours: dict[int, list[int]] = {}
    for i, j in bonds:
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    # A dict keeps the order, and a pair that is 1-3 in two ways, as in a ring of four, counts once.
    found: dict[tuple[str, tuple[int, ...]], None] = {}
    for i, j in bonds:
        found["distance", (min(i, j), max(i, j))] = None
    for centre, around in sorted(neighbours.items()):
        for i, j in itertools.combinations(sorted(around), 2):
            found["distance", (i, j)] = None
            if _angle(positions[[i, centre, j]]) < _LARGEST_ANGLE:
                found["angle", (i, centre, j)] = None
        if len(around) == 3:
            found["height", (centre, *sorted(around))] = None
    return list(found)


def _distance(x: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(x[0] - x[1]))


def _angle(x: NDArray[np.float64]) -> float:
    u, v = x[0] - x[1], x[2] - x[1]
    return float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))


def _height(x: NDArray[np.float64]) -> float:
    normal = np.cross(x[2] - x[1], x[3] - x[1])
    return float((x[0] - x[1]) @ normal / np.linalg.norm(normal))


_VALUES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "distance": _distance,
    "angle": _angle,
    "height": _height,
}


def _gradient(
    value: Callable[[NDArray[np.float64]], float],
    rows: tuple[int, ...],
    positions: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the gradient (3n,) of an internal coordinate, by central differences."""
    gradient = np.zeros_like(positions)
    local = positions[list(rows)]
    for place, row in enumerate(rows):
        for axis in range(3):
            shift = np.zeros_like(local)
            shift[place, axis] = 1e-6
            gradient[row, axis] = (value(local + shift) - value(local - shift)) / 2e-6
    return gradient.ravel()
