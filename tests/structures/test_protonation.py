from __future__ import annotations

import pytest

from nnpmm.structures import molecule_from_smiles, parameterize
from nnpmm.structures.ligands.protonation import unusual_protonation


@pytest.mark.parametrize(
    ("smiles", "found"),
    [
        ("CC(=O)O", "a neutral carboxylic acid (atom 3)"),
        ("CC(C)Cc1ccc(cc1)C(C)C(=O)O", "a neutral carboxylic acid (atom 14)"),
        ("CN", "a neutral aliphatic amine (atom 1)"),
        ("C1COCCN1C", "a neutral aliphatic amine (atom 5)"),
        ("NC(=N)N", "a neutral amidine or guanidine (atom 2)"),
        ("C[NH2+]c1ccccc1", "a protonated aromatic amine (atom 1)"),
        ("c1cc[nH+]cc1", "a protonated pyridine (atom 3)"),
        ("CC[O-]", "a deprotonated alcohol or phenol (atom 2)"),
        ("CC(=O)[N-]C", "a deprotonated amine or amide (atom 3)"),
        ("OP(=O)(O)O", "a neutral phosphoric or phosphonic acid (atoms 0, 3, 4)"),
    ],
)
def test_unusual_states_are_reported(smiles, found):
    assert unusual_protonation(molecule_from_smiles(smiles)) == [found]


@pytest.mark.parametrize(
    "smiles",
    [
        *("CC(=O)[O-]", "C[NH3+]", "CC(=O)NC", "COC(C)=O", "Nc1ccccc1", "NC(N)=[NH2+]", "CCO"),
        *("C1C[NH2+]CCN1", "c1c[nH]c[nH+]1", "c1ccncc1", "[N-]=[N+]=NC", "C[N+](=O)[O-]", "C#N"),
        *("C[N+](C)(C)C", "NS(=O)(=O)C", "[n-]1nnnc1C", "Oc1ccccc1", "C[N+](C)(C)[O-]"),
    ],
)
def test_usual_states_are_not_reported(smiles):
    assert unusual_protonation(molecule_from_smiles(smiles)) == []


def test_parameterize_warns_once_and_changes_nothing(caplog):
    molecule = molecule_from_smiles("NCC(=O)O")
    before = molecule.ToBinary()
    parameterize(molecule, provider="fallback")
    (message,) = (r.getMessage() for r in caplog.records if "pH 7" in r.getMessage())
    assert "a neutral carboxylic acid (atom 4) and a neutral aliphatic amine (atom 0)" in message
    assert "\n" not in message
    assert molecule.ToBinary() == before
