"""Minimisation with fixed torsions: the angle is exact, and only its torque remains."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from torsions.molecules import molecule_and_force_field, numbers_of, positions_of

from nnpmm.core.errors import SimulationError
from nnpmm.models import find_minimum
from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions import (
    FixedTorsions,
    find_rotatable_bonds,
    relax_all,
    relax_with_fixed_torsions,
    rotatable_bond,
    valence_terms,
)
from nnpmm.torsions.internal import dihedral, dihedral_gradient
from nnpmm.torsions.relaxation import set_angles

ANGLES = np.radians([[-170.0], [-63.0], [0.0], [100.0]])


def _fixed(molecule, bond, angles):
    return FixedTorsions.of([[bond]] * len(angles), angles, molecule.GetNumAtoms())


def _rdkit_angle(molecule, positions, torsion):
    copy = Chem.Mol(molecule)
    copy.GetConformer().SetPositions(10 * positions)
    return rdMolTransforms.GetDihedralDeg(copy.GetConformer(), *torsion)


def _relaxed(molecule, evaluator, bond, **options):
    start = np.repeat(positions_of(molecule)[None], len(ANGLES), axis=0)
    terms = valence_terms(molecule)
    return relax_with_fixed_torsions(
        evaluator, start, _fixed(molecule, bond, ANGLES), terms, **options
    )


def test_angles_are_exact_and_only_their_torque_is_left():
    molecule, evaluator = molecule_and_force_field("CCOC(C)=O")
    bond = rotatable_bond(molecule, 1, 2)
    found = _relaxed(molecule, evaluator, bond, tolerance=0.5)
    torsion = np.array(bond.torsion)
    for positions, angle in zip(found.positions, np.degrees(ANGLES[:, 0]), strict=True):
        assert _rdkit_angle(molecule, positions, bond.torsion) == pytest.approx(angle, abs=1e-6)
        _, forces = evaluator(positions)
        normal = np.zeros_like(forces)
        normal[torsion] = dihedral_gradient(positions, torsion)
        torque = np.sum(forces * normal) / np.sum(normal**2)
        rest = forces - torque * normal
        assert np.linalg.norm(rest, axis=1).max() < 0.5
    assert np.linalg.norm(found.forces, axis=2).max() > 5.0  # at some angle there is a torque


def test_a_stiff_restraint_finds_the_same_minimum():
    """At the angle of a restrained minimum, a geometry with that angle fixed has its energy."""
    molecule, evaluator = molecule_and_force_field("CCCO")
    bond = rotatable_bond(molecule, 1, 2)
    torsion, target = np.array(bond.torsion), np.radians(20.0)

    def restrained(flat):
        x = 0.01 * flat.reshape(-1, 3)
        energy, forces = evaluator(x)
        off = dihedral(x, torsion) - target
        gradient = -forces
        gradient[torsion] += 2000.0 * off * dihedral_gradient(x, torsion)
        return energy + 1000.0 * off**2, 0.01 * gradient.ravel()

    fixed = _fixed(molecule, bond, np.array([[target]]))
    start = relax_with_fixed_torsions(
        evaluator, positions_of(molecule)[None], fixed, valence_terms(molecule)
    ).positions[0]
    options = {"maxiter": 20000, "maxfun": 20000, "ftol": 0.0, "gtol": 1e-4}
    reference = scipy.optimize.minimize(
        restrained, start.ravel() / 0.01, jac=True, method="L-BFGS-B", options=options
    )
    x = 0.01 * reference.x.reshape(-1, 3)
    fixed = _fixed(molecule, bond, dihedral(x, torsion).reshape(1, 1))
    found = relax_with_fixed_torsions(
        evaluator, start[None], fixed, valence_terms(molecule), tolerance=0.1
    )
    assert found.energies[0] == pytest.approx(evaluator(x)[0], abs=1e-3)


def test_together_as_alone():
    molecule, evaluator = molecule_and_force_field("CCCO")
    bond = rotatable_bond(molecule, 1, 2)
    together = _relaxed(molecule, evaluator, bond)
    for place in range(len(ANGLES)):
        fixed = _fixed(molecule, bond, ANGLES[place : place + 1])
        alone = relax_with_fixed_torsions(
            evaluator, positions_of(molecule)[None], fixed, valence_terms(molecule)
        )
        assert alone.energies[0] == pytest.approx(together.energies[place], abs=1e-6)


def test_several_torsions_of_one_molecule():
    molecule, evaluator = molecule_and_force_field("CCCCC")
    bonds = find_rotatable_bonds(molecule)
    angles = np.radians([[60.0, -75.0], [180.0, 65.0]])
    fixed = FixedTorsions.of([bonds, bonds], angles, molecule.GetNumAtoms())
    start = np.repeat(positions_of(molecule)[None], 2, axis=0)
    found = relax_with_fixed_torsions(evaluator, start, fixed, valence_terms(molecule))
    for place, bond in enumerate(bonds):
        for row in range(2):
            angle = _rdkit_angle(molecule, found.positions[row], bond.torsion)
            difference = (angle - np.degrees(angles[row, place]) + 180) % 360 - 180
            assert difference == pytest.approx(0.0, abs=1e-6)


def test_a_network_in_single_precision(ani1x):
    molecule = molecule_from_smiles("CCO", seed=1)
    evaluator = ani1x.bind(numbers_of(molecule))
    bond = rotatable_bond(molecule, 1, 2)
    found = _relaxed(molecule, evaluator, bond)
    assert found.left.max() < 3.0
    angle = _rdkit_angle(molecule, found.positions[1], bond.torsion)
    assert angle == pytest.approx(-63.0, abs=1e-6)


def test_no_minimum_is_an_error():
    molecule, evaluator = molecule_and_force_field("CCOC(C)=O")
    bond = rotatable_bond(molecule, 1, 2)
    with pytest.raises(SimulationError, match="found a force of"):
        _relaxed(molecule, evaluator, bond, steps=1)


def test_all_at_once_each_to_the_minimum_next_to_it():
    molecule, evaluator = molecule_and_force_field("CCCC")
    bond = rotatable_bond(molecule, 1, 2)
    angles = np.radians([[170.0], [80.0], [-50.0]])
    start = np.repeat(positions_of(molecule)[None], 3, axis=0)
    turned = set_angles(start, FixedTorsions.of([[bond]] * 3, angles, molecule.GetNumAtoms()))
    before = turned.copy()
    found = relax_all(evaluator, turned, valence_terms(molecule))
    assert np.array_equal(turned, before)  # the input does not change
    assert found.left.max() < 3.0
    rotamers = [_rdkit_angle(molecule, geometry, bond.torsion) for geometry in found.positions]
    assert rotamers == pytest.approx([180.0, 66.0, -66.0], abs=4.0)
    assert found.energies[1] == pytest.approx(found.energies[2], abs=0.02)  # mirror images
    for energy, geometry in zip(found.energies, turned, strict=True):
        reached = find_minimum(evaluator, geometry)  # another optimiser, one by one
        assert energy == pytest.approx(evaluator(reached)[0], abs=0.02)


def test_a_geometry_that_does_not_converge_is_no_error():
    molecule, evaluator = molecule_and_force_field("CCOC(C)=O")
    start = positions_of(molecule)
    shaken = start + np.random.default_rng(1).normal(scale=0.01, size=start.shape)
    done = relax_all(evaluator, start[None], valence_terms(molecule)).positions[0]
    both = np.array([done, shaken])
    found = relax_all(evaluator, both, valence_terms(molecule), steps=2)
    assert found.left[0] < 3.0 < found.left[1]
