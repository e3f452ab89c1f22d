"""Selections of atoms, and what is said where they fail."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest
from openmm.app import Element, Topology

import nnpmm
from nnpmm.errors import SelectionError
from nnpmm.selection import atom_label, select_atoms

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


def test_mdtraj_topologies_are_as_good(topology):
    converted = mdtraj.Topology.from_openmm(topology)
    np.testing.assert_array_equal(
        nnpmm.select_atoms(converted, "resname MOL"), nnpmm.select_atoms(topology, "resname MOL")
    )


def test_nothing(topology):
    with pytest.raises(SelectionError, match=r"matches nothing; residue names here: HOH, MOL$"):
        select_atoms(topology, "resname LIG")


@pytest.mark.parametrize("selection", ["resname MOL HOH", "mass > 0", "everything"])
def test_everything(topology, selection):
    with pytest.raises(SelectionError, match=r"matches all 12 atoms; narrow it, or write .all."):
        select_atoms(topology, selection)


@pytest.mark.parametrize(
    "selection", ["", "resname", "ligand MOL", "resname MOL and", "(resname MOL", "index -1 to"]
)
def test_text_that_cannot_be_read(topology, selection):
    with pytest.raises(SelectionError) as caught:
        select_atoms(topology, selection)
    assert "\n" not in str(caught.value)
    assert repr(selection) in str(caught.value)
    assert isinstance(caught.value, nnpmm.NnpmmError)


def test_many_residue_names_are_not_all_listed():
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
