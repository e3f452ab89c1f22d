"""Whether the masses of a System fit the elements of its topology."""

from __future__ import annotations

import openmm
from openmm import app, unit

from nnpmm.errors import InputFileError

__all__ = ["check_masses", "element_by_mass"]

# amu. Repartitioning makes hydrogens heavier, up to this, and other atoms lighter.
_HEAVIEST_HYDROGEN = 4.2
# amu. CH2 of united-atom force fields weighs 0.02 more than nitrogen; the masses of heavy elements
# are rounded to one decimal in some force fields.
_TOLERANCE_LIGHT, _TOLERANCE_HEAVY, _HEAVY = 0.01, 0.1, 20.0


def element_by_mass(element: app.Element | None, mass: float) -> app.Element | None:
    """Return the element that a mass belongs to, where it is another than the one given.

    None means that the mass does not contradict the element: it may be lighter by repartitioning,
    and heavier where the force field counts hydrogens to their carbon.

    Args:
        element: of the atom, or None.
        mass: in amu.
    """
    if mass <= _HEAVIEST_HYDROGEN:
        return None
    own = 0.0 if element is None else element.mass.value_in_unit(unit.dalton)
    tolerance = _TOLERANCE_LIGHT if mass < _HEAVY else _TOLERANCE_HEAVY
    if mass <= own + tolerance:
        return None
    found = app.Element.getByMass(mass)
    difference = 1.0 if found is None else abs(found.mass.value_in_unit(unit.dalton) - mass)
    return found if difference < tolerance and found is not element else None


def check_masses(topology: app.Topology, system: openmm.System, what: str) -> None:
    """Check that no atom has the mass of another element, as where files are in another order.

    Args:
        topology: atoms with elements; an atom without one is a virtual site and is not checked.
        system: particles in the same order.
        what: the files, for the message.

    Raises:
        InputFileError: an atom has the mass of another element.
    """
    wrong = []
    for atom in topology.atoms():
        mass = system.getParticleMass(atom.index).value_in_unit(unit.dalton)
        other = None if atom.element is None else element_by_mass(atom.element, mass)
        if other is not None:
            wrong.append((atom, mass, other))
    if wrong:
        atom, mass, other = wrong[0]
        raise InputFileError(
            f"{what}: atom {atom.index + 1} ({atom.name} of {atom.residue.name}) is "
            f"{atom.element.symbol} in the topology and has the mass of {other.symbol}, "
            f"{mass:.4g} amu ({len(wrong)} atoms like it): give files of the same structure in the "
            "same atom order"
        )
