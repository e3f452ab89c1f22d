"""AIMNet2: charges, the long range, regions that it refuses, and its way through the package."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import openmm
import pytest
import torch
from complexes import N_METHANOL, Inputs, methanol_system, side_by_side
from conftest import aimnet_file, distorted, load_aimnet
from contracts import assert_forces_match_energy, assert_invariant, assert_smooth
from openmm import unit
from rdkit import Chem

import nnpmm
from nnpmm.core.constants import COULOMB_CONSTANT, EV_TO_KJ_PER_MOL
from nnpmm.core.errors import ModelError, RegionError, SimulationError
from nnpmm.models import find_family, load_model
from nnpmm.models.preparation import prepare_nnp
from nnpmm.simulation import load_config, prepare_system, run

AMMONIUM, ACETATE = "C[NH3+]", "CC(=O)[O-]"


@pytest.fixture(scope="module")
def model():
    return load_aimnet()


@pytest.fixture(scope="module")
def double_model():
    return load_aimnet(precision="double")


def charge_of(smiles):
    return Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("name", ["AIMNet2", "aimnet-2", "AIMNet2-wB97M", "aimnet2_wb97m_d3"])
def test_names(name):
    assert find_family(name)[0] == "AIMNet2"


@pytest.mark.parametrize("smiles", [AMMONIUM, ACETATE, "[NH3+]CC[NH3+]", "CSC"])
def test_forces_of_ions_are_the_gradient(double_model, smiles):
    numbers, positions = distorted(smiles)
    evaluator = double_model.bind(numbers, charge_of(smiles))
    assert_forces_match_energy(evaluator, positions, atol=0.01)
    assert_invariant(evaluator, positions, atol=1e-6)


def test_single_precision_far_from_the_origin(model, double_model):
    numbers, positions = distorted(ACETATE)
    found = model.bind(numbers, -1).evaluate(positions + 30.0)
    expected = double_model.bind(numbers, -1).evaluate(positions)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=0.01)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=0.5)
    np.testing.assert_allclose(found.member_energies, expected.member_energies, rtol=0, atol=0.01)
    assert expected.energy == pytest.approx(expected.member_energies.mean(), rel=0, abs=1e-9)


@pytest.mark.parametrize("smiles", ["C#C", "O=C=O", "c1ccccc1", "[H][H]", "[C-]#N"])
def test_linear_planar_and_tiny_molecules(double_model, smiles):
    numbers, positions = distorted(smiles)
    if len(numbers) < 5:
        positions[:, 1:] = 0.0  # on a line
    else:
        positions[:, 2] = 0.0
    evaluator = double_model.bind(numbers, charge_of(smiles))
    if len(numbers) < 5:
        positions[:, 0] = [0, 0.12, 0.24, 0.36][: len(numbers)]
    energy, forces = evaluator(positions)
    assert np.isfinite(energy) and np.isfinite(forces).all()
    assert_forces_match_energy(evaluator, positions, atol=0.01)


@pytest.mark.parametrize("cutoff", [0.5, 0.46])
def test_smooth_through_the_cutoffs(double_model, cutoff):
    """A hydrogen crosses the cutoff of the radial functions and that of the Coulomb energy.

    The force has a kink at the first: its slope changes by 1.5e4 kJ/mol/nm^2, 0.03 kJ/mol/nm in a
    step of 2e-6 nm. A jump does not depend on the step.
    """
    path = np.zeros((32, 3, 3))
    path[:, 1, 0] = 0.096
    path[:, 2, 0] = -(cutoff + 2e-6 * (np.arange(32) - 15.5))
    assert_smooth(double_model.bind([8, 1, 1]), path, energy_atol=1e-5, force_atol=0.05)


@pytest.mark.parametrize("smiles", [AMMONIUM, ACETATE, "[O-]C(=O)C(=O)[O-]", "CO"])
def test_charges_add_up_to_the_total_charge(model, smiles):
    numbers, positions = distorted(smiles)
    charges = model.bind(numbers, charge_of(smiles)).charges(positions)
    assert charges.shape == (len(numbers),) and charges.dtype == np.float64
    assert charges.sum() == pytest.approx(charge_of(smiles), abs=1e-5)


def test_charges_make_chemical_sense(double_model):
    """Equal hydrogens carry equal charges; those of ammonium are positive, oxygen is negative."""
    tetrahedron = 0.0589 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    ammonium = double_model.bind([7, 1, 1, 1, 1], 1).charges(tetrahedron)
    np.testing.assert_allclose(ammonium[1:], ammonium[1], rtol=0, atol=1e-9)
    assert 0.2 < ammonium[1] < 0.6
    water = double_model.bind([8, 1, 1])
    positions = np.array([[0, 0, 0], [0.09572, 0, 0], [-0.023999, 0.092663, 0]])
    charges = water.charges(positions)
    dipole = np.linalg.norm(charges @ positions) / 0.020819434  # e nm in debye
    assert dipole == pytest.approx(1.85, abs=0.15)  # of a water molecule in the gas


def test_derivatives_of_charges(double_model):
    numbers, positions = distorted("CO")
    evaluator = double_model.bind(numbers)
    tensor = torch.tensor(positions)
    found = torch.autograd.functional.jacobian(evaluator.charge_tensors, tensor).numpy()
    np.testing.assert_allclose(evaluator.charge_tensors(tensor), evaluator.charges(positions))
    np.testing.assert_allclose(found.sum(axis=0), 0, rtol=0, atol=1e-5)  # the total charge stays
    step = 1e-5
    for atom, axis in ((0, 0), (1, 2), (4, 1)):
        shifted = np.repeat(positions[None], 2, axis=0)
        shifted[:, atom, axis] += [step, -step]
        up, down = (evaluator.charges(x) for x in shifted)
        np.testing.assert_allclose(
            found[:, atom, axis], (up - down) / (2 * step), rtol=0, atol=1e-5
        )


def two_molecules(model, first, second, distances):
    """An evaluator of two molecules, and positions with their centres some distances (nm) apart."""
    (numbers, a), (others, b) = distorted(first), distorted(second)
    evaluator = model.bind([*numbers, *others], charge_of(first) + charge_of(second))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    places = [np.array([distance, 0, 0]) for distance in distances]
    return evaluator, [np.concatenate([a, b + place]) for place in places], len(a)


@pytest.mark.parametrize(("first", "second"), [(AMMONIUM, ACETATE), (AMMONIUM, AMMONIUM)])
def test_distant_ions_attract_and_repel_by_coulombs_law(double_model, first, second):
    """Beyond the cutoff charges are constant: the rest of the energy is theirs, and dispersion."""
    evaluator, (near, far), n = two_molecules(double_model, first, second, (3.0, 5.0))
    charges = evaluator.charges(near)
    np.testing.assert_allclose(evaluator.charges(far), charges, rtol=0, atol=1e-9)

    def coulomb(positions):
        vectors = positions[:n, None] - positions[None, n:]
        products = charges[:n, None] * charges[n:]
        return COULOMB_CONSTANT * (products / np.linalg.norm(vectors, axis=2)).sum()

    expected = coulomb(near) - coulomb(far)
    assert abs(expected) > 15.0
    assert evaluator(near)[0] - evaluator(far)[0] == pytest.approx(expected, abs=1e-3)


def test_distant_molecules_attract_by_dispersion_alone(double_model):
    """Two tetrahedra of methane have no dipole: C6 / r^6, with C6 of about 130 hartree bohr^6."""
    evaluator, positions, _ = two_molecules(double_model, "C", "C", (1.5, 1.8, 20.0))
    near, middle, far = (evaluator(x)[0] for x in positions)
    c6 = [(far - e) * r**6 for e, r in ((near, 1.5), (middle, 1.8))]
    in_hartree_bohr6 = np.array(c6) / (2625.4996 * 0.0529177**6)
    np.testing.assert_allclose(in_hartree_bohr6, 130, rtol=0, atol=13)


def test_distant_neutral_molecules_nearly_add_up(double_model):
    """Not to the last digit: the networks share out the total charge among all atoms."""
    evaluator, (far,), n = two_molecules(double_model, "CO", "CN", (5.0,))
    alone = [double_model.bind(distorted(s)[0])(distorted(s)[1])[0] for s in ("CO", "CN")]
    assert evaluator(far)[0] == pytest.approx(sum(alone), abs=0.2)
    assert abs(evaluator.charges(far)[:n].sum()) < 0.01


def test_a_periodic_box_is_refused(model):
    evaluator = model.bind([1, 1])
    positions = np.array([[0, 0, 0], [0.074, 0, 0]])
    for call in (evaluator, evaluator.evaluate, evaluator.member_energies, evaluator.at_each_step):
        with pytest.raises(SimulationError, match="found a periodic box, but AIMNet2 describes"):
            call(positions, 3.0 * np.eye(3))


@pytest.mark.parametrize(("charge", "electrons"), [(0, 17), (2, 15), (-1, 18), (1, 16)])
def test_the_number_of_electrons_is_even(model, charge, electrons):
    numbers = distorted(AMMONIUM)[0][1:]  # without its carbon: N and 6 H make 13 electrons
    numbers = np.append(numbers, [1] * (electrons + charge - numbers.sum()))
    if electrons % 2 == 0:
        assert model.bind(numbers, charge).charge == charge
    else:
        with pytest.raises(RegionError, match=f"{electrons} electrons with a charge of "):
            model.bind(numbers, charge)


def test_unknown_elements_and_choices(model):
    with pytest.raises(
        RegionError, match="found the elements Li, Na, but AIMNet2 supports H, B, C"
    ):
        model.bind([3, 11])
    with pytest.raises(RegionError, match="expected"):
        model.bind([])
    with pytest.raises(ModelError, match="found the backend 'nnpops', available: auto, cpu, cuda"):
        load_aimnet(backend="nnpops")
    with pytest.raises(ModelError, match="found the precision 'half'"):
        load_aimnet(precision="half")
    with pytest.raises(ModelError, match=r"found members \[4\], AIMNet2 here contains"):
        load_aimnet(members=4)
    with pytest.raises(ModelError, match="option member, the family AIMNet2 takes"):
        load_aimnet(member=1)


def test_energy_offset_is_the_sum_of_self_energies(model):
    energies = model.parameters.self_energies
    expected = EV_TO_KJ_PER_MOL * (energies["C"] + 2 * energies["O"])
    assert model.bind([6, 8, 8]).energy_offset == pytest.approx(expected, rel=1e-12)
    assert model.neutral_only is False and len(model.elements) == 14


def test_tensors_and_torch_module(model):
    numbers, positions = distorted(ACETATE)
    evaluator = model.bind(numbers, -1)
    energy, forces = evaluator(positions)
    found = evaluator.evaluate_tensors(torch.tensor(positions))
    assert found[0].item() == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=0.02)
    compiled = torch.jit.script(evaluator.torch_module())
    for _ in range(3):  # TorchScript optimises itself in the first calls
        x = torch.tensor(positions, requires_grad=True)
        compiled(x).backward()
        np.testing.assert_allclose(-x.grad, forces, rtol=0, atol=0.02)


def test_copies_in_this_process_and_in_another(model, tmp_path):
    numbers, positions = distorted(ACETATE)
    evaluator = model.bind(numbers, -1)
    assert copy.deepcopy(evaluator) is evaluator
    assert pickle.loads(pickle.dumps(model.bind(numbers, 1))) is not evaluator
    (tmp_path / "evaluator").write_bytes(pickle.dumps(evaluator))
    np.save(tmp_path / "x.npy", positions)
    code = "import pickle, sys, numpy; e = pickle.load(open(sys.argv[1], 'rb'));"
    code += "print(repr(float(e(numpy.load(sys.argv[2]))[0])), e.charge, len(e.atomic_numbers))"
    command = [sys.executable, "-c", code, str(tmp_path / "evaluator"), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    energy, charge, n_atoms = done.stdout.split()
    assert float(energy) == pytest.approx(evaluator(positions)[0], abs=1e-3)
    assert (int(charge), int(n_atoms)) == (-1, len(numbers))


@pytest.fixture
def ammonium_inputs(tmp_path):
    """A run of methylammonium among waters; the force field gives it +1 e."""
    aimnet_file()
    made = Inputs(tmp_path)
    molecules = [("MOL", AMMONIUM), *(4 * [("HOH", "O")])]
    made.topology, made.positions = side_by_side(molecules, 0.6)
    system = methanol_system(made.topology)
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    assert N_METHANOL == 6  # charges that add up to zero; two more atoms carry the ion's
    for atom in (6, 7):
        nonbonded.setParticleParameters(atom, 0.5, 0.3, 0.4)
    made.write_system(system)
    made.write_structure(made.topology, made.positions)
    made.settings["region"] |= {"model": "AIMNet2", "members": [0, 2]}
    return made


def test_a_run_of_an_ion(ammonium_inputs):
    settings = ammonium_inputs.write_settings()
    prepared = prepare_system(load_config(settings))
    assert prepared.hybrid.region.charge == prepared.hybrid.evaluator.charge == 1
    assert prepared.model_provenance["model"] == "AIMNet2"
    assert prepared.model_provenance["members"] == [0, 2]
    run(settings, progress=False)
    header, *rows = (ammonium_inputs.folder / "out" / "log.csv").read_text().splitlines()
    assert "potential_energy_kj_mol" in header and len(rows) == 2


def prepared_ion(inputs, charge):
    folder = inputs.folder / "prepared"
    prepare_nnp(
        inputs.folder / "complex.pdb", "resname MOL", "AIMNet2", members=1, charge=charge,
        output=folder,
    )  # fmt: skip
    inputs.settings["region"] = {"nnpfile": str(folder / "model.json")}
    return folder


def test_a_prepared_ion(ammonium_inputs):
    folder = prepared_ion(ammonium_inputs, 1)
    content = nnpmm.read_model_file(folder / "model.json")
    assert (content.model, content.members, content.formal_charge) == ("AIMNet2", (1,), 1)
    numbers, positions = distorted(AMMONIUM)
    order = [openmm.app.Element.getBySymbol(s).atomic_number for s in content.elements]
    assert order == numbers.tolist()
    expected = load_aimnet(members=1).bind(numbers, 1)(positions)
    stored = load_model(folder / "model.json").bind(numbers, 1)(positions)
    exported = load_model(folder / "model.pt").bind(numbers, 1)(positions)
    assert stored[0] == expected[0]
    assert exported[0] == pytest.approx(expected[0], abs=1e-3)
    np.testing.assert_allclose(exported[1], expected[1], rtol=0, atol=0.02)
    prepared = prepare_system(load_config(ammonium_inputs.write_settings()))
    assert prepared.model_provenance["digest"] == load_aimnet(members=1).parameters.digest()


def test_a_charge_that_is_not_the_force_fields(ammonium_inputs):
    prepared_ion(ammonium_inputs, -1)
    settings = load_config(ammonium_inputs.write_settings())
    message = r"prepared with a charge of -1 e \(.*model.json\), but the force field gives it \+1 e"
    with pytest.raises(RegionError, match=message):
        prepare_system(settings)


def test_whole_molecules_in_a_periodic_system(double_model):
    """The region is made whole and alone; images are the force field's."""
    numbers, positions = distorted(AMMONIUM)
    topology, _ = side_by_side([("MOL", AMMONIUM), ("HOH", "O")])
    box = 3.0
    topology.setPeriodicBoxVectors(np.eye(3) * box * unit.nanometer)
    system = methanol_system(topology)
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * box))
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.PME)
    for atom in range(topology.getNumAtoms()):
        nonbonded.setParticleParameters(
            atom, 0.125 if atom < 8 else 0.0, 0.3, 0.0 if atom > 7 else 0.4
        )
    region = np.arange(8)
    hybrid = nnpmm.couple(system, topology, region, double_model)
    assert hybrid.evaluator.charge == 1
    split = positions.copy()
    split[3:] += [box, 0, -box]
    np.testing.assert_allclose(
        network_energy(hybrid.system, split), network_energy(hybrid.system, positions), atol=1e-6
    )
    assert network_energy(hybrid.system, positions) == pytest.approx(
        double_model.bind(numbers, 1)(positions)[0], abs=1e-6
    )


def network_energy(system, ion):
    """Energy of the network's force group with a water somewhere in the box."""
    positions = np.concatenate([ion, [[1.5, 1.5, 1.5], [1.6, 1.5, 1.5], [1.5, 1.6, 1.5]]])
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.PythonForce)]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(energy=True, groups={force.getForceGroup()}).getPotentialEnergy()._value
