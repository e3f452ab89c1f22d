"""Masses that allow longer time steps: repartitioned hydrogens, and whole molecules scaled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import openmm
from openmm import unit
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.core.units import in_md_units
from nnpmm.structures.selection import atom_label, is_water

__all__ = ["apply_hydrogen_mass", "scale_masses"]


def apply_hydrogen_mass(system: openmm.System, topology: Topology, mass: Any = 3.0) -> None:
    """Give hydrogens another mass, in place, taken from the atom that each is bonded to.

    Configurational averages do not depend on masses; the fastest motions get slower (Feenstra,
    Hess, Berendsen, J. Comput. Chem. 1999, 20, 786). Hydrogens of water, which is rigid, keep their
    mass. The total mass stays the same. Applying it twice has no further effect.

    Args:
        system: MM or hybrid system.
        topology: with elements and bonds.
        mass: of every hydrogen, in amu, or a Quantity.

    Raises:
        ConfigError: a mass that is not positive and finite.
        InputFileError: topology and system differ in their number of atoms.
        ForceFieldError: a hydrogen without or with several bonds, or a heavy atom that would end up
            lighter than its hydrogens; nothing is changed then.
    """
    if topology.getNumAtoms() != system.getNumParticles():
        raise InputFileError(
            f"the topology has {topology.getNumAtoms()} atoms, but the system has "
            f"{system.getNumParticles()} particles; give the topology that the system was made from"
        )
    target = in_md_units(mass, unit.dalton)
    if not 0 < target < float("inf"):
        raise ConfigError(f"found a hydrogen mass of {target:g} amu, allowed: more than 0")
    atoms = list(topology.atoms())
    masses = [system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(len(atoms))]
    changed: dict[int, float] = {}
    for hydrogen, heavy in _bonded_hydrogens(topology).items():
        taken = target - masses[hydrogen]
        changed[hydrogen] = target
        changed[heavy] = changed.get(heavy, masses[heavy]) - taken
    for index, value in changed.items():
        if value < target:
            raise ForceFieldError(
                f"{atom_label(atoms[index])} would keep only {value:.3f} amu, less than its "
                f"hydrogens of {target:g} amu; use a smaller hydrogen mass"
            )
    for index, value in changed.items():
        system.setParticleMass(index, value)


def scale_masses(system: openmm.System, atoms: Iterable[int], factor: float) -> None:
    """Multiply the masses of whole molecules, in place.

    Their vibrations become slower by the square root of the factor, and configurational averages do
    not change. Their translation, rotation and internal motions become slower too, so do not
    calculate kinetic properties from such a simulation.

    Args:
        system: MM or hybrid system.
        atoms: 0-based indices.
        factor: 1 or more.

    Raises:
        ConfigError: a factor below 1, which would make the fastest motions faster.
        ForceFieldError: a constraint joins these atoms and others, as inside a molecule.
    """
    if not 1 <= factor < float("inf"):
        raise ConfigError(f"found a factor of {factor:g} for masses, allowed: 1 or more")
    chosen = set(atom_indices(atoms, system.getNumParticles(), "atoms", may_be_empty=True).tolist())
    for index in range(system.getNumConstraints()):
        i, j, _ = system.getConstraintParameters(index)
        if (i in chosen) != (j in chosen):
            raise ForceFieldError(
                f"the constraint between atoms {i} and {j} joins an atom whose mass is scaled to "
                "one whose mass is not; give whole molecules"
            )
    for atom in chosen:
        system.setParticleMass(atom, factor * system.getParticleMass(atom))


def _bonded_hydrogens(topology: Topology) -> dict[int, int]:
    """Return the atom that each hydrogen outside water is bonded to."""
    partners: dict[int, list[int]] = {
        atom.index: []
        for residue in topology.residues()
        if not is_water(residue)
        for atom in residue.atoms()
        if atom.element is not None and atom.element.atomic_number == 1
    }
    for first, second in topology.bonds():
        for hydrogen, other in ((first.index, second.index), (second.index, first.index)):
            if hydrogen in partners:
                partners[hydrogen].append(other)
    atoms = list(topology.atoms())
    for index, found in partners.items():
        if len(found) != 1:
            raise ForceFieldError(
                f"{atom_label(atoms[index])} has {len(found)} bonds in the topology, expected one; "
                "give a topology with all bonds"
            )
    return {index: found[0] for index, found in partners.items()}
