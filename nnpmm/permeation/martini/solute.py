"""Solutes as graphs of neutral beads, written in one line.

The notation:

* ``C1-C3-N0`` is a chain: a dash bonds a bead to the one before it.
* ``C1-C1-C1+1-3`` is a ring: after ``+`` stand further bonds between beads, counted from 1.
* ``C1-C1-C1.P4+2-4`` is branched: a dot begins a new chain that a further bond ties in.

All bonds are standard Martini bonds (0.47 nm, 1250 kJ/mol/nm^2), without angle terms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations_with_replacement

from nnpmm.core.errors import ForceFieldError
from nnpmm.core.tables import excerpt
from nnpmm.permeation.martini import tables
from nnpmm.permeation.martini.force_field import Bead, Bond, MoleculeType

__all__ = ["canonical_chain", "canonical_graph", "dimers", "parse_solute", "solute_graph"]

_CLOSURE = re.compile(r"^(\d+)-(\d+)$")
_EXAMPLES = "for example C1-P4, C1-C3-N0, or the ring C1-C1-C1+1-3"


def parse_solute(text: str) -> MoleculeType:
    """Return the molecule that a line of the notation describes.

    Raises:
        ForceFieldError: a bead is unknown or charged, a bond is impossible, or the beads are not
            all connected.
    """
    shown = excerpt(text)
    chains, *closures = text.strip().split("+")
    if len(closures) > 1:
        raise ForceFieldError(
            f"solute {shown!r}: found more than one '+', write several bonds as +1-3,2-4"
        )
    beads: list[Bead] = []
    bonds: list[tuple[int, int]] = []
    for chain in chains.split("."):
        names = chain.split("-")
        bonds += [(len(beads) + n, len(beads) + n + 1) for n in range(len(names) - 1)]
        beads += [_bead(shown, name, len(beads) + n + 1) for n, name in enumerate(names)]
    for closure in closures[0].split(",") if closures else ():
        bonds.append(_closure(shown, closure, len(beads), bonds))
    _check_connected(shown, len(beads), bonds)
    return MoleculeType(
        text.strip(), "solute", tuple(beads), tuple(Bond(i, j) for i, j in sorted(bonds))
    )


def _bead(text: str, name: str, number: int) -> Bead:
    if name in tables.NEUTRAL_BEADS:
        return Bead(f"{name}", name)
    allowed = ", ".join(tables.NEUTRAL_BEADS)
    if name in tables.BEAD_TYPES:
        raise ForceFieldError(
            f"solute {text!r}: bead {number} is the charged {name}; solutes are built of the "
            f"neutral beads {allowed}"
        )
    raise ForceFieldError(
        f"solute {text!r}: found the bead {excerpt(name)!r}, known beads: {allowed}; {_EXAMPLES}"
    )


def _closure(
    text: str, closure: str, n_beads: int, bonds: list[tuple[int, int]]
) -> tuple[int, int]:
    match = _CLOSURE.match(closure)
    if match is None:
        raise ForceFieldError(
            f"solute {text!r}: found {excerpt(closure)!r} after '+', expected pairs of bead "
            "numbers such as 1-3"
        )
    i, j = sorted(int(number) - 1 for number in match.groups())
    if i == j or i < 0 or j >= n_beads:
        raise ForceFieldError(
            f"solute {text!r}: found the bond {excerpt(closure)}, expected two different beads "
            f"of 1 to {n_beads}"
        )
    if (i, j) in bonds:
        raise ForceFieldError(f"solute {text!r}: the bond {closure} exists already; remove it")
    return i, j


def _check_connected(text: str, n_beads: int, bonds: Sequence[tuple[int, int]]) -> None:
    reached, new = {0}, {0}
    while new:
        new = {b for i, j in bonds for a, b in ((i, j), (j, i)) if a in new} - reached
        reached |= new
    lost = sorted(set(range(n_beads)) - reached)
    if lost:
        raise ForceFieldError(
            f"solute {text!r}: bead {lost[0] + 1} is not bonded to the rest; connect it by a bond "
            f"such as +1-{lost[0] + 1}"
        )


def canonical_chain(beads: Sequence[str]) -> str:
    """Return the name of a linear chain that does not depend on the end it is read from.

    The end that comes first is the more polar one, in the order of ``tables.BEAD_TYPES``, reversed:
    apolar beads first, as in ``C1-P4``.
    """
    ranks = [-tables.BEAD_TYPES.index(bead) for bead in beads]
    return "-".join(beads if ranks <= ranks[::-1] else list(reversed(beads)))


def solute_graph(types: Sequence[str], bonds: Sequence[tuple[int, int]]) -> tuple[list[int], str]:
    """Return the line of the notation for connected beads, and their order in it.

    A chain is written as ``canonical_chain`` does.

    Args:
        types: of the beads.
        bonds: pairs of different beads, counted from 0, each once.
    """
    near = {n: sorted({a + b - n for a, b in bonds if n in (a, b)}) for n in range(len(types))}
    order = _walk(near)
    if len(bonds) == len(types) - 1 and all(len(others) <= 2 for others in near.values()):
        if canonical_chain([types[n] for n in order]) != "-".join(types[n] for n in order):
            order.reverse()
        return order, "-".join(types[n] for n in order)
    place = {bead: n for n, bead in enumerate(order)}
    pairs = {(min(place[i], place[j]), max(place[i], place[j])) for i, j in bonds}
    text = types[order[0]]
    for n, bead in enumerate(order[1:]):
        text += ("-" if (n, n + 1) in pairs else ".") + types[bead]
        pairs.discard((n, n + 1))
    return order, text + "+" + ",".join(f"{i + 1}-{j + 1}" for i, j in sorted(pairs))


def canonical_graph(text: str) -> str:
    """Return a line of the notation as ``solute_graph`` writes it: ``C1-P4`` for ``P4-C1``.

    Raises:
        ForceFieldError: as ``parse_solute``.
    """
    kind = parse_solute(text)
    return solute_graph([bead.type for bead in kind.beads], [(b.i, b.j) for b in kind.bonds])[1]


def _walk(near: dict[int, list[int]]) -> list[int]:
    """Return all beads, depth first, from one with the fewest neighbours."""
    waiting, order = [min(near, key=lambda n: (len(near[n]), n))], []
    while waiting:
        bead = waiting.pop()
        if bead not in order:
            order.append(bead)
            waiting += reversed(near[bead])
    return order


def dimers() -> list[str]:
    """Return all 105 dimers of the 14 neutral beads, apolar ones first."""
    return [
        canonical_chain(pair)
        for pair in combinations_with_replacement(reversed(tables.NEUTRAL_BEADS), 2)
    ]
