"""Input that the coupling refuses, with the reason."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import solvated_ligand
from openmm import app

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ForceFieldError, InputFileError, RegionError, SimulationError
from nnpmm.coupling.forces import check_forces
from nnpmm.integrators import apply_hydrogen_mass, scale_masses


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


def test_topology_with_wrong_number_of_atoms_is_refused(model, case):
    system = changed(case, lambda system, nonbonded: system.addParticle(1.0))
    with pytest.raises(InputFileError, match="the topology has"):
        create_hybrid_system(system, case.topology, case.region, model)


def reordered(topology, order):
    """A topology with atoms in another order."""
    other, atoms = app.Topology(), list(topology.atoms())
    chain = other.addChain()
    residues = {r: other.addResidue(r.name, chain) for r in topology.residues()}
    made = {
        i: other.addAtom(atoms[i].name, atoms[i].element, residues[atoms[i].residue]) for i in order
    }
    for first, second in topology.bonds():
        other.addBond(made[first.index], made[second.index])
    other.setPeriodicBoxVectors(topology.getPeriodicBoxVectors())
    return other


@pytest.mark.parametrize("repartitioned", [False, True])
@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)], ids=["C and O", "C and H", "O and H"])
def test_topology_in_another_order_is_refused(model, case, pair, repartitioned):
    """Methanol's carbon, oxygen and a hydrogen of the methyl group."""
    system, order = copy.deepcopy(case.system), list(range(case.system.getNumParticles()))
    if repartitioned:
        apply_hydrogen_mass(system, case.topology, 3.0)
    first, second = pair
    order[first], order[second] = order[second], order[first]
    with pytest.raises(InputFileError, match=r"the topology has .* at MOL1:.*, the system a mass"):
        create_hybrid_system(system, reordered(case.topology, order), case.region, model)


@pytest.mark.parametrize("mass", [1.5, 3.0, 4.0])
@pytest.mark.parametrize("factor", [1, 5])
def test_repartitioned_and_scaled_masses_are_accepted(model, case, mass, factor):
    """Masses repartitioned as by OpenMM, which can make a carbon lighter than its hydrogens."""
    system = copy.deepcopy(case.system)
    for heavy, hydrogen in case.topology.bonds():
        if heavy.index in case.region and hydrogen.element.symbol == "H":
            taken = mass - system.getParticleMass(hydrogen.index)._value
            system.setParticleMass(hydrogen.index, mass)
            left = system.getParticleMass(heavy.index)._value - taken
            system.setParticleMass(heavy.index, left)
    scale_masses(system, case.region.tolist(), factor)
    system.setParticleMass(int(case.region[-1]) + 1, 0.0)  # a frozen atom
    create_hybrid_system(system, case.topology, case.region, model)


def test_isotopes_and_rounded_masses_are_accepted(model, case):
    system = copy.deepcopy(case.system)
    masses = {"C": 13.003, "O": 15.99, "H": 2.014}
    for atom in case.topology.atoms():
        system.setParticleMass(atom.index, masses[atom.element.symbol])
    create_hybrid_system(system, case.topology, case.region, model)


