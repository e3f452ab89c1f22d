"""A periodic system in which the network describes every atom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import InputFileError, RegionError
from nnpmm.core.geometry import make_whole
from nnpmm.core.units import in_md_units
from nnpmm.engines.lammps.molecules import bonds_by_distance, refuse_charged
from nnpmm.structures.bonds import topology_bonds

if TYPE_CHECKING:
    from nnpmm.models.protocol import Potential

__all__ = ["WholeSystem", "check_system", "system_from_topology"]


@dataclass(frozen=True, eq=False)
class WholeSystem:
    """A periodic system.

    Attributes:
        topology: atoms with elements, residues and bonds.
        positions: (n, 3) nm, molecules whole.
        box: periodic box vectors as rows (3, 3) nm in OpenMM's reduced form.
        masses: (n,) amu.
        bonds: (m, 2), of the molecules.
        velocities: (n, 3) nm/ps, or None.
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    box: NDArray[np.float64]
    masses: NDArray[np.float64]
    bonds: NDArray[np.int64]
    velocities: NDArray[np.float64] | None = None

    @property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, (n,)."""
        return np.array([atom.element.atomic_number for atom in self.topology.atoms()], np.int64)


def system_from_topology(
    topology: app.Topology, positions: Any, box: Any = None, *, source: str = "the topology"
) -> WholeSystem:
    """Return a system from a Topology.

    Args:
        topology: atoms with elements.
        positions: (n, 3), nm or a Quantity.
        box: rows (3, 3), nm or a Quantity, in OpenMM's reduced form; None: that of the topology.
        source: name of the topology in messages.

    Raises:
        InputFileError: no box, other numbers of atoms and positions, or an atom without an element.
    """
    box = topology.getPeriodicBoxVectors() if box is None else box
    if box is None:
        raise InputFileError(f"{source}: found no periodic box, expected one: give box=...")
    found = np.array(in_md_units(positions, unit.nanometer), dtype=np.float64)
    if found.shape != (topology.getNumAtoms(), 3) or not np.isfinite(found).all():
        raise InputFileError(
            f"{source}: found positions of shape {found.shape}, expected finite numbers "
            f"({topology.getNumAtoms()}, 3)"
        )
    vectors = np.array(in_md_units(box, unit.nanometer), dtype=np.float64)
    missing = [atom for atom in topology.atoms() if atom.element is None]
    if missing:
        raise InputFileError(
            f"{source}: found {len(missing)} atoms without an element, such as {missing[0].name} "
            f"of {missing[0].residue.name}; a network only describes atoms: give a structure "
            "without virtual sites and with elements"
        )
    masses = [atom.element.mass.value_in_unit(unit.dalton) for atom in topology.atoms()]
    numbers = np.array([atom.element.atomic_number for atom in topology.atoms()], np.int64)
    bonds = topology_bonds(topology, np.arange(len(numbers)))
    if _lacks_bonds(topology, bonds):
        bonds = bonds_by_distance(numbers, found, vectors)
    whole = make_whole(found, vectors, bonds, gather=False)
    return WholeSystem(topology, whole, vectors, np.array(masses), bonds)


def check_system(system: WholeSystem, model: Potential, *, allow_charged: bool = False) -> None:
    """Refuse a system that the network cannot describe as a whole.

    Args:
        system: of molecules.
        model: the network.
        allow_charged: let a network for neutral molecules describe charged ones.

    Raises:
        RegionError: an element that the network does not know, or a charged molecule.
    """
    if model.elements is not None:
        for atom in system.topology.atoms():
            if atom.element.symbol not in model.elements:
                raise RegionError(
                    f"found the element {atom.element.symbol} (atom {atom.name} of residue "
                    f"{atom.residue.name} {atom.residue.id}), {model.name} knows "
                    f"{', '.join(model.elements)}: leave it out, or describe only a region by the "
                    "network and the rest by a force field, on OpenMM"
                )
    if model.neutral_only and not allow_charged:
        refuse_charged(system.atomic_numbers, system.bonds, system.positions, model.name)


def _lacks_bonds(topology: app.Topology, bonds: NDArray[np.int64]) -> bool:
    """Return whether an atom of a residue of several atoms has no bond."""
    bonded = np.zeros(topology.getNumAtoms(), bool)
    bonded[bonds.ravel()] = True
    return any(len(a.residue) > 1 and not bonded[a.index] for a in topology.atoms())
