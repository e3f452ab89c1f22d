"""Which bonded terms of a force field a capped network already describes.

If a region is cut at a bond Q-M, the network sees a link atom L instead of M. A term of atoms of
the region and M, such as the angle X-Q-M, is already described by the network as X-Q-L, so the
force field's term is removed (as with lnk_method=2 of AMBER's sander, and in openmm-ml 1.8). The
stretch of Q-M stays, because L is at a fixed distance from Q and does not depend on it. Pairs three
bonds apart also stay, because they belong to the non-bonded interactions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nnpmm.structures.bonds import Pair

__all__ = ["CappedTerms"]


class CappedTerms:
    """Decides which terms the network describes and which stay in the force field.

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

    def include(self, atoms: Collection[int]) -> bool:
        """Return whether the network describes a term over these atoms.

        It does if a link atom replaces each atom outside the region: one that is bonded, within the
        term, to exactly one atom, which is in the region. Of the terms with two atoms, a bond to an
        atom outside stays in the force field; a pair across an angle (Urey-Bradley) is treated like
        the angle.
        """
        outside = [atom for atom in atoms if atom not in self._region]
        if not outside:
            return True
        if len(atoms) == 2:
            return self._spans_an_angle(*atoms)
        return all(self._is_capped(atom, atoms) for atom in outside)

    def _is_capped(self, atom: int, atoms: Collection[int]) -> bool:
        """Return whether a link atom replaces an outside atom in a term over ``atoms``."""
        partners = self._neighbours.get(atom, set()).intersection(atoms)
        return len(partners) == 1 and partners <= self._region

    def _spans_an_angle(self, i: int, j: int) -> bool:
        """Return whether two atoms are the ends of an angle whose centre is in the region."""
        neighbours = self._neighbours.get(i, set())
        centres = neighbours & self._neighbours.get(j, set()) & self._region
        return bool(centres) and j not in neighbours
