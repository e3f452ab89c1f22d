"""Constraint lengths from the network instead of the force field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.geometry import make_whole
from nnpmm.core.units import in_md_units
from nnpmm.models.minimum import find_minimum
from nnpmm.models.protocol import Potential
from nnpmm.structures.bonds import topology_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["apply_constraint_lengths"]

# kJ/mol/nm; with a force constant of 3e5 kJ/mol/nm^2 a bond to hydrogen is then within 2e-5 nm.
_LARGEST_FORCE = 5.0


def apply_constraint_lengths(
    mm_system: openmm.System,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    model: Potential,
    positions: Any,
    *,
    charge: int = 0,
) -> None:
    """Set the region's constrained bonds to hydrogen to the network's bond lengths, in place.

    The region alone is minimised with the network from the given positions; every constraint inside
    it between hydrogen and another element gets the distance at this minimum. Couple the system
    with ``Mechanical(constraints="keep")`` afterwards.

    Args:
        mm_system: the MM system, with constraints inside the region.
        topology: the topology that it was made from, with elements and bonds.
        region: 0-based indices of the region's atoms, whole molecules.
        model: the potential.
        positions: of the whole system, (n, 3) in nm, or a Quantity.
        charge: of the region, e.

    Raises:
        SimulationError: the minimisation does not converge.
    """
    atoms = atom_indices(region, mm_system.getNumParticles())
    numbers = [element.atomic_number for element in region_elements(topology, atoms)]
    evaluator = model.bind(numbers, charge=charge)
    box = None
    if mm_system.usesPeriodicBoundaryConditions():
        box = in_md_units(mm_system.getDefaultPeriodicBoxVectors(), unit.nanometer)
    start = in_md_units(positions, unit.nanometer)[atoms]
    whole = make_whole(start, box, topology_bonds(topology, atoms))

    minimum = find_minimum(evaluator, whole, largest_force=_LARGEST_FORCE)
    row = {int(atom): number for number, atom in enumerate(atoms)}
    for index in range(mm_system.getNumConstraints()):
        i, j, _ = mm_system.getConstraintParameters(index)
        if i in row and j in row and (numbers[row[i]] == 1) != (numbers[row[j]] == 1):
            length = float(np.linalg.norm(minimum[row[i]] - minimum[row[j]]))
            mm_system.setConstraintParameters(index, i, j, length)
