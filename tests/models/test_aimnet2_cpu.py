"""The compiled kernel of AIMNet2 against the torch reference, and its parts against numpy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from conftest import distorted, load_aimnet
from rdkit import Chem
from scipy.special import erf

from nnpmm.core.errors import ModelError
from nnpmm.models.aimnet.cpu.activation import activate
from nnpmm.models.aimnet.cpu.contraction import (
    FEATURES,
    GATHERED,
    NEIGHBOURS,
    differentiate_basis,
    differentiate_features,
    sum_neighbours,
)
from nnpmm.models.aimnet.cpu.kernel import CpuKernel
from nnpmm.models.aimnet.cpu.memory import BLOCK
from nnpmm.models.aimnet.cpu.partition import partition
from nnpmm.models.aimnet.reference import ReferenceKernel
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_narrow_tile
from nnpmm.models.cpu.vectors import lanes
from nnpmm.models.protocol import at_each_step

# Charges from -2 to +2, hydrogen bonds, heavy elements, and a molecule without hydrogen.
MOLECULES = ("[O-]C(=O)C(=O)[O-]", "CC(=O)[O-]", "CSC", "C[NH3+]", "[NH3+]CC[NH3+]", "FC(Br)(Cl)I")
# kJ/mol, kJ/mol/nm and e, from the float64 reference.
TOLERANCES = {"double": (1e-8, 1e-6, 1e-11), "single": (0.01, 0.5, 1e-5)}


@pytest.fixture(scope="module")
def parameters():
    return load_aimnet().parameters


def symbols_of(numbers):
    table = Chem.GetPeriodicTable()
    return [table.GetElementSymbol(int(number)) for number in numbers]


def assert_like_reference(parameters, numbers, charge, positions, precision, threads=1):
    """Energies, forces and charges, and the gradient of a sum of charges."""
    symbols = symbols_of(numbers)
    kernel = CpuKernel(parameters, symbols, charge, precision, threads)
    return kernel, assert_agrees(kernel, parameters, symbols, charge, positions, precision)


def assert_agrees(kernel, parameters, symbols, charge, positions, precision):
    """Compare a kernel with the float64 reference, and return its results."""
    reference = ReferenceKernel(parameters, symbols, charge, "cpu", "double", 1)
    energy, force, of_charge = TOLERANCES[precision]
    expected, found = reference.evaluate(positions), kernel.evaluate(positions)
    np.testing.assert_allclose(found.member_energies, expected.member_energies, rtol=0, atol=energy)
    assert found.energy == pytest.approx(found.member_energies.mean(), rel=0, abs=1e-9)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=force)
    np.testing.assert_allclose(
        kernel.member_energies(positions), found.member_energies, rtol=0, atol=energy / 10
    )
    charges = reference.charges(positions)
    potentials = np.random.default_rng(1).normal(0, 100, len(positions))
    alone, embedded = (each.in_potential(positions, potentials) for each in (reference, kernel))
    assert embedded[0].energy == pytest.approx(alone[0].energy, rel=0, abs=energy)
    np.testing.assert_allclose(embedded[0].forces, alone[0].forces, rtol=0, atol=force)
    np.testing.assert_allclose(embedded[1], charges, rtol=0, atol=of_charge)
    np.testing.assert_allclose(kernel.charges(positions), charges, rtol=0, atol=of_charge)
    weights = np.random.default_rng(1).normal(size=len(symbols))
    tensor = torch.tensor(positions, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        (reference.charge_tensors(tensor) * torch.tensor(weights)).sum(), tensor
    )
    np.testing.assert_allclose(
        kernel.charge_gradient(positions, weights), gradient, rtol=0, atol=100 * of_charge
    )
    return found


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("smiles", MOLECULES)
def test_molecules_and_ions(parameters, smiles, precision):
    numbers, positions = distorted(smiles)
    charge = Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
    assert_like_reference(parameters, numbers, charge, positions, precision)


def crowd(n, spacing=0.2):
    """Atoms of all fourteen elements on a distorted grid, with an even number of electrons."""
    generator = np.random.default_rng(n)
    elements = np.array([1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53])
    numbers = generator.permutation(np.resize(elements, n - 1))
    numbers = np.append(numbers, 6 if numbers.sum() % 2 == 0 else 7)
    edge = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3), axis=-1).reshape(-1, 3)[:n]
    return numbers, spacing * grid + generator.normal(scale=0.01, size=(n, 3))


@pytest.mark.parametrize("charge", [-2, 0, 2])
def test_all_elements_together(parameters, charge):
    numbers, positions = crowd(27)
    assert_like_reference(parameters, numbers, charge, positions, "double")


def test_more_atoms_than_a_block_and_more_neighbours_than_expected(parameters):
    """Compressed, so that atoms have some sixty neighbours each."""
    numbers, positions = crowd(BLOCK + 5, spacing=0.17)
    few = parameters.subset([2])
    assert_like_reference(few, numbers, 0, positions, "double")


@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_single_atom(parameters, precision):
    _, found = assert_like_reference(parameters, [8], 0, np.zeros((1, 3)), precision)
    np.testing.assert_array_equal(found.forces, 0)


@pytest.mark.parametrize("distance", [0.7, 3.0])
def test_two_molecules(parameters, distance):
    """Two molecules within the cutoff of the passes, and with only long-range interactions."""
    (numbers, a), (others, b) = distorted("C[NH3+]"), distorted("CC(=O)[O-]")
    positions = np.concatenate([a, b + np.array([distance, 0, 0])])
    assert_like_reference(parameters, [*numbers, *others], 0, positions, "double")


@pytest.mark.parametrize("members", [[1], [3, 0, 2]])
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_threads_evaluate_whole_networks_or_parts(parameters, members, threads):
    numbers, positions = distorted("CC(=O)NO")
    few = parameters.subset(members)
    kernel, found = assert_like_reference(few, numbers, 0, positions, "double", threads)
    again = kernel.evaluate(positions)
    assert again.energy == found.energy
    np.testing.assert_array_equal(again.forces, found.forces)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_batch_equals_separate_evaluations(parameters, threads):
    """More geometries than in one batch; the last batch is smaller."""
    numbers, positions = distorted("CSC")
    generator = np.random.default_rng(5)
    many = positions + generator.normal(scale=0.003, size=(50, *positions.shape))
    kernel = CpuKernel(parameters.subset([0, 3]), symbols_of(numbers), 0, "double", threads)
    batch = kernel.batch(many)
    alone = [kernel.evaluate(geometry) for geometry in many]
    np.testing.assert_allclose(batch.energies, [each.energy for each in alone], rtol=0, atol=1e-9)
    np.testing.assert_allclose(batch.forces, [each.forces for each in alone], rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        batch.member_energies, [each.member_energies for each in alone], rtol=0, atol=1e-9
    )


def test_a_batch_by_the_evaluator(parameters):
    numbers, positions = distorted("CO")
    many = np.stack([positions, 1.01 * positions])
    for backend in ("cpu", "reference"):
        evaluator = load_aimnet(backend=backend, precision="double", members=1).bind(numbers)
        batch = evaluator.batch(many)
        expected = [evaluator(geometry)[0] for geometry in many]
        np.testing.assert_allclose(batch.energies, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("geometries", [1, 3])
@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8, 64])
def test_every_atom_of_every_network_has_one_thread(members, geometries, threads):
    whole_networks, work = partition(members, geometries, 7, threads)
    count = np.zeros((members, geometries * 7), int)
    rows = np.zeros(geometries * 7, int)
    for part in work:
        in_ranges = np.zeros(geometries * 7, int)
        for member, first, last in part.tasks:
            count[member, first:last] += 1
            if whole_networks:
                assert first % 7 == 0 and last % 7 == 0
        for first, last in part.atom_ranges:
            in_ranges[first:last] += 1
        rows[slice(*part.rows)] += 1
        expected = np.zeros(geometries * 7, bool)
        for _, first, last in part.tasks:
            expected[first:last] = True
        np.testing.assert_array_equal(in_ranges, expected)
    assert (count == 1).all() and (rows == 1).all()
    assert whole_networks or len(work) == min(threads, count.size)


def test_coincident_atoms_give_a_non_finite_energy():
    evaluator = load_aimnet(backend="cpu").bind([8, 1, 1])
    energy, _ = at_each_step(evaluator)(np.array([[0, 0, 0], [0, 0, 0], [0.1, 0, 0]]))
    assert not np.isfinite(energy)


def test_second_derivatives_of_charges_are_refused():
    evaluator = load_aimnet(backend="cpu").bind([8, 1, 1])
    positions = torch.tensor([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]], dtype=torch.float64)
    positions.requires_grad_(True)
    charge = evaluator.charge_tensors(positions)[0]
    with pytest.raises(ModelError, match="second derivatives of charges"):
        torch.autograd.grad(charge, positions, create_graph=True)


def test_backends_and_devices():
    assert load_aimnet(device="cpu").backend == "cpu"
    assert load_aimnet(backend="reference").backend == "reference"
    assert load_aimnet(backend="cpu").device == "cpu"
    with pytest.raises(ModelError, match="found the device 'cuda', the backend 'cpu' allows: cpu"):
        load_aimnet(backend="cpu", device="cuda")


@numba.njit
def _activate(x, bias, slopes):
    activate(x, bias, slopes)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 4e-7), (np.float64, 1e-15)])
def test_activation(dtype, tolerance):
    """GELU with the error function, and its derivative; relative to 1 or the number."""
    bias = np.linspace(-12, 12, 20_001).astype(dtype)
    value, slope = np.zeros_like(bias), np.empty_like(bias)
    _activate(value, bias, slope)
    x = bias.astype(np.float64)
    below = 0.5 * (1 + erf(x / np.sqrt(2)))
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    scale = np.maximum(1, np.abs(x))
    np.testing.assert_allclose(value / scale, x * below / scale, rtol=0, atol=tolerance)
    np.testing.assert_allclose(slope, below + x * density, rtol=0, atol=3 * tolerance)
    value[:] = np.nan
    _activate(value, bias, slope)
    assert np.isnan(value).all() and np.isnan(slope).all()


@numba.njit
def _narrow(c, a, b, rows, add):
    multiply_narrow_tile(
        c, 2, c.shape[1], a, 1, a.shape[1], b, b.shape[1], a.shape[1] - 1, rows, add
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 5, MAX_ROWS])
def test_narrow_tile_is_a_matrix_product(dtype, rows):
    generator = np.random.default_rng(rows)
    width, depth = lanes(dtype), 16
    a = generator.normal(size=(MAX_ROWS, depth + 1)).astype(dtype)
    b = generator.normal(size=(depth + 1, width)).astype(dtype)
    c = generator.normal(size=(MAX_ROWS, width + 3)).astype(dtype)
    expected = c.astype(float)
    product = a[:rows, 1:].astype(float) @ b[1:]
    for add in (False, True):
        expected[:rows, 2 : 2 + width] = product + (expected[:rows, 2 : 2 + width] if add else 0)
        _narrow(c, a, b, rows, add)
        np.testing.assert_allclose(c, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)


@numba.njit
def _sum(scalar, vector, basis, features, index, n, width):
    sum_neighbours(
        scalar, 0, vector, 0, basis, 4 * width, features, width,
        features.shape[1] * width, index, 1, len(index) - 1, n, width,
    )  # fmt: skip


@numba.njit
def _by_basis(out, scalar, vector, features, index, n, width):
    differentiate_basis(
        out, 0, scalar, 0, vector, 0, features, 0,
        features.shape[1] * width, index, 1, n, features.shape[1], width,
    )  # fmt: skip


@numba.njit
def _by_features(out, scalar, vector, basis, index, n, width):
    differentiate_features(
        out, 0, scalar, width, vector, 3 * width, scalar.shape[1] * width,
        basis, 4 * width, index, 1, len(index) - 1, n, width,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_sums_over_neighbours(dtype, count):
    """Skip the first neighbour and the first feature, to test starts and strides."""
    generator = np.random.default_rng(count)
    width, atoms = lanes(dtype), 5
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    index = generator.integers(atoms, size=count + 1)
    basis = generator.normal(size=(count + 1, 4, width)).astype(dtype)
    for n in range(1, FEATURES + 1):
        features = generator.normal(size=(atoms, n + 1, width)).astype(dtype)
        scalar, vector = np.empty((n, width), dtype), np.empty((n, 3, width), dtype)
        _sum(scalar, vector, basis, features, index, n, width)
        expected = np.einsum("pcg,pfg->fcg", basis[1:], features[index[1:], 1:])
        np.testing.assert_allclose(scalar, expected[:, 0], rtol=0, atol=tolerance)
        np.testing.assert_allclose(vector, expected[:, 1:], rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_of_sums_over_neighbours(dtype):
    generator = np.random.default_rng(1)
    width, atoms = lanes(dtype), 5
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    index = generator.integers(atoms, size=8)
    basis = generator.normal(size=(8, 4, width)).astype(dtype)
    for n in range(1, NEIGHBOURS + 1):
        features = generator.normal(size=(atoms, 3, width)).astype(dtype)
        scalar = generator.normal(size=(3, width)).astype(dtype)
        vector = generator.normal(size=(3, 3, width)).astype(dtype)
        out = np.ones((n, 4, width), dtype)
        both = np.concatenate([scalar[:, None], vector], axis=1)
        expected = 1 + np.einsum("fcg,pfg->pcg", both, features[index[1 : n + 1]])
        _by_basis(out, scalar, vector, features, index, n, width)
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)
    turned = basis[1:] * np.array([1, -1, -1, -1], dtype)[:, None]
    for n in range(1, GATHERED + 1):
        scalar = generator.normal(size=(atoms, n + 1, width)).astype(dtype)
        vector = generator.normal(size=(atoms, n + 1, 3, width)).astype(dtype)
        out = np.ones((n, width), dtype)
        both = np.concatenate([scalar[:, :, None], vector], axis=2)[:, 1:]
        expected = 1 + np.einsum("pcg,pfcg->fg", turned, both[index[1:]])
        _by_features(out, scalar, vector, basis, index, n, width)
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)
