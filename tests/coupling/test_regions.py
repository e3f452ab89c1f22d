"""Several regions, charged regions, and various kinds of potentials."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
import torch
from cases import Case, energy_and_forces, solvated_ligand, waters_topology
from force_fields import implicit_gbn2
from openmm import app
from toy import TOY, morse_pairs

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ForceFieldError, ModelError, RegionError
from nnpmm.coupling import (
    LAMBDA_NNP,
    Interpolated,
    Mechanical,
    Role,
    couple,
    nnp_derivative,
    role_of,
)
from nnpmm.coupling.forces import check_forces
from nnpmm.coupling.terms import connect_region
from nnpmm.models import FunctionModel, IgnoringCharge, OpenmmMlModel


def stiffer(positions, numbers, charge):
    """A potential that differs from the toy."""
    energy, forces = morse_pairs(positions, numbers, charge)
    return 1.7 * energy, 1.7 * forces


OTHER = FunctionModel(stiffer, "other")


@pytest.fixture(scope="module")
def pair():
    """Two equal dipeptides."""
    return implicit_gbn2()


@pytest.fixture(scope="module")
def second(pair):
    return np.arange(len(pair.region), pair.system.getNumParticles())


@pytest.fixture(scope="module")
def two_regions(pair, second):
    first = create_hybrid_system(pair.system, pair.topology, pair.region, TOY)
    return create_hybrid_system(first, pair.topology, second, OTHER)


def test_two_regions_have_their_own_models(pair, second, two_regions):
    """V_MM minus both internal energies plus both networks."""
    insides = pair.internal()[0] + internal_energy_of_second(pair, second)
    networks = TOY.bind(pair.numbers)(pair.positions[pair.region])[0]
    networks += OTHER.bind(pair.numbers)(pair.positions[second])[0]
    expected = pair.state(pair.system)[0] - insides + networks
    np.testing.assert_allclose(pair.state(two_regions)[0], expected, rtol=0, atol=0.01)


def internal_energy_of_second(pair, second):
    context = openmm.Context(
        pair.alone, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(pair.positions[second])
    return energy_and_forces(context)[0]


def test_order_of_regions_does_not_matter(pair, second, two_regions):
    other = create_hybrid_system(pair.system, pair.topology, second, OTHER)
    other = create_hybrid_system(other, pair.topology, pair.region, TOY)
    found, expected = pair.state(other), pair.state(two_regions)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


def test_each_region_has_its_own_force_group(two_regions):
    networks = [f for f in two_regions.getForces() if role_of(f) is Role.NETWORK]
    assert len({f.getForceGroup() for f in networks}) == 2


def test_interpolated_regions_share_lambda(pair, second):
    coupling, system = Mechanical(inside=Interpolated()), pair.system
    for region, model in ((pair.region, TOY), (second, OTHER)):
        system = create_hybrid_system(system, pair.topology, region, model, coupling=coupling)
    context = pair.context(system)
    energies = []
    for value in (0.0, 1.0):
        context.setParameter(LAMBDA_NNP, value)
        energies.append(energy_and_forces(context)[0])
    np.testing.assert_allclose(energies[0], pair.state(pair.system)[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(nnp_derivative(context), np.diff(energies)[0], rtol=0, atol=1e-6)


def test_overlapping_regions_are_refused(pair):
    hybrid = create_hybrid_system(pair.system, pair.topology, pair.region, TOY)
    with pytest.raises(RegionError, match=r"22 atoms of the region .the first is 0. belong to an"):
        create_hybrid_system(hybrid, pair.topology, pair.region, TOY)


def three_waters(n_regions=3):
    """Waters at 0, 0.72 and -0.9 nm in a box of 2 nm; the first ones are the region."""
    waters = waters_topology(3)
    shape = np.array([[0, 0, 0], [0.09572, 0, 0], [-0.02399, 0.09266, 0]])
    places = [shape + np.array([x, 0, 0]) for x in (0.0, 0.72, -0.9)]
    waters.setUnitCellDimensions(openmm.Vec3(2, 2, 2))
    system = app.ForceField("tip3p.xml").createSystem(
        waters, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.9
    )
    region = np.arange(3 * n_regions)
    return Case(waters, system, np.concatenate(places), 2 * np.eye(3), region)


@pytest.mark.parametrize("place", [-0.9, -0.99, -1.01])
def test_molecules_half_a_box_apart_are_an_error(place):
    """Beyond -1 nm another image of the third water would be used, and the energy would jump."""
    case = three_waters()
    hybrid = create_hybrid_system(case.system, case.topology, case.region, TOY)
    moved = case.positions.copy()
    moved[case.region[6:], 0] += place + 0.9
    message = "allowed: less than 50%; it consists of 3 molecules"
    with pytest.raises(openmm.OpenMMException, match=message):
        case.state(hybrid, moved)


def test_molecules_close_to_each_other_are_made_whole():
    """This includes molecules split by the boundary."""
    case = three_waters(n_regions=2)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, TOY)
    expected = case.state(hybrid)
    wrapped = (case.positions + np.array([1.5, 0, 0])) % 2.0
    assert np.ptp(wrapped[case.region, 0]) > 1.2
    found = case.state(hybrid, wrapped)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


class TorchForceStandIn:
    """A network's force as openmm-torch returns it: a class without atoms."""

    def __init__(self, name, **members):
        self.__dict__.update(members)
        self.getName = lambda: name


