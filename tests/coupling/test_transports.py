"""All transports give the same energies and forces; unavailable ones are reported."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
import torch
from cases import Case, solvated_ligand
from test_regions import three_waters
from test_whole import BOXES

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ConfigError, ModelError, OptionalDependencyError
from nnpmm.core.geometry import WholeRegion
from nnpmm.coupling import Mechanical, Role, role_of
from nnpmm.coupling.torch_region import RegionEnergy, TensorCallback, WholeRegionModule
from nnpmm.models.preparation import prepare_nnp

ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-6, 1e-5


def stand_in(**forces) -> SimpleNamespace:
    """A stand-in for openmmtorch, whose forces are PythonForces with the documented behaviour."""
    return SimpleNamespace(**forces)


def torch_force(module) -> openmm.Force:
    """TorchForce: all positions, and the box if the force is periodic; forces by backward."""

    def compute(state):
        x = torch.tensor(state.getPositions(asNumpy=True)._value, requires_grad=True)
        arguments = [x]
        if force.usesPeriodicBoundaryConditions():
            arguments.append(torch.tensor(state.getPeriodicBoxVectors(asNumpy=True)._value))
        energy = module(*arguments)
        energy.backward()
        return energy.item(), -x.grad.numpy()

    force = openmm.PythonForce(compute)
    return force


def python_torch_force(computation) -> openmm.Force:
    """PythonTorchForce: a State and the region's positions as a tensor; tensors come back."""

    def compute(state):
        x = torch.tensor(state.getPositions(asNumpy=True)._value, requires_grad=True)
        energy, forces = computation(state, x)
        assert (forces.dtype, forces.device) == (x.dtype, x.device)
        assert forces.is_contiguous()
        return energy.item(), forces.numpy()

    return openmm.PythonForce(compute)


@pytest.fixture(params=["torchscript", "torch", "torchscript installed", "torch installed"])
def transport(request, monkeypatch) -> str:
    """Transports with stand-ins for openmm-torch, and with openmm-torch if it is installed."""
    name, _, installed = request.param.partition(" ")
    if installed:
        module = pytest.importorskip("openmmtorch", exc_type=ImportError)
        wanted = {"torchscript": "TorchForce", "torch": "PythonTorchForce"}[name]
        if not hasattr(module, wanted):
            pytest.skip(f"the installed openmm-torch has no {wanted}")
    else:
        module = stand_in(TorchForce=torch_force, PythonTorchForce=python_torch_force)
        monkeypatch.setitem(sys.modules, "openmmtorch", module)
    return name


@pytest.fixture(scope="module")
def model():
    return load_model("ANI-1x", members=[0, 1], precision="double")


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CC(=O)N")


def coupled(case, model, transport="python") -> openmm.System:
    """The hybrid system of a case with one of the transports."""
    coupling = Mechanical(transport=transport)
    return create_hybrid_system(case.system, case.topology, case.region, model, coupling=coupling)


def network_group(system) -> set[int]:
    (group,) = [f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK]
    return {group}


def assert_same(found, expected, scale=1.0):
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=scale * ENERGY_TOLERANCE)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=scale * FORCE_TOLERANCE)


@pytest.mark.parametrize("method", ["NoCutoff", "CutoffPeriodic", "PME"])
def test_all_transports_agree(model, transport, method):
    case = solvated_ligand("CO", getattr(openmm.NonbondedForce, method))
    python, other = coupled(case, model), coupled(case, model, transport)
    groups = network_group(python)
    assert network_group(other) == groups
    assert_same(case.state(other, groups=groups), case.state(python, groups=groups))
    assert_same(case.state(other), case.state(python))


@pytest.mark.parametrize("axis", range(3))
def test_region_split_by_the_boundary(model, case, transport, axis):
    """The network receives a whole molecule however its atoms are wrapped."""
    split = case.positions.copy()
    split[case.region[::2]] += case.box[axis]
    split[case.region[1]] -= 2 * case.box[axis]
    found = case.state(coupled(case, model, transport), split)
    assert_same(found, case.state(coupled(case, model)), scale=100)  # rounding of far positions


