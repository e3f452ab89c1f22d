"""Subtractive embedding with AMOEBA: V_FF(all) + V_NNP(R) - V_FF(R alone), and refusals.

test_force_fields.py tests that it equals mechanical embedding for fixed charges.
"""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from amoeba_systems import SOLUTES, amoeba_case, far_water
from cases import compute_in, energy_and_forces, solvated_ligand
from conftest import shared_data
from contracts import assert_conserves_energy, assert_forces_match_energy, assert_invariant
from openmm import XmlSerializer, app
from test_attached_sites import context_of, molecules
from toy import TOY

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling import (
    LAMBDA_NNP,
    InnerTerms,
    Interpolated,
    Mechanical,
    MultipleTimeSteps,
    Subtractive,
    couple,
    has_inner_potential,
    nnp_derivative,
)
from nnpmm.coupling.subtractive_system import create_region_system
from nnpmm.models import OpenMMPotential
from nnpmm.structures.inputs import TinkerSystem, load_system

# kJ/mol, from the tolerance of the induced dipoles.
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=[*SOLUTES, "glycine dipeptide without cutoff"])
def case(request):
    """Only with extrapolated dipoles are OpenMM's forces the gradient of its energy to 1e-6."""
    name = request.param.removesuffix(" without cutoff")
    if name != request.param:
        return amoeba_case(name, app.NoCutoff, polarization="extrapolated")
    return amoeba_case(name)


@pytest.fixture(scope="module")
def hybrid(case):
    return couple(case.system, case.topology, case.region, TOY, coupling=Subtractive())


@pytest.fixture(scope="module")
def context(case, hybrid):
    return case.context(hybrid.system)


@pytest.fixture(scope="module")
def water():
    """A water in other waters, for fast tests."""
    return amoeba_case("water", app.NoCutoff, waters=4)


def subtracted(case, **choices):
    return create_hybrid_system(
        case.system, case.topology, case.region, TOY, coupling=Subtractive(**choices)
    )


def test_extracted_region_equals_the_region_built_alone(case):
    """Each force is compared with that of a System that ForceField creates of the molecule."""
    cut = create_region_system(case.system, case.region.tolist())
    whole = case.whole_region
    found = {f.getName(): _energy_of(cut, f, whole) for f in cut.getForces()}
    expected = {f.getName(): _energy_of(case.alone, f, whole) for f in case.alone.getForces()}
    for name in expected:  # empty forces are left out
        np.testing.assert_allclose(found.get(name, 0.0), expected[name], rtol=0, atol=1e-9)
    assert {"AmoebaMultipoleForce", "AmoebaVdwForce", "AmoebaBondForce"} <= set(found)


def test_the_dipeptide_has_every_kind_of_term():
    cut = create_region_system(*_dipeptide())
    names = {force.getName() for force in cut.getForces()}
    assert names == {
        "AmoebaBondForce",
        "AmoebaAngleForce",
        "AmoebaInPlaneAngleForce",
        "AmoebaOutOfPlaneBendForce",
        "AmoebaStretchBendForce",
        "AmoebaPiTorsionForce",
        "AmoebaTorsionTorsionForce",
        "PeriodicTorsionForce",
        "AmoebaVdwForce",
        "AmoebaMultipoleForce",
    }


def _dipeptide():
    case = amoeba_case("glycine dipeptide")
    return case.system, case.region.tolist()


def test_urey_bradley_terms_of_water():
    case = amoeba_case("glycine dipeptide")
    water = list(range(len(case.region), len(case.region) + 3))
    cut = create_region_system(case.system, water)
    (terms,) = [f for f in cut.getForces() if isinstance(f, openmm.HarmonicBondForce)]
    assert terms.getNumBonds() == 1
    assert sorted(terms.getBondParameters(0)[:2]) == [1, 2]


def _energy_of(system, force, positions):
    other = openmm.System()
    for index in range(system.getNumParticles()):
        other.addParticle(system.getParticleMass(index))
    other.addForce(copy.deepcopy(force))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(other, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(energy=True).getPotentialEnergy()._value


def test_energy_and_forces_match_the_definition(case, hybrid, context):
    energy, forces = case.state(case.system)
    network = TOY.bind(case.numbers, charge=hybrid.region.charge)(case.whole_region)
    inside = case.internal()
    context.setPositions(case.positions)
    found = energy_and_forces(context)
    expected = energy + network[0] - inside[0]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=TOLERANCE)
    forces = forces.copy()
    forces[case.region] += network[1] - inside[1]
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=100 * TOLERANCE)


