"""The backend cuda of AIMNet2 against the torch reference, on a GPU if there is one.

Without one the same operations run on the CPU, but are not captured. What a CUDA graph needs of
them, that no shape and no decision depends on a number, is tested on torch's meta device.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import distorted, load_aimnet
from contracts import assert_conserves_energy
from rdkit import Chem
from scipy.spatial.transform import Rotation
from test_aimnet2_cpu import MOLECULES, TOLERANCES, assert_agrees, crowd, symbols_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnpmm.core.errors import ModelError, OptionalDependencyError, SimulationError
from nnpmm.models.aimnet import AimnetModel
from nnpmm.models.aimnet.backends import BACKENDS
from nnpmm.models.aimnet.cuda import kernel as kernel_module
from nnpmm.models.aimnet.cuda.engine import Engine, _evaluate
from nnpmm.models.aimnet.cuda.kernel import CudaKernel
from nnpmm.models.aimnet.cuda.operations import Operations
from nnpmm.models.aimnet.cuda.packing import pack_model
from nnpmm.models.aimnet.reference import ReferenceKernel
from nnpmm.models.backends import choose_backend
from nnpmm.models.cuda.device import full_precision

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ACETATE = "CC(=O)[O-]"


@pytest.fixture(scope="module")
def parameters():
    return load_aimnet().parameters


@pytest.fixture(scope="module")
def two(parameters):
    return parameters.subset([2, 0])


def made(parameters, numbers, charge, precision="double"):
    return CudaKernel(parameters, symbols_of(numbers), charge, DEVICE, precision)


def assert_like_reference(parameters, numbers, charge, positions, precision):
    found = made(parameters, numbers, charge, precision)
    return assert_agrees(found, parameters, symbols_of(numbers), charge, positions, precision)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("smiles", MOLECULES)
def test_molecules_and_ions(parameters, smiles, precision):
    """Charges from -2 to +2, in a potential and without."""
    numbers, positions = distorted(smiles)
    charge = Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
    assert_like_reference(parameters, numbers, charge, positions, precision)


@pytest.mark.parametrize("charge", [-2, 0, 2])
def test_all_elements_together(parameters, charge):
    numbers, positions = crowd(27)
    assert_like_reference(parameters, numbers, charge, positions, "double")


def test_more_neighbours_than_in_a_molecule(parameters):
    """Compressed, so that atoms have some sixty neighbours each."""
    numbers, positions = crowd(101, spacing=0.17)
    assert_like_reference(parameters.subset([2]), numbers, 0, positions, "double")


def test_the_size_of_a_drug_in_single_precision(parameters):
    numbers, positions = distorted("CCOC(=O)C1=C[C@@H](OC(CC)CC)[C@H](NC(C)=O)[C@@H](N)C1")
    assert len(numbers) == 50
    assert_like_reference(parameters, numbers, 0, positions + 5.0, "single")


@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_single_atom(parameters, precision):
    found = assert_like_reference(parameters, [8], 0, np.zeros((1, 3)), precision)
    np.testing.assert_array_equal(found.forces, 0)


@pytest.mark.parametrize("distance", [0.7, 3.0, 300.0])
def test_two_molecules(two, distance):
    """Within reach of the passes, and of Coulomb and dispersion energies alone."""
    (numbers, a), (others, b) = distorted("C[NH3+]"), distorted(ACETATE)
    positions = np.concatenate([a, b + np.array([distance, 0, 0])])
    assert_like_reference(two, [*numbers, *others], 0, positions, "double")


def test_an_atom_at_the_edge_of_the_cutoffs(two):
    """Of the basis, 0.5 nm, and of the Coulomb energy, 0.46 nm: inside, on it and outside."""
    for distance in (0.46, 0.5):
        for beyond in (-1e-7, 0.0, 1e-7):
            positions = np.array([[0, 0, 0], [0.096, 0, 0], [-distance - beyond, 0, 0]])
            assert_like_reference(two, [8, 1, 1], 0, positions, "double")


@pytest.mark.parametrize("members", [[1], [3, 0, 2]])
def test_members(parameters, members):
    numbers, positions = distorted("CC(=O)NO")
    assert_like_reference(parameters.subset(members), numbers, 0, positions, "double")


def test_no_result_is_left_from_the_call_before(two):
    """Whatever was evaluated in between, at other positions and in potentials."""
    numbers, positions = distorted(ACETATE)
    generator = np.random.default_rng(4)
    other = positions + generator.normal(scale=0.01, size=positions.shape)
    potentials = generator.normal(0, 300, len(numbers))
    kernel = made(two, numbers, -1, "single")
    first, charges = kernel.evaluate(positions), kernel.charges(positions)
    in_potential = kernel.in_potential(other, potentials)[0]
    assert np.abs(in_potential.forces - first.forces).max() > 100
    for between in (
        lambda: kernel.in_potential(other, potentials),
        lambda: kernel.charge_gradient(other, potentials),
        lambda: kernel.evaluate_tensors(torch.tensor(other)),
        lambda: kernel.batch(np.stack([other, positions])),
    ):
        between()
        again = kernel.evaluate(positions)
        assert again.energy == first.energy
        np.testing.assert_array_equal(again.forces, first.forces)
        between()
        energy, forces = kernel.evaluate_tensors(torch.tensor(positions))
        assert float(energy) == first.energy
        np.testing.assert_array_equal(forces.cpu(), first.forces)
        between()
        np.testing.assert_array_equal(kernel.charges(positions), charges)
    fresh = made(two, numbers, -1, "single").in_potential(other, potentials)[0]
    assert fresh.energy == in_potential.energy
    np.testing.assert_array_equal(fresh.forces, in_potential.forces)


def test_results_are_the_callers(two):
    """The memory of an evaluation is that of the next, results are not."""
    numbers, positions = distorted("CO")
    kernel = made(two, numbers, 0, "single")
    results = (
        kernel.evaluate(positions).forces,
        kernel.evaluate(positions).member_energies,
        kernel.charges(positions),
        kernel.charge_gradient(positions, np.arange(6.0)),
        kernel.evaluate_tensors(torch.tensor(positions))[1],
    )
    kept = [np.array(each.tolist()) for each in results]
    kernel.in_potential(1.1 * positions, np.arange(6.0))
    for found, expected in zip(results, kept, strict=True):
        np.testing.assert_array_equal(np.array(found.tolist()), expected)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_moved_and_rotated(two, precision):
    numbers, positions = distorted(ACETATE)
    kernel = made(two, numbers, -1, precision)
    energy, force, of_charge = TOLERANCES[precision]
    found, charges = kernel.evaluate(positions), kernel.charges(positions)
    rotation = Rotation.random(random_state=3).as_matrix()
    turned = positions @ rotation.T + np.array([30.0, -20.0, 10.0])
    again = kernel.evaluate(turned)
    np.testing.assert_allclose(again.member_energies, found.member_energies, rtol=0, atol=energy)
    np.testing.assert_allclose(again.forces, found.forces @ rotation.T, rtol=0, atol=force)
    np.testing.assert_allclose(kernel.charges(turned), charges, rtol=0, atol=of_charge)


@pytest.mark.parametrize("together", [1, 2, 5, 100])
def test_a_batch_equals_separate_evaluations(two, monkeypatch, together):
    """Five of them, in groups of which the last overlaps the one before."""
    numbers, positions = distorted("CSC")
    n = len(numbers)
    monkeypatch.setattr(kernel_module, "_PAIRS_OF_A_BATCH", together * n * n)
    generator = np.random.default_rng(5)
    many = positions + generator.normal(scale=0.003, size=(5, n, 3))
    many[3] += 4.0
    kernel = made(two, numbers, 0)
    batch = kernel.batch(many)
    alone = [kernel.evaluate(geometry) for geometry in many]
    np.testing.assert_allclose(batch.energies, [each.energy for each in alone], rtol=0, atol=1e-9)
    np.testing.assert_allclose(batch.forces, [each.forces for each in alone], rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        batch.member_energies, [each.member_energies for each in alone], rtol=0, atol=1e-9
    )


def test_charges_as_a_tensor(two):
    numbers, positions = distorted("CO")
    kernel = made(two, numbers, 0)
    reference = BACKENDS["reference"].factory(two, symbols_of(numbers), 0, "cpu", "double", 1)
    tensor = torch.tensor(positions)
    found = torch.autograd.functional.jacobian(kernel.charge_tensors, tensor)
    expected = torch.autograd.functional.jacobian(reference.charge_tensors, tensor)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_coincident_atoms_give_a_non_finite_energy(two):
    found = made(two, [8, 1, 1], 0).evaluate(np.array([[0, 0, 0], [0, 0, 0], [0.1, 0, 0]]))
    assert not np.isfinite(found.energy)


class Watched(TorchDispatchMode):
    """Notes the devices of all tensors that operations are given."""

    def __init__(self):
        super().__init__()
        self.devices = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        self.devices |= {tensor.device.type for tensor in given}
        return operation(*args, **kwargs)


@pytest.mark.parametrize("geometries", [1, 3])
def test_nothing_depends_on_a_number(two, geometries):
    """On the meta device a decision would raise; and no tensor is anywhere else."""
    symbols = ["C", "O", "H", "H", "H", "H"]
    model = pack_model(two, symbols, "meta", torch.float32)
    engine = Engine(two, model, symbols, 0, "meta", geometries)
    operations = Operations(two, model, symbols, 0, geometries)
    with Watched() as watched:
        _evaluate(operations, engine.ends)
    assert watched.devices == {"meta"}
    with pytest.raises((RuntimeError, NotImplementedError)):  # what this test relies on
        bool((engine.ends.energies > 0).any())


@pytest.fixture
def coarse_products():
    """Let torch round products to TensorFloat-32 on a GPU."""
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    yield matmul
    matmul.fp32_precision = before


def test_products_keep_their_digits(two, monkeypatch, coarse_products):
    """Whatever the user has allowed, which stays allowed."""
    seen = []
    evaluate = Operations.__call__

    def watched(*arguments):
        seen.append(coarse_products.fp32_precision)
        return evaluate(*arguments)

    monkeypatch.setattr(Operations, "__call__", watched)
    numbers, positions = distorted("[H][H]")
    made(two, numbers, 0, "single").evaluate(positions)
    assert seen and set(seen) == {"ieee"}
    assert coarse_products.fp32_precision == "tf32"
    with pytest.raises(ZeroDivisionError), full_precision():
        raise ZeroDivisionError
    assert coarse_products.fp32_precision == "tf32"


def test_a_machine_without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = "the backend 'cuda' cannot be used here; it needs a CUDA device, and torch sees none"
    with pytest.raises(OptionalDependencyError, match=message):
        choose_backend(BACKENDS, "cuda", "auto")


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_backend(BACKENDS, "cuda", "auto") == ("cuda", "cuda")
    assert choose_backend(BACKENDS, "cuda", "cuda:1") == ("cuda", "cuda:1")
    assert choose_backend(BACKENDS, "cpu", "auto") == ("cpu", "cpu")
    assert choose_backend(BACKENDS, "auto", "auto") == ("cuda", "cuda")
    assert choose_backend(BACKENDS, "auto", "cpu") == ("cpu", "cpu")
    assert choose_backend(BACKENDS, "reference", "auto") == ("reference", "cuda")
    with pytest.raises(ModelError, match="found the device 'cpu', the backend 'cuda' allows: cuda"):
        choose_backend(BACKENDS, "cuda", "cpu")
    with pytest.raises(ModelError, match="found the device 'cuda:2', but torch"):
        choose_backend(BACKENDS, "cuda", "cuda:2")


def test_the_backend_of_that_name_is_this_kernel(two):
    numbers, positions = distorted("[H][H]")
    made = BACKENDS["cuda"].factory(two, symbols_of(numbers), 0, DEVICE, "single", None)
    assert isinstance(made, CudaKernel)
    assert np.isfinite(made.evaluate(positions).energy)


def test_a_full_gpu_is_a_clear_error(two, monkeypatch):
    numbers, positions = distorted("CO")
    kernel = made(two, numbers, 0, "single")
    monkeypatch.setattr(kernel, "_device", "cuda:0")
    monkeypatch.setattr(torch.cuda, "device", lambda name: nullcontext())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (2**28, 2**30))

    def no_memory(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(kernel._engine, "run_from_host", no_memory)
    message = r"found 0\.2 of 1\.0 GiB free on cuda:0, too little for AIMNet2 of 6 atoms;"
    with pytest.raises(SimulationError, match=message):
        kernel.evaluate(positions)


@pytest.fixture
def on_gpu(two, monkeypatch):
    """Return a function that binds a model as on a machine with a GPU, with a fault by choice."""

    def factory(parameters, symbols, charge, device, precision, threads, fault=None):
        kernel = CudaKernel(parameters, symbols, charge, DEVICE, precision)
        evaluate = kernel.evaluate

        def faulty(positions):
            found = evaluate(positions)
            if fault == "crash":
                raise RuntimeError("CUDA error: operation not permitted\nwhen stream is capturing")
            if fault == "energy":
                return found._replace(energy=found.energy + 0.2)
            return found._replace(forces=found.forces * (np.nan if fault == "nan" else 1.01))

        if fault is not None:
            monkeypatch.setattr(kernel, "evaluate", faulty)
        return kernel

    def reference(parameters, symbols, charge, device, precision, threads):
        return ReferenceKernel(parameters, symbols, charge, "cpu", precision, threads)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setitem(BACKENDS, "reference", replace(BACKENDS["reference"], factory=reference))

    def bind(numbers, charge, fault=None, **choices):
        on_cpu = replace(BACKENDS["cuda"], factory=partial(factory, fault=fault))
        monkeypatch.setitem(BACKENDS, "cuda", on_cpu)
        return AimnetModel(two, **choices).bind(numbers, charge)

    return bind


FAULTS = {
    "energy": "differs from the float64 reference by 0.2 kJ/mol",
    "force": "kJ/mol/nm, allowed: 0.01 and 0.5",
    "nan": "nan kJ/mol/nm",
    "crash": "fails .RuntimeError: CUDA error: operation not permitted",
}
CALLS = {
    "call": lambda evaluator, x: evaluator(x),
    "members": lambda evaluator, x: evaluator.member_energies(x),
    "batch": lambda evaluator, x: evaluator.batch(x[None]),
    "charges": lambda evaluator, x: evaluator.charges(x),
    "tensors": lambda evaluator, x: evaluator.evaluate_tensors(torch.tensor(x)),
    "charge tensors": lambda evaluator, x: evaluator.charge_tensors(torch.tensor(x)),
    "step": lambda evaluator, x: evaluator.at_each_step(x),
    "potential": lambda evaluator, x: evaluator.in_potential(x, np.zeros(len(x))),
}


@pytest.mark.parametrize("first", CALLS)
def test_auto_leaves_a_wrong_kernel(on_gpu, first):
    numbers, positions = distorted("CO")
    evaluator = on_gpu(numbers, 0, "force")
    assert evaluator.backend == "cuda"
    with pytest.warns(RuntimeWarning, match="the backend 'reference' is used instead") as caught:
        CALLS[first](evaluator, positions)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the user's line
    assert evaluator.backend == "reference"
    assert isinstance(evaluator._kernel, ReferenceKernel)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen(on_gpu, two, fault):
    numbers, positions = distorted(ACETATE)
    evaluator = on_gpu(numbers, -1, fault)
    with pytest.warns(RuntimeWarning, match=FAULTS[fault]):
        energy, forces = evaluator(positions)
    reference = ReferenceKernel(two, symbols_of(numbers), -1, "cpu", "double")
    expected = reference.evaluate(positions)
    assert energy == pytest.approx(expected.energy, rel=0, abs=0.01)
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=0.5)


def test_a_kernel_chosen_by_name_stays_with_a_warning(on_gpu):
    numbers, positions = distorted("CO")
    evaluator = on_gpu(numbers, 0, "energy", backend="cuda")
    with pytest.warns(RuntimeWarning, match="results may be wrong: use backend='auto'"):
        evaluator(positions)
    assert evaluator.backend == "cuda"
    with pytest.raises(RuntimeError, match="CUDA error"):
        on_gpu(numbers, 0, "crash", backend="cuda")(positions)


def test_auto_takes_the_kernel_that_agrees(on_gpu, recwarn):
    """Compared once; dynamics with it conserve energy."""
    numbers, positions = distorted("CO")
    evaluator = on_gpu(numbers, 0)
    masses = np.array([Chem.GetPeriodicTable().GetAtomicWeight(int(z)) for z in numbers])
    assert_conserves_energy(evaluator, positions, masses, precision=0.01)
    assert evaluator.backend == "cuda"
    assert isinstance(evaluator._kernel, CudaKernel)
    assert not [w for w in recwarn if w.category is RuntimeWarning]


def test_large_regions_are_not_compared(on_gpu, monkeypatch, caplog):
    monkeypatch.setattr("nnpmm.models.aimnet.first_use._LARGEST", 2)
    numbers, positions = distorted("O")
    on_gpu(numbers, 0, "energy")(positions)
    assert (
        "was not compared with the reference: found 3 atoms, the comparison covers up to 2"
        in caplog.text
    )