@pytest.mark.parametrize("deuterium_masses", [False, True])
def test_deuterium_is_treated_as_hydrogen(model, case, deuterium_masses):
    """The masses of the system do not change."""
    topology, system = copy.deepcopy(case.topology), copy.deepcopy(case.system)
    for atom in topology.atoms():
        if atom.element.symbol == "H":
            atom.element = app.element.deuterium
            if deuterium_masses:
                system.setParticleMass(atom.index, atom.element.mass)
    hybrid = create_hybrid_system(system, topology, case.region, model)
    expected = create_hybrid_system(system, case.topology, case.region, model)
    assert [hybrid.getParticleMass(i) for i in range(hybrid.getNumParticles())] == [
        system.getParticleMass(i) for i in range(system.getNumParticles())
    ]
    energies = []
    for made in (hybrid, expected):
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(made, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(case.positions)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    np.testing.assert_allclose(*energies, rtol=0, atol=1e-9)


@pytest.mark.parametrize("region", [[], [-1], [10**6]])
def test_invalid_region_indices_are_refused(model, case, region):
    with pytest.raises(RegionError, match="indices must lie in"):
        create_hybrid_system(case.system, case.topology, region, model)


def test_cut_bond_is_named(model, case):
    """The region lacks the hydroxyl hydrogen."""
    hydroxyl = next(b.atom2.index for b in case.topology.bonds() if b.atom1.name == "O1")
    region = np.setdiff1d(case.region, [hydroxyl])
    name = list(case.topology.atoms())[hydroxyl].name
    with pytest.raises(RegionError, match=rf"cuts 1 covalent bond \(MOL1:O1-MOL1:{name}\);"):
        create_hybrid_system(case.system, case.topology, region, model)


REFUSED = {
    "ATMForce": lambda: openmm.ATMForce(0, 0, 0, 0, 0, 0, 0, 0, 1),
    "AmoebaGeneralizedKirkwoodForce": openmm.AmoebaGeneralizedKirkwoodForce,
    "AmoebaMultipoleForce": openmm.AmoebaMultipoleForce,
    "AmoebaTorsionTorsionForce": openmm.AmoebaTorsionTorsionForce,
    "AmoebaVdwForce": openmm.AmoebaVdwForce,
    "AmoebaWcaDispersionForce": openmm.AmoebaWcaDispersionForce,
    "ConstantPotentialForce": openmm.ConstantPotentialForce,
    "CustomCVForce": lambda: openmm.CustomCVForce("1"),
    "CustomHbondForce": lambda: openmm.CustomHbondForce("1"),
    "CustomManyParticleForce": lambda: openmm.CustomManyParticleForce(3, "1"),
    "DrudeForce": openmm.DrudeForce,
    "GayBerneForce": openmm.GayBerneForce,
    "HippoNonbondedForce": openmm.HippoNonbondedForce,
    "PythonForce": lambda: openmm.PythonForce(print),
    "RPMDMonteCarloBarostat": lambda: openmm.RPMDMonteCarloBarostat(1.0, 300.0),
}


def test_every_force_class_of_openmm_is_handled_or_refused():
    """This fails if a new version of OpenMM has another class of forces."""
    from nnpmm.coupling.forces import UNTOUCHED
    from nnpmm.coupling.terms import BONDED

    handled = {kind.__name__ for kind in (*BONDED, *UNTOUCHED)}
    handled |= {"NonbondedForce", "CustomNonbondedForce"}
    known = {
        name
        for name in dir(openmm)
        if name != "Force" and isinstance(getattr(openmm, name), type)
        if issubclass(getattr(openmm, name), openmm.Force)
    }
    assert not handled & set(REFUSED)
    assert known - {"TorchForce", "PythonTorchForce"} == handled | set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_force_is_named(model, case, name):
    def add(system, nonbonded):
        force = REFUSED[name]()
        force.setName("mine")
        system.addForce(force)

    system = changed(case, lambda *_: None)
    add(system, None)
    with pytest.raises(ForceFieldError, match=f"found a {name} named 'mine', which mechanical"):
        check_forces(system, set())


def test_unsupported_force_is_refused_by_create_hybrid_system(model, case):
    system = changed(case, lambda system, _: system.addForce(openmm.GayBerneForce()))
    with pytest.raises(ForceFieldError, match="found a GayBerneForce named"):
        create_hybrid_system(system, case.topology, case.region, model)


def test_virtual_site_across_the_boundary_is_refused(model, case):
    system = changed(case, lambda *_: None)
    water = int(case.region[-1]) + 1
    site = openmm.TwoParticleAverageSite(int(case.region[0]), water + 1, 0.5, 0.5)
    system.setParticleMass(water, 0.0)
    for index in reversed(range(system.getNumConstraints())):
        if water in system.getConstraintParameters(index)[:2]:
            system.removeConstraint(index)
    system.setVirtualSite(water, site)
    with pytest.raises(ForceFieldError, match=f"virtual site {water} on atoms .* but the region"):
        create_hybrid_system(system, case.topology, case.region, model)


def test_exclusion_across_the_boundary_is_refused(model, case):
    def add(system, nonbonded):
        force = openmm.CustomNonbondedForce("r")
        for _ in range(system.getNumParticles()):
            force.addParticle([])
        force.addExclusion(int(case.region[0]), int(case.region[-1]) + 1)
        system.addForce(force)

    with pytest.raises(RegionError, match="cuts the excluded pair of atoms"):
        create_hybrid_system(changed(case, add), case.topology, case.region, model)


def test_missing_nonbonded_force_is_refused(model, case):
    def remove(system, nonbonded):
        kinds = [type(f) for f in system.getForces()]
        system.removeForce(kinds.index(openmm.NonbondedForce))

    system = copy.deepcopy(case.system)
    remove(system, None)
    with pytest.raises(ForceFieldError, match="found 0 NonbondedForces"):
        create_hybrid_system(system, case.topology, case.region, model)


def test_missing_charges_are_refused(model, case):
    def clear(system, nonbonded):
        for i in case.region:
            _, sigma, epsilon = nonbonded.getParticleParameters(int(i))
            nonbonded.setParticleParameters(int(i), 0.0, sigma, epsilon)

    with pytest.raises(ForceFieldError, match="zero charge"):
        create_hybrid_system(changed(case, clear), case.topology, case.region, model)


def test_missing_lennard_jones_parameters_are_refused(model, case):
    def clear(system, nonbonded):
        charge = nonbonded.getParticleParameters(int(case.region[0]))[0]
        nonbonded.setParticleParameters(int(case.region[0]), charge, 0.3, 0.0)

    with pytest.raises(ForceFieldError, match="no Lennard-Jones"):
        create_hybrid_system(changed(case, clear), case.topology, case.region, model)


@pytest.mark.parametrize(("extra", "message"), [(1.0, "charge \\+1 e"), (0.4, "not to an integer")])
def test_charged_region_is_refused(model, case, extra, message):
    def charge(system, nonbonded):
        q, sigma, epsilon = nonbonded.getParticleParameters(int(case.region[0]))
        nonbonded.setParticleParameters(int(case.region[0]), q._value + extra, sigma, epsilon)

    with pytest.raises(RegionError, match=message):
        create_hybrid_system(changed(case, charge), case.topology, case.region, model)


def test_opposite_charges_of_two_molecules_are_refused(model, case):
    """The network would not describe the interaction of two distant ions."""
    oxygen = next(
        next(residue.atoms()).index for residue in case.topology.residues() if residue.name == "HOH"
    )
    region = [*case.region.tolist(), oxygen, oxygen + 1, oxygen + 2]

    def move_a_charge(system, nonbonded):
        for atom, extra in ((int(case.region[0]), 1.0), (oxygen, -1.0)):
            q, sigma, epsilon = nonbonded.getParticleParameters(atom)
            nonbonded.setParticleParameters(atom, q._value + extra, sigma, epsilon)

    create_hybrid_system(case.system, case.topology, region, model)
    with pytest.raises(RegionError, match=r"2 charged molecules with \+1 .*, -1 .* but the model"):
        create_hybrid_system(changed(case, move_a_charge), case.topology, region, model)


def test_parameter_offset_on_the_region_is_refused(model, case):
    def offset(system, nonbonded):
        nonbonded.addGlobalParameter("lambda", 0.0)
        nonbonded.addParticleParameterOffset("lambda", int(case.region[0]), 0.1, 0.0, 0.0)

    with pytest.raises(ForceFieldError, match="parameter offset 'lambda'"):
        create_hybrid_system(changed(case, offset), case.topology, case.region, model)


def test_exception_offset_on_the_region_is_refused(model, case):
    def offset(system, nonbonded):
        nonbonded.addGlobalParameter("lambda", 0.0)
        pairs = [nonbonded.getExceptionParameters(i) for i in range(nonbonded.getNumExceptions())]
        inside = next(k for k, pair in enumerate(pairs) if pair[0] in case.region)
        nonbonded.addExceptionParameterOffset("lambda", inside, 0.1, 0.0, 0.0)

    with pytest.raises(ForceFieldError, match="exception offset 'lambda'"):
        create_hybrid_system(changed(case, offset), case.topology, case.region, model)


def test_two_nonbonded_forces_are_refused(model, case):
    system = changed(case, lambda system, force: system.addForce(copy.deepcopy(force)))
    with pytest.raises(ForceFieldError, match="found 2 NonbondedForces"):
        create_hybrid_system(system, case.topology, case.region, model)


def test_element_unknown_to_the_model_is_refused(model):
    case = solvated_ligand("CF")
    with pytest.raises(RegionError, match="found the elements F, but ANI-1x supports"):
        create_hybrid_system(case.system, case.topology, case.region, model)


def test_region_wider_than_half_the_box_is_an_error(model, case):
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    stretched = case.positions.copy()
    stretched[case.region, 0] += np.linspace(0, 0.55, len(case.region)) * case.box[0, 0]
    with pytest.raises(openmm.OpenMMException, match="of the periodic box"):
        case.state(hybrid, stretched)


def test_non_finite_positions_are_an_error(model, case):
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    group = {f.getForceGroup() for f in hybrid.getForces() if f.getName() == "NNP"}
    broken = case.positions.copy()
    broken[case.region[0]] = np.nan
    with pytest.raises((openmm.OpenMMException, SimulationError), match=r"non-finite|NaN|nan"):
        case.state(hybrid, broken, groups=group)
