"""Refitted torsions: the fit recovers known terms, and files reproduce the System's energies."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import openmm
import parmed
import pytest
from openmm import app, unit
from torsions.molecules import numbers_of, positions_of

from nnpmm.core.errors import ForceFieldError
from nnpmm.models import OpenMMPotential
from nnpmm.structures import (
    create_ligand_system,
    forcefield_xml,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)
from nnpmm.torsions import (
    TorsionScan,
    energies_along,
    find_rotatable_bonds,
    fit_torsions,
    relax_along,
    scan_torsions,
    valence_terms,
)
from nnpmm.torsions.amber_files import amber_types, frcmod_text, mol2_text
from nnpmm.torsions.conformers import conformer_errors, held_out_conformers
from nnpmm.torsions.fitting import bind_force_field, torsion_classes, without_torsions


@pytest.fixture(scope="module")
def ester():
    """Methyl propanoate scanned with invented torsion terms, and its usual force field."""
    molecule = molecule_from_smiles("CCC(=O)OC", seed=1)
    usual = parameterize(molecule, provider="fallback")
    bonds = find_rotatable_bonds(molecule)
    classes = torsion_classes(molecule, bonds)
    rng = np.random.default_rng(4)
    own = tuple(
        (*torsion, n, phase, k)
        for torsions in classes
        for n, phase, k in ((1, np.pi, rng.uniform(1, 3)), (2, np.pi, 4.0), (3, 0.0, 1.5))
        for torsion in torsions
    )
    rest = without_torsions(usual, bonds)
    truth = replace(rest, torsions=(*rest.torsions, *own))
    scan = scan_torsions(
        bind_force_field(molecule, truth), positions_of(molecule), bonds, valence_terms(molecule)
    )
    return molecule, usual, truth, scan


def test_known_terms_come_back(ester):
    """A fit that starts from other torsions gives the same energies everywhere."""
    molecule, usual, truth, scan = ester
    refit = fit_torsions(molecule, usual, scan, ridge=1e-9, rounds=1)
    new, old, true = (bind_force_field(molecule, p) for p in (refit.parameters, usual, truth))
    found = held_out_conformers(molecule, true, scan.bonds, count=8)
    energies = new.batch(found.positions).energies
    assert np.std(energies - found.energies) < 0.02
    assert np.std(old.batch(found.positions).energies - found.energies) > 2.0
    relaxed = relax_along(new, scan, valence_terms(molecule))
    np.testing.assert_allclose(
        *(e - e.mean() for e in (relaxed.energies, scan.energies)), atol=0.05, rtol=0
    )


def test_the_ridge_costs_little(ester):
    molecule, usual, _, scan = ester
    refit = fit_torsions(molecule, usual, scan, rounds=1)
    energies = energies_along(bind_force_field(molecule, refit.parameters), scan)
    difference = energies - scan.energies
    assert np.std(difference - difference.mean(axis=1, keepdims=True)) < 0.2


def test_a_single_term_is_found_with_its_strength_and_phase():
    """Hydrogen peroxide has one torsion, so the solution is unique."""
    molecule = molecule_from_smiles("OO", seed=1)
    usual = parameterize(molecule, provider="fallback")
    bonds = find_rotatable_bonds(molecule, hydrogen_rotors=True)
    rest = without_torsions(usual, bonds)
    terms = tuple(
        (*bonds[0].torsion, n, phase, k) for n, phase, k in ((2, np.pi, 7.0), (5, 0.0, 2.0))
    )
    truth = bind_force_field(molecule, replace(rest, torsions=(*rest.torsions, *terms)))
    scan = scan_torsions(truth, positions_of(molecule), bonds, valence_terms(molecule))
    refit = fit_torsions(molecule, usual, scan, ridge=0.0)
    (found,) = refit.terms
    strengths = {n: (phase, k) for n, phase, k in found}
    assert strengths[2] == (pytest.approx(np.pi), pytest.approx(7.0, abs=0.01))
    assert strengths[5] == (0.0, pytest.approx(2.0, abs=0.01))
    assert all(k < 0.01 for n, (_, k) in strengths.items() if n not in (2, 5))


def test_classes_follow_symmetry():
    biphenyl = molecule_from_smiles("c1ccccc1-c1ccccc1")
    (torsions,) = torsion_classes(biphenyl, find_rotatable_bonds(biphenyl))
    assert len(torsions) == 4
    propane = molecule_from_smiles("CCC")
    classes = torsion_classes(propane, find_rotatable_bonds(propane, hydrogen_rotors=True))
    assert sorted(len(torsions) for torsions in classes) == [6, 12]


def test_other_bonds_keep_their_terms(ester):
    molecule, usual, _, scan = ester
    refit = fit_torsions(molecule, usual, scan, rounds=1)
    gone = {frozenset(bond.atoms) for bond in scan.bonds}
    kept = [t for t in usual.torsions if frozenset(t[1:3]) not in gone]
    assert [t for t in refit.parameters.torsions if frozenset(t[1:3]) not in gone] == kept
    assert refit.parameters.impropers == usual.impropers


def test_rounds_bring_the_relaxed_profile_closer(ani1x):
    """The terms of an anilide that fit the network's geometries fail once all else is relaxed."""
    molecule = molecule_from_smiles("CC(=O)N(C)C", seed=1)
    network = ani1x.bind(numbers_of(molecule))
    usual = parameterize(molecule, provider="fallback")
    bonds, terms = find_rotatable_bonds(molecule), valence_terms(molecule)
    scan = scan_torsions(network, positions_of(molecule), bonds, terms, spacing=30.0)

    def error(parameters):
        relaxed = relax_along(bind_force_field(molecule, parameters), scan, terms)
        return np.std(relaxed.energies - scan.energies)

    first, last = (fit_torsions(molecule, usual, scan, rounds=n).parameters for n in (1, 5))
    assert error(last) < min(0.5 * error(usual), error(first) + 0.1)


