"""Tables of molecules, splits, recombination and stored conformers."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.graphs.enumeration import recombined
from nnpmm.graphs.geometries import conformers_of, kept_conformers
from nnpmm.graphs.lists import pretraining_smiles
from nnpmm.graphs.molecules import flat_smiles, merged, read_molecules
from nnpmm.graphs.settings import PretrainingSettings
from nnpmm.graphs.splits import drawn_for_test, scaffold

DRUGS = (
    "CC(=O)Nc1ccc(O)cc1",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CN1CCC(CC1)OC(c1ccccc1)c1ccccc1",
    "CCOC(=O)c1ccc(N)cc1",
    "COc1ccc(CCNC(=O)c2ccncc2)cc1",
    "Cc1ccc(cc1)S(=O)(=O)NC(=O)NN1CCCCC1",
)


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_is_read(tmp_path):
    path = table(tmp_path / "a.csv", "name,smiles,x", "ethanol,OCC,1", "again,CCO,3", "b,CC,2")
    found = read_molecules(path, value="x")
    assert [(m.smiles, m.value) for m in found] == [("CCO", 1.0), ("CCO", 3.0), ("CC", 2.0)]
    assert [(m.smiles, m.value) for m in merged(found)] == [("CCO", 2.0), ("CC", 2.0)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("smiles,x", "CCO,1", "C1CC,2"), "line 3: found 'C1CC', which rdkit cannot read"),
        (("smiles,x", ",1"), "line 2: found '', which rdkit cannot read"),
        (("smiles,x", "CCO,1", "CC.Cl,2"), "line 3: found 2 molecules in 'CC.Cl'"),
        (("smiles,x", "CCO,"), "line 2: found '' in x, expected a number"),
        (("smiles,x", "CCO,nan"), "line 2: found 'nan' in x, expected a number"),
        (("SMILES,x", "CCO,1"), "found the columns SMILES, x, expected 'smiles' as well"),
        (("smiles,x",), "found no molecules"),
    ],
)
def test_bad_tables_are_refused_with_their_line(tmp_path, lines, message):
    path = table(tmp_path / "a.csv", *lines)
    with pytest.raises(InputFileError) as error:
        read_molecules(path, value="x")
    assert message in str(error.value) and "a.csv" in str(error.value)


def test_scaffolds_stay_together_and_the_rare_ones_are_tested():
    common = [f"{'C' * n}c1ccccc1" for n in range(1, 25)]
    rare = ["C1CCC1", "c1ccncc1", "C1CCNCC1", "CC1CCNCC1", "c1ccc2ccccc2c1"]
    smiles = common + rare
    test = drawn_for_test(smiles, "scaffold", share=0.1)
    assert not test[: len(common)].any() and 0 < test.sum() <= 4
    sides = {side: {scaffold(s) for s, t in zip(smiles, test, strict=True) if t == side}
             for side in (True, False)}  # fmt: skip
    assert not sides[True] & sides[False]


def test_random_tests_follow_from_the_seed():
    smiles = ["C" * n for n in range(1, 61)]
    first, same, other = (drawn_for_test(smiles, "random", seed=n) for n in (0, 0, 1))
    assert first.sum() == 6 and (first == same).all() and (first != other).any()


def test_recombined_molecules_are_new_whole_and_reproducible():
    known = [Chem.CanonSmiles(text) for text in DRUGS]
    found = recombined(known, 8, seed=1, most_atoms=30)
    assert found == recombined(known, 8, seed=1, most_atoms=30)
    assert found != recombined(known, 8, seed=2, most_atoms=30)
    assert len(set(found) - set(known)) == 8
    for text in found:
        molecule = Chem.MolFromSmiles(text)
        assert Chem.CanonSmiles(text) == text and "*" not in text and "." not in text
        assert molecule.GetNumHeavyAtoms() <= 30


def test_unwanted_molecules_are_not_made():
    known = [Chem.CanonSmiles(text) for text in DRUGS]
    first = recombined(known, 4, seed=1)
    others = recombined(known, 4, seed=1, unwanted=lambda text: text in first)
    assert not set(first) & set(others)


def test_too_few_halves():
    with pytest.raises(ConfigError, match="found 0 new molecules from 0 halves of 1 molecules"):
        recombined(["CC"], 3, seed=1)


def test_what_is_left_out_is_not_seen_in_any_stereoisomer(tmp_path):
    seen = table(tmp_path / "seen.csv", "smiles", "C[C@H](N)C(=O)O", *DRUGS, "C" * 60)
    hidden = table(tmp_path / "hidden.csv", "smiles", "C[C@@H](N)C(=O)O", DRUGS[0])
    settings = PretrainingSettings(molecules=(seen,), leave_out=(hidden,), recombined=5)
    found = pretraining_smiles(settings)
    assert len(found) == len(DRUGS) - 1 + 5 == len(set(found))
    forbidden = {flat_smiles(text) for text in ("C[C@@H](N)C(=O)O", DRUGS[0])}
    assert not forbidden & {flat_smiles(text) for text in found}
    with pytest.raises(ConfigError, match="all of which are left out"):
        pretraining_smiles(PretrainingSettings(molecules=(hidden,), leave_out=(hidden,)))


def test_conformers_are_of_heavy_atoms_in_the_order_of_the_smiles():
    smiles = Chem.CanonSmiles("OCCF")
    found = conformers_of(smiles, 3, seed=1)
    molecule = Chem.MolFromSmiles(smiles)
    assert found.shape == (3, 4, 3)
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        lengths = np.linalg.norm(found[:, i] - found[:, j], axis=-1)
        assert (lengths > 0.12).all() and (lengths < 0.16).all()


def test_conformers_are_made_once(tmp_path, monkeypatch):
    smiles = ["CCO", "C1#CC1", "C"]
    calls = []
    found, reasons = kept_conformers(tmp_path, smiles, 2, progress=lambda *n: calls.append(n))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [len(each) for each in found] == [2, 0, 2] and set(reasons) == {"C1#CC1"}
    assert "no conformers by distance geometry" in reasons["C1#CC1"]
    monkeypatch.setattr("nnpmm.graphs.geometries.conformers_of", None)
    again, same = kept_conformers(tmp_path, smiles, 2)
    assert same == reasons
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)
