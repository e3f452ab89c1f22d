"""The triton backend on molecules, beyond the contract of all backends.

Without a GPU, Triton's interpreter runs the same kernels (see conftest.py). It is slow, so
molecules are small, and most tests use two of the eight networks.
"""

from __future__ import annotations

import dataclasses
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from conftest import distorted, model_directory
from openmm.app import Element
from test_ani_contract import water_box
from test_local import water_box as mixed_box
from test_local import with_images

from nnpmm.core.errors import ModelError, SimulationError
from nnpmm.models import load_model
from nnpmm.models.ani import BACKENDS
from nnpmm.models.ani.local import LocalAni
from nnpmm.models.ani.reference import ReferenceKernel
from nnpmm.models.ani.triton import interpreted, missing
from nnpmm.models.local import find_neighbourhoods
from nnpmm.structures import molecule_from_smiles

if not interpreted() and missing() is not None:
    pytest.skip(str(missing()), allow_module_level=True)
pytest.importorskip("triton")

from nnpmm.models.ani.triton import constants, engine, kernel
from nnpmm.models.ani.triton.kernel import TritonKernel
from nnpmm.models.ani.triton.local import LocalTriton

DEVICE = "cpu" if interpreted() else "cuda"
ENERGY_TOLERANCE, FORCE_TOLERANCE = 0.01, 0.5  # kJ/mol, kJ/mol/nm


@pytest.fixture(scope="module")
def ani1x():
    """Parameters of the eight ANI-1x networks."""
    return load_model("ANI-1x", backend="reference").parameters


@pytest.fixture(scope="module")
def two(ani1x):
    """Parameters of two of them."""
    return ani1x.subset([1, 6])


def symbols_of(numbers) -> list[str]:
    return [Element.getByAtomicNumber(int(number)).symbol for number in numbers]


def pair(parameters, numbers, precision="double"):
    """The kernel and the float64 reference for the same atoms."""
    symbols = symbols_of(numbers)
    return (
        TritonKernel(parameters, symbols, DEVICE, precision),
        ReferenceKernel(parameters, symbols, "cpu", "double"),
    )


def assert_equal(found, expected, energy=1e-8, force=1e-6):
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=energy)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=force)
    np.testing.assert_allclose(found.member_energies, expected.member_energies, rtol=0, atol=energy)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_eight_networks_equal_the_reference(ani1x, precision):
    numbers, positions = distorted("NC=O")
    found, reference = pair(ani1x, numbers, precision)
    expected = reference.evaluate(positions, None)
    single = precision == "single"
    bounds = (ENERGY_TOLERANCE, FORCE_TOLERANCE) if single else (1e-8, 1e-6)
    assert_equal(found.evaluate(positions + 5.0, None), expected, *bounds)  # far from the origin


@pytest.mark.parametrize("blocks", ["_LIGAND", "_PROTEIN"])
def test_every_choice_of_block_sizes_matches_the_reference(two, monkeypatch, blocks):
    """The block sizes for GPUs, and separate gradients of members, in the interpreter."""
    monkeypatch.setattr(engine, "choose_blocks", lambda *_: getattr(constants, blocks))
    numbers, positions = distorted("C#N")
    found, reference = pair(two, numbers, "double")
    assert found._engine.constants.groups.value == (2 if blocks == "_LIGAND" else 1)
    assert_equal(found.evaluate(positions, None), reference.evaluate(positions, None))


@pytest.mark.data
def test_all_elements_of_ani_2x(monkeypatch):
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(model_directory()))
    parameters = load_model("ANI-2x", members=[7], backend="reference").parameters
    numbers, positions = distorted("FC(Cl)(O)SN")
    assert set(symbols_of(numbers)) == set(parameters.elements)
    for precision, bounds in (
        ("single", (ENERGY_TOLERANCE, FORCE_TOLERANCE)),
        ("double", (1e-8, 1e-6)),
    ):
        found, reference = pair(parameters, numbers, precision)
        assert_equal(found.evaluate(positions, None), reference.evaluate(positions, None), *bounds)


@pytest.mark.parametrize("smiles", ["C#C", "O=C=O", "c1ccoc1", "[H][H]"])
def test_linear_planar_and_tiny_molecules(two, smiles):
    mol = molecule_from_smiles(smiles, seed=1)
    positions = mol.GetConformer().GetPositions() / 10
    if smiles in ("C#C", "O=C=O"):  # exactly linear
        positions[:, 0] = positions[:, np.argmax(np.ptp(positions, axis=0))]
        positions[:, 1:] = 0
    found, reference = pair(two, [atom.GetAtomicNum() for atom in mol.GetAtoms()])
    assert_equal(found.evaluate(positions, None), reference.evaluate(positions, None))


