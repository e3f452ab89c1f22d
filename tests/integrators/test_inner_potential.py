"""Inner potentials: fitted terms, and one network of the ensemble."""

from __future__ import annotations

import itertools

import numpy as np
import openmm
import pytest
from boxes import solvated, state_of
from openmm.app import Topology, element

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ModelError, RegionError, SimulationError
from nnpmm.coupling import Mechanical, MultipleTimeSteps
from nnpmm.integrators import InnerPotential, fit_inner_potential, split_time_scales
from nnpmm.models import load_model
from nnpmm.models.function import FunctionModel
from nnpmm.models.hessian import network_hessian
from nnpmm.simulation import parse_config
from nnpmm.simulation.runner import prepare_system

BENT = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.13, 0.09, 0.0]])
CONSTANTS = {"bonds": (3.0e5, 2.0e5), "angle": 400.0}


def spring_model(positions, numbers, charge):
    """Two bonds and an angle, at rest in BENT."""
    u, v = positions[0] - positions[1], positions[2] - positions[1]
    forces, energy = np.zeros((3, 3)), 0.0
    for row, vector, constant, rest in (
        (0, u, CONSTANTS["bonds"][0], 0.1),
        (2, v, CONSTANTS["bonds"][1], np.hypot(0.03, 0.09)),
    ):
        length = np.linalg.norm(vector)
        energy += 0.5 * constant * (length - rest) ** 2
        pull = -constant * (length - rest) * vector / length
        forces[row] += pull
        forces[1] -= pull
    a, b = np.linalg.norm(u), np.linalg.norm(v)
    cosine = u @ v / (a * b)
    angle, rest = (
        np.arccos(cosine),
        np.arccos((BENT[0] - BENT[1]) @ (BENT[2] - BENT[1]) / (0.1 * np.hypot(0.03, 0.09))),
    )
    energy += 0.5 * CONSTANTS["angle"] * (angle - rest) ** 2
    slope = CONSTANTS["angle"] * (angle - rest) / np.sin(angle)
    on_u = slope * (v / (a * b) - cosine * u / a**2)
    on_v = slope * (u / (a * b) - cosine * v / b**2)
    forces += np.array([on_u, -on_u - on_v, on_v])
    return energy, forces


def chain(n: int) -> Topology:
    topology = Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    atoms = [topology.addAtom(f"C{k}", element.carbon, residue) for k in range(n)]
    for first, second in itertools.pairwise(atoms):
        topology.addBond(first, second)
    return topology


def test_fit_recovers_harmonic_terms():
    """The network consists of bonds and an angle; the fit starts away from the minimum."""
    start = BENT + np.random.default_rng(1).normal(0, 0.003, (3, 3))
    fit = fit_inner_potential(FunctionModel(spring_model), chain(3), [0, 1, 2], start)
    assert fit.residual < 1e-3
    constants = {(term.kind, term.rows): term.constant for term in fit.terms}
    rests = {(term.kind, term.rows): term.rest for term in fit.terms}
    assert constants["distance", (0, 1)] == pytest.approx(CONSTANTS["bonds"][0], rel=1e-2)
    assert constants["distance", (1, 2)] == pytest.approx(CONSTANTS["bonds"][1], rel=1e-2)
    assert constants["angle", (0, 1, 2)] == pytest.approx(CONSTANTS["angle"], rel=1e-2)
    assert rests["distance", (0, 1)] == pytest.approx(0.1, abs=1e-5)


@pytest.fixture(scope="module")
def network():
    return load_model("ANI-1x", members=[0, 1])


@pytest.fixture(scope="module")
def one_network():
    return load_model("ANI-1x", members=[0])


@pytest.fixture(scope="module")
def box():
    """Formamide in water: a flat nitrogen, bonds to hydrogen without constraints."""
    return solvated("NC=O")


@pytest.fixture(scope="module")
def fit(box, network):
    return fit_inner_potential(network, box.topology, box.ligand_atoms, box.positions)


def test_fitted_forces_have_the_fitted_hessian(box, network, fit):
    """By finite differences of OpenMM's forces at the minimum, where they vanish."""
    system = openmm.System()
    atoms = np.arange(len(box.ligand_atoms))
    for _ in atoms:
        system.addParticle(1.0)
    for force in fit.create_forces(atoms):
        system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    symbols = [atom.element for atom in box.topology.atoms()][: len(atoms)]
    evaluator = network.bind([each.atomic_number for each in symbols])
    minimum = relaxed(evaluator, box.positions[box.ligand_atoms])

    def forces_at(x):
        context.setPositions(x.reshape(-1, 3))
        return context.getState(forces=True).getForces(asNumpy=True)._value.ravel()

    assert np.abs(forces_at(minimum)).max() < 20  # compare: thousands for a bond 0.01 nm too long
    shifts = 1e-5 * np.eye(minimum.size)
    fitted = -np.array(
        [(forces_at(minimum.ravel() + s) - forces_at(minimum.ravel() - s)) / 2e-5 for s in shifts]
    )
    weight = 1 / np.sqrt(np.repeat([each.mass._value for each in symbols], 3))
    target = network_hessian(evaluator, minimum) * np.outer(weight, weight)
    left = fitted * np.outer(weight, weight) - target
    upper = np.triu_indices(len(weight))
    found = np.linalg.norm(left[upper]) / np.linalg.norm(target[upper])
    assert found == pytest.approx(fit.residual, rel=0.05)
    assert fit.residual < 0.15