@pytest.mark.parametrize("kind", ["TorchForce", "PythonTorchForce", "Force"])
@pytest.mark.parametrize("tells", [True, False])
def test_earlier_region_of_another_transport_is_recognised(pair, second, kind, tells):
    """The first region is recognised by its bonds or its force; another region is accepted."""
    bonds = [(i, i + 1) for i in pair.region[:-1].tolist()]
    system = openmm.System()
    connect_region(system, set(bonds))
    members = {"getParticles": lambda: tuple(pair.region.tolist())} if tells else {}
    force = type(kind, (TorchForceStandIn,), {})(Role.NETWORK.value, **members)
    stand_in = SimpleNamespace(
        getForces=lambda: [force, *([] if tells else system.getForces())],
        getNumParticles=pair.system.getNumParticles,
    )
    check_forces(stand_in, set(second.tolist()))
    with pytest.raises(RegionError, match=r"22 atoms of the region .the first is 0. belong to an"):
        check_forces(stand_in, set(pair.region.tolist()))


@pytest.fixture(scope="module")
def charged():
    """Methanol with an additional charge of 1 e on the oxygen, as for a protonated ligand."""
    case = solvated_ligand("CO", openmm.NonbondedForce.NoCutoff)
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    q, sigma, epsilon = nonbonded.getParticleParameters(1)
    nonbonded.setParticleParameters(1, q._value + 1, sigma, epsilon)
    return case


