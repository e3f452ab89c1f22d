"""Reference energies from a file."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm.core.errors import InputFileError
from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions import bond_of_torsion
from nnpmm.torsions.reference import read_reference
from nnpmm.torsions.scan import grid


@pytest.fixture(scope="module")
def bonds():
    molecule = molecule_from_smiles("CCCCC")
    return [bond_of_torsion(molecule, (0, 1, 2, 3)), bond_of_torsion(molecule, (1, 2, 3, 4))]


def test_units_gaps_and_torsions_read_backwards(tmp_path, bonds):
    path = tmp_path / "reference.csv"
    path.write_text(
        "torsion,angle_degrees,energy_kcal_mol\n0-1-2-3,-180,1.5\n4-3-2-1,60,2\n1-2-3-4,-60,3\n"
    )
    found = read_reference(path, bonds, grid(30.0))
    assert found[0, -1] == pytest.approx(1.5 * 4.184)
    assert found[1, [3, 7]].tolist() == pytest.approx([3 * 4.184, 2 * 4.184])
    assert np.isfinite(found).sum() == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("torsion,angle_degrees,energy\n", "found the columns"),
        ("torsion,angle_degrees,energy_kj_mol\n0-1-2-3,30\n", "line 2: found"),
        ("torsion,angle_degrees,energy_kj_mol\n0-1-2-9,30,1\n", "found the torsion 0-1-2-9"),
        ("torsion,angle_degrees,energy_kj_mol\n0-1-2-3,31,1\n", "found the angle 31"),
        ("torsion,angle_degrees,energy_kj_mol\n0-1-2-3,nan,1\n", "found the angle nan"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, bonds, text, words):
    path = tmp_path / "reference.csv"
    path.write_text(text)
    with pytest.raises(InputFileError, match=words):
        read_reference(path, bonds, grid(30.0))


def test_no_file(tmp_path, bonds):
    with pytest.raises(InputFileError, match="cannot be read"):
        read_reference(tmp_path / "none.csv", bonds, grid(30.0))
