"""The one-line notation of solutes."""

import pytest

from nnpmm.core.errors import ForceFieldError
from nnpmm.permeation.martini import canonical_chain, dimers, parse_solute


@pytest.mark.parametrize(
    ("text", "types", "bonds"),
    [
        ("P4", ["P4"], []),
        ("C1-P4", ["C1", "P4"], [(0, 1)]),
        ("C1-C3-N0", ["C1", "C3", "N0"], [(0, 1), (1, 2)]),
        ("C1-C1-C1+1-3", ["C1", "C1", "C1"], [(0, 1), (0, 2), (1, 2)]),
        ("C1-C1-C1.P4+2-4", ["C1", "C1", "C1", "P4"], [(0, 1), (1, 2), (1, 3)]),
        ("C1.C1.C1+2-1,3-2", ["C1"] * 3, [(0, 1), (1, 2)]),
    ],
)
def test_notation_is_parsed(text, types, bonds):
    solute = parse_solute(text)
    assert [bead.type for bead in solute.beads] == types
    assert [(bond.i, bond.j) for bond in solute.bonds] == bonds
    assert solute.name == text
    assert not solute.angles
    assert all((bond.length, bond.force_constant) == (0.47, 1250.0) for bond in solute.bonds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C1-X9", "'X9', known beads: P5"),
        ("", "known beads"),
        ("C1-", "known beads"),
        ("C1-BP4", "'BP4', known beads"),
        ("C1-Qa", "bead 2 is the charged Qa"),
        ("C1.C1", "bead 2 is not bonded"),
        ("C1-C1.P4-P4", r"bead 3 is not bonded to the rest; connect it by a bond such as \+1-3"),
        ("C1-C1+1-2", "the bond 1-2 exists already"),
        ("C1-C1-C1+1-4", "expected two different beads of 1 to 3"),
        ("C1-C1-C1+0-2", "expected two different beads of 1 to 3"),
        ("C1-C1-C1+1-1", "two different beads"),
        ("C1-C1-C1+", "pairs of bead numbers"),
        ("C1-C1-C1+1-3+1-2", "more than one"),
    ],
)
def test_invalid_solutes_are_refused(text, message):
    with pytest.raises(ForceFieldError, match=message) as caught:
        parse_solute(text)
    assert "\n" not in str(caught.value)


def test_dimers():
    names = dimers()
    assert len(names) == len(set(names)) == 105
    assert names[0] == "C1-C1" and "C1-P4" in names and "P4-C1" not in names
    assert {canonical_chain(name.split("-")[::-1]) for name in names} == set(names)


def test_canonical_chain_is_independent_of_direction():
    assert canonical_chain(["N0", "C3", "C1"]) == canonical_chain(["C1", "C3", "N0"]) == "C1-C3-N0"