def test_one_atom(two):
    found, reference = pair(two, [7], "single")
    position = np.array([[0.3, -0.1, 0.2]])
    evaluation = found.evaluate(position, None)
    expected = reference.evaluate(position, None).energy
    np.testing.assert_allclose(evaluation.energy, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(evaluation.forces, np.zeros((1, 3)))


@pytest.mark.slow
def test_water_box_with_and_without_cell_list(two, monkeypatch):
    numbers, positions, box = water_box(2)  # so small that there is one cell
    parameters = two.subset([6])
    found, reference = pair(parameters, numbers)
    expected = reference.evaluate(positions, box)
    assert_equal(found.evaluate(positions, box), expected)
    monkeypatch.setattr(engine, "LARGEST_WITHOUT_CELLS", 0)
    found, _ = pair(parameters, numbers)
    images = np.random.default_rng(3).integers(-2, 3, size=positions.shape)
    assert_equal(found.evaluate(positions + images @ box, box), expected)


def neighbours(found, n_rows: int) -> list[set[tuple[int, bool]]]:
    """For each of the first rows its neighbours, and whether they are angular ones."""
    rows, bound = found._engine.rows, found._engine.constants.radial_bound.value
    lists = []
    for row, (radial, angular) in enumerate(rows["counts"][:n_rows].tolist()):
        index = rows["index"][row].tolist()
        near = [(i, False) for i in index[:radial]]
        near += [(i, True) for i in index[bound : bound + angular]]
        lists.append(set(near))
        assert len(lists[-1]) == len(near)  # none twice
    return lists


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["long box", "sheared box", "no box"])
def test_cells_find_every_neighbour(two, monkeypatch, shape):
    """Against all pairs, for two, three and more cells along a box vector, and unwrapped atoms."""
    edges = np.diag([2.7, 1.04, 1.6])
    if shape == "sheared box":
        edges = np.array([[2.2, 0, 0], [1.0, 2.1, 0], [-1.1, 1.0, 2.2]])
    generator = np.random.default_rng(8)
    n_atoms, n_checked = round(110 * np.linalg.det(edges)), 10
    positions = generator.uniform(size=(n_atoms, 3)) @ edges - 0.5
    box = None if shape == "no box" else edges
    vectors = positions[:n_checked, None] - positions[None]
    if box is not None:
        for axis in (2, 1, 0):
            vectors -= np.rint(vectors[..., axis] / box[axis, axis])[..., None] * box[axis]
        positions = positions + generator.integers(-2, 3, size=positions.shape) @ box
    distances = np.linalg.norm(vectors, axis=-1) + 9 * np.eye(n_checked, n_atoms)
    monkeypatch.setattr(engine, "LARGEST_WITHOUT_CELLS", 0)
    found = TritonKernel(two, ["O"] * n_atoms, DEVICE, "double")
    buffers = found._engine.buffers
    buffers.positions.copy_(torch.from_numpy(positions))
    if box is not None:
        buffers.box.copy_(torch.from_numpy(box))
    assign, sort, search = found._engine.steps(periodic=box is not None)[:3]
    for step in (assign, sort, dataclasses.replace(search, grid=(n_checked,))):
        step()
    expected = [
        {(int(j), False) for j in np.flatnonzero(row < 0.52)}
        | {(int(j), True) for j in np.flatnonzero(row < 0.35)}
        for row in distances
    ]
    assert neighbours(found, n_checked) == expected


def test_forces_are_the_gradient(two):
    numbers, positions = distorted("C#N")
    found, _ = pair(two.subset([1]), numbers)
    forces = found.evaluate(positions, None).forces
    for atom, axis in ((0, 0), (1, 2)):
        step = np.zeros_like(positions)
        step[atom, axis] = 2e-6
        up, down = (found.evaluate(positions + s, None).energy for s in (step, -step))
        np.testing.assert_allclose(forces[atom, axis], (down - up) / 4e-6, rtol=0, atol=0.01)


