"""Dihedral angles against rdkit, their gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit.Chem import rdMolTransforms
from torsions.molecules import positions_of

from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions import rotatable_bond, valence_terms
from nnpmm.torsions.internal import dihedral, dihedral_gradient, model_hessian, rotate_about_bonds


@pytest.fixture(scope="module")
def propanal():
    molecule = molecule_from_smiles("CCC=O", seed=2)
    return molecule, positions_of(molecule), valence_terms(molecule)


def test_rdkit_measures_the_same_angles(propanal):
    molecule, x, terms = propanal
    expected = [
        rdMolTransforms.GetDihedralRad(molecule.GetConformer(), *map(int, t))
        for t in terms.torsions
    ]
    np.testing.assert_allclose(dihedral(x, terms.torsions), expected, atol=1e-10, rtol=0)


def test_gradient_of_a_dihedral(propanal):
    _, x, terms = propanal
    atoms = terms.torsions[0]
    gradient = np.zeros_like(x)
    gradient[atoms] = dihedral_gradient(x, atoms)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        slope = (dihedral(x + step, atoms) - dihedral(x - step, atoms)) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-6)


def test_turning_adds_to_the_angle_and_keeps_all_else(propanal):
    molecule, x, terms = propanal
    bond = rotatable_bond(molecule, 1, 2)
    axis = tuple(np.array([atom]) for atom in bond.atoms)
    new = rotate_about_bonds(x[None], axis, bond.mask(len(x))[None], np.array([0.7]))[0]
    torsion = np.array(bond.torsion)
    assert dihedral(new, torsion) - dihedral(x, torsion) == pytest.approx(0.7, abs=1e-12)
    for i, j in terms.bonds:
        before, after = (np.linalg.norm(p[i] - p[j]) for p in (x, new))
        assert after == pytest.approx(before, abs=1e-12)
    for i, j, k in terms.angles:
        before, after = (np.dot(p[i] - p[j], p[k] - p[j]) for p in (x, new))
        assert after == pytest.approx(before, abs=1e-12)


def test_model_hessian_is_that_of_its_terms(propanal):
    """Along a stretch of one C-H bond it has the stiffness of a bond, across it far less."""
    _, x, terms = propanal
    hessian = model_hessian(x[None], terms)[0]
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-6, rtol=0)
    assert np.linalg.eigvalsh(hessian).min() > 0
    hydrogen = 4
    carbon = next(int(sum(b) - hydrogen) for b in terms.bonds if hydrogen in b)
    block = hessian[12:15, 12:15]
    along = (x[hydrogen] - x[carbon]) / np.linalg.norm(x[hydrogen] - x[carbon])
    across = np.cross(along, [0.3, 0.5, 0.8])
    across /= np.linalg.norm(across)
    assert 2.5e5 < along @ block @ along < 4e5
    assert across @ block @ across < 1.5e5


def test_linear_molecules_have_a_model_hessian():
    molecule = molecule_from_smiles("CC#CC")
    hessian = model_hessian(positions_of(molecule)[None], valence_terms(molecule))
    assert np.isfinite(hessian).all()
