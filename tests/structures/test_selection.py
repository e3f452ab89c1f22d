"""Selections of atoms, and messages for invalid ones."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest
from openmm.app import Element, Topology

import nnpmm
from nnpmm.core.errors import SelectionError
from nnpmm.structures.selection import atom_label, select_atoms

WATER = (("O", "O"), ("H1", "H"), ("H2", "H"))
METHANOL = (("C1", "C"), ("O1", "O"), *((f"H{i}", "H") for i in range(1, 5)))


@pytest.fixture
def topology():
    """Methanol between two waters."""
    topology = Topology()
    for chain_atoms, name in ((WATER, "HOH"), (METHANOL, "MOL"), (WATER, "HOH")):
        residue = topology.addResidue(name, topology.addChain())
        for atom, symbol in chain_atoms:
            topology.addAtom(atom, Element.getBySymbol(symbol), residue)
    return topology


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("resname MOL", [3, 4, 5, 6, 7, 8]),
        ("not water", [3, 4, 5, 6, 7, 8]),
        ("chainid 1", [3, 4, 5, 6, 7, 8]),
        ("resname MOL and not element H", [3, 4]),
        ("index 10 or index 4", [4, 10]),
        ("resid 0 2", [0, 1, 2, 9, 10, 11]),
        ("all", list(range(12))),
        (" all ", list(range(12))),
    ],
)
def test_selections(topology, selection, expected):
    found = select_atoms(topology, selection)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


def test_mdtraj_topologies_are_accepted(topology):
    converted = mdtraj.Topology.from_openmm(topology)
    np.testing.assert_array_equal(
        nnpmm.select_atoms(converted, "resname MOL"), nnpmm.select_atoms(topology, "resname MOL")
    )


@pytest.fixture
def complex_():
    """A peptide with inserted residues and a negative number, two ligands, ions and waters."""
    topology = Topology()
    backbone = (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C"), ("H", "H"))
    chain = topology.addChain()
    for number, code in (("-5", ""), ("59", ""), ("60", ""), ("60", "A"), ("60", "B"), ("61", "")):
        residue = topology.addResidue("ALA", chain, number, code)
        atoms = [topology.addAtom(n, Element.getBySymbol(e), residue) for n, e in backbone]
        for first, second in ((0, 1), (1, 2), (2, 3), (1, 4), (0, 5)):
            topology.addBond(atoms[first], atoms[second])
    for name in ("36H", "017", "000", "5E0", "NOT", "A+B", "MOL"):
        residue = topology.addResidue(name, topology.addChain(), "1")
        for atom, symbol in (("C1'", "C"), ("O5*", "O"), ("H5''", "H"), ("12", "H")):
            topology.addAtom(atom, Element.getBySymbol(symbol), residue)
    for name, atoms in (("NA", (("NA", "Na"),)), ("CL-", (("CL-", "Cl"),)), ("HOH", WATER)):
        residue = topology.addResidue(name, topology.addChain(), "1")
        for atom, symbol in atoms:
            topology.addAtom(atom, Element.getBySymbol(symbol), residue)
    return topology


def _labels(topology, selection):
    atoms = list(topology.atoms())
    found = (atoms[i].residue for i in select_atoms(topology, selection))
    return sorted({f"{r.name}:{r.id}{r.insertionCode.strip()}" for r in found})


@pytest.mark.parametrize(
    "selection",
    [
        "protein and backbone",
        "protein and not sidechain",
        "water",
        "not water and not protein",
        "resname MOL HOH",
        "resname ALA or (resname MOL and element C)",
        "name CA CB and resid 1 to 3",
        "chainid 0 2",
        "index 3 to 8",
        "index < 4",
        "element != C",
        "type H",
        "mass > 15.5",
        "mass 10 to 15",
        "n_bonds 3",
        "resSeq 59",
        "rescode A",
        "name =~ '^H'",
        "resname =~ 'M.L'",
        "(resname == 'MOL') and (name != '12')",
        "!protein && (water || resname MOL)",
        "all and nothing or resn MOL",
        "resname A to MOK",
    ],
)
def test_selections_match_mdtraj(complex_, selection):
    expected = mdtraj.Topology.from_openmm(complex_).select(selection)
    assert 0 < len(expected) < complex_.getNumAtoms()
    np.testing.assert_array_equal(select_atoms(complex_, selection), np.sort(expected))


@pytest.mark.parametrize("name", ["36H", "017", "000", "5E0", "NOT", "A+B", "CL-", "NA", "MOL"])
def test_residue_names_need_no_quotes(complex_, name):
    for selection in (
        f"resname {name}",
        f"resname '{name}'",
        f'resname "{name}"',
        f"resname == {name}",
        f"(resname {name})",
        f"{name} == resname",
        f"not resname != {name}",
    ):
        assert {label.split(":")[0] for label in _labels(complex_, selection)} == {name}
    assert name not in {
        label.split(":")[0] for label in _labels(complex_, f"not resname {name} HOH")
    }


@pytest.mark.parametrize("name", ["C1'", "O5*", "H5''", "12"])
def test_atom_names_need_no_quotes(complex_, name):
    atoms = list(complex_.atoms())
    found = select_atoms(complex_, f"name {name} and resname MOL 36H")
    assert [atoms[i].name for i in found] == [name, name]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("residue 60", ["ALA:60"]),
        ("resSeq 60", ["ALA:60"]),
        ("residue == 60", ["ALA:60"]),
        ("residue 60A", ["ALA:60A"]),
        ("residue 60A 60B", ["ALA:60A", "ALA:60B"]),
        ("residue -5 60B", ["ALA:-5", "ALA:60B"]),
        ("protein and residue -5 to 59", ["ALA:-5", "ALA:59"]),
        ("residue 59 to 60A", ["ALA:59", "ALA:60", "ALA:60A"]),
        ("residue 60A to 61", ["ALA:60A", "ALA:60B", "ALA:61"]),
        ("residue > 60", ["ALA:60A", "ALA:60B", "ALA:61"]),
        ("protein and residue != 60", ["ALA:-5", "ALA:59", "ALA:60A", "ALA:60B", "ALA:61"]),
        ("protein and not residue 60A 60B", ["ALA:-5", "ALA:59", "ALA:60", "ALA:61"]),
    ],
)
def test_insertion_codes(complex_, selection, expected):
    assert _labels(complex_, selection) == sorted(expected)


def test_comparisons_bind_more_tightly_than_logic(topology):
    for selection in (
        "resname MOL && mass < 5",
        "mass < 5 && resname MOL",
        "mass lt 5 and resname MOL",
        "resname MOL and not mass > 5",
        "resname MOL and name =~ 'H.*'",
        "name =~ 'H.*' and resname MOL",
        "index >= 5 and index <= 8",
        "8 >= index and 5 le index",
    ):
        np.testing.assert_array_equal(select_atoms(topology, selection), [5, 6, 7, 8])


@pytest.mark.parametrize("selection", ["index 99", "resid 7", "chainid 3", "residue 99"])
def test_missing_residue_numbers(topology, selection):
    for text in (selection, f"not {selection}"):
        with pytest.raises(SelectionError, match=r"matches nothing; the topology has 12 atoms"):
            select_atoms(topology, text)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("residue 60C", ["60C matches nothing", "60 (resid 2), residue 60A (resid 3)"]),
        ("not residue 59A", ["59A matches nothing", "residue 59 (resid 1)"]),
        ("residue 99A", ["99A matches nothing", "none"]),
    ],
)
def test_missing_insertion_codes(complex_, selection, words):
    _refused(complex_, selection, *words)


def test_a_number_with_inserted_residues_only():
    topology = Topology()
    residue = topology.addResidue("ALA", topology.addChain(), "60", "A")
    topology.addAtom("CA", Element.getBySymbol("C"), residue)
    _refused(topology, "residue 60", "60 matches nothing", "residue 60A (resid 0)")


def test_insertion_codes_in_an_mdtraj_topology(complex_):
    converted = mdtraj.Topology.from_openmm(complex_)
    _refused(converted, "residue 60A", "an mdtraj topology contains no insertion codes", "resid 2")


def test_residue_ids_that_are_not_numbers():
    # mdtraj gives such a residue its index as its number.
    topology = Topology()
    chain = topology.addChain()
    for residue_id in ("x", "y", "1"):
        residue = topology.addResidue("ALA", chain, residue_id)
        topology.addAtom("CA", Element.getBySymbol("C"), residue)
    np.testing.assert_array_equal(select_atoms(topology, "residue 1"), [2])


def _refused(topology, selection, *words):
    with pytest.raises(SelectionError) as caught:
        select_atoms(topology, selection)
    message = str(caught.value)
    assert isinstance(caught.value, nnpmm.NnpmmError)
    assert "\n" not in message
    assert len(message) < 450, message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "selection",
    [
        "resname LIG",
        "resname SOL",
        "not resname SOL and not element H",
        "not resname HOH SOL",
        "resname MOL or resname != SOL",
        "resname == SOL or resname MOL",
    ],
)
def test_missing_residue_names(topology, selection):
    _refused(topology, selection, "matches nothing", "SOL and WAT to HOH", "here: HOH, MOL")


def test_missing_atom_names(topology):
    _refused(topology, "not name OW", "name OW matches nothing")
    # A list may name atoms that only some molecules have.
    np.testing.assert_array_equal(select_atoms(topology, "name C1 OXT"), [3])
    np.testing.assert_array_equal(
        select_atoms(topology, "resname MOL and not element N"), range(3, 9)
    )


@pytest.mark.parametrize(
    "selection",
    ["resname MOL AND name C1", "name C1 AND resname MOL", "name C1 resname MOL", "name C1 NOT"],
)
def test_operators_in_capitals_and_implied_operators(topology, selection):
    _refused(topology, selection, "in lower case", "before the next keyword")


def test_selection_without_matches_is_refused(topology):
    _refused(topology, "resname MOL and water", "matches nothing; residue names here: HOH, MOL")


@pytest.mark.parametrize("selection", ["resname MOL HOH", "mass > 0", "everything"])
def test_selection_of_all_atoms_is_refused(topology, selection):
    with pytest.raises(SelectionError, match=r"matches all 12 atoms; narrow it, or write .all."):
        select_atoms(topology, selection)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("", ["the selection ends", "at the end"]),
        ("resname", ["a value for 'resname'", "at the end"]),
        ("ligand MOL", ["'ligand'", "a keyword such as resname", "at character 1"]),
        ("resnmae MOL", ["did you mean 'resname'?"]),
        ("resname MOL and", ["the selection ends", "at the end"]),
        ("resname MOL and or water", ["found 'or'", "at character 17"]),
        ("(resname MOL", ["'(' is not closed", "at character 1"]),
        ("resname MOL)", ["')' closes nothing", "at character 12"]),
        ("resname 'MOL", ["the quote is not closed", "at character 9"]),
        ("resname = MOL", ["write ==", "at character 9"]),
        ("resname MOL & water", ["write and", "at character 13"]),
        ("water resname MOL", ["found 'resname'", "'and', 'or' or the end"]),
        ("(water resname MOL)", ["found 'resname'", "'and', 'or' or ')'"]),
        ("index -1 to", ["found '-1' after 'index'", "a whole number"]),
        ("index 1-5", ["found '1-5'", "'1 to 5'", "at character 7"]),
        ("resid 1:5", ["found '1:5'", "'1 to 5'"]),
        ("chainid A", ["found 'A' after 'chainid'"]),
        ("residue 60AB", ["found '60AB'", "60A"]),
        ("mass <", ["a value for 'mass'"]),
        ("mass < heavy", ["found 'heavy' after 'mass'"]),
        ("5 < 6", ["a keyword such as resname is expected"]),
        ("name =~ '*'", ["not a regular expression"]),
        ("index =~ '1'", ["'=~' compares names"]),
        ("(" * 2000, ["nested"]),
        ("not " * 2000 + "water", ["nested"]),
        ("water or " * 500 + "ligand", ["'ligand'", "at character 4501", "near"]),
        ("resname " + "A" * 5000, ["matches nothing"]),
        ("\n", ["the selection ends"]),
        ("resname MOL\nand name", ["a value for 'name'"]),
        (5, ["found the selection 5, expected a text"]),
    ],
)
def test_invalid_selections_are_refused(topology, selection, words):
    _refused(topology, selection, *words)


def test_long_lists_of_residue_names_are_truncated():
    topology = Topology()
    chain = topology.addChain()
    for i in range(100):
        topology.addAtom("X", Element.getBySymbol("C"), topology.addResidue(f"R{i:02d}", chain))
    with pytest.raises(SelectionError) as caught:
        select_atoms(topology, "resname NONE")
    assert str(caught.value).endswith("R29, ...")


def test_atom_label(topology):
    atoms = list(topology.atoms())
    assert atom_label(atoms[4]) == "MOL2:O1"


def test_atom_label_with_an_insertion_code(complex_):
    assert [atom_label(a) for a in complex_.atoms()][22] == "ALA60A:CB"