def test_batches_equal_single_evaluations(two, monkeypatch):
    """This includes an incomplete last group."""
    numbers, positions = distorted("C#N")
    found, reference = pair(two, numbers)
    noise = np.random.default_rng(9).normal(scale=0.003, size=(3, *positions.shape))
    geometries = positions + noise
    for rows in (65536, 6):  # all together, or two at a time
        monkeypatch.setattr(kernel, "_ROWS_OF_A_BATCH", rows)
        batch = found.batch(geometries)
        for i, geometry in enumerate(geometries):
            expected = reference.evaluate(geometry, None)
            np.testing.assert_allclose(batch.energies[i], expected.energy, rtol=0, atol=1e-8)
            np.testing.assert_allclose(batch.forces[i], expected.forces, rtol=0, atol=1e-6)
            np.testing.assert_allclose(
                batch.member_energies[i], expected.member_energies, rtol=0, atol=1e-8
            )


def test_too_many_neighbours_are_an_error(two, monkeypatch):
    """The error names both counts; on the device the result is NaN, not a wrong number."""
    monkeypatch.setattr(constants, "_RADIAL_BOUND", 16)
    monkeypatch.setattr(constants, "_ANGULAR_BOUND", 16)
    positions = np.random.default_rng(1).uniform(size=(20, 3)) * 0.15
    found = TritonKernel(two.subset([1]), ["H"] * 20, DEVICE, "single")
    with pytest.raises(
        SimulationError, match=r"19 neighbours within 0\.52 nm and 19 .* allowed 16"
    ):
        found.evaluate(positions, None)
    energy, forces = found.evaluate_tensors(torch.from_numpy(positions))
    assert torch.isnan(energy)
    assert torch.isnan(forces).all()
    apart = positions + np.arange(20)[:, None]
    assert np.isfinite(found.evaluate(apart, None).energy)


def test_evaluation_of_tensors(two):
    numbers, positions = distorted("C#N")
    found, _ = pair(two, numbers, "single")
    expected = found.evaluate(positions, None)
    box = 2 * np.eye(3)
    periodic = found.evaluate(positions - 3.0, box)
    tensor = torch.tensor(positions, device=DEVICE, requires_grad=True)
    energy, forces = found.evaluate_tensors(tensor)
    assert energy.device.type == forces.device.type == DEVICE
    assert float(energy) == expected.energy
    np.testing.assert_array_equal(forces.cpu().numpy(), expected.forces)
    energy, forces = found.evaluate_tensors(tensor - 3.0, torch.tensor(box, device=DEVICE))
    np.testing.assert_allclose(float(energy), periodic.energy, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.evaluate_tensors(tensor.float())[1].shape, (3, 3))


def test_results_do_not_depend_on_uninitialised_memory(two):
    """With NaN in all of its memory, a second evaluation gives bitwise equal results."""
    numbers, positions = distorted("CO")
    found, _ = pair(two, numbers, "single")
    first = found.evaluate(positions, None)
    aev = found._engine.rows["aev"][:, : found._engine.constants.aev_length.value]
    for name, tensor in found._engine.rows.items():
        (aev if name in ("aev", "aev_gradient") else tensor).fill_(
            float("nan") if tensor.is_floating_point() else -1
        )
    found._engine.buffers.outputs.fill_(float("nan"))
    second = found.evaluate(positions, None)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # from numpy in the interpreter
def test_coincident_atoms_do_not_affect_the_next_evaluation(two):
    numbers, positions = distorted("C#N")
    found, _ = pair(two, numbers, "single")
    expected = found.evaluate(positions, None)
    collapsed = positions.copy()
    collapsed[2] = collapsed[1]
    evaluation = found.evaluate(collapsed, None)
    assert not np.isfinite(evaluation.energy)
    again = found.evaluate(positions, None)
    assert again.energy == expected.energy
    np.testing.assert_array_equal(again.forces, expected.forces)


def test_very_short_distance_gives_finite_forces(two):
    found, _ = pair(two, [1, 1], "single")
    evaluation = found.evaluate(np.array([[0, 0, 0], [0.0002, 0, 0]]), None)
    assert np.isfinite(evaluation.energy)
    assert np.isfinite(evaluation.forces).all()


def test_results_are_copies(two):
    numbers, positions = distorted("C#N")
    found, _ = pair(two, numbers, "single")
    first = found.evaluate(positions, None)
    kept = first.forces.copy(), first.member_energies.copy()
    np.testing.assert_array_equal(found.member_energies(positions, None), kept[1])
    found.evaluate(positions * 1.02, None)
    np.testing.assert_array_equal(first.forces, kept[0])
    np.testing.assert_array_equal(first.member_energies, kept[1])


def test_memory_is_freed_with_the_last_reference(two):
    """It does not wait for the garbage collector, because a GPU may not fit two large regions."""
    found, _ = pair(two, [1, 1], "single")
    memory = weakref.ref(found._engine.rows["activations"])
    del found
    assert memory() is None