def relaxed(evaluator, positions):
    """The minimum next to positions, by steepest descent in the Hessian's eigenvectors."""
    for _ in range(30):
        _, forces = evaluator(positions)
        values, vectors = np.linalg.eigh(network_hessian(evaluator, positions))
        step = vectors.T @ forces.ravel() / np.maximum(np.abs(values), 3e3)
        positions = positions + (vectors @ np.clip(step, -0.01, 0.01)).reshape(-1, 3)
    return positions


@pytest.mark.parametrize("kind", ["fit", "one network"])
def test_time_scales_add_up_to_the_hybrid_system(box, network, one_network, fit, kind):
    inner = fit if kind == "fit" else one_network
    coupling = Mechanical(inside=MultipleTimeSteps(inner))
    system = hybrid(box, network, coupling)
    splitting = split_time_scales(system, inner=0.0005, outer=0.002)
    energy, forces = state_of(hybrid(box, network, Mechanical()), box.positions)
    parts = [state_of(system, box.positions, {group}) for _, group in splitting]
    assert sum(part for part, _ in parts) == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(sum(part for _, part in parts), forces, rtol=0, atol=0.02)
    fast = parts[0][1][box.ligand_atoms]
    assert np.linalg.norm(fast) > 0.5 * np.linalg.norm(forces[box.ligand_atoms])


def test_slow_forces_are_smallest_with_one_network_as_inner_potential(
    box, network, one_network, fit
):
    """Slow forces on a distorted molecule, with three kinds of inner potential."""
    shaken = box.positions.copy()
    shaken[box.ligand_atoms] += np.random.default_rng(2).normal(
        0, 0.003, (len(box.ligand_atoms), 3)
    )
    left = {}
    for name, inner in (("mm", None), ("fit", fit), ("one", one_network)):
        system = hybrid(box, network, Mechanical(inside=MultipleTimeSteps(inner)))
        for index in reversed(range(system.getNumForces())):
            if "Nonbonded" in type(system.getForce(index)).__name__:
                system.removeForce(index)
        splitting = split_time_scales(system, inner=0.0005, outer=0.002)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(shaken)
        slow = context.getState(forces=True, groups={splitting[-1][1]})
        left[name] = np.linalg.norm(slow.getForces(asNumpy=True)._value[box.ligand_atoms])
    assert left["one"] < left["fit"] < left["mm"]


def hybrid(box, network, coupling):
    return create_hybrid_system(
        box.system, box.topology, box.ligand_atoms, network, coupling=coupling
    )


def test_other_inner_potentials_are_refused(box, network, one_network):
    with pytest.raises(ConfigError, match="found a str as inner_potential, allowed: None"):
        MultipleTimeSteps("fit")
    coupling = Mechanical(inside=MultipleTimeSteps(one_network), transport="torch")
    with pytest.raises(ModelError, match="found a DifferenceEvaluator, transport='torch' needs"):
        hybrid(box, network, coupling)


def test_a_region_without_bonds_is_refused():
    topology = chain(1)
    with pytest.raises(RegionError, match="no bonds in the region"):
        fit_inner_potential(FunctionModel(spring_model), topology, [0], np.zeros((1, 3)))


def test_a_region_that_cuts_a_bond_is_refused():
    """A fragment without its link atoms is a radical, with another geometry."""
    with pytest.raises(
        RegionError, match=r"cuts 1 covalent bond \(MOL1:C1-MOL1:C2\), but an inner potential"
    ):
        fit_inner_potential(FunctionModel(spring_model), chain(4), [0, 1], np.zeros((4, 3)))


RUN = {
    "system": {"type": "build", "smiles": "CCO", "padding": "0.6 nm", "cutoff": "0.7 nm"},
    "region": {"model": "ANI-1x", "members": 0},
    "integrator": {"type": "respa", "inner": "0.5 fs", "outer": "2 fs", "inner_potential": "fit"},
    "stages": {"production": {"length": "1 ps"}},
}


def test_fit_with_link_atoms_is_refused():
    half = {"selection": "resname MOL and index 1 2 6 7 8", "link_atoms": True}
    with pytest.raises(
        RegionError, match=r"an inner potential can only be fitted to whole molecules"
    ):
        prepare_system(parse_config(RUN | {"region": RUN["region"] | half}))


def test_run_fits_with_the_charge_of_the_region(monkeypatch):
    """It is the charge in the force field, as for the network itself."""
    charges = {}

    def record(model, topology, region, positions, *, charge=0):
        charges["fit"] = charge
        return InnerPotential((), 0.0)

    def energy(positions, numbers, charge):
        charges["network"] = charge
        return 0.0, np.zeros_like(positions)

    monkeypatch.setattr("nnpmm.simulation.runner.fit_inner_potential", record)
    monkeypatch.setattr("nnpmm.models.registry.load_model", lambda *_, **__: FunctionModel(energy))
    system = RUN["system"] | {"smiles": "C[NH3+]"}
    prepared = prepare_system(parse_config(RUN | {"system": system}))
    prepared.hybrid.evaluator(np.zeros((len(prepared.hybrid.region.atoms), 3)))
    assert charges == {"fit": 1, "network": 1}


def falling(positions, numbers, charge):
    """A potential without a minimum: a constant force on the first atom."""
    forces = np.zeros_like(positions)
    forces[0, 0] = 100.0
    return -100.0 * positions[0, 0], forces


def test_a_potential_without_minimum_is_refused():
    with pytest.raises(SimulationError, match="found no minimum of the network"):
        fit_inner_potential(FunctionModel(falling), chain(3), [0, 1, 2], BENT)
