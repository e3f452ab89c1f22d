"""The log reuses the network's energy of the last step if the positions are the same."""

from __future__ import annotations

import dataclasses

import numpy as np
import openmm
import pytest
from toys import SpringModel, prepare, protocol, water_box

from nnpmm.coupling import LAMBDA_NNP, Interpolated, Mechanical, MultipleTimeSteps, couple
from nnpmm.models import FunctionModel
from nnpmm.models.bound import BoundPotential
from nnpmm.simulation import run_protocol
from nnpmm.simulation.record.energy_log import RegionMonitor, read_log

pytestmark = pytest.mark.usefixtures("empty_report")

CALLS = []
WATER, TWO_WATERS = (0, 1, 2), (0, 1, 2, 24, 25, 26)


def pairs(positions, numbers, charge):
    """Springs between all atoms, also of different molecules."""
    CALLS.append(positions.copy())
    i, j = np.triu_indices(len(positions), 1)
    bond = positions[j] - positions[i]
    length = np.linalg.norm(bond, axis=1)
    stretch = length - np.where(numbers[i] == numbers[j], 0.16, 0.1)
    forces = np.zeros_like(positions)
    pull = (2e3 * stretch / length)[:, None] * bond
    np.add.at(forces, i, pull)
    np.add.at(forces, j, -pull)
    return float(1e3 * (stretch**2).sum()), forces


PAIRS, WEAK = FunctionModel(pairs, "pairs"), FunctionModel(lambda *a: _half(pairs(*a)), "weak")


def _half(found):
    return 0.5 * found[0], 0.5 * found[1]


@pytest.fixture(scope="module")
def mm():
    return water_box(
        3, periodic=True, flexibleConstraints=True
    )  # with bonded terms, which interpolation needs


@pytest.fixture
def no_call(monkeypatch):
    """Return a function that makes further evaluations of the network an error."""

    def refuse(*_):
        raise AssertionError("the network is evaluated for the log")

    return lambda: monkeypatch.setattr(BoundPotential, "evaluate", refuse)


def simulated(mm, hybrid, platform="Reference", *, barostat=False):
    """Return a context of a hybrid system after some steps, with molecules outside the box."""
    if barostat:
        pressure = openmm.MonteCarloBarostat(1e4, 300, 1)
        pressure.setRandomNumberSeed(1)
        hybrid.system.addForce(pressure)
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.001)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(hybrid.system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(mm.positions - 0.4)
    integrator.step(3)
    return context


def read(context, monitor, *, energy=True):
    """Return the reading for a row of the log."""
    state = context.getState(positions=True, energy=energy)
    positions = state.getPositions(asNumpy=True)._value
    return monitor.read(positions, state.getPeriodicBoxVectors(asNumpy=True)._value)


def fresh(context, monitor, evaluator):
    """Return the energy of an independent evaluator at a context's positions."""
    state = context.getState(positions=True)
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    return evaluator(monitor.whole(state.getPositions(asNumpy=True)._value, box))[0]


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("region", [WATER, TWO_WATERS])
@pytest.mark.parametrize(
    "coupling",
    [
        Mechanical(),
        Mechanical(constraints="keep"),
        Mechanical(inside=Interpolated()),
        Mechanical(inside=MultipleTimeSteps(WEAK)),
    ],
    ids=["plain", "constraints", "interpolated", "inner network"],
)
def test_log_reuses_the_energy_of_the_last_step(mm, no_call, platform, region, coupling):
    hybrid = couple(mm.system, mm.topology, region, PAIRS, coupling=coupling)
    context, monitor = simulated(mm, hybrid, platform), RegionMonitor(hybrid)
    expected = fresh(context, monitor, PAIRS.bind([8, 1, 1] * (len(region) // 3)))
    no_call()
    assert read(context, monitor).energy == pytest.approx(expected, abs=1e-9)
    assert expected > 0.01


def test_log_reuses_the_member_energies_of_the_last_step(mm, no_call):
    hybrid = couple(mm.system, mm.topology, WATER, SpringModel())
    context, monitor = simulated(mm, hybrid), RegionMonitor(hybrid)
    other = SpringModel().bind([8, 1, 1])
    state = context.getState(positions=True)
    members = other.member_energies(
        monitor.whole(state.getPositions(asNumpy=True)._value, mm.box_vectors)
    )
    no_call()
    found = read(context, monitor)
    assert found.energy == pytest.approx(members.mean(), abs=1e-9)
    assert found.deviation == pytest.approx(np.std(members, ddof=1), abs=1e-9)


def test_rejected_barostat_moves_are_not_logged(mm):
    """The last evaluation may be at the scaled positions of a rejected move."""
    hybrid = couple(mm.system, mm.topology, TWO_WATERS, PAIRS)
    context, monitor = simulated(mm, hybrid, barostat=True), RegionMonitor(hybrid)
    other = PAIRS.bind([8, 1, 1, 8, 1, 1])
    stale = 0
    for _ in range(20):
        context.getIntegrator().step(1)
        state = context.getState(positions=True)
        box = state.getPeriodicBoxVectors(asNumpy=True)._value
        last = CALLS[-1]
        whole = monitor.whole(state.getPositions(asNumpy=True)._value, box)
        stale += not np.array_equal(last, whole)
        expected = other(whole)[0]
        assert read(context, monitor, energy=False).energy == pytest.approx(expected, abs=1e-9)
    assert stale > 0


def test_network_is_evaluated_if_the_step_did_not_call_it(mm):
    coupling = Mechanical(inside=Interpolated())
    hybrid = couple(mm.system, mm.topology, WATER, PAIRS, coupling=coupling)
    context, monitor = simulated(mm, hybrid), RegionMonitor(hybrid)
    context.setParameter(LAMBDA_NNP, 0.0)
    context.getIntegrator().step(2)
    expected = fresh(context, monitor, PAIRS.bind([8, 1, 1]))
    CALLS.clear()
    assert read(context, monitor).energy == pytest.approx(expected, abs=1e-9)
    assert len(CALLS) == 1


@pytest.mark.parametrize("ensemble", ["NVT", "NPT"])
def test_log_row_costs_one_evaluation(mm, tmp_path, ensemble):
    """OpenMM evaluates the potential energy for each row; frames and checkpoints cost nothing."""
    outside = dataclasses.replace(mm, positions=mm.positions - 0.4)
    counts, rows = [], []
    for name, interval in (("few", "50 fs"), ("many", "2 fs")):
        CALLS.clear()
        settings = protocol(
            tmp_path / name,
            production="0.1 ps",
            stages={"minimize": None, "warmup": None, "equilibrate": None},
            output={"log_interval": interval},
            ensemble={"type": ensemble, "barostat_interval": 5},
        )
        run_protocol(prepare(outside, PAIRS), settings, progress=False)
        counts.append(len(CALLS))
        rows.append(len(read_log(tmp_path / name / "log.csv")[0]))
    assert rows == [2, 50]
    assert counts[1] - counts[0] == rows[1] - rows[0]
