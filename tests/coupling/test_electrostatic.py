"""Electrostatic embedding matches its definition, with artificial charges."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import openmm
import pytest
from cases import Case, bond_and_ion, compute_in, energy_and_forces, ion_leaves, solvated_ligand
from contracts import (
    assert_conserves_energy,
    assert_forces_match_energy,
    assert_invariant,
    assert_no_net_force_or_torque,
    assert_smooth,
)
from openmm import XmlSerializer, unit
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import (
    ConfigError,
    ForceFieldError,
    ModelError,
    RegionError,
)
from nnpmm.coupling import (
    LAMBDA_EMBEDDING,
    LAMBDA_NNP,
    Electrostatic,
    Interpolated,
    Mechanical,
    MultipleTimeSteps,
    Role,
    groups_by_role,
    nnp_derivative,
)
from nnpmm.coupling.electrostatic.kernel import find_images
from nnpmm.coupling.electrostatic.reference import pair_potential, reference_energy
from nnpmm.models.charges import point_charges
from nnpmm.structures import molecule_from_smiles, parameterize, solvate

CUTOFF = 0.7  # nm; the boxes of these tests are small
METHODS = {
    name: getattr(openmm.NonbondedForce, name)
    for name in ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", "Ewald", "PME", "LJPME")
}


def nonbonded_of(system: openmm.System) -> openmm.NonbondedForce:
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    return force


def charges_of(system: openmm.System, atoms=None) -> np.ndarray:
    force = nonbonded_of(system)
    atoms = range(system.getNumParticles()) if atoms is None else atoms
    return np.array([force.getParticleParameters(int(i))[0]._value for i in atoms])


class BondCharges:
    """Charges that depend on all interatomic distances, by 3 e/nm, with an analytic gradient."""

    def __init__(self, start: np.ndarray) -> None:
        self.start = start

    def __call__(self, positions):
        n = len(positions)
        i, j = np.triu_indices(n, 1)
        vectors = positions[i] - positions[j]
        lengths = np.linalg.norm(vectors, axis=1)
        flow = 3.0 * (lengths - 0.15) * np.exp(-((lengths / 0.2) ** 2))
        slope = (
            3.0 * np.exp(-((lengths / 0.2) ** 2)) * (1 - (lengths - 0.15) * 2 * lengths / 0.2**2)
        )
        charges = self.start.copy()
        np.add.at(charges, i, flow)
        np.add.at(charges, j, -flow)

        def pull_back(weights):
            pull = ((weights[i] - weights[j]) * slope / lengths)[:, None] * vectors
            gradient = np.zeros((n, 3))
            np.add.at(gradient, i, pull)
            np.add.at(gradient, j, -pull)
            return gradient

        return charges, pull_back


class Constant:
    """The same charges at every geometry."""

    def __init__(self, charges: np.ndarray) -> None:
        self.charges = charges

    def __call__(self, positions):
        return self.charges, None


class CloudCharges:
    """Bond charges, a part of which is smeared with a width that depends on a distance."""

    name = "clouds"

    def __init__(self, start: np.ndarray) -> None:
        self.start = start

    def bind(self, atomic_numbers, charge=0):
        return self

    def __call__(self, positions):
        charges, pull_back = BondCharges(self.start)(positions)
        centre = positions.mean(axis=0)
        square = ((positions - centre) ** 2).sum(axis=1)

        def all_back(on_charges, on_valence, on_widths):
            gradient = pull_back(on_charges + on_valence)
            own = 2 * (on_widths * 0.15)[:, None] * (positions - centre)
            return gradient + own - own.mean(axis=0)

        found = point_charges(charges, pull_back)
        # A core charge of 3 e, for a larger effect of the clouds.
        return type(found)(charges, all_back, charges - 3.0, 0.02 + 0.15 * square)


@pytest.fixture(scope="module")
def case() -> Case:
    """Acetamide in water: 9 atoms."""
    return solvated_ligand("CC(=O)N")


def bond_charges(case: Case) -> BondCharges:
    return BondCharges(charges_of(case.system, case.region))


def couple(case: Case, charges, system=None, **arguments) -> openmm.System:
    coupling = Electrostatic(charges, cutoff=CUTOFF, **arguments)
    system = case.system if system is None else system
    return create_hybrid_system(system, case.topology, case.region, TOY, coupling=coupling)


def added_energy(case: Case, system: openmm.System, positions=None) -> float:
    """Energy that the coupling adds to mechanical embedding, kJ/mol."""
    context = case.context(system, positions)
    energies = []
    for value in (0.0, 1.0):
        context.setParameter(LAMBDA_EMBEDDING, value)
        energies.append(energy_and_forces(context)[0])
    return energies[1] - energies[0]


def reference_of(case: Case, charges, *, cutoff=CUTOFF, positions=None) -> float:
    """The double sum for a case, also for charges with valence parts."""
    positions = case.positions if positions is None else positions
    others = np.setdiff1d(np.arange(len(positions)), case.region)
    found = charges(case.whole_region)
    total = found[0] if isinstance(found, tuple) else found.total
    clouds = {} if isinstance(found, tuple) else {"valence": found.valence, "widths": found.widths}
    return reference_energy(
        *(case.whole_region, total - charges_of(case.system, case.region)),
        *(positions[others], charges_of(case.system, others)),
        cutoff=cutoff,
        box=case.box,
        **clouds,
    )


def skewed(case: Case) -> Case:
    """The same molecules, unchanged, in a triclinic box."""
    a = case.box[0, 0] * 1.2
    box = np.array([[a, 0, 0], [0.3 * a, a, 0], [-0.4 * a, 0.35 * a, a]])
    system = copy.deepcopy(case.system)
    system.setDefaultPeriodicBoxVectors(*box)
    return Case(case.topology, system, case.positions, box, case.region)


def test_pair_potential_vanishes_smoothly_at_the_cutoff():
    """Value, slope and curvature are zero at the cutoff, so the potential is cubic nearby."""
    inside = 1e-3 * np.arange(4)
    values = [pair_potential(1.2 - x, 1.2) for x in inside]
    np.testing.assert_allclose(values, 15 / (6 * 1.2**4) * inside**3, rtol=0.02, atol=1e-15)
    assert pair_potential(1e-4, 1.2) == pytest.approx(1e4, rel=1e-3)
    assert pair_potential(2.0, math.inf) == 0.5


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_embedding_energy_matches_the_double_sum(method):
    case = solvated_ligand("CO", method)
    charges = bond_charges(case)
    found = added_energy(case, couple(case, charges))
    cutoff = math.inf if method == openmm.NonbondedForce.NoCutoff else CUTOFF
    expected = reference_of(case, charges, cutoff=cutoff)
    assert abs(expected) > 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", ["cubic", "triclinic"])
def test_energy_of_smeared_charges_matches_the_double_sum(case, shape):
    case = case if shape == "cubic" else skewed(case)
    charges = CloudCharges(charges_of(case.system, case.region))
    found = added_energy(case, couple(case, charges))
    points_only = reference_of(case, bond_charges(case))
    expected = reference_of(case, charges)
    assert abs(expected - points_only) > 0.02
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_every_image_within_the_cutoff_is_found():
    """A region almost half as wide as the box, with the most skewed reduced box vectors."""
    rng = np.random.default_rng(1)
    box = 2 * CUTOFF * np.array([[1, 0, 0], [0.5, 1, 0], [0.5, -0.5, 1]])
    region = 0.499 * box.diagonal() * (rng.integers(0, 2, (20, 8, 3)) - 0.5)
    place = region - region.mean(axis=1, keepdims=True)
    environment = rng.random((100, 3)) @ box
    shifts = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ box
    for own, centred in zip(region, place, strict=True):
        vectors = (environment[:, None] + shifts - own.mean(axis=0)).reshape(-1, 3)
        near = (np.linalg.norm(vectors[:, None] - centred, axis=2) < CUTOFF).any(axis=1)
        reach = CUTOFF + np.linalg.norm(centred, axis=1).max()
        _, images = find_images(own.mean(axis=0), reach, environment, box, True)
        distances = np.linalg.norm(vectors[near, None] - images.T, axis=2)
        assert distances.min(axis=1).max() < 1e-9


def test_fixed_charges_are_mechanical_embedding(case):
    fixed = Constant(charges_of(case.system, case.region))
    mechanical = create_hybrid_system(case.system, case.topology, case.region, TOY)
    found, expected = case.state(couple(case, fixed)), case.state(mechanical)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


def with_charges(case: Case, charges: np.ndarray) -> openmm.System:
    """The MM system with other charges on the region."""
    system = copy.deepcopy(case.system)
    force = nonbonded_of(system)
    for atom, charge in zip(case.region.tolist(), charges, strict=True):
        _, sigma, epsilon = force.getParticleParameters(atom)
        force.setParticleParameters(atom, charge, sigma, epsilon)
    return system


def test_constant_charges_without_cutoff_match_mechanical_embedding():
    """The reference is mechanical embedding with these charges in the MM system."""
    case = solvated_ligand("CC(=O)N", openmm.NonbondedForce.NoCutoff)
    other = bond_charges(case)(case.whole_region)[0]
    system = with_charges(case, other)
    mechanical = create_hybrid_system(system, case.topology, case.region, TOY)
    found, expected = case.state(couple(case, Constant(other))), case.state(mechanical)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-4)


def test_truncation_converges_to_the_ewald_sum():
    """The effect of shifted charges with a cutoff, against the same with PME.

    The dipole changes by 5 D without a response of the water: harder than in any application.
    """
    molecule = molecule_from_smiles("CC(=O)N", seed=1)
    box = solvate(molecule, parameterize(molecule), padding=1.1, nonbonded_cutoff=0.7, seed=1)
    vectors = np.array(box.box_vectors, dtype=float)
    atoms = np.array(box.ligand_atoms)
    case = Case(box.topology, box.system, np.array(box.positions), vectors, atoms)
    nonbonded_of(case.system).setEwaldErrorTolerance(1e-5)
    start = charges_of(case.system, case.region)
    other = bond_charges(case)(case.whole_region)[0]
    # Energies without the environment remove the interaction of the region with its images.
    found = {
        (kind, environment): _pair_energy(case, charges, environment)
        for kind, charges in (("start", start), ("other", other))
        for environment in (0.0, 1.0)
    }
    exact = found["other", 1.0] - found["other", 0.0] - found["start", 1.0] + found["start", 0.0]
    assert abs(exact) > 10
    errors = []
    for cutoff in (0.6, 0.9, 1.2):
        coupling = Electrostatic(Constant(other), cutoff=cutoff)
        system = create_hybrid_system(
            case.system, case.topology, case.region, TOY, coupling=coupling
        )
        errors.append(abs(added_energy(case, system) - exact))
    assert errors[0] > 1.5 * errors[1] > 1.5**2 * errors[2]
    assert errors[2] < 0.1 * abs(exact)


def _pair_energy(case: Case, charges: np.ndarray, environment: float) -> float:
    """Energy of the NonbondedForce with given charges of the region, and a scaled environment."""
    system = with_charges(case, charges)
    force = nonbonded_of(system)
    for i in set(range(force.getNumParticles())) - set(case.region.tolist()):
        charge, *rest = force.getParticleParameters(i)
        force.setParticleParameters(i, environment * charge, *rest)
    hybrid = create_hybrid_system(system, case.topology, case.region, TOY)
    return energy_and_forces(case.context(hybrid), {nonbonded_of(hybrid).getForceGroup()})[0]


@pytest.mark.parametrize("kind", ["points", "clouds"])
@pytest.mark.parametrize("shape", ["cubic", "triclinic", "none"])
def test_forces_are_the_gradient(case, kind, shape):
    case = skewed(case) if shape == "triclinic" else case
    if shape == "none":
        case = solvated_ligand("CC(=O)N", openmm.NonbondedForce.NoCutoff)
    charges = bond_charges(case) if kind == "points" else CloudCharges(bond_charges(case).start)
    group = groups_by_role(couple(case, charges))[Role.NETWORK]
    context = case.context(couple(case, charges))
    compute = compute_in(context, group)
    near = np.linalg.norm(
        case.positions[case.region[-1] + 1 :] - case.positions[case.region[2]], axis=1
    )
    waters = np.argsort(near)[[0, 1, 30]] + case.region[-1] + 1
    atoms = np.array([*case.region[:4], *waters])
    forces = compute(case.positions)[1]
    assert np.abs(forces[waters]).min() > 0.1
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=1e-3)


def test_contract_of_a_molecule_without_box():
    case = solvated_ligand("CC(=O)N", openmm.NonbondedForce.NoCutoff)
    hybrid = couple(case, CloudCharges(bond_charges(case).start))
    compute = compute_in(case.context(hybrid))
    assert_invariant(compute, case.positions, atol=1e-4)
    assert_no_net_force_or_torque(compute(case.positions)[1], case.positions, atol=1e-4)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shape", ["cubic", "triclinic"])
def test_atoms_split_by_the_boundary(case, shape, axis):
    """Any image of the atoms of the region and of the water gives the same energy."""
    case = skewed(case) if shape == "triclinic" else case
    hybrid = couple(case, bond_charges(case))
    energy, forces = case.state(hybrid)
    split = case.positions.copy()
    split[case.region[::2]] += case.box[axis]
    split[case.region[-1] + 1 :: 2] -= 2 * case.box[axis]
    found = case.state(hybrid, split)
    np.testing.assert_allclose(found[0], energy, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=0.05)


def test_energy_is_smooth_where_a_charge_crosses_the_cutoff():
    case = bond_and_ion()
    hybrid = couple(case, BondCharges(np.array([0.4, -0.4])))
    context = case.context(hybrid)
    group = groups_by_role(hybrid)[Role.NETWORK]
    compute = compute_in(context, group)
    path = ion_leaves(case, CUTOFF)
    assert compute(path[0])[0] != compute(path[-1])[0]
    # The third derivative of the energy jumps: 15 / R^4 e^2 times the shift of the charge, 0.09 e.
    assert_smooth(compute, path, energy_atol=5e-5, force_atol=2e-3)


@pytest.mark.parametrize("kind", ["points", "clouds"])
def test_dynamics_conserve_energy(case, kind):
    """The region moves in the field of fixed water, by the network's force alone."""
    charges = bond_charges(case) if kind == "points" else CloudCharges(bond_charges(case).start)
    hybrid = couple(case, charges)
    context = case.context(hybrid)
    group = groups_by_role(hybrid)[Role.NETWORK]
    compute = compute_in(context, group)
    masses = np.zeros(len(case.positions))
    masses[case.region] = [hybrid.getParticleMass(int(i))._value for i in case.region]
    start = case.positions.copy()
    start[case.region] += np.random.default_rng(2).normal(0, 0.003, (len(case.region), 3))
    assert_conserves_energy(compute, start, masses, precision=1e-4)