def test_region_wider_than_half_the_box_is_an_error(model, case, transport):
    stretched = case.positions.copy()
    stretched[case.region, 0] += np.linspace(0, 0.55, len(case.region)) * case.box[0, 0]
    with pytest.raises(openmm.OpenMMException, match="of the periodic box"):
        case.state(coupled(case, model, transport), stretched)


def test_molecules_half_a_box_apart_are_an_error(model, transport):
    """With a cutoff, one molecule may be wider than half the box, but not several."""
    case = three_waters()
    hybrid = coupled(case, model, transport)
    case.state(coupled(three_waters(1), model, transport))
    with pytest.raises(openmm.OpenMMException, match="of the periodic box"):
        case.state(hybrid)


def test_non_finite_positions_are_an_error(model, case, transport):
    hybrid = coupled(case, model, transport)
    broken = case.positions.copy()
    broken[case.region[0]] = np.nan
    with pytest.raises(openmm.OpenMMException, match="non-finite"):
        case.state(hybrid, broken, groups=network_group(hybrid))


def test_systems_round_trip_through_xml(case, transport):
    if isinstance(sys.modules["openmmtorch"], SimpleNamespace):
        pytest.skip("a stand-in cannot be serialized")
    if not hasattr(sys.modules["openmmtorch"], "PythonTorchForce"):
        pytest.skip("openmmtorch 1.5 crashes on reading any TorchForce from XML")
    hybrid = coupled(case, load_model("ANI-1x", 0, backend="reference"), transport)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(hybrid))
    assert_same(case.state(again), case.state(hybrid), scale=1e4)  # single precision


def test_torchscript_file_as_model(case, transport, tmp_path):
    """The transport uses model.pt of prepare-nnp directly."""
    from openmm import Vec3, app, unit

    positions = [Vec3(*row) for row in case.positions] * unit.nanometer
    with open(tmp_path / "x.pdb", "w", encoding="utf-8") as handle:
        app.PDBFile.writeFile(case.topology, positions, handle, keepIds=True)
    prepare_nnp(tmp_path / "x.pdb", "resname MOL", "ANI-1x", members=0, output=tmp_path)
    exported = load_model(tmp_path / "model.pt")
    if transport == "torch":
        with pytest.raises(ModelError, match=r"TorchScriptEvaluator, transport='torch' needs"):
            coupled(case, exported, transport)
        return
    found = case.state(coupled(case, exported, transport))
    assert_same(found, case.state(coupled(case, exported)), scale=1e4)  # single precision


class ProtocolOnly:
    """A potential with only the methods of the protocol."""

    name, elements, neutral_only, provenance = "plain", None, True, {}

    def __init__(self, model):
        self.model = model

    def bind(self, numbers, charge=0):
        evaluator = self.model.bind(numbers)
        names = ("atomic_numbers", "energy_offset", "evaluate", "member_energies", "batch")
        kind = type("Plain", (), {"__call__": lambda self, *a: evaluator(*a)})
        for name in names:
            setattr(kind, name, getattr(evaluator, name))
        return kind()


def test_potential_without_the_required_module_is_refused(model, case, transport):
    with pytest.raises(ModelError, match=rf"found a Plain, transport='{transport}' needs"):
        coupled(case, ProtocolOnly(model), transport)


