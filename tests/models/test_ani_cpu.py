"""The cpu backend's parts: vector kernels, cell list, partition of atoms, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest

from nnpmm.core.errors import ModelError, SimulationError
from nnpmm.models import load_model
from nnpmm.models.ani.cpu.kernel import CpuKernel
from nnpmm.models.ani.cpu.partition import BLOCK, partition
from nnpmm.models.cpu.functions import cosine_and_sine, exponential, logarithm
from nnpmm.models.cpu.neighbours import Neighbours, build_cells, find_neighbours
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_tile, panel_width
from nnpmm.models.protocol import at_each_step
from nnpmm.models.threads import run_together, thread_count


@numba.njit
def _exponential(x, y):
    for i in range(len(x)):
        y[i] = exponential(x[i])


@numba.njit
def _logarithm(x, y):
    for i in range(len(x)):
        y[i] = logarithm(x[i])


@numba.njit
def _cosine_and_sine(x, y, z):
    for i in range(len(x)):
        y[i], z[i] = cosine_and_sine(x[i])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1.5e-7), (np.float64, 1e-15)])
def test_exponential_and_logarithm(dtype, tolerance):
    x = np.linspace(-80, 80, 100_001).astype(dtype)
    y = np.empty_like(x)
    _exponential(x, y)
    np.testing.assert_allclose(y, np.exp(x.astype(np.float64)), rtol=tolerance)
    x = np.geomspace(1e-30, 1e3, 100_001).astype(dtype)
    _logarithm(x, y)
    np.testing.assert_allclose(y, np.log(x.astype(np.float64)), rtol=tolerance, atol=tolerance)


def test_exponential_at_the_ends_of_the_range():
    x = np.array([np.nan, -np.inf, -1000, 0.0], np.float32)
    y = np.empty_like(x)
    _exponential(x, y)
    assert np.isnan(y[0])
    assert (y[1:3] < 1e-37).all()
    assert y[3] == 1


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-7), (np.float64, 1e-15)])
def test_cosine_and_sine(dtype, tolerance):
    x = np.linspace(0, np.pi, 10_001).astype(dtype)
    cosine, sine = np.empty_like(x), np.empty_like(x)
    _cosine_and_sine(x, cosine, sine)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(cosine, np.cos(exact), rtol=0, atol=tolerance)
    np.testing.assert_allclose(sine, np.sin(exact), rtol=0, atol=tolerance)


@numba.njit
def _tile(c, a, b, depth, rows, add):
    multiply_tile(c, 3, c.shape[1], a, 1, a.shape[1], b, 2 * b.shape[1], depth, rows, add, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", range(1, MAX_ROWS + 1))
def test_tile_is_a_matrix_product(dtype, rows):
    """Use a part of larger arrays, to test strides and first elements."""
    generator = np.random.default_rng(rows)
    width, depth = panel_width(dtype), 37
    a = generator.normal(size=(MAX_ROWS, depth + 4)).astype(dtype)
    b = generator.normal(size=(depth + 5, width)).astype(dtype)
    c = generator.normal(size=(MAX_ROWS, width + 6)).astype(dtype)
    expected = c.copy()
    product = a[:rows, 1 : 1 + depth].astype(float) @ b[2 : 2 + depth].astype(float)
    for add in (False, True):
        old = expected[:rows, 3 : 3 + width] if add else 0
        expected[:rows, 3 : 3 + width] = old + product
        _tile(c, a, b, depth, rows, add)
        np.testing.assert_allclose(c, expected, rtol=0, atol=3e-5 if dtype == np.float32 else 1e-12)


@numba.njit
def _list_neighbours(positions, species, cells, cutoff, index, room, pairs):
    n = 0
    for i in range(len(positions)):
        for slot in range(find_neighbours(i, positions, species, cells, cutoff, index, room)):
            pairs[n, 0], pairs[n, 1], pairs[n, 2] = i, room.atom[slot], room.kind[slot]
            n += 1
    return n


@pytest.mark.parametrize("n_atoms", [1, 50, 400, 3000])
@pytest.mark.parametrize("shape", ["vacuum", "cube", "sheared", "slab"])
def test_neighbours_match_a_search_over_all_pairs(n_atoms, shape):
    generator = np.random.default_rng(n_atoms)
    edge = max(11.0, (10 * n_atoms) ** (1 / 3))
    box = {
        "vacuum": None,
        "cube": edge * np.eye(3),
        "sheared": edge * np.array([[1, 0, 0], [0.5, 1, 0], [-0.3, 0.4, 1]]),
        "slab": np.diag([edge, edge, 10.3]),  # two cells along z at most
    }[shape]
    frame = edge * np.eye(3) if box is None else box
    positions = generator.uniform(-1, 2, size=(n_atoms, 3)) @ frame
    cutoff = 5.1
    cells = build_cells(positions[None], box, cutoff)
    assert (cells.counts.prod() > 1) == (n_atoms > 200)
    pairs = np.empty((n_atoms * 400, 3), np.int64)
    room = Neighbours.allocate(n_atoms, np.dtype(np.float64))
    species = generator.integers(0, 4, n_atoms)
    index = np.empty((3, 3), np.int64)
    found = pairs[: _list_neighbours(positions, species, cells, cutoff, index, room, pairs)]
    vectors = positions[None] - positions[:, None]
    if box is not None:
        for axis in (2, 1, 0):
            vectors -= np.rint(vectors[..., axis, None] / box[axis, axis]) * box[axis]
    near = (vectors**2).sum(axis=-1) < cutoff**2
    np.fill_diagonal(near, False)
    expected = np.argwhere(near)
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found[np.lexsort(found.T[::-1])][:, :2], expected)
    np.testing.assert_array_equal(found[:, 2], species[found[:, 1]])


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
@pytest.mark.parametrize("n_geometries", [1, 20])
def test_every_atom_is_in_one_block(n_threads, n_geometries):
    species = np.array([0, 1, 1, 0, 2, 0, 1, 0, 0, 0])
    order, blocks = partition(species, np.array([3, 2, 1]) * 10_000, n_geometries, n_threads)
    assert 1 <= len(blocks) <= n_threads
    all_species = np.tile(species, n_geometries)
    seen = []
    for of_thread in blocks:
        for element, first, last in of_thread:
            assert 0 < last - first <= BLOCK
            assert (all_species[order[first:last]] == element).all()
            seen += list(order[first:last])
    assert sorted(seen) == list(range(10 * n_geometries))


def test_threads_have_balanced_loads():
    _, blocks = partition(np.repeat([0, 1], [300, 700]), np.array([200_000, 100_000]), 1, 4)
    weights = np.array([240_000, 140_000])
    costs = [sum(weights[e] * (b - a) for e, a, b in of_thread) for of_thread in blocks]
    # Blocks contain whole atoms, so two loads differ by up to two atoms, of about 250 in each.
    assert max(costs) - min(costs) < 2 * weights.max()


@pytest.fixture(scope="module")
def cluster(ani1x):
    """A dense cluster of 150 atoms with hundreds of pairs of neighbours each, and its reference."""
    generator = np.random.default_rng(12)
    symbols = list(generator.choice(["H", "C", "N", "O"], size=150, p=[0.6, 0.3, 0.05, 0.05]))
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3)[:150]
    positions = 0.12 * grid + generator.normal(scale=0.01, size=(150, 3))
    kernel = load_model("ANI-1x", backend="reference", precision="double").bind(
        [{"H": 1, "C": 6, "N": 7, "O": 8}[s] for s in symbols]
    )
    return symbols, positions, kernel.evaluate(positions)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_are_independent_of_threads_and_blocks(ani1x, cluster, threads):
    symbols, positions, expected = cluster
    kernel = CpuKernel(ani1x.parameters, symbols, "double", threads)
    found = kernel.evaluate(positions, None)
    np.testing.assert_allclose(found.member_energies, expected.member_energies, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=1e-9, atol=1e-6)


def test_single_precision_in_a_crowd(ani1x, cluster):
    symbols, positions, expected = cluster
    found = CpuKernel(ani1x.parameters, symbols, "single").evaluate(positions, None)
    scale = np.abs(expected.forces).max()
    np.testing.assert_allclose(found.energy, expected.energy, rtol=3e-7)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=2e-6 * scale)


def test_results_are_reproducible(ani1x, cluster):
    symbols, positions, _ = cluster
    kernel = CpuKernel(ani1x.parameters, symbols, "single", 2)
    first = kernel.evaluate(positions, None)
    kernel.evaluate(positions + 0.01 * np.sin(100 * positions), None)
    again = kernel.evaluate(positions, None)
    assert first.energy == again.energy
    np.testing.assert_array_equal(first.forces, again.forces)


def test_concurrent_calls_of_one_evaluator(ani1x):
    """Callers wait for each other because they share the scratch space."""
    generator = np.random.default_rng(3)
    evaluator = load_model("ANI-1x", backend="cpu").bind([6, 1, 1, 1, 1])
    methane = 0.063 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    geometries = methane + generator.normal(0, 0.01, size=(200, 5, 3))
    expected = [evaluator(geometry)[0] for geometry in geometries]
    found = [0.0] * len(geometries)

    def evaluate(first):
        for i in range(first, len(geometries), 4):
            found[i] = evaluator(geometries[i])[0]

    callers = [threading.Thread(target=evaluate, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == expected


def test_coincident_atoms_give_a_non_finite_energy(ani1x):
    """Dynamics receive a non-finite number and stop; a direct call raises an error."""
    evaluator = load_model("ANI-1x", backend="cpu").bind([6, 1, 1])
    positions = np.array([[0, 0, 0], [0, 0, 0], [0.1, 0, 0]])
    assert not np.isfinite(at_each_step(evaluator)(positions)[0])
    with pytest.raises(SimulationError, match="atoms 0 and 1 of the region"):
        evaluator(positions)


def test_compiled_code_is_cached_on_disk():
    """A second process loads the machine code and compiles nothing."""
    code = (
        "from nnpmm.models import load_model\n"
        "load_model('ANI-1x', backend='cpu').bind([1, 1])([[0, 0, 0], [0.1, 0, 0]])\n"
        "from nnpmm.models.ani.cpu.compiled import evaluate_blocks\n"
        "print(sum(evaluate_blocks.stats.cache_hits.values()))\n"
        "print(sum(evaluate_blocks.stats.cache_misses.values()))\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "0"]


def test_thread_count(monkeypatch):
    monkeypatch.setenv("OPENMM_CPU_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(2) == 2
    monkeypatch.delenv("OPENMM_CPU_THREADS")
    assert thread_count() >= 1
    most = 4 * os.cpu_count()
    assert thread_count(most) == most
    for bad in ("0", "many", "-1", "1.5", "\u00b2", str(most + 1), "1000000", "9" * 5000):
        monkeypatch.setenv("OPENMM_CPU_THREADS", bad)
        with pytest.raises(ModelError, match="found OPENMM_CPU_THREADS = ") as raised:
            thread_count()
        assert f"allowed: 1 to {most}, 4 for each of the {os.cpu_count()}" in str(raised.value)
        assert len(str(raised.value)) < 150
    for number in (0, most + 1, 10**9, 10**100):
        with pytest.raises(ModelError, match=f"found threads = '{str(number)[:20]}'"):
            thread_count(number)


def test_errors_in_other_threads_are_raised():
    def work(i):
        if i == 1:
            raise ValueError("share 1")

    with pytest.raises(ValueError, match="share 1"):
        run_together(work, 2)