def test_lambda_embedding_interpolates_from_mechanical_to_electrostatic(case):
    """Energy and forces are linear in the parameter."""
    hybrid = couple(case, bond_charges(case))
    context = case.context(hybrid)
    states = []
    for value in (0.0, 0.25, 1.0):
        context.setParameter(LAMBDA_EMBEDDING, value)
        states.append(energy_and_forces(context))
    mechanical = create_hybrid_system(case.system, case.topology, case.region, TOY)
    expected = case.state(mechanical)
    for k in (0, 1):
        np.testing.assert_allclose(states[0][k], expected[k], rtol=0, atol=1e-6)
        mixed = 0.75 * states[0][k] + 0.25 * states[2][k]
        np.testing.assert_allclose(states[1][k], mixed, rtol=0, atol=1e-6)
    assert abs(states[2][0] - states[0][0]) > 1


def test_interpolation_from_the_force_field_to_network_and_charges(case):
    """The derivative by lambda_nnp is the difference of the end states."""
    hybrid = couple(case, bond_charges(case), constraints="keep", inside=Interpolated())
    context = case.context(hybrid)
    difference = nnp_derivative(context)
    context.setParameter(LAMBDA_NNP, 0.0)
    np.testing.assert_allclose(
        energy_and_forces(context)[0], case.state(case.system)[0], rtol=0, atol=0.01
    )
    full = case.state(couple(case, bond_charges(case), constraints="keep"))[0]
    expected = full - case.state(case.system)[0]
    np.testing.assert_allclose(difference, expected, rtol=0, atol=0.01)


