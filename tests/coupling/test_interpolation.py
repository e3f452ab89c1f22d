"""Interpolated systems: end states with every non-bonded method, force groups, refusals."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import energy_and_forces, solvated_ligand, waters_topology
from openmm import app
from toy import TOY, morse_pairs

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import (
    LAMBDA_NNP,
    Interpolated,
    Mechanical,
    Role,
    nnp_derivative,
)
from nnpmm.models import FunctionModel

METHODS = ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", "Ewald", "PME")
COUPLING = Mechanical(inside=Interpolated(), constraints="keep")


@pytest.fixture(scope="module")
def case():
    return solvated_ligand("CO")


def coupled(case, model=TOY, coupling=COUPLING):
    return create_hybrid_system(case.system, case.topology, case.region, model, coupling=coupling)


@pytest.mark.parametrize("switched", [False, True], ids=["cut", "switched"])
@pytest.mark.parametrize("method", METHODS)
def test_lambda_zero_is_the_force_field(method, switched):
    """Aminobutanol is longer than the cutoff, so it has pairs within and beyond it."""
    case = solvated_ligand("NCCCCO", getattr(openmm.NonbondedForce, method))
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setUseSwitchingFunction(switched)
    nonbonded.setCutoffDistance(0.5)
    nonbonded.setSwitchingDistance(0.4)
    spread = np.linalg.norm(case.whole_region[:, None] - case.whole_region, axis=2)
    assert spread.max() > nonbonded.getCutoffDistance()._value
    context = case.context(coupled(case))
    context.setParameter(LAMBDA_NNP, 0.0)
    found, expected = energy_and_forces(context), case.state(case.system)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=0.3)


def test_lambda_zero_includes_ewald_pairs_beyond_the_cutoff():
    """A small alpha on a fine grid: erfc(alpha r)/r of a pair beyond the cutoff is large."""
    case = solvated_ligand("NCCCCO")
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setCutoffDistance(0.5)
    nonbonded.setPMEParameters(2.5, 48, 48, 48)
    context = case.context(coupled(case))
    context.setParameter(LAMBDA_NNP, 0.0)
    expected = case.state(case.system)[0]
    np.testing.assert_allclose(energy_and_forces(context)[0], expected, rtol=0, atol=0.01)


def test_network_is_not_called_at_zero_weight(case):
    calls = []

    def counted(positions, numbers, charge):
        calls.append(len(numbers))
        return morse_pairs(positions, numbers, charge)

    system = coupled(case, FunctionModel(counted, "counted"))
    calls.clear()
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    context.setParameter(LAMBDA_NNP, 0.0)
    context.getIntegrator().step(3)
    assert calls == []
    context.setParameter(LAMBDA_NNP, 0.5)
    context.getIntegrator().step(3)
    assert calls
    before = len(calls)
    nnp_derivative(context)
    assert len(calls) == before + 1


def test_network_and_region_force_field_have_separate_groups(case):
    system = coupled(case)
    groups = {force.getName(): force.getForceGroup() for force in system.getForces()}
    special = [groups.pop(Role.NETWORK.value), groups.pop(Role.REGION_FORCE_FIELD.value)]
    assert len({*special}) == 2
    assert not {*special} & {*groups.values()}


def test_derivative_is_the_slope_of_the_energy(case):
    context = case.context(coupled(case))
    energies = {}
    for value in (0.3, 0.5):
        context.setParameter(LAMBDA_NNP, value)
        energies[value] = energy_and_forces(context)[0]
    slope = (energies[0.5] - energies[0.3]) / 0.2
    np.testing.assert_allclose(nnp_derivative(context), slope, rtol=0, atol=1e-6)
    assert context.getParameter(LAMBDA_NNP) == 0.5


def test_derivative_needs_an_interpolated_system(case):
    context = case.context(coupled(case, coupling=Mechanical()))
    with pytest.raises(ForceFieldError, match="has no parameter 'lambda_nnp'"):
        nnp_derivative(context)


def test_constrained_bonds_without_terms_are_refused(case):
    """OpenMM's builders leave out the bond terms of constrained bonds."""
    with pytest.raises(ForceFieldError, match=r"4 constraints .*or use constraints='keep'$"):
        coupled(case, coupling=Mechanical(inside=Interpolated()))
    coupled(case, coupling=COUPLING)


def rigid_waters(flexible):
    """Two rigid waters, with or without terms in addition to their constraints."""
    topology = waters_topology(2)
    field = app.ForceField("tip3p.xml")
    return topology, field.createSystem(topology, flexibleConstraints=flexible)


@pytest.mark.parametrize("constraints", ["none", "keep"])
def test_rigid_water_with_flexible_terms(constraints):
    """The angle term replaces the constraint between the hydrogens."""
    topology, mm = rigid_waters(flexible=True)
    coupling = Mechanical(inside=Interpolated(), constraints=constraints)
    system = create_hybrid_system(mm, topology, range(3), TOY, coupling=coupling)
    x = np.array([[0, 0, 0], [0.1, 0, 0], [-0.02, 0.1, 0]])
    energies = []
    for each in (mm, system):
        context = openmm.Context(
            each, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
        )
        if each is system:
            context.setParameter(LAMBDA_NNP, 0.0)
        context.setPositions(np.concatenate([x, x + 0.4]))
        energies.append(energy_and_forces(context)[0])
    np.testing.assert_allclose(*energies, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("constraints", "found"),
    [
        (
            "none",
            r"3 constraints .*\(the first is of the bond between atoms \(0, 1\)\)",
        ),
        ("keep", r"1 constraints .*\(the first is of the angle with its ends at atoms \(1, 2\)\)"),
    ],
)
def test_rigid_water_without_terms_is_refused(constraints, found):
    """The message does not advise to keep constraints, which would not keep the angle."""
    topology, mm = rigid_waters(flexible=False)
    coupling = Mechanical(inside=Interpolated(), constraints=constraints)
    with pytest.raises(ForceFieldError, match=rf"{found} .*nor rigid water$"):
        create_hybrid_system(mm, topology, range(3), TOY, coupling=coupling)


def test_ljpme_is_refused():
    case = solvated_ligand("CO", openmm.NonbondedForce.LJPME)
    with pytest.raises(ForceFieldError, match="LJPME, which cannot be interpolated; use PME"):
        coupled(case)


@pytest.mark.parametrize("transport", ["torchscript", "torch"])
def test_other_transports_are_refused(transport, case):
    coupling = Mechanical(transport=transport, constraints="keep", inside=Interpolated())
    with pytest.raises(ConfigError, match=r"found transport='torch.*allowed: 'python'"):
        coupled(case, coupling=coupling)


def test_round_trip_through_xml(case):
    system = coupled(case)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    for value in (0.0, 0.6):
        contexts = [case.context(s) for s in (system, again)]
        for context in contexts:
            context.setParameter(LAMBDA_NNP, value)
        found, expected = (energy_and_forces(context)[0] for context in contexts)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_mm_part_round_trips_through_xml(case):
    """Without the Python callback, the system survives XML unchanged."""
    system = coupled(case)
    names = [force.getName() for force in system.getForces()]
    system.removeForce(names.index(Role.NETWORK.value))
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    np.testing.assert_allclose(case.state(again)[0], case.state(system)[0], rtol=0, atol=1e-9)
    assert "PythonForce" not in openmm.XmlSerializer.serialize(copy.deepcopy(again))
