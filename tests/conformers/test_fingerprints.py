"""Torsion fingerprints of many geometries agree with rdkit's, one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit.Chem import TorsionFingerprints

from nnpmm.conformers import etkdg_conformers
from nnpmm.conformers.fingerprints import FingerprintTorsions
from nnpmm.conformers.screening import with_conformers
from nnpmm.structures import molecule_from_smiles


@pytest.mark.parametrize(
    "smiles",
    [
        "CCCCC",
        "CC(C)CC(C)(C)CC",  # ends with equivalent branches
        "OC1CCCCC1CCN(C)C",  # a ring
        "Cc1ccccc1C(=O)NCC1CC1",
        "CC",  # no torsion at all
    ],
)
def test_deviations_are_those_of_rdkit(smiles):
    molecule = molecule_from_smiles(smiles, seed=1)
    positions = etkdg_conformers(molecule, 6, seed=1)
    copy = with_conformers(molecule, positions)
    expected = TorsionFingerprints.GetTFDMatrix(copy, useWeights=False)
    torsions = FingerprintTorsions.of(molecule)
    found = torsions.angles(positions)
    pairs = [torsions.deviations(found[row], found[:row]) for row in range(1, len(found))]
    np.testing.assert_allclose(np.concatenate(pairs), expected, rtol=0, atol=1e-6)