def test_wrong_device_is_refused(two):
    other = "cuda" if interpreted() else "cpu"
    with pytest.raises(ModelError, match=f"found the device '{other}', the backend 'triton' needs"):
        TritonKernel(two, ["H"], other, "single")


def test_missing_reports_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch sees none" in missing()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert "unset TRITON_INTERPRET" in missing()
    monkeypatch.delenv("TRITON_INTERPRET")
    assert missing() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install triton" in missing()


def test_triton_backend_creates_this_kernel(two):
    numbers, positions = distorted("[H][H]")
    factory = BACKENDS["triton"].factory
    made = factory(two, symbols_of(numbers), DEVICE, "single", None)
    assert np.isfinite(made.evaluate(positions, None).energy)


def test_out_of_memory_is_a_clear_error(two, monkeypatch):
    numbers, positions = distorted("C#N")
    found, _ = pair(two, numbers, "single")
    found._device = "cuda:0"
    monkeypatch.setattr(torch.cuda, "device", lambda name: nullcontext())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (2**28, 2**30))

    def no_memory(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(found._engine, "run_from_host", no_memory)
    with pytest.raises(SimulationError, match=r"found 0\.2 of 1\.0 GiB free on cuda:0, too little"):
        found.evaluate(positions, None)


def test_memory_of_large_regions(ani1x):
    """100,000 atoms need about 3 GB, as documented in `memory.allocate_rows`."""
    model = kernel.Model.pack(ani1x, ["H", "C", "N", "O"], DEVICE, False)
    blocks = constants.choose_blocks(100_000, double=False, interpreted=False)
    compiled = constants.compile_constants(model.parameters, model.networks, 100_000, blocks, False)
    rows = engine.allocate_rows(compiled, 10, model)
    tensors = {tensor.data_ptr(): tensor for tensor in rows.values()}
    size = sum(t.numel() * t.element_size() for t in tensors.values()) / 10
    assert 15_000 < size < 32_000  # bytes per atom


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["single", "double"])
def test_local_evaluation_matches_the_cpu(two, precision):
    """This includes other centres in the same memory, and atoms beyond the cutoff."""
    numbers, positions = mixed_box()
    every, atoms = with_images(positions, 0.52)
    found = LocalTriton(two, "HCNO", DEVICE, precision)
    expected = LocalAni(two, "HCNO", "double", threads=1)
    bounds = (1e-8, 1e-6) if precision == "double" else (ENERGY_TOLERANCE, FORCE_TOLERANCE)
    for first, centres in ((0, 6), (30, 5), (0, 2)):
        order = np.roll(np.arange(len(every)), -first)
        near = find_neighbourhoods(every[order], centres, 0.6)
        results = [local.evaluate(numbers[atoms[order]], near) for local in (found, expected)]
        for name in ("energies", "gradients", "member_energies"):
            bound = bounds[1] if name == "gradients" else bounds[0]
            np.testing.assert_allclose(
                *(getattr(result, name) for result in results), rtol=0, atol=bound
            )
    assert np.abs(results[1].gradients).max() > 1


def test_local_evaluation_of_special_cases(two, monkeypatch):
    """No centres, an isolated centre, too many neighbours, another device."""
    found = LocalTriton(two, "HO", DEVICE, "double")
    nothing = find_neighbourhoods(np.zeros((2, 3)), 0, 0.5)
    assert found.evaluate(np.array([1, 8]), nothing).member_energies.tolist() == [0, 0]
    alone = find_neighbourhoods(np.array([[0.0, 0, 0], [2.0, 0, 0]]), 1, 0.5)
    expected = LocalAni(two, "HO", "double", threads=1).evaluate(np.array([8, 1]), alone)
    result = found.evaluate(np.array([8, 1]), alone)
    np.testing.assert_allclose(result.energies, expected.energies, rtol=0, atol=1e-8)
    assert result.gradients.shape == (0, 3)
    monkeypatch.setattr(constants, "_RADIAL_BOUND", 16)
    crowd = find_neighbourhoods(np.random.default_rng(1).uniform(size=(20, 3)) * 0.15, 1, 0.5)
    with pytest.raises(SimulationError, match=r"19 neighbours within 0\.52 nm .* allowed 16"):
        LocalTriton(two, "H", DEVICE, "double").evaluate(np.ones(20, np.int64), crowd)
    with pytest.raises(ModelError, match="found the device"):
        LocalTriton(two, "H", "cuda" if interpreted() else "cpu", "single")
