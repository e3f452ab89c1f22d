"""Free-energy surfaces and their errors against exact ones."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy.surfaces import (
    Axis,
    Bins,
    Surface,
    WeightedSamples,
    average_of,
    convergence_of,
    difference_below,
    find_basins,
    find_minima,
    mbar_weights,
    metadynamics_offsets,
    pooled,
    surface_of,
)
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.variables import Variable

T = 300.0
KT = GAS_CONSTANT * T
BARRIER = 8 * KT
PLATFORM = openmm.Platform.getPlatformByName("Reference")


def double_well(x):
    """8 kT between minima at -0.5 and 0.5 nm, the second one 1 kT higher."""
    return BARRIER * ((x / 0.5) ** 2 - 1) ** 2 + KT * (x / 0.5 + 1) / 2


EXPRESSION = f"{BARRIER}*((x/0.5)^2 - 1)^2 + {KT}*(x/0.5 + 1)/2 + 500*(y^2 + z^2)"


def plain(values, axes, *, runs=None, logs=None):
    """Samples with weights of their own."""
    values = np.asarray(values, dtype=float).reshape(len(values), -1)
    weights = np.zeros(len(values)) if logs is None else logs
    if runs is None:
        runs = np.zeros(len(values), dtype=int)
    times = np.concatenate([np.arange((runs == r).sum()) for r in np.unique(runs)]) + 1.0
    return WeightedSamples(tuple(axes), values, times, runs, T, lambda mask: weights[mask])


def coordinate() -> Variable:
    def create_force():
        force = openmm.CustomExternalForce("x")
        force.addParticle(0, [])
        return force

    return Variable("x", "nm", None, None, create_force, lambda p, box: p[0, 0])


def walk_with_metadynamics(seed, count=4000):
    """One run: its record as samples."""
    system = openmm.System()
    system.addParticle(1.0)
    force = openmm.CustomExternalForce(EXPRESSION)
    force.addParticle(0, [])
    system.addForce(force)
    grid = grid_of(coordinate(), 0.05, (-0.8, 0.8), temperature=T)
    bias = WellTempered(system, [grid], temperature=T, bias_factor=8.0, height=1.0)
    integrator = openmm.LangevinMiddleIntegrator(T, 10 / unit.picosecond, 0.01)
    integrator.setRandomNumberSeed(seed)
    topology = app.Topology()
    topology.addAtom("P", None, topology.addResidue("P", topology.addChain()))
    simulation = app.Simulation(topology, system, integrator, PLATFORM)
    simulation.context.setPositions(np.array([[-0.5, 0.0, 0.0]]))
    records = []
    for _ in range(count):
        simulation.integrator.step(20)
        records.append(bias.deposit(simulation.context))
    centres = np.array([record.values for record in records])
    offsets = metadynamics_offsets(
        [grid], centres, [r.height for r in records], temperature=T, bias_factor=8.0
    )
    logs = (np.array([record.bias for record in records]) - offsets) / KT
    return plain(centres, [Axis("x", "nm", None, (-0.8, 0.8))], logs=logs)


@pytest.fixture(scope="module")
def walks():
    return [walk_with_metadynamics(seed) for seed in (1, 2, 3)]


def exact_surface(x):
    """-kT ln of the mean Boltzmann factor in each bin around x (b,)."""
    fine = (x[1] - x[0]) * np.linspace(-0.5, 0.5, 51)
    return -KT * np.log(np.exp(-double_well(x[:, None] + fine) / KT).mean(axis=1))


def deviations(surface, limit):
    """Differences from the exact surface up to a height, kJ/mol, and the same in errors."""
    (x,) = surface.bins.centres
    exact = exact_surface(x)
    known = np.isfinite(surface.error) & (exact < limit)
    difference = surface.free_energy[known] - exact[known]
    difference -= np.average(difference, weights=surface.probability[known])
    return difference, difference / surface.error[known]


def test_reweighted_metadynamics_gives_the_exact_surface(walks):
    samples = pooled([walk.after(0.2) for walk in walks])
    surface = surface_of(samples, ["x"], bins=32)
    difference, in_errors = deviations(surface, 20.0)
    assert len(difference) > 20
    assert np.sqrt((difference**2).mean()) < 1.0
    assert np.sqrt((in_errors**2).mean()) < 2.5
    lowest, second = find_minima(samples, surface)[:2]
    assert lowest.place[0] == pytest.approx(-0.5, abs=0.1)
    assert second.place[0] == pytest.approx(0.5, abs=0.1)
    x = np.linspace(-1, 1, 4001)
    p = np.exp(-double_well(x) / KT)
    expected = p[x < 0].sum() / p.sum()
    found = lowest.population
    assert found.error < 0.1
    assert abs(found.value - expected) < 4 * found.error
    assert lowest.visits >= 10


def test_unweighted_metadynamics_samples_are_biased(walks):
    """The test of the reweighted surface is not trivial: the bias fills the wells."""
    walk = walks[0].after(0.2)
    unweighted = plain(walk.values, walk.axes)
    surface = surface_of(unweighted, ["x"], bins=32)
    (x,) = surface.bins.centres
    chosen = double_well(x) < 20
    assert difference_below(surface.free_energy[chosen], double_well(x)[chosen]) > 3


def test_weighted_average_is_unbiased(walks):
    samples = pooled([walk.after(0.2) for walk in walks])
    x = np.linspace(-1, 1, 4001)
    p = np.exp(-double_well(x) / KT)
    found = average_of(samples, samples.values[:, 0] ** 2)
    assert abs(found.value - (x**2 * p).sum() / p.sum()) < 4 * found.error
    with pytest.raises(ConfigError, match="observable of shape"):
        average_of(samples, [1.0, 2.0])


def test_metadynamics_surface_converges(walks):
    found = convergence_of(walks[0], ["x"], bins=32)
    assert found.differences[-1] == 0
    assert found.differences[0] > found.differences[-3]
    assert (np.diff(found.times) > 0).all()


def windows(count=400, seed=0):
    """Independent samples of harmonic windows on the double well, with all their energies."""
    rng = np.random.default_rng(seed)
    centres = np.linspace(-0.7, 0.7, 9)
    x = np.linspace(-1.2, 1.2, 20001)
    draws = []
    for centre in centres:
        p = np.exp(-(double_well(x) + 60 * (x - centre) ** 2) / KT)
        draws.append(rng.choice(x, size=count, p=p / p.sum()))
    values = np.array(draws).T  # (count, K)
    bias = 60 * (values[:, :, None] - centres) ** 2
    base = double_well(values)
    return values, base[:, :, None] + bias, base


def window_samples(count=400, seed=0):
    values, energies, base = windows(count, seed)
    states = values.shape[1]

    def weigh(mask):
        chosen = mask.reshape(-1, states)
        rows = chosen.any(axis=1)
        logs = mbar_weights(energies[rows], base[rows], [T] * states, T)
        return logs[chosen[rows]]

    times = np.repeat(np.arange(count) + 1.0, states)
    runs = np.zeros(values.size, dtype=int)
    axes = (Axis("x", "nm", None, (-0.8, 0.8)),)
    return WeightedSamples(axes, values.reshape(-1, 1), times, runs, T, weigh)


def test_umbrella_windows_give_the_exact_surface():
    samples = window_samples()
    surface = surface_of(samples, ["x"], bins=32)
    difference, in_errors = deviations(surface, 40.0)
    assert len(difference) > 20
    assert np.sqrt((difference**2).mean()) < 0.6
    assert np.sqrt((in_errors**2).mean()) < 2


def test_windows_without_overlap_are_refused():
    """MBAR itself would join them without an error."""
    _, energies, base = windows(100)
    apart = [0, 8]
    with pytest.raises(SimulationError, match="overlap"):
        mbar_weights(energies[:, apart][:, :, apart], base[:, apart], [T] * 2, T)


def test_errors_include_those_of_the_mbar_free_energies():
    """The error of one set of windows matches the spread of independent sets."""
    found = [surface_of(window_samples(100, seed), ["x"], bins=16) for seed in range(8)]
    left = np.array([-KT * np.log(each.probability[:8].sum()) for each in found])
    right = np.array([-KT * np.log(each.probability[8:].sum()) for each in found])
    spread = (right - left).std(ddof=1)
    minima = [find_minima(window_samples(100, seed), found[seed]) for seed in range(3)]
    reported = [KT * m[0].population.error / (m[0].population.value * (1 - m[0].population.value))
                for m in minima]  # fmt: skip
    assert 0.3 * spread < np.mean(reported) < 3 * spread


def test_errors_of_independent_samples():
    """kT ((1 - p) / (N p))^(1/2) in each bin."""
    values = np.random.default_rng(3).normal(size=4000)
    surface = surface_of(plain(values, [Axis("x", ends=(-3, 3))]), ["x"], bins=12, blocks=40)
    p = surface.probability
    expected = KT * np.sqrt((1 - p) / (4000 * p))
    ratio = surface.error[p > 0.01] / expected[p > 0.01]
    assert ratio.mean() == pytest.approx(1, abs=0.15)


def test_disagreeing_runs_have_larger_errors():
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(shift, 1, size=1000) for shift in (-0.5, 0.0, 0.5)])
    runs = np.repeat([0, 1, 2], 1000)
    axis = [Axis("x", ends=(-2, 2))]
    together = surface_of(plain(values, axis, runs=runs), ["x"], bins=8)
    one = surface_of(plain(values, axis), ["x"], bins=8, blocks=30)
    assert together.error[0] > 2 * one.error[0]
    parts = [plain(values[runs == r], axis) for r in range(3)]
    again = surface_of(pooled(parts), ["x"], bins=8)
    np.testing.assert_allclose(again.error, together.error)


def mixture(count=20000, seed=1):
    """Two periodic wells in two dimensions, 70 to 30, one across the boundary."""
    rng = np.random.default_rng(seed)
    centres = np.array([[3.0, 0.0], [0.0, 1.5]])
    chosen = (rng.random(count) > 0.7).astype(int)
    values = centres[chosen] + rng.normal(scale=0.4, size=(count, 2))
    values = (values + np.pi) % (2 * np.pi) - np.pi
    period = 2 * np.pi
    axes = [Axis(n, "rad", period, (-np.pi, np.pi)) for n in ("phi", "psi")]
    return plain(values, axes)


def test_minima_and_populations_of_a_periodic_mixture():
    samples = mixture()
    surface = surface_of(samples, ["phi", "psi"], bins=24)
    minima = find_minima(samples, surface, barrier=2 * KT)
    assert [round(m.population.value, 1) for m in minima[:2]] == [0.7, 0.3]
    assert abs(minima[0].population.value - 0.7) < 4 * minima[0].population.error
    assert np.cos(minima[0].place[0] - 3.0) > 0.9
    assert minima[0].free_energy == 0 and minima[1].free_energy > 0


def test_basins_are_merged_over_low_barriers_only():
    """Two wells of 20 kJ/mol with three ripples of 2 kJ/mol in each; errors count as well."""
    edges = np.linspace(-np.pi, np.pi, 121)
    x = 0.5 * (edges[1:] + edges[:-1])
    height = 10 * (1 - np.cos(2 * x)) + 0.2 * x
    height += np.where(np.cos(2 * x) > 0.5, 2.0 * np.cos(18 * x), 2.0)
    bins = Bins((Axis("phi", "rad", 2 * np.pi, (-np.pi, np.pi)),), (edges,))

    def minima(barrier, error=0.1):
        surface = Surface(bins, height - height.min(), np.full(120, error), T)
        return len(find_basins(surface, barrier=barrier).minima)

    assert minima(0.0) > 2
    assert minima(5.0) == 2
    assert minima(0.0, error=2.5) == 2
    assert minima(50.0) == 1


def test_invalid_samples_are_refused():
    samples = mixture(200)
    with pytest.raises(ConfigError, match="recorded are: phi, psi"):
        surface_of(samples, ["chi"])
    with pytest.raises(SimulationError, match="expected 50 or more"):
        surface_of(mixture(20), ["phi"])
    with pytest.raises(ConfigError, match="two or more"):
        surface_of(samples, ["phi"], bins=1)
    with pytest.raises(SimulationError, match="same value"):
        surface_of(plain(np.ones(100), [Axis("x")]), ["x"])
    with pytest.raises(ConfigError, match="discarded fraction"):
        samples.after(1.0)
    with pytest.raises(ConfigError, match="different variables"):
        pooled([samples, plain(np.ones(100), [Axis("x")])])
