"""The charge of a region: an integer for the network, and the excess of the force field.

Force fields assign integer charges to residues, not to their parts, so the charges of a region that
cuts bonds add up to an integer plus an excess. The bonds of the capped part determine which
integers are possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.structures.bonds import Pair

__all__ = ["CHARGE_ROUNDING", "RegionCharge", "charges_of", "region_charge", "shift_charges"]

#: Largest total charge, in e, that rounding of published charges leaves on a neutral molecule.
CHARGE_ROUNDING = 0.05
# The same for a part that ends at cut bonds. An Amber residue's backbone carries up to 0.14 e
# (aspartate), which its side chain balances.
_CUT_ROUNDING = 0.2
_NO_CHANGE = 1e-9  # e
# Atoms; the search for formal charges takes minutes for larger parts, such as a protein chain.
_LARGEST_CHECKED = 500


class RegionCharge(NamedTuple):
    """The charge of a region.

    Attributes:
        charge: an integer, e.
        excess: charge of the force field less this, e, for each cut bond: a molecule's excess is
            divided equally between its cuts.
    """

    charge: int
    excess: tuple[float, ...]


class _Part(NamedTuple):
    """The part of a molecule in the region.

    Attributes:
        first: index of its first atom, for messages.
        total: sum of its charges in the force field, e.
        symbols: of its atoms and link atoms.
        bonds: between these, as pairs of row numbers, (m, 2).
        n_cuts: number of bonds that the region cuts.
    """

    first: int
    total: float
    symbols: list[str]
    bonds: NDArray[np.int64]
    n_cuts: int


def region_charge(
    charges: NDArray[np.float64],
    atoms: NDArray[np.int64],
    symbols: Sequence[str],
    bonds: NDArray[np.int64],
    molecules: Sequence[NDArray[np.int64]],
    *,
    neutral: bool,
    anchors: NDArray[np.int64] | None = None,
    charge_rule: Literal["keep", "shift"] = "keep",
) -> RegionCharge:
    """Return the charge of a region.

    For a molecule that the region cuts, this is the integer nearest to its sum. If the sum is far
    from any integer and charges are shifted, it is the neighbouring integer that the bonds of the
    capped part allow.

    Args:
        charges: of the region's atoms, and of virtual sites, which follow them, e.
        atoms: their indices, for messages, (n,).
        symbols: chemical symbol of each atom.
        bonds: pairs of rows of the atoms, (m, 2).
        molecules: rows of each molecule's atoms and sites.
        neutral: whether the network describes only neutral molecules.
        anchors: for each cut bond, the row of its atom in the region.
        charge_rule: see `nnpmm.coupling.LinkAtoms`.

    Raises:
        RegionError: the charges do not add up to an integer, or the bonds of a capped part exclude
            this integer; or a molecule is charged, but the network describes only neutral ones.
    """
    anchors = np.zeros(0, dtype=np.int64) if anchors is None else anchors
    parts = [_part(charges, atoms, symbols, bonds, rows, anchors) for rows in molecules]
    if len(anchors):
        found = [_part_charge(part, charge_rule) for part in parts]
        total = sum(found)
    else:
        found = [round(part.total) for part in parts]
        total = _rounded(float(charges.sum()), CHARGE_ROUNDING)
    if neutral:
        _refuse_charged(parts, found, total)
    excess = np.zeros(len(anchors))
    for rows, part, charge in zip(molecules, parts, found, strict=True):
        if part.n_cuts:
            excess[np.isin(anchors, rows)] = (part.total - charge) / part.n_cuts
    return RegionCharge(total, tuple(excess.tolist()))


def _part(
    charges: NDArray[np.float64],
    atoms: NDArray[np.int64],
    symbols: Sequence[str],
    bonds: NDArray[np.int64],
    rows: NDArray[np.int64],
    anchors: NDArray[np.int64],
) -> _Part:
    """Return the capped part of a molecule; the arguments are those of `region_charge`."""
    inside = np.sort(rows[rows < len(atoms)])
    capped = np.searchsorted(inside, anchors[np.isin(anchors, inside)])
    links = len(inside) + np.arange(len(capped))
    own = np.searchsorted(inside, bonds[np.isin(bonds[:, 0], inside)])
    return _Part(
        first=int(atoms[inside[0]]),
        total=float(charges[rows].sum()),
        symbols=[symbols[row] for row in inside.tolist()] + ["H"] * len(capped),
        bonds=np.concatenate([own, np.column_stack([capped, links])]),
        n_cuts=len(capped),
    )


def _part_charge(part: _Part, rule: str) -> int:
    """Return the integer charge of a part, or raise a RegionError if there is none."""
    if not part.n_cuts:
        return _rounded(part.total, CHARGE_ROUNDING)
    nearest = round(part.total)
    if rule == "shift" and abs(part.total - nearest) > _CUT_ROUNDING:
        neighbours = _allowed_charges(part, (math.floor(part.total), math.ceil(part.total)))
        if len(neighbours) == 1:
            return neighbours[0]
    _rounded(part.total, _CUT_ROUNDING, rule)  # raises if the sum is too far from an integer
    if _allowed_charges(part, (nearest,)):
        return nearest
    others = _allowed_charges(part, range(-4, 5))
    if others:
        allowed = ", ".join(f"{charge:+d}" if charge else "0" for charge in others)
        raise RegionError(
            f"the charges of the part of the region that begins at atom {part.first} add up to "
            f"{part.total:+.3f} e, which is {nearest:+d} as an integer, but its capped bonds allow "
            f"{allowed}: move the boundary or correct the charges"
        )
    return nearest  # no charge gives every atom a normal valence, so the bonds exclude none


def _allowed_charges(part: _Part, charges: Iterable[int]) -> list[int]:
    """Return which charges the bonds of the capped part allow; none if it is too large."""
    from nnpmm.structures.formal_charge import allows_charge

    if len(part.symbols) > _LARGEST_CHECKED:
        return []
    return [charge for charge in charges if allows_charge(part.symbols, part.bonds, charge)]


def _rounded(total: float, tolerance: float, rule: str | None = None) -> int:
    """Return the nearest integer; ``rule`` is that of link atoms, for the message."""
    if abs(total - round(total)) <= tolerance:
        return round(total)
    remedy = {
        "keep": "move the boundary, correct the charges, or let link atoms shift the excess to "
        "the neighbours (charges='shift')",
        "shift": "the bonds of the capped region do not determine which one is meant: move the "
        "boundary or correct the charges",
    }.get(rule or "", "select whole molecules or correct the charges")
    raise RegionError(
        f"the region's charges add up to {total:+.3f} e, not to an integer within {tolerance} e; "
        f"{remedy}"
    )


def _refuse_charged(parts: list[_Part], charges: list[int], total: int) -> None:
    """Refuse a charge, and separate ions whose charges cancel: each would be described wrongly."""
    if total != 0:
        raise RegionError(
            f"the region has charge {total:+d} e, but the model describes only neutral molecules; "
            "select a neutral molecule, use a model that takes charges, such as AIMNet2, or allow "
            "the charge to be ignored (IgnoringCharge, region.allow_charged)"
        )
    charged = [
        f"{charge:+d} (from atom {part.first} on)"
        for part, charge in zip(parts, charges, strict=True)
        if charge
    ]
    if len(parts) > 1 and charged and sum(charges) == 0:
        raise RegionError(
            f"the region has {len(charged)} charged molecules with {', '.join(charged[:5])} e, but "
            "the model describes only neutral molecules; select neutral molecules, use a model "
            "that takes charges, such as AIMNet2, or allow charges to be ignored (IgnoringCharge, "
            "region.allow_charged)"
        )


def charges_of(force: openmm.NonbondedForce, atoms: list[int]) -> NDArray[np.float64]:
    """Return the charges of some particles, (n,), e."""
    found = [force.getParticleParameters(atom)[0] for atom in atoms]
    return np.array([charge.value_in_unit(unit.elementary_charge) for charge in found])


def shift_charges(system: openmm.System, cut: Sequence[Pair], excess: Sequence[float]) -> None:
    """Move charge across cut bonds, in place, and scale the 1-4 pairs of the atoms concerned.

    Args:
        system: the system, with one NonbondedForce.
        cut: bonds as (atom in, atom out).
        excess: charge that moves from the atom inside to the one outside, for each bond, e.

    Raises:
        ForceFieldError: another force has its own charges, or an atom of a 1-4 pair has no charge,
            from which the scale of the pair would follow.
    """
    for other in system.getForces():
        if isinstance(other, (openmm.GBSAOBCForce, openmm.CustomGBForce)):
            raise ForceFieldError(
                f"found a {type(other).__name__}, which has its own charges; allowed with it: "
                "charges='keep' of LinkAtoms (region.link_atoms)"
            )
    force = find_nonbonded_force(system)
    changes: dict[int, float] = {}
    for (inside, outside), charge in zip(cut, excess, strict=True):
        changes[inside] = changes.get(inside, 0.0) - charge
        changes[outside] = changes.get(outside, 0.0) + charge
    factors = {}
    for atom, change in changes.items():
        if abs(change) < _NO_CHANGE:
            continue
        charge, sigma, epsilon = force.getParticleParameters(atom)
        force.setParticleParameters(atom, charge._value + change, sigma, epsilon)
        factors[atom] = 1 + change / charge._value if charge._value else None
    for index in range(force.getNumExceptions()):
        i, j, product, sigma, epsilon = force.getExceptionParameters(index)
        scaled = [factors[k] for k in (i, j) if k in factors]
        if not scaled:
            continue
        if None in scaled and epsilon._value:
            raise ForceFieldError(
                f"found no charge on an atom of the 1-4 pair {i} and {j}, so that its scale is not "
                "known; allowed: charges='keep' of LinkAtoms (region.link_atoms)"
            )
        factor = math.prod(f for f in scaled if f is not None)
        force.setExceptionParameters(index, i, j, product * factor, sigma, epsilon)