def test_conformers_differ_and_keep_their_torsions(ester):
    molecule, usual, truth, scan = ester
    true = bind_force_field(molecule, truth)
    found = held_out_conformers(molecule, true, scan.bonds, count=6, seed=0)
    assert np.std(found.fixed.angles[:, 0]) > 0.3  # the ester itself stays planar
    assert conformer_errors(molecule, true, found) < 0.02
    assert conformer_errors(molecule, bind_force_field(molecule, usual), found) > 2.0


def _openmm_energy(force_field, molecule, positions):
    topology, _ = to_openmm_topology(molecule)
    system = force_field.createSystem(topology, nonbondedMethod=app.NoCutoff, removeCMMotion=False)
    return OpenMMPotential(system).bind(numbers_of(molecule)).batch(positions).energies


def _refitted(ester) -> tuple:
    molecule, usual, _, scan = ester
    parameters = fit_torsions(molecule, usual, scan, rounds=1).parameters
    positions = scan.positions[:, ::5].reshape(-1, *scan.positions.shape[2:])
    expected = bind_force_field(molecule, parameters).batch(positions).energies
    return molecule, parameters, positions, expected


def test_openmm_xml_gives_the_energies_of_the_system(ester):
    molecule, parameters, positions, expected = _refitted(ester)
    force_field = app.ForceField(io.StringIO(forcefield_xml(molecule, parameters)))
    found = _openmm_energy(force_field, molecule, positions)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("impropers", "tolerance"), [(False, 0.01), (True, 0.5)])
def test_parmed_reads_the_energies_from_frcmod_and_mol2(ester, tmp_path, impropers, tolerance):
    """Amber orders the atoms of an improper by their types, so that its energy differs slightly."""
    molecule, parameters, positions, _ = _refitted(ester)
    if not impropers:
        parameters = replace(parameters, impropers=())
    expected = bind_force_field(molecule, parameters).batch(positions).energies
    (tmp_path / "a.frcmod").write_text(frcmod_text(molecule, parameters))
    (tmp_path / "a.mol2").write_text(mol2_text(molecule, parameters))
    read = parmed.openmm.OpenMMParameterSet.from_parameterset(
        parmed.amber.AmberParameterSet(str(tmp_path / "a.frcmod"))
    )
    template = parmed.load_file(str(tmp_path / "a.mol2"))
    read.residues[template.name] = template
    read.write(str(tmp_path / "a.xml"))
    found = _openmm_energy(app.ForceField(str(tmp_path / "a.xml")), molecule, positions)
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


def test_frcmod_refuses_impropers_of_smirnoff(ester):
    molecule, usual, *_ = ester
    i, j, centre, m, *term = usual.impropers[0]
    with pytest.raises(ForceFieldError, match="third atom"):
        frcmod_text(molecule, replace(usual, impropers=((centre, i, j, m, *term),)))


def test_types_are_no_types_of_gaff():
    types = amber_types(200)
    assert len(set(types)) == 200 and all(len(name) == 2 for name in types)
    with pytest.raises(ForceFieldError, match="allows"):
        amber_types(300)


def test_system_of_the_refit_equals_its_parameters(ester):
    molecule, usual, _, scan = ester
    parameters = fit_torsions(molecule, usual, scan, rounds=1).parameters
    text = openmm.XmlSerializer.serialize(create_ligand_system(molecule, parameters))
    system = openmm.XmlSerializer.deserialize(text)
    force = next(f for f in system.getForces() if isinstance(f, openmm.PeriodicTorsionForce))
    assert force.getNumTorsions() == len(parameters.torsions) + len(parameters.impropers)
    *_, k = force.getTorsionParameters(len(parameters.torsions) - 1)
    assert k.value_in_unit(unit.kilojoule_per_mole) == parameters.torsions[-1][-1]
    assert isinstance(scan, TorsionScan)