def test_unknown_transport_is_refused():
    with pytest.raises(ConfigError, match=r"'mpi', available: python, torchscript, torch"):
        Mechanical(transport="mpi")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, r"cannot import openmmtorch.*conda install.*transport='python'"),
        (stand_in(), r"has no (PythonTorchForce|TorchForce); install.*transport='python'"),
    ],
    ids=["not installed", "too old"],
)
@pytest.mark.parametrize("name", ["torchscript", "torch"])
def test_unusable_openmmtorch_is_reported(model, case, monkeypatch, module, message, name):
    monkeypatch.setitem(sys.modules, "openmmtorch", module)
    with pytest.raises(OptionalDependencyError, match=message):
        coupled(case, model, name)


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_torch_module_makes_regions_whole_as_numpy_does(box, scripted):
    rng = np.random.default_rng(7)
    steps = rng.normal(size=(40, 3))
    whole = np.cumsum(0.15 * steps / np.linalg.norm(steps, axis=1)[:, None], axis=0)
    bonds = np.array([(i, i + 1) for i in range(39) if i not in (14, 22)])
    bonds[::3] = bonds[::3, ::-1]
    order = rng.permutation(40)  # roots and children anywhere
    wrapped = (whole + rng.integers(-2, 3, size=(40, 3)) @ box)[np.argsort(order)]
    bonds = order[bonds]
    module = WholeRegionModule(40, bonds, exact_to_half_box=False)
    join = torch.jit.script(module) if scripted else module
    positions = torch.tensor(wrapped, requires_grad=True)
    found = join(positions, torch.tensor(box))
    expected = WholeRegion(40, bonds)(wrapped, box)
    assert np.abs(expected - wrapped).max() > 0.5
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-12)
    weights = torch.tensor(rng.normal(size=(40, 3)))
    (found * weights).sum().backward()
    np.testing.assert_array_equal(positions.grad.numpy(), weights.numpy())


@pytest.mark.parametrize("bonds", [np.zeros((0, 2), dtype=np.int64), np.array([[1, 0]])])
def test_regions_of_one_and_two_atoms(model, bonds):
    """One atom without bonds, and two bonded atoms."""
    numbers = [6] if len(bonds) == 0 else [1, 1]
    positions = np.array([[0.1, 0.2, 0.3], [2.17, 0.2, 0.3]])[: len(numbers)]
    whole = WholeRegionModule(len(numbers), bonds, exact_to_half_box=True)
    evaluator = model.bind(numbers)
    module = torch.jit.script(
        RegionEnergy(evaluator.torch_module(), np.arange(len(numbers)), whole)
    )
    found = module(torch.tensor(positions), 2 * torch.eye(3))
    expected = evaluator(positions - np.array([[0.0, 0, 0], [2.0, 0, 0]])[: len(numbers)])
    np.testing.assert_allclose(found.item(), expected[0], rtol=0, atol=1e-6)


def test_tensor_evaluation_matches_numpy_on_every_backend(case):
    from conftest import usable_backends

    for backend, precision in usable_backends():
        evaluator = load_model("ANI-1x", 0, backend=backend, precision=precision).bind(case.numbers)
        for dtype in (torch.float64, torch.float32):
            x = torch.tensor(case.whole_region, dtype=dtype, requires_grad=True)
            energy, forces = evaluator.evaluate_tensors(x)
            expected = evaluator(x.detach().numpy())
            assert not (energy.requires_grad or forces.requires_grad)
            np.testing.assert_allclose(energy.item(), expected[0], rtol=0, atol=1e-3)
            np.testing.assert_allclose(forces.numpy(), expected[1], rtol=0, atol=0.05)


class _OnADevice:
    """Positions on a device that a kernel of numpy arrays cannot read."""

    device = torch.device("meta")

    def __init__(self, positions):
        self._positions = torch.tensor(positions)

    def detach(self):
        return self

    def cpu(self):
        return self._positions


def test_tensors_are_returned_on_the_device_of_the_positions(case):
    """This includes backends that compute on the host."""
    evaluator = load_model("ANI-1x", 0, backend="cpu").bind(case.numbers)
    energy, forces = evaluator.evaluate_tensors(_OnADevice(case.whole_region))
    assert (energy.device.type, forces.device.type) == ("meta", "meta")


def test_tensor_callback_can_be_pickled(case):
    import pickle

    evaluator = load_model("ANI-1x", 0).bind(case.numbers)
    bonds = np.array([[0, 1]])
    callback = TensorCallback(evaluator, bonds, periodic=False, exact_to_half_box=False)
    positions = torch.tensor(case.whole_region)
    again = pickle.loads(pickle.dumps(callback))
    np.testing.assert_allclose(
        again(None, positions)[0].item(), callback(None, positions)[0].item(), rtol=0, atol=1e-3
    )
