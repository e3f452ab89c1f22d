"""What the coupling refuses, and that it says why."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import solvated_ligand

from nnpmm import create_hybrid_system, load_model
from nnpmm.errors import ForceFieldError, InputFileError, RegionError, SimulationError


@pytest.fixture(scope="module")
def model():
    return load_model("ANI-1x", members=0)


@pytest.fixture(scope="module")
def case():
    return solvated_ligand("CO")


def changed(case, change):
    """A copy of the case's system after ``change(system, nonbonded)``."""
    system = copy.deepcopy(case.system)
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    change(system, nonbonded)
    return system


def test_wrong_topology(model, case):
    system = changed(case, lambda system, nonbonded: system.addParticle(1.0))
    with pytest.raises(InputFileError, match="the topology has"):
        create_hybrid_system(system, case.topology, case.region, model)


@pytest.mark.parametrize("region", [[], [-1], [10**6]])
def test_empty_or_outside(model, case, region):
    with pytest.raises(RegionError, match="indices must lie in"):
        create_hybrid_system(case.system, case.topology, region, model)


def test_cut_bond_is_named(model, case):
    with pytest.raises(RegionError, match=r"cuts 1 covalent bond \(MOL1:C1-MOL1:O1\)|cuts"):
        create_hybrid_system(case.system, case.topology, case.region[:1], model)


def test_unsupported_force_is_named(model, case):
    def add(system, nonbonded):
        force = openmm.CustomBondForce("k*r")
        force.setName("my restraint")
        system.addForce(force)

    with pytest.raises(ForceFieldError, match="CustomBondForce named 'my restraint'"):
        create_hybrid_system(changed(case, add), case.topology, case.region, model)


@pytest.mark.parametrize("energy", ["k*theta + 1", "theta", "c*theta", "k + theta", "-k*theta"])
def test_custom_torsion_that_k_does_not_silence(model, case, energy):
    def add(system, nonbonded):
        force = openmm.CustomTorsionForce(energy)
        force.addPerTorsionParameter("k")
        force.addPerTorsionParameter("c")
        force.addTorsion(*[int(i) for i in case.region[:4]], [1.0, 1.0])
        system.addForce(force)

    with pytest.raises(ForceFieldError, match="CustomTorsionForce with the energy"):
        create_hybrid_system(changed(case, add), case.topology, case.region, model)


def test_no_nonbonded_force(model, case):
    def remove(system, nonbonded):
        kinds = [type(f) for f in system.getForces()]
        system.removeForce(kinds.index(openmm.NonbondedForce))

    system = copy.deepcopy(case.system)
    remove(system, None)
    with pytest.raises(ForceFieldError, match="found 0 NonbondedForces"):
        create_hybrid_system(system, case.topology, case.region, model)


def test_missing_charges(model, case):
    def clear(system, nonbonded):
        for i in case.region:
            _, sigma, epsilon = nonbonded.getParticleParameters(int(i))
            nonbonded.setParticleParameters(int(i), 0.0, sigma, epsilon)

    with pytest.raises(ForceFieldError, match="zero charge"):
        create_hybrid_system(changed(case, clear), case.topology, case.region, model)


def test_missing_lennard_jones(model, case):
    def clear(system, nonbonded):
        charge = nonbonded.getParticleParameters(int(case.region[0]))[0]
        nonbonded.setParticleParameters(int(case.region[0]), charge, 0.3, 0.0)

    with pytest.raises(ForceFieldError, match="no Lennard-Jones"):
        create_hybrid_system(changed(case, clear), case.topology, case.region, model)


@pytest.mark.parametrize(("extra", "message"), [(1.0, "charge \\+1 e"), (0.4, "not to an integer")])
def test_charged_region(model, case, extra, message):
    def charge(system, nonbonded):
        q, sigma, epsilon = nonbonded.getParticleParameters(int(case.region[0]))
        nonbonded.setParticleParameters(int(case.region[0]), q._value + extra, sigma, epsilon)

    with pytest.raises(RegionError, match=message):
        create_hybrid_system(changed(case, charge), case.topology, case.region, model)


def test_parameter_offset_on_the_region(model, case):
    def offset(system, nonbonded):
        nonbonded.addGlobalParameter("lambda", 0.0)
        nonbonded.addParticleParameterOffset("lambda", int(case.region[0]), 0.1, 0.0, 0.0)

    with pytest.raises(ForceFieldError, match="parameter offset 'lambda'"):
        create_hybrid_system(changed(case, offset), case.topology, case.region, model)


def test_element_unknown_to_the_model(model):
    case = solvated_ligand("CF")
    with pytest.raises(RegionError, match="found the elements F, ANI-1x knows"):
        create_hybrid_system(case.system, case.topology, case.region, model)


def test_region_wider_than_half_the_box(model, case):
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    stretched = case.positions.copy()
    stretched[case.region, 0] += np.linspace(0, 0.55, len(case.region)) * case.box[0, 0]
    with pytest.raises(openmm.OpenMMException, match="of the periodic box"):
        case.state(hybrid, stretched)


def test_blown_up_positions_reach_the_user(model, case):
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    group = {f.getForceGroup() for f in hybrid.getForces() if f.getName() == "NNP"}
    broken = case.positions.copy()
    broken[case.region[0]] = np.nan
    with pytest.raises((openmm.OpenMMException, SimulationError), match=r"non-finite|NaN|nan"):
        case.state(hybrid, broken, groups=group)