def test_multiple_time_steps_do_not_change_the_energy(case):
    system = copy.deepcopy(case.system)
    whole = couple(case, bond_charges(case), system, constraints="keep")
    split = couple(case, bond_charges(case), system, constraints="keep", inside=MultipleTimeSteps())
    found, expected = case.state(split), case.state(whole)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-2)
    slow = groups_by_role(split)[Role.NETWORK]
    assert slow.isdisjoint({nonbonded_of(split).getForceGroup()})


def test_system_round_trips_through_xml(case):
    hybrid = couple(case, bond_charges(case))
    again = XmlSerializer.deserialize(XmlSerializer.serialize(hybrid))
    np.testing.assert_allclose(case.state(again)[0], case.state(hybrid)[0], rtol=0, atol=1e-6)


def test_mm_system_is_not_changed(case):
    before = XmlSerializer.serialize(case.system)
    couple(case, bond_charges(case))
    assert XmlSerializer.serialize(case.system) == before


def with_charge_sites(case: Case, count: int) -> Case:
    """A case in which the first waters have the oxygen charge on a virtual site, as in TIP4P."""
    system, force = copy.deepcopy(case.system), None
    force = nonbonded_of(system)
    topology = copy.deepcopy(case.topology)
    residue = topology.addResidue("SIT", topology.addChain())
    places = []
    for number in range(count):
        oxygen = int(case.region[-1]) + 1 + 3 * number
        parents = [oxygen, oxygen + 1, oxygen + 2]
        weights = np.array([0.6, 0.2, 0.2])
        charge, sigma, epsilon = force.getParticleParameters(oxygen)
        force.setParticleParameters(oxygen, 0.0, sigma, epsilon)
        site = system.addParticle(0.0)
        topology.addAtom("M", None, residue)
        force.addParticle(charge, 1.0, 0.0)
        for parent in parents:
            force.addException(parent, site, 0.0, 1.0, 0.0)
        system.setVirtualSite(site, openmm.ThreeParticleAverageSite(*parents, *weights))
        places.append(weights @ case.positions[parents])
    positions = np.concatenate([case.positions, places])
    return Case(topology, system, positions, case.box, case.region)


