"""Potentials of openmm-ml through load_model: its own ANI, and one made for these tests."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import openmm
import pytest
from conftest import model_directory
from contracts import assert_forces_match_energy

from nnpmm import load_model
from nnpmm.core.errors import ModelError, OptionalDependencyError, SimulationError
from nnpmm.coupling.transports import create_region_force
from nnpmm.models import OpenmmMlModel
from nnpmm.models.ani.torchani_kernel import import_torchani

openmmml = pytest.importorskip("openmmml")
from openmmml.mlpotential import MLPotential, MLPotentialImpl, MLPotentialImplFactory  # noqa: E402

SPRING = 50.0


class Springs(MLPotentialImpl):
    """0.5 k r^2 between neighbours in the list, at the nearest image if there is a box."""

    def addForces(self, topology, system, atoms, forceGroup, **arguments):
        assert set(arguments) <= {"device"}, arguments
        if any(atom.element.symbol == "U" for atom in topology.atoms()):
            raise ValueError("no uranium")
        if any(atom.element.symbol == "Pu" for atom in topology.atoms()):
            raise ImportError("Failed to import plutonium")
        force = openmm.HarmonicBondForce()
        force.setUsesPeriodicBoundaryConditions(topology.getPeriodicBoxVectors() is not None)
        for i in range(topology.getNumAtoms() - 1):
            force.addBond(i, i + 1, 0.0, SPRING)
        system.addForce(force)


class Factory(MLPotentialImplFactory):
    """Makes springs."""

    def createImpl(self, name, **arguments):
        return Springs()


@pytest.fixture(scope="module", autouse=True)
def springs():
    MLPotential.registerImplFactory("springs", Factory())
    yield
    del MLPotential._implFactories["springs"]


def expected(positions, box=None):
    steps = np.diff(positions, axis=0)
    if box is not None:
        steps -= np.round(steps / np.diag(box)) * np.diag(box)
    forces = np.zeros_like(positions)
    forces[:-1] += SPRING * steps
    forces[1:] -= SPRING * steps
    return 0.5 * SPRING * (steps**2).sum(), forces


@pytest.fixture
def positions():
    return np.random.default_rng(2).uniform(0, 2, size=(5, 3))


def test_energy_and_forces(positions):
    model = load_model("springs")
    assert isinstance(model, OpenmmMlModel)
    evaluator = model.bind([6, 1, 1, 8, 1])
    for box in (None, 2.0 * np.eye(3), np.diag([1.5, 1.7, 1.2]), None):
        energy, forces = evaluator(positions, box)
        np.testing.assert_allclose(energy, expected(positions, box)[0], rtol=0, atol=1e-10)
        np.testing.assert_allclose(forces, expected(positions, box)[1], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(evaluator.member_energies(positions), [energy])
    assert evaluator.energy_offset == 0
    found = evaluator.batch(np.stack([positions, 2 * positions]))
    np.testing.assert_allclose(found.energies, [energy, 4 * energy], rtol=0, atol=1e-9)
    assert_forces_match_energy(evaluator, positions, atol=1e-4)


def test_pickles(positions):
    evaluator = load_model("springs", device="cpu").bind([6, 1, 1, 8, 1])
    again = pickle.loads(pickle.dumps(evaluator))
    assert again(positions)[0] == evaluator(positions)[0]
    assert again.model.provenance == {"model": "springs", "backend": "openmm-ml", "device": "cpu"}


def test_potential_is_evaluated_in_a_context(positions):
    """OpenMM calls the network, whose evaluator calls another context."""
    system = openmm.System()
    for _ in range(6):
        system.addParticle(1.0)
    evaluator = load_model("springs").bind([6, 1, 1, 8, 1])
    no_bonds = np.zeros((0, 2), dtype=np.int64)
    system.addForce(
        create_region_force(
            evaluator, np.arange(1, 6), no_bonds, periodic=False, exact_to_half_box=False
        )
    )
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(np.vstack([np.zeros(3), positions]))
    state = context.getState(energy=True, forces=True)
    energy, forces = expected(positions)
    np.testing.assert_allclose(state.getPotentialEnergy()._value, energy, rtol=0, atol=1e-9)
    found = state.getForces(asNumpy=True)._value
    np.testing.assert_allclose(found, np.vstack([np.zeros(3), forces]), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "choice", [{"members": 0}, {"backend": "cpu"}, {"precision": "double"}, {"threads": 1}]
)
def test_unsupported_options_are_refused(choice):
    (option,) = choice
    with pytest.raises(
        ModelError, match=f"springs: found the option {option}, the family openmm-ml takes: device"
    ):
        load_model("springs", **choice)


def test_refusals_of_the_potential_are_reported():
    with pytest.raises(ModelError, match=r"springs cannot describe.*ValueError: no uranium"):
        load_model("springs").bind([92])
    with pytest.raises(OptionalDependencyError, match=r"springs: Failed to import plutonium; inst"):
        load_model("springs").bind([94])


def test_positions_are_checked():
    evaluator = load_model("springs").bind([6, 1])
    with pytest.raises(SimulationError, match="non-finite position of region atom 1"):
        evaluator([[0, 0, 0], [np.nan, 0, 0]])
    with pytest.raises(SimulationError, match=r"expected \(2, 3\)"):
        evaluator(np.zeros((3, 3)))


def test_names(monkeypatch):
    with pytest.raises(ModelError, match=r"'no-such', known: ANI-2x, .*name that openmm-ml knows"):
        load_model("no-such")
    assert load_model("mace-off23-small") == OpenmmMlModel("mace-off23-small")
    monkeypatch.setitem(sys.modules, "openmmml", None)
    with pytest.raises(ModelError, match=r"'springs', known: .*pip install openmmml for more"):
        load_model("springs")


def test_own_names_take_precedence(ani1x):
    assert load_model("ani1x").provenance == ani1x.provenance


@pytest.mark.data
def test_energy_matches_the_ani_of_openmm_ml(monkeypatch, tmp_path):
    """Its energies are right once the self energies are added to ours; its forces are not."""
    weights = model_directory()
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "torchani").symlink_to(weights, target_is_directory=True)
    monkeypatch.setenv("HOME", str(tmp_path))  # torchani looks for its files there
    import_torchani()
    methanol = 0.1 * np.array(
        [
            [0.66, -0.02, 0.0],
            [-0.75, 0.12, 0.0],
            [1.03, -0.54, 0.89],
            [1.03, -0.54, -0.89],
            [1.08, 0.98, 0.0],
            [-1.13, -0.76, 0.0],
        ]
    )
    numbers = [6, 8, 1, 1, 1, 1]
    found = OpenmmMlModel("ani1ccx", "cpu").bind(numbers)(methanol)
    ours = load_model("ANI-1ccx", weights=weights).bind(numbers)
    energy, _ = ours(methanol)
    np.testing.assert_allclose(found[0], energy + ours.energy_offset, rtol=0, atol=0.01)
