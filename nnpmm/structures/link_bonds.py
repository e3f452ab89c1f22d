"""Bonds that a region may cut, and the distances to the hydrogens that cap them.

A bond may be cut if it is a single one and outside small rings. It is single if the topology says
so, or if one of its atoms has as many neighbours as its element forms single bonds (carbon four,
oxygen and sulfur two): no valence is then left for a multiple bond. A bond C(=X)-N with X = O, N or
S is partly double, whatever its stated order, and counts as an amide bond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openmm import unit
from openmm.app import Amide, Aromatic, Double, Single, Topology, Triple

from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.core.units import in_md_units
from nnpmm.structures.bonds import Pair, sorted_pair
from nnpmm.structures.selection import atom_label

__all__ = [
    "AMIDE",
    "ANY_SINGLE",
    "HYDROGEN_DISTANCES",
    "bond_labels",
    "check_cut_bonds",
    "checked_distances",
    "checked_kinds",
    "link_distance",
]

#: Kinds of bonds other than pairs of elements such as ``"C-S"``.
ANY_SINGLE, AMIDE = "any single", "amide"
#: Length of a bond to hydrogen, nm. C, N, O, S: equilibrium lengths of the Amber force fields
#: (Cornell et al., J. Am. Chem. Soc. 1995, 117, 5179: CT-HC, N-H, OH-HO, SH-HS); the others: of
#: BH3, HF, SiH4, PH3, HCl, H2Se, HBr and HI in the gas (CRC Handbook of Chemistry and Physics).
HYDROGEN_DISTANCES = {
    "B": 0.119,
    "C": 0.109,
    "N": 0.101,
    "O": 0.096,
    "F": 0.0917,
    "Si": 0.148,
    "P": 0.142,
    "S": 0.1336,
    "Cl": 0.1275,
    "Se": 0.146,
    "Br": 0.1414,
    "I": 0.1609,
}
# With this number of neighbours, an atom has only single bonds.
_SATURATED = {
    **{"B": 4, "C": 4, "N": 4, "Si": 4, "O": 2, "S": 2, "Se": 2},
    **dict.fromkeys(("F", "Cl", "Br", "I"), 1),
}
# Atoms. The link atoms of two cuts through a larger ring, such as one that a disulfide bond closes,
# are far enough from each other.
_LARGEST_RING = 8
_WHERE = "among the bonds of LinkAtoms (link_atoms=..., region.link_atoms)"
_SHORTEST, _LONGEST = 0.05, 0.25  # nm
_MULTIPLE = {Double: "double", Triple: "triple", Aromatic: "aromatic", 2: "double", 3: "triple"}


def _element_pair(text: str) -> tuple[str, str]:
    """Return the two symbols of a pair such as ``"C-S"``.

    Raises:
        ConfigError: it is not a pair of elements with a known bond length to hydrogen.
    """
    first, dash, second = text.partition("-") if isinstance(text, str) else ("", "", "")
    if not dash or {first, second} - set(HYDROGEN_DISTANCES):
        raise ConfigError(
            f"found the bond {text!r}, allowed: two of {', '.join(HYDROGEN_DISTANCES)} with a "
            "dash between them, such as C-S"
        )
    return first, second


def checked_kinds(kinds: str | Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of bonds that may be cut as a tuple.

    Raises:
        ConfigError: there is no kind, or one is neither a pair of elements nor a known word.
    """
    found = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not found:
        raise ConfigError("found no kind of bond for link atoms; give one or more, such as C-C")
    for kind in found:
        if kind in (ANY_SINGLE, AMIDE):
            continue
        try:
            _element_pair(kind)
        except ConfigError as error:
            raise ConfigError(f"{error}, '{ANY_SINGLE}', or '{AMIDE}'") from None
    return found


def checked_distances(distances: Mapping[str, Any]) -> dict[str, float]:
    """Return distances to link atoms by bond, the region's atom first, in nm.

    Raises:
        ConfigError: a key is not a bond, or a distance is impossible for a bond to hydrogen.
    """
    found = {}
    for bond, distance in distances.items():
        _element_pair(bond)
        found[bond] = float(in_md_units(distance, unit.nanometer))
        if not _SHORTEST <= found[bond] <= _LONGEST:
            raise ConfigError(
                f"found the distance {found[bond]:g} nm to the link atom of {bond}, allowed: "
                f"{_SHORTEST} to {_LONGEST} nm"
            )
    return found


def check_cut_bonds(
    topology: Topology, cut: Sequence[Pair], kinds: Sequence[str] = ("C-C",)
) -> None:
    """Check that link atoms can cap every cut bond, and that its kind was chosen.

    Args:
        topology: with elements and all bonds.
        cut: bonds as (atom in, atom out).
        kinds: that may be cut, see `checked_kinds`.

    Raises:
        RegionError: a bond is not a single one between non-metals, is in a ring, is of another
            kind, or shares its outer atom with another; the bonds are named.
    """
    bonds = _Bonds(topology)
    reasons: dict[str, list[Pair]] = {}
    for pair in cut:
        reason = bonds.objection(*pair, kinds)
        if reason is not None:
            reasons.setdefault(reason, []).append(pair)
    if reasons:
        reason, pairs = next(iter(reasons.items()))
        raise RegionError(
            f"link atoms cannot cap {len(pairs)} of the cut bonds "
            f"({bond_labels(topology, pairs)}): {reason}"
        )
    ends = [outside for _, outside in cut]
    crowded = [pair for pair in cut if ends.count(pair[1]) > 1]
    if crowded:
        raise RegionError(
            f"{len(crowded)} of the cut bonds ({bond_labels(topology, crowded)}) end at a "
            "neighbour that they share, where their link atoms would overlap; allowed: one cut "
            "bond for each atom outside; include the neighbour in the region, or keep only one of "
            "its sides"
        )