def test_virtual_sites_of_the_environment():
    """The force on a charged site is distributed to its parent atoms."""
    case = with_charge_sites(solvated_ligand("CO", openmm.NonbondedForce.NoCutoff), 8)
    hybrid = couple(case, bond_charges(case))
    np.testing.assert_allclose(
        added_energy(case, hybrid),
        reference_of(case, bond_charges(case), cutoff=math.inf),
        rtol=0,
        atol=1e-5,
    )
    context = case.context(hybrid)
    group = groups_by_role(hybrid)[Role.NETWORK]
    compute = compute_in(context, group)
    forces = compute(case.positions)[1]
    first = int(case.region[-1]) + 1
    atoms = np.array([0, 1, first, first + 1, first + 3])
    assert np.abs(forces[first]).max() > 0.1  # the atom itself has no charge
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=1e-3)


def test_charged_site_on_the_region_is_refused():
    case = with_charge_sites(solvated_ligand("CO"), 1)
    system = copy.deepcopy(case.system)
    region = np.arange(case.region[-1] + 1, case.region[-1] + 4)
    with pytest.raises(RegionError, match="charged virtual site"):
        create_hybrid_system(
            system, case.topology, region, TOY, coupling=Electrostatic(Constant(np.zeros(3)))
        )


def without_environment_charges(case: Case) -> openmm.System:
    system = copy.deepcopy(case.system)
    force = nonbonded_of(system)
    for i in range(force.getNumParticles()):
        if i not in set(case.region.tolist()):
            _, *rest = force.getParticleParameters(i)
            force.setParticleParameters(i, 0.0, *rest)
    return system