def test_forces_are_the_gradient(case, context):
    """On the region, a neighbour, and a distant water, which the region polarizes."""
    compute = compute_in(context)
    atoms = np.array([case.region[0], len(case.region), far_water(case)])
    tolerance = 0.2 if case.box is not None else 0.005
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=1e-5, atol=tolerance)


def test_molecules_of_the_hybrid_system_are_those_of_the_mm_system(case, context):
    expected = openmm.Context(case.system, openmm.VerletIntegrator(0.001)).getMolecules()
    assert sorted(map(sorted, context.getMolecules())) == sorted(map(sorted, expected))


def test_energy_is_independent_of_the_periodic_image(case, context):
    if case.box is None:
        pytest.skip("no box")
    context.setPositions(case.positions)
    expected = energy_and_forces(context)
    moved = case.positions.copy()
    moved[case.region] += case.box[0] - case.box[2]
    context.setPositions(moved)
    found = energy_and_forces(context)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=100 * TOLERANCE)


def test_charge_of_the_region():
    charges = {
        name: couple(c.system, c.topology, c.region, TOY, coupling=Subtractive()).region.charge
        for name, c in ((name, amoeba_case(name)) for name in SOLUTES)
    }
    assert charges == {"glycine dipeptide": 0, "alaninium amide": 1}


def test_charged_region_with_a_neutral_model_is_refused():
    case = amoeba_case("alaninium amide")
    model = load_model("ANI-1x", members=0)
    with pytest.raises(RegionError, match=r"the region has charge \+1 e"):
        couple(case.system, case.topology, case.region, model, coupling=Subtractive())


def test_region_with_its_own_force_field_changes_nothing(water):
    """V_FF(all) + V_FF(R) - V_FF(R)."""
    model = OpenMMPotential(water.alone)
    system = create_hybrid_system(
        water.system, water.topology, water.region, model, coupling=Subtractive()
    )
    energy, forces = water.state(water.system)
    found = water.state(system)
    np.testing.assert_allclose(found[0], energy, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=100 * TOLERANCE)


def test_invariance_and_conservation(water):
    system = subtracted(water)
    context = water.context(system)
    compute = compute_in(context)
    assert_invariant(compute, water.positions, atol=1e-4)
    masses = np.array([system.getParticleMass(i)._value for i in range(len(water.positions))])
    assert_conserves_energy(compute, water.positions, masses, precision=1e-3)


def test_interpolation_is_linear_between_mm_and_hybrid_system(water):
    context = water.context(subtracted(water, inside=Interpolated()))
    ends = {0.0: water.state(water.system)[0], 1.0: water.state(subtracted(water))[0]}
    for value, energy in ends.items():
        context.setParameter(LAMBDA_NNP, value)
        np.testing.assert_allclose(energy_and_forces(context)[0], energy, rtol=0, atol=TOLERANCE)
    slope = nnp_derivative(context)
    np.testing.assert_allclose(slope, ends[1.0] - ends[0.0], rtol=0, atol=TOLERANCE)


def test_multiple_time_steps_do_not_change_the_energy(water):
    several, plain = subtracted(water, inside=MultipleTimeSteps()), subtracted(water)
    assert has_inner_potential(several)
    assert not has_inner_potential(plain)
    np.testing.assert_allclose(water.state(several)[0], water.state(plain)[0], rtol=0, atol=1e-9)


def test_mm_system_is_not_changed_and_the_hybrid_round_trips(water):
    before = XmlSerializer.serialize(water.system)
    hybrid = subtracted(water)
    assert XmlSerializer.serialize(water.system) == before
    again = XmlSerializer.deserialize(XmlSerializer.serialize(hybrid))
    np.testing.assert_allclose(water.state(again)[0], water.state(hybrid)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("used", [True, False])
def test_dispersion_correction_is_kept(used):
    """The XML with which OpenMM copies a System does not contain this setting."""
    case = amoeba_case("water", waters=4)
    system = copy.deepcopy(case.system)
    (sterics,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaVdwForce)]
    sterics.setUseDispersionCorrection(used)
    hybrid = couple(system, case.topology, case.region, TOY, coupling=Subtractive()).system
    (sterics,) = [f for f in hybrid.getForces() if isinstance(f, openmm.AmoebaVdwForce)]
    assert sterics.getUseDispersionCorrection() == used


