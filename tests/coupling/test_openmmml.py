"""Real systems against openmm-ml's mixed systems: energies, MM forces, and the network's forces.

openmm-ml 1.8 adds the self energies in float32, with rounding errors above 0.1 kJ/mol. The tests
remove them from its model. It returns ANI forces ten times too small, so the network's forces are
compared with torchani in float64 instead.
"""

from __future__ import annotations

import numpy as np
import openmm
import pytest
import torch
from cases import REAL_CASES, Case, compute_in, energy_and_forces
from conftest import model_directory
from contracts import assert_forces_match_energy
from mm_reference import internal_energy

from nnpmm import create_hybrid_system, load_model
from nnpmm.coupling import Role, role_of
from nnpmm.models.ani.torchani_kernel import import_torchani

pytestmark = pytest.mark.data
ENERGY_TOLERANCE, FORCE_TOLERANCE = 0.01, 0.5
ML_GROUP = 20


@pytest.fixture(scope="module", params=REAL_CASES, ids=lambda name: name.replace(" ", "-"))
def case(request) -> Case:
    return REAL_CASES[request.param]()


@pytest.fixture(scope="module")
def weights():
    return model_directory()


@pytest.fixture(scope="module")
def mixed_system(case, weights, tmp_path_factory) -> openmm.System:
    """openmm-ml's system with the network in a group of its own and without self energies."""
    openmmml = pytest.importorskip("openmmml")
    torchani = import_torchani()
    home = tmp_path_factory.mktemp("home")
    (home / ".local").mkdir()
    (home / ".local" / "torchani").symlink_to(weights, target_is_directory=True)
    ani2x = torchani.models.ANI2x

    def without_self_energies(**arguments):
        model = ani2x(**arguments)
        model.energy_shifter.self_energies = torch.zeros_like(model.energy_shifter.self_energies)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))  # torchani looks for its ANI-2x files there
        patch.setattr(torchani.models, "ANI2x", without_self_energies)
        return openmmml.MLPotential("ani2x").createMixedSystem(
            case.topology, case.system, case.region.tolist(), forceGroup=ML_GROUP
        )


@pytest.fixture(scope="module")
def hybrid(case, weights) -> openmm.System:
    model = load_model("ANI-2x", weights=weights)
    return create_hybrid_system(case.system, case.topology, case.region, model)


def mm_groups(system: openmm.System) -> set[int]:
    """All force groups but the network's."""
    return {
        force.getForceGroup()
        for force in system.getForces()
        if not isinstance(force, openmm.PythonForce)
    }


def both(case: Case, system: openmm.System) -> dict[str, tuple[float, np.ndarray]]:
    """Energy and forces, of the whole system and without the network."""
    context = case.context(system)
    return {
        "all": energy_and_forces(context),
        "mm": energy_and_forces(context, mm_groups(system)),
    }


@pytest.fixture(scope="module")
def found(case, hybrid):
    return both(case, hybrid)


@pytest.fixture(scope="module")
def expected(case, mixed_system):
    return both(case, mixed_system)


@pytest.fixture(scope="module")
def network(case, weights):
    """Energy and forces of the region by torchani in float64."""
    exact = load_model("ANI-2x", backend="torchani", precision="double", weights=weights)
    return exact.bind(case.numbers)(case.whole_region)


@pytest.mark.slow
def test_energy_equals_openmmml(found, expected):
    np.testing.assert_allclose(found["all"][0], expected["all"][0], rtol=0, atol=ENERGY_TOLERANCE)


@pytest.mark.slow
def test_mm_part_equals_openmmml(found, expected):
    np.testing.assert_allclose(found["mm"][0], expected["mm"][0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["mm"][1], expected["mm"][1], rtol=0, atol=1e-3)


@pytest.mark.slow
def test_total_forces_are_mm_plus_torchani(case, found, expected, network):
    forces = expected["mm"][1].copy()
    forces[case.region] += network[1]
    np.testing.assert_allclose(found["all"][1], forces, rtol=0, atol=FORCE_TOLERANCE)


@pytest.mark.slow
def test_energy_is_mm_minus_internal_plus_network(case, found, network):
    positions = case.positions.copy()
    positions[case.region] = case.whole_region
    mm = case.state(case.system, positions)[0]
    internal = internal_energy(case.system, case.region, positions)
    np.testing.assert_allclose(
        found["all"][0], mm - internal + network[0], rtol=0, atol=ENERGY_TOLERANCE
    )


def test_forces_by_finite_differences(weights):
    """Toluene in water: openmm-ml's built-in ani2x fails this by a factor of ten."""
    case = REAL_CASES["toluene in water"]()
    model = load_model("ANI-2x", precision="double", weights=weights)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    group = {f.getForceGroup() for f in hybrid.getForces() if role_of(f) is Role.NETWORK}
    context = case.context(hybrid)
    compute = compute_in(context, group)
    assert_forces_match_energy(compute, case.positions, atoms=case.region[:4], atol=0.05)