def with_offset(case: Case) -> openmm.System:
    system = copy.deepcopy(case.system)
    force = nonbonded_of(system)
    force.addGlobalParameter("scale", 0.0)
    force.addParticleParameterOffset("scale", force.getNumParticles() - 1, 1.0, 0, 0)
    return system


def with_force(case: Case, force: openmm.Force) -> openmm.System:
    system = copy.deepcopy(case.system)
    system.addForce(force)
    return system


REFUSED = {
    "no charges around": (without_environment_charges, ForceFieldError, "no charges on the"),
    "offsets": (with_offset, ForceFieldError, "parameter offsets"),
    "implicit solvent": (
        lambda case: with_force(case, openmm.GBSAOBCForce()),
        ForceFieldError,
        "GBSAOBCForce",
    ),
    "Drude": (
        lambda case: with_force(case, openmm.DrudeForce()),
        ForceFieldError,
        "DrudeForce, whose environment is polarizable",
    ),
    "AMOEBA": (
        lambda case: with_force(case, openmm.AmoebaMultipoleForce()),
        ForceFieldError,
        "AmoebaMultipoleForce, whose environment is polarizable",
    ),
    "another region": (
        lambda case: create_hybrid_system(
            case.system, case.topology, range(case.region[-1] + 1, case.region[-1] + 4), TOY
        ),
        RegionError,
        "already has a region",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_unsupported_environments_are_refused(case, change):
    make, error, words = REFUSED[change]
    with pytest.raises(error, match=words):
        couple(case, bond_charges(case), make(case))


def test_second_region_interacts_with_fixed_charges(case):
    """A mechanical region next to an electrostatic one; the same atoms are refused."""
    hybrid = couple(case, bond_charges(case))
    water = np.arange(case.region[-1] + 1, case.region[-1] + 4)
    both = create_hybrid_system(hybrid, case.topology, water, TOY)
    assert case.state(both)[0] != case.state(hybrid)[0]
    with pytest.raises(RegionError, match="belong to an earlier"):
        create_hybrid_system(both, case.topology, case.region, TOY, coupling=Mechanical())


def test_model_without_charges_is_refused(case):
    with pytest.raises(ModelError, match=r"without atomic charges.*AIMNet2"):
        couple(case, "network")


@pytest.mark.parametrize("charges", ["amber", 3])
def test_unknown_charges_are_refused(charges):
    with pytest.raises(ConfigError, match="allowed: 'network'"):
        Electrostatic(charges)


def test_induction_needs_polarizabilities():
    with pytest.raises(ConfigError, match="which have no polarizabilities"):
        Electrostatic("network", induction=True)


def test_cutoff_must_be_a_length():
    with pytest.raises(ConfigError, match="positive length"):
        Electrostatic("network", cutoff=0.0)
    assert Electrostatic("network", cutoff=12 * unit.angstrom).cutoff == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: np.zeros(len(x)), "expected a pair"),
        (lambda x: (np.zeros(3), None), "charges of shape"),
        (lambda x: (np.full(len(x), 0.1), None), "add up to"),
        (lambda x: (np.zeros(len(x)), np.zeros((2, 3))), "derivatives of shape"),
        (lambda x: (np.full(len(x), np.nan), None), "add up to"),
    ],
)
def test_charge_functions_with_invalid_results_are_refused(case, function, words):
    with pytest.raises(openmm.OpenMMException, match=words):
        case.state(couple(case, function))


def test_box_smaller_than_twice_the_cutoff_is_refused(case):
    coupling = Electrostatic(bond_charges(case), cutoff=1.5)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, TOY, coupling=coupling)
    with pytest.raises(openmm.OpenMMException, match="twice the cutoff"):
        case.state(hybrid)