def test_charge_of_the_region_is_passed_to_the_model(charged):
    hybrid = create_hybrid_system(charged.system, charged.topology, charged.region, TOY)
    group = {f.getForceGroup() for f in hybrid.getForces() if role_of(f) is Role.NETWORK}
    neutral = TOY.bind(charged.numbers)(charged.whole_region)[0]
    found = charged.state(hybrid, groups=group)[0]
    np.testing.assert_allclose(found, neutral + 3.0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("model", ["ANI-1x", FunctionModel(morse_pairs, neutral_only=True)])
def test_charged_region_with_a_neutral_model_is_refused(charged, model):
    model = load_model(model, 0) if isinstance(model, str) else model
    with pytest.raises(RegionError, match=r"charge \+1 e, but the model describes only neutral"):
        create_hybrid_system(charged.system, charged.topology, charged.region, model)
    with pytest.raises(RegionError, match=r"charge of \+1 e, .* describes only neutral"):
        model.bind([6, 8, 1, 1, 1, 1], charge=1)


def test_charge_is_ignored_only_on_request(charged):
    """The network ignores the charge; the rest of the system does not."""
    model = load_model("ANI-1x", 0, precision="double", backend="reference")
    hybrid = couple(charged.system, charged.topology, charged.region, IgnoringCharge(model))
    assert hybrid.region.charge == 1
    assert hybrid.provenance["model"] == {**model.provenance, "ignores_charge": True}
    expected = model.bind(charged.numbers)(charged.whole_region)
    found = IgnoringCharge(model).bind(charged.numbers, charge=1)(charged.whole_region)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
    group = {f.getForceGroup() for f in hybrid.system.getForces() if role_of(f) is Role.NETWORK}
    energy = charged.state(hybrid.system, groups=group)[0]
    np.testing.assert_allclose(energy, expected[0], rtol=0, atol=1e-6)


def test_unknown_element_of_a_function_model_is_refused():
    model = FunctionModel(morse_pairs, "mine", elements=("C", "H"))
    model.bind([6, 1])
    with pytest.raises(RegionError, match="found the elements O, mine supports C, H"):
        model.bind([6, 8])


def test_torchscript_file_as_model(tmp_path):
    """The file returns an energy; forces come from automatic differentiation."""

    class Quartic(torch.nn.Module):
        def forward(self, positions):
            return 30.0 * torch.cdist(positions, positions).pow(4).sum()

    path = tmp_path / "quartic.pt"
    torch.jit.script(Quartic()).save(str(path))
    case = solvated_ligand("CO", openmm.NonbondedForce.NoCutoff)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, load_model(path))
    group = {f.getForceGroup() for f in hybrid.getForces() if role_of(f) is Role.NETWORK}
    x = case.whole_region
    r4 = ((x[:, None] - x) ** 2).sum(axis=2) ** 2
    np.testing.assert_allclose(
        case.state(hybrid, groups=group)[0], 30 * r4.sum(), rtol=0, atol=1e-9
    )


@pytest.fixture(scope="module")
def emt():
    """ASE's effective medium theory through openmm-ml; it knows H, C, N and O."""
    pytest.importorskip("openmmml")
    calculators = pytest.importorskip("ase.calculators.emt")
    return OpenmmMlModel("ase", arguments={"calculator": calculators.EMT()})


def test_ase_calculator_through_openmm_ml(emt):
    import ase.units

    case = solvated_ligand("CO", openmm.NonbondedForce.PME)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, emt)
    group = {f.getForceGroup() for f in hybrid.getForces() if role_of(f) is Role.NETWORK}
    energy, forces = case.state(hybrid, groups=group)
    atoms = ase.Atoms(case.numbers, 10 * case.whole_region, calculator=emt.arguments["calculator"])
    kj = ase.units.kJ / ase.units.mol
    np.testing.assert_allclose(energy, atoms.get_potential_energy() / kj, rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces[case.region], 10 * atoms.get_forces() / kj, rtol=0, atol=1e-4)
    copied = case.state(copy.deepcopy(hybrid), groups=group)[0]
    np.testing.assert_allclose(copied, energy, rtol=0, atol=1e-9)


def test_openmm_ml_potential_requires_an_explicit_charge(emt):
    """A charge that the potential would ignore is refused unless the caller gives it explicitly."""
    with pytest.raises(RegionError, match=r"charge \+1 e, and openmm-ml's ASE potential was given"):
        emt.bind([8, 1, 1, 1], charge=1)
    stated = OpenmmMlModel("ase", arguments=dict(emt.arguments) | {"info": {"charge": 1}})
    stated.bind([8, 1, 1, 1], charge=1)
    with pytest.raises(RegionError, match=r"charge \+0 e, and .* was given \+1"):
        stated.bind([8, 1, 1, 1])


def test_missing_ase_argument_is_reported(emt):
    with pytest.raises(ModelError, match="Either an Atoms or a Calculator must be provided"):
        OpenmmMlModel("ase").bind([8, 1, 1])


def test_foreign_python_force_is_refused(pair):
    system = copy.deepcopy(pair.system)
    force = openmm.PythonForce(morse_pairs)
    force.setName("somebody's network")
    system.addForce(force)
    with pytest.raises(ForceFieldError, match='PythonForce named "somebody\'s network"'):
        create_hybrid_system(system, pair.topology, pair.region, TOY)
