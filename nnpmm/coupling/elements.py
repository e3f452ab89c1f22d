"""Check that a system's masses match the elements of its topology."""

from __future__ import annotations

import openmm
from openmm.app import Topology
from openmm.app.element import hydrogen
from openmm.app.topology import Atom

from nnpmm.core.errors import InputFileError
from nnpmm.structures.bonds import Pair, covalent_bonds
from nnpmm.structures.elements import HEAVIEST_HYDROGEN
from nnpmm.structures.selection import atom_label

__all__ = ["check_masses"]

# Force fields round masses by less than 1 %; nitrogen in carbon's place is 14 % off.
_SMALLEST_SHARE = 0.92


def check_masses(system: openmm.System, topology: Topology) -> None:
    """Check that no atom is lighter than its element, which would show a different order of atoms.

    A heavy atom counts with the hydrogens bonded to it, which may have taken over some of its mass.
    Masses may be larger than the element's by any factor, as isotopes, united atoms and
    `nnpmm.integrators.scale_masses` make them, but a hydrogen may have no heavy atom's mass.
    Particles without an element or without a mass (virtual sites, frozen atoms) are left out.

    Args:
        system: MM or hybrid system.
        topology: with the same number of atoms.

    Raises:
        InputFileError: a mass does not fit; the first such atom is named.
    """
    atoms = list(topology.atoms())
    masses = [system.getParticleMass(index)._value for index in range(len(atoms))]
    for group in _heavy_atoms_with_hydrogens(atoms, covalent_bonds(system, topology)):
        # Deuterium counts as hydrogen: topology and force field may disagree about the isotope.
        natural = [
            hydrogen.mass._value if _is_hydrogen(atoms[index]) else atoms[index].element.mass._value
            for index in group
        ]
        found = [masses[index] for index in group]
        if 0 in found:
            continue
        share = sum(found) / sum(natural)
        if share < _SMALLEST_SHARE:
            raise _misfit(atoms[group[0]], found[0], len(group) - 1)
        for index in group:
            if _is_hydrogen(atoms[index]) and masses[index] > HEAVIEST_HYDROGEN * max(share, 1):
                raise _misfit(atoms[index], masses[index], 0)


def _heavy_atoms_with_hydrogens(atoms: list[Atom], bonds: set[Pair]) -> list[list[int]]:
    """Return each heavy atom with its hydrogens, except where a hydrogen has several bonds."""
    partners: dict[int, list[int]] = {}
    for i, j in bonds:
        for light, heavy in ((i, j), (j, i)):
            if _is_hydrogen(atoms[light]) and not _is_hydrogen(atoms[heavy]):
                partners.setdefault(light, []).append(heavy)
    shared = {heavy for found in partners.values() if len(found) > 1 for heavy in found}
    groups = {a.index: [a.index] for a in atoms if a.element is not None and a.index not in shared}
    for light, found in partners.items():
        group = groups.pop(light, [])
        if found[0] in groups:
            groups[found[0]] += group
    return list(groups.values())


def _is_hydrogen(atom: Atom) -> bool:
    return atom.element is not None and atom.element.atomic_number == 1


def _misfit(atom: Atom, mass: float, hydrogens: int) -> InputFileError:
    bonded = f" with {hydrogens} hydrogen{'s' if hydrogens > 1 else ''}" if hydrogens else ""
    return InputFileError(
        f"the topology has {atom.element.symbol}{bonded} at {atom_label(atom)} (atom {atom.index})"
        f", the system a mass of {mass:.3f} amu; give the topology that the system was made from, "
        "with its atoms in the same order"
    )
