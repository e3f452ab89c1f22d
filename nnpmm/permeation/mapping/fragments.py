"""Divide a molecule into connected fragments, one for each bead.

A fragment of four heavy atoms, or of three in a ring, fills a bead exactly. The chosen division has
the smallest

    sum over fragments of (fill - 1)^2 + sum over cut bonds of their penalty,

where fill is (chain atoms) / 4 + (ring atoms) / 3. The penalties keep functional groups in one
fragment.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from rdkit import Chem

__all__ = ["divisions"]

_CHAIN_ATOMS, _RING_ATOMS = 4.0, 3.0
_FULLEST = 1.5  # fill of a fragment
#: Bonds between the first and the last atom of a pattern, and the penalty for cutting one.
_PENALTIES = (
    ("[*]=,#;!@[*]", 0.5),
    ("[CX3](=[O,S,N])!@[O,N,S]", 0.25),  # acids, esters, amides
)
_MOST_TIES = 500  # equally good divisions; symmetric molecules may have very many
_SAME = 1e-9  # tolerance for rounding in comparisons of costs

Division = tuple[frozenset[int], ...]


def divisions(molecule: Chem.Mol) -> list[Division]:
    """Return the best divisions of a molecule into fragments; several if they are equally good.

    The result is deterministic, but depends on the order of atoms: give them in canonical order.

    Args:
        molecule: hydrogens implicit.
    """
    search = _Search(molecule)
    everything = (1 << molecule.GetNumAtoms()) - 1
    found = islice(search.best(everything), _MOST_TIES)
    return [tuple(_members(fragment) for fragment in division) for division in found]


def _members(mask: int) -> frozenset[int]:
    return frozenset(n for n in range(mask.bit_length()) if mask >> n & 1)


class _Search:
    """Exact search by dynamic programming; the bits of an integer are a set of atoms."""

    def __init__(self, molecule: Chem.Mol):
        self._fills = [
            1.0 / (_RING_ATOMS if atom.IsInRing() else _CHAIN_ATOMS) for atom in molecule.GetAtoms()
        ]
        self._near = [
            sum(1 << other.GetIdx() for other in atom.GetNeighbors())
            for atom in molecule.GetAtoms()
        ]
        self._penalties = _cut_penalties(molecule)
        self.cost = lru_cache(maxsize=None)(self._cost)
        self.fragments = lru_cache(maxsize=None)(self._fragments)

    def _cost(self, rest: int) -> float:
        """Return the least cost of dividing these atoms."""
        if rest == 0:
            return 0.0
        return min(
            (own + self.cost(rest & ~fragment) for fragment, own in self.fragments(rest)),
            default=float("inf"),
        )

    def best(self, rest: int) -> Iterator[tuple[int, ...]]:
        """Yield every division of these atoms that has the least cost."""
        if rest == 0:
            yield ()
            return
        least = self.cost(rest)
        for fragment, own in self.fragments(rest):
            if own + self.cost(rest & ~fragment) <= least + _SAME:
                for others in self.best(rest & ~fragment):
                    yield (fragment, *others)

    def _fragments(self, rest: int) -> tuple[tuple[int, float], ...]:
        """Return the fragments of these atoms that contain the first of them, with their cost."""
        first = rest & -rest
        found, new = {first}, {first}
        while new:
            new = {
                fragment | bit
                for fragment in new
                for bit in _bits(self._around(fragment) & rest)
                if self._fill(fragment | bit) <= _FULLEST + _SAME
            } - found
            found |= new
        return tuple((fragment, self._own_cost(fragment)) for fragment in sorted(found))

    def _own_cost(self, fragment: int) -> float:
        # Both fragments at a cut bond contribute half of its penalty.
        cut = sum(
            penalty / 2.0
            for (i, j), penalty in self._penalties.items()
            if (fragment >> i & 1) != (fragment >> j & 1)
        )
        return (self._fill(fragment) - 1.0) ** 2 + cut

    def _fill(self, fragment: int) -> float:
        return sum(self._fills[n] for n in _members(fragment))

    def _around(self, fragment: int) -> int:
        """Return the atoms that are bonded to a fragment."""
        near = 0
        for n in _members(fragment):
            near |= self._near[n]
        return near & ~fragment


def _bits(mask: int) -> Iterator[int]:
    """Yield the bits that are set, each as an integer."""
    while mask:
        yield mask & -mask
        mask &= mask - 1


def _cut_penalties(molecule: Chem.Mol) -> dict[tuple[int, int], float]:
    penalties: dict[tuple[int, int], float] = {}
    for smarts, penalty in _PENALTIES:
        for match in molecule.GetSubstructMatches(Chem.MolFromSmarts(smarts)):
            pair = (min(match[0], match[-1]), max(match[0], match[-1]))
            penalties[pair] = max(penalty, penalties.get(pair, 0.0))
    return penalties
