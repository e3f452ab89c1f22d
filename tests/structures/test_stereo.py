"""Counts of unspecified stereocentres, without those that have only one isomer."""

import pytest
from rdkit import Chem

from nnpmm.structures.ligands.molecules import molecule_from_smiles
from nnpmm.structures.ligands.stereo import count_open_stereocenters


@pytest.mark.parametrize(
    "smiles",
    [
        "CN=[N+]=[N-]",  # azide, linear
        "Cc1cn([C@H]2C[C@H](N=[N+]=[N-])[C@@H](CO)O2)c(=O)[nH]c1=O",  # zidovudine
        "CCN=C=O",
        "CCN=C=S",
        "CN=C=NCC",
        "CC=[N+]=[N-]",
        "CC(CC)=C=O",
        "CC=C=C",
        "CC(C)=C=C(C)F",
        "CN(C)C(=N)NC(=N)N",  # metformin
        "CN(C)C(=N)NC(N)=[NH2+]",
        "CN(C)C(=[NH2+])NC(N)=[NH2+]",
        "CC(C)=[NH2+]",
        "NC(=N)c1ccccc1",
        "CCC(N)=[NH2+]",
        "COP(=O)([O-])OCC",
        "COP(=O)(O)CC",
        "CC(C)=NO",
        "C[C@H](F)Cl",
        "C/C=C/C",
    ],
)
def test_molecules_of_one_isomer(smiles):
    assert count_open_stereocenters(Chem.AddHs(Chem.MolFromSmiles(smiles))) == 0


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("CC=CC", 1),
        ("CC(F)Cl", 1),
        ("CC(F)C(Cl)Br", 2),
        ("CC=NO", 1),
        ("CC=N", 1),
        ("CC(O)=N", 1),
        ("CC=NN=CC", 2),
        ("CN=NC", 1),
        ("CC=C=CC", 1),  # an allene is one axis, not two double bonds
        ("CC=C=C=CC", 1),
        ("CC(F)=C=C(C)F", 1),
        ("[N-]=[N+]=NCC=CC", 1),
        ("CCOP(=O)(C)OC", 1),
        ("C[S+]([O-])CC", 1),
        ("CC(N)=NC", 1),
    ],
)
def test_molecules_of_two_isomers(smiles, count):
    assert count_open_stereocenters(Chem.AddHs(Chem.MolFromSmiles(smiles))) == count


def test_warning(caplog):
    molecule_from_smiles("CN=[N+]=[N-]")
    assert not caplog.records
    molecule_from_smiles("CC=C=CC")
    assert "leaves 1 stereocentres open" in caplog.text
