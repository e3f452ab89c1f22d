"""Bonds at which a region may be cut, by bond orders or neighbours, and messages for others."""

from __future__ import annotations

import pytest
from openmm import app
from rdkit import Chem

from nnpmm.core.errors import RegionError
from nnpmm.structures import molecule_from_smiles, to_openmm_topology
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.link_bonds import (
    AMIDE,
    ANY_SINGLE,
    HYDROGEN_DISTANCES,
    check_cut_bonds,
    link_distance,
)


def topology_of(smiles, *, orders):
    """With bond orders, or without as in PDB files and Amber topologies."""
    topology, _ = to_openmm_topology(molecule_from_smiles(smiles, seed=1))
    if orders:
        return topology
    bare = app.Topology()
    residue = bare.addResidue("MOL", bare.addChain())
    atoms = [bare.addAtom(a.name, a.element, residue) for a in topology.atoms()]
    for first, second in topology.bonds():
        bare.addBond(atoms[first.index], atoms[second.index])
    return bare


# SMILES, bond as (inside, outside), and the kinds that allow it.
SINGLE = {
    "butane": ("CCCC", (1, 2), ("C-C",)),
    "amine": ("CCNC", (1, 2), ("C-N", "N-C")),
    "ammonium": ("CC[NH2+]C", (1, 2), ("C-N",)),
    "ether": ("CCOC", (2, 1), ("C-O", "O-C")),
    "thioether": ("CCSC", (1, 2), ("C-S",)),
    "disulfide": ("CSSC", (1, 2), ("S-S",)),
    "aryl ether": ("c1ccccc1OC", (5, 6), ("C-O",)),
    "ester": ("CC(=O)OC", (1, 3), ("C-O",)),
    "phosphate": ("COP(=O)(OC)OC", (1, 2), ("O-P", "P-O")),
    "hydroxylamine": ("CNOC", (1, 2), ("N-O",)),
    "sulfone": ("CCS(=O)(=O)C", (1, 2), ("C-S",)),
    "chloride": ("CCCl", (1, 2), ("C-Cl",)),
    "toluene": ("c1ccccc1CC", (5, 6), ("C-C",)),
}


@pytest.mark.parametrize("orders", [True, False], ids=["orders", "neighbours"])
@pytest.mark.parametrize("name", SINGLE)
def test_selected_single_bonds_may_be_cut(name, orders):
    smiles, bond, kinds = SINGLE[name]
    topology = topology_of(smiles, orders=orders)
    for kind in (*kinds, ANY_SINGLE):
        for pair in (bond, bond[::-1]):
            check_cut_bonds(topology, [pair], (kind,))
    other = ("C-C", "C-B") if "C-C" not in kinds else ("S-S", AMIDE)
    message = (
        r"found a [A-Z][a-z]?-[A-Z][a-z]? bond, allowed: .* or allow it: '.*' or 'any single' among"
    )
    with pytest.raises(RegionError, match=message):
        check_cut_bonds(topology, [bond], other)


REFUSED = {
    "carbonyl": ("CC(=O)C", (1, 2), "double", "unknown order"),
    "alkene": ("CC=CC", (1, 2), "double", "unknown order"),
    "alkyne": ("CC#CC", (1, 2), "triple", "unknown order"),
    "nitrile": ("CC#N", (1, 2), "triple", "unknown order"),
    "benzene": ("c1ccccc1", (0, 1), "aromatic", "unknown order"),
    "phosphoryl": ("COP(=O)(OC)OC", (2, 3), "double", "unknown order"),
    "cyclohexane": ("C1CCCCC1", (0, 1), "ring of 6 atoms", "ring of 6 atoms"),
    "proline's ring": ("CC(=O)N1CCCC1C(=O)NC", (3, 4), "ring of 5 atoms", "ring of 5 atoms"),
    "epoxide": ("C1OC1", (0, 1), "ring of 3 atoms", "ring of 3 atoms"),
    "fused": ("C1CCC2CCCCC2C1", (3, 8), "ring of 6 atoms", "ring of 6 atoms"),
    "cyclooctane": ("C1CCCCCCC1", (0, 1), "ring of 8 atoms", "ring of 8 atoms"),
    "amide": ("CC(=O)NC", (1, 3), "amide", "amide"),
    "urea": ("CNC(=O)NC", (2, 4), "amide", "amide"),
    "thioamide": ("CC(=S)NC", (1, 3), "amide", "amide"),
    "guanidine": ("CNC(=N)N", (2, 4), "amide", "unknown order"),
    "hydrogen": ("CC", (0, 2), "C-H bond", "C-H bond"),
}


@pytest.mark.parametrize("orders", [True, False], ids=["orders", "neighbours"])
@pytest.mark.parametrize("name", REFUSED)
def test_other_bonds_are_always_refused(name, orders):
    smiles, bond, with_orders, without = REFUSED[name]
    topology = topology_of(smiles, orders=orders)
    for pair in (bond, bond[::-1]):
        with pytest.raises(RegionError) as caught:
            check_cut_bonds(topology, [pair], (ANY_SINGLE, "C-C", "C-N", "C-O"))
        text = str(caught.value)
        assert (with_orders if orders else without) in text, text
        assert "allowed: " in text and "\n" not in text


def test_an_amide_is_cut_only_on_explicit_request():
    for smiles, bond in (("CC(=O)NC", (1, 3)), ("CNC(=O)NC", (2, 4))):
        for orders in (True, False):
            check_cut_bonds(topology_of(smiles, orders=orders), [bond], (AMIDE,))


def test_an_amine_near_a_carbonyl_is_no_amide():
    """CH3-CO-CH2-NH-CH3, and the bond from an amide's nitrogen to its alpha carbon."""
    check_cut_bonds(topology_of("CC(=O)CNC", orders=False), [(3, 4)], ("C-N",))
    check_cut_bonds(topology_of("CC(=O)NCC", orders=False), [(3, 4)], ("C-N",))


def test_a_loop_closed_by_a_disulfide_may_be_cut():
    """The loop has nine atoms or more, unlike the ring of eight in other tests."""
    topology = topology_of("C1CSSCCNCC1", orders=False)
    check_cut_bonds(topology, [(2, 3)], ("S-S",))


def test_every_bond_of_a_mixed_list_is_checked():
    topology = topology_of("CCNCC(=O)C", orders=True)
    message = r"cannot cap 1 of the cut bonds \(\w+:\w+-\w+:\w+\): found a bond that is double"
    with pytest.raises(RegionError, match=message):
        check_cut_bonds(topology, [(0, 1), (4, 5)], (ANY_SINGLE,))


def test_distances_are_near_the_sum_of_covalent_radii():
    """Compare the table with rdkit's radii, which are independent of it."""
    table = Chem.GetPeriodicTable()
    for symbol, distance in HYDROGEN_DISTANCES.items():
        radii = covalent_radius(table.GetAtomicNumber(symbol)) + covalent_radius(1)
        assert distance == pytest.approx(radii, abs=0.02), symbol


def test_a_given_distance_applies_to_one_direction_of_the_bond():
    given = {"N-C": 0.105}
    assert link_distance("N", "C", given) == 0.105
    assert link_distance("N", "S", given) == HYDROGEN_DISTANCES["N"] == 0.101
    assert link_distance("C", "N", given) == 0.109