def test_unreachable_dipole_tolerance_is_relaxed_with_a_warning(caplog):
    """OpenMM's iteration cannot reach 1e-10 D, so a larger tolerance is used."""
    case, system = amoeba_case("glycine dipeptide"), openmm.System()
    for index in range(len(case.region)):
        system.addParticle(case.alone.getParticleMass(index))
    (force,) = [f for f in case.alone.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
    system.addForce(copy.deepcopy(force))
    energies = []
    for tolerance in (1e-6, 1e-10):
        system.getForce(0).setMutualInducedTargetEpsilon(tolerance)
        evaluator = OpenMMPotential(system).bind(case.numbers)
        energies.append(evaluator(case.whole_region)[0])
    np.testing.assert_allclose(*energies, rtol=0, atol=1e-3)
    assert "do not converge to 1e-10 Debye" in caplog.text


def test_energies_of_two_regions_are_additive(water):
    """The second coupling does not change the first region's force."""
    other = np.arange(3) + len(water.region)
    once = couple(water.system, water.topology, water.region, TOY, coupling=Subtractive())
    twice = couple(once.system, water.topology, other, TOY, coupling=Subtractive())
    alone = couple(water.system, water.topology, other, TOY, coupling=Subtractive())
    plain = water.state(water.system)[0]
    added = [water.state(h.system)[0] - plain for h in (once, alone, twice)]
    np.testing.assert_allclose(added[2], added[0] + added[1], rtol=0, atol=TOLERANCE)
    with pytest.raises(RegionError, match="belong to an earlier region"):
        couple(twice.system, water.topology, water.region, TOY, coupling=Subtractive())


def test_barostat_keeps_the_region_whole():
    case = amoeba_case("water", waters=4, polarization="direct")
    system = copy.deepcopy(case.system)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    hybrid = create_hybrid_system(
        system, case.topology, case.region, OpenMMPotential(case.alone), coupling=Subtractive()
    )
    integrator = openmm.LangevinMiddleIntegrator(300.0, 10.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(hybrid, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    before = context.getState().getPeriodicBoxVolume()._value
    integrator.step(20)
    state = context.getState(positions=True)
    assert state.getPeriodicBoxVolume()._value != before
    oxygen, *hydrogens = state.getPositions(asNumpy=True)._value[case.region]
    for hydrogen in hydrogens:
        assert 0.08 < np.linalg.norm(hydrogen - oxygen) < 0.11  # nm


@pytest.mark.parametrize("method", [app.NoCutoff, app.PME])
def test_virtual_sites_on_the_region(method):
    """The subtracted energy contains the site that V_FF(all) contains."""
    topology, system, positions = molecules(2, method)
    region, atoms = np.arange(6), [*range(6), *range(7, 13)]
    found = [
        energy_and_forces(
            context_of(create_hybrid_system(system, topology, region, TOY, coupling=c), positions)
        )
        for c in (Subtractive(), Mechanical())
    ]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[0][1][atoms], found[1][1][atoms], rtol=0, atol=1e-6)


def without_bonds(topology):
    """The same atoms without bonds in the topology."""
    other = app.Topology()
    chain = other.addChain()
    for residue in topology.residues():
        made = other.addResidue(residue.name, chain)
        for atom in residue.atoms():
            other.addAtom(atom.name, atom.element, made)
    return other


@pytest.mark.parametrize("bonds", [True, False], ids=["topology with bonds", "without"])
def test_region_that_cuts_a_molecule_is_refused(bonds):
    case = amoeba_case("glycine dipeptide")
    topology = case.topology if bonds else without_bonds(case.topology)
    match = "select whole molecules"
    with pytest.raises(RegionError, match=match):
        create_hybrid_system(case.system, topology, case.region[:-1], TOY, coupling=Subtractive())


def test_cut_polarization_group_is_refused():
    case = amoeba_case("glycine dipeptide")
    system = openmm.System()
    for index in range(case.system.getNumParticles()):
        system.addParticle(case.system.getParticleMass(index))
    (multipoles,) = [f for f in case.system.getForces() if "Multipole" in f.getName()]
    system.addForce(copy.deepcopy(multipoles))
    with pytest.raises(RegionError, match="multipole"):
        create_region_system(system, case.region[:-1].tolist())


@pytest.mark.parametrize(
    ("force", "match"),
    [
        (openmm.DrudeForce, "DrudeForce .* Drude particles"),
        (openmm.HippoNonbondedForce, "HippoNonbondedForce .*HIPPO"),
        (openmm.GayBerneForce, "GayBerneForce"),
        (lambda: openmm.CustomHbondForce("1"), "CustomHbondForce"),
    ],
)
def test_unsupported_forces_are_refused(force, match):
    case = solvated_ligand("CO")
    system = copy.deepcopy(case.system)
    system.addForce(force())
    with pytest.raises(ForceFieldError, match=match):
        create_hybrid_system(system, case.topology, case.region, TOY, coupling=Subtractive())


def test_term_with_a_global_parameter_is_refused():
    case = solvated_ligand("CO")
    system = copy.deepcopy(case.system)
    pull = openmm.CustomBondForce("k*r")
    pull.addGlobalParameter("k", 1.0)
    pull.addBond(int(case.region[0]), int(case.region[1]))
    system.addForce(pull)
    with pytest.raises(ForceFieldError, match=r"global parameters \(k\)"):
        create_hybrid_system(system, case.topology, case.region, TOY, coupling=Subtractive())


def test_atom_without_polarizability_is_refused():
    case = amoeba_case("glycine dipeptide")
    system = copy.deepcopy(case.system)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
    parameters = force.getMultipoleParameters(3)
    parameters[-1] *= 0
    force.setMultipoleParameters(3, *parameters)
    with pytest.raises(ForceFieldError, match=r"region atom 3 \(H\) has a polarizability"):
        create_hybrid_system(system, case.topology, case.region, TOY, coupling=Subtractive())


def test_mechanical_embedding_of_amoeba_names_subtractive_embedding():
    case = amoeba_case("glycine dipeptide")
    with pytest.raises(ForceFieldError, match=r"for AMOEBA use coupling.Subtractive\(\)"):
        create_hybrid_system(case.system, case.topology, case.region, TOY)


def test_invalid_arguments_are_refused():
    class Terms:
        def create_forces(self, atoms):
            return []

    assert isinstance(Terms(), InnerTerms)
    with pytest.raises(ConfigError, match="inner_potential"):
        Subtractive(inside=MultipleTimeSteps(Terms()))
    with pytest.raises(ConfigError, match="constraints"):
        Subtractive(constraints="all")
    with pytest.raises(ConfigError, match="inside"):
        Subtractive(inside="all")


@pytest.mark.parametrize("inside", [MultipleTimeSteps(), Interpolated()], ids=str)
def test_constrained_bonds_without_terms_are_refused(inside):
    """They are needed between evaluations of the network, and at lambda_nnp = 0."""
    case = solvated_ligand("CO")  # bonds to hydrogen are constrained, and have no terms
    subtracted(case)
    subtracted(case, constraints="keep", inside=inside)
    with pytest.raises(ForceFieldError, match="neither a bond nor an angle term"):
        subtracted(case, inside=inside)


@pytest.mark.data
@pytest.mark.slow
def test_extracted_phenol_equals_phenol_alone(tmp_path):
    """From the published Tinker files: the region of the whole box, and the molecule alone."""
    folder = shared_data("phenol-amoeba")
    parameters = (folder / "amoebabio18.prm", folder / "amoeba_phenol.prm")
    whole = folder / "amoeba_solvated_phenol.xyz"
    first = [line for line in whole.read_text().splitlines() if line.split()[0].isdigit()][1:14]
    alone = tmp_path / "phenol.xyz"
    alone.write_text("\n".join(["13 phenol", *first]) + "\n")
    molecule = load_system(
        TinkerSystem(type="tinker", xyz=alone, parameters=parameters, nonbonded_method="NoCutoff")
    )
    box = load_system(TinkerSystem(type="tinker", xyz=whole, parameters=parameters))
    cut = create_region_system(box.system, list(range(13)))
    numbers = [atom.element.atomic_number for atom in molecule.topology.atoms()]
    found, expected = (
        OpenMMPotential(system).bind(numbers)(molecule.positions)
        for system in (cut, molecule.system)
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-5)
