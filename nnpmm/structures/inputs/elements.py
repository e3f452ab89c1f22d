"""Elements of atoms that only a name and a mass describe."""

from __future__ import annotations

from openmm import app, unit

from nnpmm.structures.elements import HEAVIEST_HYDROGEN

__all__ = ["element_by_mass"]

# amu. CH2 of united-atom force fields weighs 0.02 more than nitrogen; the masses of heavy elements
# are rounded to one decimal in some force fields.
_TOLERANCE_LIGHT, _TOLERANCE_HEAVY, _HEAVY = 0.01, 0.1, 20.0


def element_by_mass(element: app.Element | None, mass: float) -> app.Element | None:
    """Return the element that a mass belongs to, or None if it does not contradict the given one.

    Repartitioning makes heavy atoms lighter, and united-atom force fields make carbons heavier.

    Args:
        element: of the atom, or None.
        mass: in amu.
    """
    if mass <= HEAVIEST_HYDROGEN:
        return None
    own = 0.0 if element is None else element.mass.value_in_unit(unit.dalton)
    tolerance = _TOLERANCE_LIGHT if mass < _HEAVY else _TOLERANCE_HEAVY
    if mass <= own + tolerance:
        return None
    found = app.Element.getByMass(mass)
    difference = 1.0 if found is None else abs(found.mass.value_in_unit(unit.dalton) - mass)
    return found if difference < tolerance and found is not element else None
