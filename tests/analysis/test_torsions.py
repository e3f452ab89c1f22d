"""Torsions: rotatable bonds, angles, and known populations and transitions."""

from __future__ import annotations

import numpy as np
import pytest
from complexes_of_peptides import create_complex, save, source
from rdkit.Chem import rdMolTransforms

from nnpmm.analysis.observing import observe
from nnpmm.analysis.torsions import circular_density, find_rotamers
from nnpmm.structures import molecule_from_smiles


def mixture(n=4000, seed=1):
    """60 % around 60, 30 % around 180, 10 % around -65 degrees, 10 degrees wide."""
    generator = np.random.default_rng(seed)
    centers = generator.choice([60.0, 180.0, -65.0], p=[0.6, 0.3, 0.1], size=n)
    return (centers + generator.normal(scale=10, size=n) + 180) % 360 - 180


def test_populations_of_a_mixture():
    angles = mixture()
    rotamers = find_rotamers(angles)
    assert len(rotamers.peaks) == 3
    shares = np.bincount(rotamers.states(angles), minlength=3) / len(angles)
    for center, share in ((60, 0.6), (180, 0.3), (-65, 0.1)):
        away = np.abs((rotamers.peaks - center + 180) % 360 - 180)
        assert away.min() < 4
        assert shares[away.argmin()] == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("shift", [0, 45, 90, 135, 180, 225])
def test_rotamers_turn_with_the_angles(shift):
    angles = mixture()
    turned = (angles + shift + 180) % 360 - 180
    first, second = find_rotamers(angles), find_rotamers(turned)
    a = np.sort(np.bincount(first.states(angles)))
    b = np.sort(np.bincount(second.states(turned)))
    np.testing.assert_allclose(a, b, atol=0.01 * len(angles))
    assert first.transitions(angles) == pytest.approx(second.transitions(turned), abs=20)


def test_two_wells_are_told_apart_also_across_the_border():
    generator = np.random.default_rng(2)
    angles = np.concatenate([generator.normal(0, 8, 500), generator.normal(180, 8, 500)])
    rotamers = find_rotamers(angles)
    np.testing.assert_array_equal(np.bincount(rotamers.states(angles)), [500, 500])


def test_one_well_is_one_rotamer():
    angles = np.random.default_rng(3).normal(175, 15, 2000)
    rotamers = find_rotamers(angles)
    assert len(rotamers.peaks) == 1
    assert not rotamers.states(angles).any()
    assert rotamers.transitions(angles) == 0


def test_transitions_are_counted_once():
    """Fifty frames in each well, four times, with noise; visits to the border do not count."""
    generator = np.random.default_rng(4)
    centers = np.repeat([60, 180, 60, 180], 50).astype(float)
    angles = centers + generator.normal(scale=8, size=200)
    rotamers = find_rotamers(angles)
    assert rotamers.transitions(angles) == 3
    angles[20] = 119  # halfway, and back
    assert rotamers.transitions(angles) == 3


def test_the_density_is_normalized_and_around_the_angles():
    grid, density = circular_density([-179.5] * 10)
    assert density.sum() == pytest.approx(1)
    assert abs(grid[density.argmax()]) > 178


def angles_of(smiles):
    topology, positions = create_complex(sequence="A", smiles=smiles, n_water=0)
    return topology, positions


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("CCCC", 1),
        ("CC(=O)Nc1ccc(O)cc1", 2),  # amide and aryl
        ("c1ccccc1", 0),
        ("C/C=C/C", 0),  # a double bond
        ("CC#CC", 0),
        ("OC(=O)CCN", 2),
    ],
)
def test_rotatable_bonds(smiles, count, tmp_path):
    topology, positions = angles_of(smiles)
    path = save(tmp_path / "t.dcd", topology, positions[None])
    assert len(observe(source(path, topology)).torsion_labels) == count


def test_angles_are_those_of_rdkit(tmp_path):
    smiles = "OCCC(=O)Nc1ccccc1"
    topology, positions = angles_of(smiles)
    path = save(tmp_path / "t.dcd", topology, positions[None])
    found = observe(source(path, topology))
    conformer = molecule_from_smiles(smiles, seed=1).GetConformer()
    for label, angle in zip(found.torsion_labels, found.torsions[0], strict=True):
        atoms = [int("".join(filter(str.isdigit, name))) for name in label.split("-")]
        assert angle == pytest.approx(rdMolTransforms.GetDihedralDeg(conformer, *atoms), abs=0.05)
