"""Which bonded terms of a force field a capped network has as well.

Where a region is cut at a bond Q-M, the network sees a link atom L in the place of M. A term over
atoms of the region and M, such as the angle X-Q-M, is in the network once more as X-Q-L, so the
force field's own is left out (as by lnk_method=2 of AMBER's sander, and by openmm-ml 1.8). The
stretch Q-M stays, for L is at a fixed distance from Q and knows nothing of it; so do pairs three
bonds apart, which belong to the non-bonded interactions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nnpmm.structures.bonds import Pair

__all__ = ["CappedTerms"]


class CappedTerms:
    """Tells terms that are the network's from those that stay with the force field.

    Args:
        region: atom indices.
        bonds: all bonds of the system, or none if the region cuts no bond.
    """

    def __init__(self, region: Collection[int], bonds: Iterable[Pair] = ()) -> None:
        self._region = frozenset(region)
        self._neighbours: dict[int, set[int]] = {}
        for i, j in bonds:
            self._neighbours.setdefault(i, set()).add(j)
            self._neighbours.setdefault(j, set()).add(i)

    def hold(self, atoms: Collection[int]) -> bool:
        """Return whether a term over these atoms is the network's.

        It is if every atom outside the region hangs, within the term, on one atom of the region
        alone: a link atom stands there. Of pairs that is a bond, which stays; one over an angle
        (Urey-Bradley) goes with the angle.
        """
        outside = [atom for atom in atoms if atom not in self._region]
        if not outside:
            return True
        if len(atoms) == 2:
            return self._spans_an_angle(*atoms)
        return all(self._hangs_on_the_region(atom, atoms) for atom in outside)

    def _hangs_on_the_region(self, atom: int, atoms: Collection[int]) -> bool:
        held_by = self._neighbours.get(atom, set()).intersection(atoms)
        return len(held_by) == 1 and held_by <= self._region

    def _spans_an_angle(self, i: int, j: int) -> bool:
        around = self._neighbours.get(i, set())
        shared = around & self._neighbours.get(j, set()) & self._region
        return bool(shared) and j not in around
