"""Replicas that are propagated together have the same trajectories as separate ones."""

from __future__ import annotations

import copy
import threading

import numpy as np
import openmm
import pytest
from cases import solvated_ligand
from conftest import load_with
from toy import TOY

import nnpmm
from nnpmm.core.errors import ConfigError
from nnpmm.coupling import LinkAtoms, Mechanical
from nnpmm.coupling.transports import create_region_force
from nnpmm.models.batching import JoinedCalls, joined_calls
from nnpmm.sampling import step_together
from nnpmm.structures import molecule_from_smiles

STEPS = 12


@pytest.fixture(scope="module")
def methanol():
    """Return an evaluator, a System with only the network and a spring, and positions."""
    molecule = molecule_from_smiles("CO", seed=1)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    evaluator = load_with("ANI-1x", "cpu", "double", members=[0, 1], threads=1).bind(numbers)
    system, spring = openmm.System(), openmm.CustomExternalForce("0.5*k*x^2")
    spring.addGlobalParameter("k", 100.0)
    for index, number in enumerate(numbers):
        system.addParticle(openmm.app.Element.getByAtomicNumber(number).mass)
        spring.addParticle(index)
    bonds = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()])
    force = create_region_force(
        evaluator, np.arange(len(numbers)), bonds, periodic=False, exact_to_half_box=False
    )
    system.addForce(spring)
    system.addForce(force)
    return evaluator, system, molecule.GetConformer().GetPositions() / 10


def context_of(system, positions, box=None, seed=1) -> openmm.Context:
    """Return a context without random numbers, which all contexts of Reference share."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.0005), platform)
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(280 + 10 * seed, seed)
    return context


def coordinates(contexts) -> np.ndarray:
    states = [context.getState(positions=True) for context in contexts]
    return np.array([state.getPositions(asNumpy=True)._value for state in states])


def sizes_of_batches(evaluator, monkeypatch) -> list[int]:
    """Return a list that grows by the number of geometries of each batch."""
    sizes, batch = [], type(evaluator).batch

    def counted(self, positions):
        sizes.append(len(positions))
        return batch(self, positions)

    monkeypatch.setattr(type(evaluator), "batch", counted)
    return sizes


def test_trajectories_equal_those_of_separate_replicas(methanol, monkeypatch):
    """Replicas have different temperatures and parameters; every step is one batch."""
    evaluator, system, positions = methanol

    def windows():
        found = [context_of(system, positions, seed=seed) for seed in (1, 2, 3)]
        for index, context in enumerate(found):
            context.setParameter("k", 100.0 * index)
        return found

    alone, together = windows(), windows()
    for context in alone:
        context.getIntegrator().step(STEPS)
    sizes = sizes_of_batches(evaluator, monkeypatch)
    step_together(together, STEPS // 2)
    step_together(together, STEPS - STEPS // 2)
    expected = coordinates(alone)
    assert np.ptp(expected, axis=0).max() > 1e-3  # nm: they are three trajectories
    np.testing.assert_allclose(coordinates(together), expected, rtol=0, atol=1e-9)
    assert set(sizes) == {3}
    assert len(sizes) == STEPS
    assert joined_calls() is None


def test_replicas_with_barostats_may_differ_in_their_number_of_calls():
    """A trial move of the box evaluates the network once or twice more."""
    case = solvated_ligand()
    hybrid = nnpmm.couple(case.system, case.topology, case.region, TOY)
    still, moving = hybrid.system, copy.deepcopy(hybrid.system)
    barostat = openmm.MonteCarloBarostat(1e4, 300.0, 1)
    barostat.setRandomNumberSeed(5)
    moving.addForce(barostat)

    def replicas():
        return [context_of(each, case.positions, case.box) for each in (still, moving, still)]

    alone, together = replicas(), replicas()
    for context in alone:
        context.getIntegrator().step(8)
    step_together(together, 8)
    boxes = [context.getState().getPeriodicBoxVolume()._value for context in together]
    assert boxes[0] == boxes[2] != boxes[1]
    np.testing.assert_allclose(  # the barostat draws random numbers that all contexts share
        coordinates(together)[::2], coordinates(alone)[::2], rtol=0, atol=1e-9
    )


def test_region_with_link_atoms_is_evaluated_together(monkeypatch):
    """Each copy of the System then has its own evaluator of the same network."""
    case = solvated_ligand("CCO")
    atoms = list(case.topology.atoms())
    heavy = [i for i in case.region.tolist() if atoms[i].element.symbol != "H"]
    bonds = [(b.atom1.index, b.atom2.index) for b in case.topology.bonds()]
    methyl = {heavy[0], *(j for i, j in bonds if i == heavy[0] and j not in heavy)}
    methyl |= {i for i, j in bonds if j == heavy[0] and i not in heavy}
    coupling = Mechanical(boundary=LinkAtoms())
    model = load_with("ANI-1x", "cpu", "double", members=[0], threads=1)
    hybrid = nnpmm.couple(case.system, case.topology, sorted(methyl), model, coupling=coupling)
    contexts = [context_of(hybrid.system, case.positions, case.box, seed) for seed in (1, 2)]
    sizes = sizes_of_batches(hybrid.evaluator.evaluator, monkeypatch)
    step_together(contexts, 2)
    assert set(sizes) == {2}


def test_other_replicas_continue_if_one_fails(methanol):
    _, system, positions = methanol
    contexts = [context_of(system, positions, seed=seed) for seed in (1, 2, 3)]
    contexts[1].setPositions(np.full_like(positions, np.nan))
    with pytest.raises(openmm.OpenMMException, match="non-finite position"):
        step_together(contexts, STEPS)
    assert [context.getStepCount() for context in contexts] == [STEPS, 0, STEPS]


def test_error_of_a_batch_is_raised_in_all_replicas():
    class Failing:
        def batch(self, positions):
            raise RuntimeError(f"out of order for {len(positions)}")

    calls, failing, found = JoinedCalls(2), Failing(), []

    def work():
        with calls.taking_part():
            try:
                calls.evaluate(failing, np.zeros((1, 3)))
            except RuntimeError as error:
                found.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == ["out of order for 2"] * 2


def test_a_repeated_context_is_refused(methanol):
    _, system, positions = methanol
    context = context_of(system, positions)
    with pytest.raises(ConfigError, match="found a context twice"):
        step_together([context, context], 1)