def link_distance(inside: str, outside: str, given: Mapping[str, float]) -> float:
    """Return the distance of a link atom from its atom, nm.

    Args:
        inside: symbol of the region's atom.
        outside: symbol of the neighbour that is cut off.
        given: distances by bond, the region's atom first, such as ``{"N-C": 0.101}``.
    """
    return given.get(f"{inside}-{outside}", HYDROGEN_DISTANCES[inside])


def bond_labels(topology: Topology, bonds: Sequence[Pair]) -> str:
    """Return the first five bonds by their atoms' labels, for messages."""
    atoms = list(topology.atoms())
    listed = ", ".join(f"{atom_label(atoms[i])}-{atom_label(atoms[j])}" for i, j in bonds[:5])
    return listed + (", ..." if len(bonds) > 5 else "")


class _Bonds:
    """The bonds of a topology, with their orders."""

    def __init__(self, topology: Topology) -> None:
        self.symbols = [
            "" if atom.element is None else atom.element.symbol for atom in topology.atoms()
        ]
        self.neighbours: list[set[int]] = [set() for _ in self.symbols]
        self.orders: dict[Pair, Any] = {}
        for bond in topology.bonds():
            i, j = bond.atom1.index, bond.atom2.index
            self.neighbours[i].add(j)
            self.neighbours[j].add(i)
            self.orders[sorted_pair(i, j)] = bond.order if bond.type is None else bond.type

    def objection(self, i: int, j: int, kinds: Sequence[str]) -> str | None:
        """Return why link atoms cannot cap a bond, and what is allowed; None if they can."""
        pair = "-".join(sorted((self.symbols[i], self.symbols[j])))
        if not {self.symbols[i], self.symbols[j]} <= set(HYDROGEN_DISTANCES):
            return (
                f"found a {pair} bond, allowed: single bonds between two of "
                f"{', '.join(HYDROGEN_DISTANCES)}; move the boundary"
            )
        order = self._order(i, j)
        amide = order is Amide or self._is_amide(i, j) or self._is_amide(j, i)
        if order in _MULTIPLE:
            return f"found a bond that is {_MULTIPLE[order]}, allowed: single; move the boundary"
        if not (order in (Single, 1) or self._is_saturated(i) or self._is_saturated(j) or amide):
            return (
                f"found a {pair} bond of unknown order, allowed: single bonds, one of whose atoms "
                "has all its neighbours (carbon four, oxygen and sulfur two) or whose order the "
                "topology gives; move the boundary, or give a topology with all bonds and orders"
            )
        size = self._ring_size(i, j)
        if size is not None:
            return (
                f"found a bond in a ring of {size} atoms, allowed: bonds outside rings of up to "
                f"{_LARGEST_RING} atoms; include the whole ring in the region, or leave it out"
            )
        return _choice(pair, amide, kinds)

    def _order(self, i: int, j: int) -> Any:
        return self.orders.get(sorted_pair(i, j))

    def _is_saturated(self, atom: int) -> bool:
        return bool(len(self.neighbours[atom]) == _SATURATED.get(self.symbols[atom]))

    def _is_amide(self, carbon: int, nitrogen: int) -> bool:
        """Return whether a planar carbon joins a nitrogen to O, N or S, as in amides."""
        if (self.symbols[carbon], self.symbols[nitrogen]) != ("C", "N"):
            return False
        if len(self.neighbours[carbon]) != 3 or len(self.neighbours[nitrogen]) > 3:
            return False
        others = self.neighbours[carbon] - {nitrogen}
        if self._order(carbon, nitrogen) in (Single, 1):
            return any(self.symbols[atom] in ("O", "N", "S") for atom in others)
        # Without orders only a terminal O or S is known to have the double bond.
        return any(self.symbols[k] in ("O", "S") and len(self.neighbours[k]) == 1 for k in others)

    def _ring_size(self, i: int, j: int) -> int | None:
        """Return the size of the smallest ring with a bond, if it is a small one."""
        reached = seen = {i}
        for size in range(2, _LARGEST_RING + 1):
            around = set().union(*(self.neighbours[atom] for atom in reached)) - seen
            reached = around - {j} if reached == {i} else around
            seen = seen | reached
            if j in seen:
                return size
        return None


def _choice(pair: str, amide: bool, kinds: Sequence[str]) -> str | None:
    """Return the setting that allows this kind of single bond, for a message."""
    allowed = ", ".join(kinds)
    if amide:
        if AMIDE in kinds:
            return None
        return (
            f"found an amide bond, which is partly double, allowed: {allowed}; move the boundary "
            f"to a carbon with four neighbours, or allow it: '{AMIDE}' {_WHERE}"
        )
    pairs = {"-".join(sorted(kind.split("-"))) for kind in kinds}
    if ANY_SINGLE in kinds or pair in pairs:
        return None
    return (
        f"found a {pair} bond, allowed: {allowed}; move the boundary, or allow it: "
        f"'{pair}' or '{ANY_SINGLE}' {_WHERE}"
    )
