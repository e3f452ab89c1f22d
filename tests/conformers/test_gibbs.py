"""The Gibbs score: which conformers count, and the published score of distance geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms

from nnpmm.conformers import GibbsReference, etkdg_conformers, gibbs_reference, gibbs_score
from nnpmm.conformers.gibbs import GrowingScore
from nnpmm.conformers.screening import with_conformers
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError
from nnpmm.structures import molecule_from_smiles


@pytest.fixture(scope="module")
def butane():
    """Butane at 180, 180, 60 and 61 degrees: two torsions, each twice."""
    molecule = molecule_from_smiles("CCCC", seed=1)
    positions = []
    for angle in (180.0, 180.0, 60.0, 61.0):
        rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3, angle)
        positions.append(0.1 * np.array(molecule.GetConformer().GetPositions()))
    return with_conformers(molecule, np.array(positions))


def test_repeats_count_nothing_and_the_lower_one_stays(butane):
    energies = [0.0, 1.0, 4.0, 3.0]
    score = gibbs_score(butane, energies, GibbsReference(0.0), thermal_energy=2.0)
    assert score == pytest.approx(1 + math.exp(-1.5))


def test_the_thresholds_are_arguments(butane):
    energies = [0.0, 0.0, 0.0, 0.0]
    reference = GibbsReference(0.0)
    assert gibbs_score(butane, energies, reference) == pytest.approx(2.0)
    # One degree of 180 is a deviation of 0.0056.
    assert gibbs_score(butane, energies, reference, threshold=0.005) == pytest.approx(3.0)
    assert gibbs_score(butane, energies, reference, threshold=0.9) == pytest.approx(1.0)


def test_the_score_is_relative_to_its_reference(butane):
    energies = np.array([2.0, 3.0, 6.0, 5.0])
    reference = gibbs_reference(butane, energies)
    assert reference.energy == 2.0
    assert gibbs_score(butane, energies, reference) == pytest.approx(1.0)
    # One kcal/mol lower is a factor e at the published temperature.
    assert gibbs_score(butane, energies - KJ_PER_KCAL, reference) == pytest.approx(math.e)


def test_an_energy_for_each_conformer(butane):
    with pytest.raises(ConfigError, match="for 4 conformers"):
        gibbs_score(butane, [0.0, 1.0], GibbsReference(0.0))


@pytest.mark.slow
def test_published_score_of_distance_geometry():
    """1.14 ± 0.16 for 200 conformers of the alkane with 11 torsions, E_0 and Z_0 as published."""
    molecule = molecule_from_smiles("CCCCC(C)CCCC(CC)CCCC", seed=1)
    Chem.AssignStereochemistryFrom3D(molecule)
    copy = with_conformers(molecule, etkdg_conformers(molecule, 200, seed=1))
    energies = [energy for _, energy in rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(copy)]
    reference = GibbsReference(KJ_PER_KCAL * 7.840935037731404, 13.066560104213275)
    score = gibbs_score(copy, KJ_PER_KCAL * np.array(energies), reference)
    assert abs(score - 1.14) < 3 * 0.16


@pytest.mark.parametrize("threshold", [0.05, 0.3])
def test_a_growing_set_has_the_score_of_the_full_set(threshold):
    """Also where a new conformer replaces a close one of higher energy."""
    molecule = molecule_from_smiles("CCCCC(C)CC", seed=1)
    positions = etkdg_conformers(molecule, 40, seed=1)
    energies = np.random.default_rng(2).normal(0, 5, len(positions))
    reference = GibbsReference(-3.0, 2.0)
    growing = GrowingScore(molecule, reference, most=len(positions), threshold=threshold)
    gains = []
    for count, (geometry, energy) in enumerate(zip(positions, energies, strict=True), start=1):
        gains.append(growing.add(geometry, energy))
        if count % 8 == 0:
            copy = with_conformers(molecule, positions[:count])
            whole = gibbs_score(copy, energies[:count], reference, threshold=threshold)
            assert growing.score == pytest.approx(whole, rel=1e-12)
    assert sum(gains) == pytest.approx(growing.score, rel=1e-9)
