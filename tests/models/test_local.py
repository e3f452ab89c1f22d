"""Energies of part of a system, compared with the whole and with a readable reference."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import load_with
from scipy.spatial.transform import Rotation

from nnpmm.core.errors import ModelError, RegionError
from nnpmm.models.local import (
    LocalPotential,
    Neighbourhoods,
    find_neighbourhoods,
    forces_on_atoms,
    local_potential,
    virial,
)

WATER = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])
EDGE = 1.05  # nm, just over twice the range
BOX = np.array([[EDGE, 0, 0], [0.1, EDGE, 0], [-0.2, 0.3, EDGE]])


def water_box() -> tuple[np.ndarray, np.ndarray]:
    """Return atomic numbers and positions of 27 waters and an ammonia-like atom, distorted."""
    generator = np.random.default_rng(3)
    grid = (np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3) + 0.5) / 3 @ BOX
    turns = Rotation.random(27, random_state=3)
    molecules = [turn.apply(WATER) + centre for turn, centre in zip(turns, grid, strict=True)]
    positions = np.concatenate(molecules)
    numbers = np.tile([8, 1, 1], 27)
    numbers[[0, 30]] = 7, 6
    return numbers, positions + generator.normal(scale=0.004, size=positions.shape)


def with_images(positions: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions followed by their images near the box, and which atom each is."""
    fractional = positions @ np.linalg.inv(BOX)
    wrapped = (fractional - np.floor(fractional)) @ BOX
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    shifts = shifts[shifts.any(axis=1)] @ BOX
    images = (wrapped[None] + shifts[:, None]).reshape(-1, 3)
    atoms = np.tile(np.arange(len(positions)), len(shifts))
    near = np.linalg.norm(images[:, None] - wrapped[None], axis=2).min(axis=1) < width
    return (
        np.concatenate([wrapped, images[near]]),
        np.concatenate([np.arange(len(positions)), atoms[near]]),
    )


def whole_from_parts(local, numbers, positions, parts):
    """Evaluate atoms in parts, each with all others as its surroundings; add up."""
    every, atoms = with_images(positions, local.cutoff)
    energies, forces, pull = np.zeros(len(numbers)), np.zeros((len(numbers), 3)), np.zeros((3, 3))
    for part in parts:
        order = np.concatenate([part, np.setdiff1d(np.arange(len(every)), part)])
        found = find_neighbourhoods(every[order], len(part), local.cutoff)
        result = local.evaluate(numbers[atoms[order]], found)
        energies[part] = result.energies
        np.add.at(forces, atoms[order], forces_on_atoms(found, result.gradients, len(order)))
        pull += virial(found, result.gradients)
    return energies, forces, pull


@pytest.mark.parametrize("precision", ["single", "double"])
def test_parts_add_up_to_the_periodic_evaluator(precision):
    model = load_with("ANI-1x", "cpu", precision)
    numbers, positions = water_box()
    whole = model.bind(numbers).evaluate(positions, BOX)
    local = local_potential(model, ["H", "C", "N", "O"])
    assert isinstance(local, LocalPotential)
    parts = np.array_split(np.random.default_rng(1).permutation(len(numbers)), 3)
    energies, forces, _ = whole_from_parts(local, numbers, positions, parts)
    exact = precision == "double"
    assert energies.sum() == pytest.approx(whole.energy, abs=1e-8 if exact else 1e-3)
    np.testing.assert_allclose(forces, whole.forces, rtol=0, atol=1e-7 if exact else 0.02)


@pytest.mark.parametrize("kernel", ["cpu", pytest.param("triton", marks=pytest.mark.gpu)])
def test_kernel_equals_the_reference(kernel):
    numbers, positions = water_box()
    every, atoms = with_images(positions, 0.52)
    found = find_neighbourhoods(every, 5, 0.6)  # with atoms beyond the range
    results = [
        local_potential(load_with("ANI-1x", backend, "double", members=[0, 3]), "HCNO").evaluate(
            numbers[atoms], found
        )
        for backend in (kernel, "reference")
    ]
    for fast, slow in zip(*results, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-6)
    assert (results[0].energies != 0).all()


def test_virial_is_the_derivative_by_strain():
    """Sum of r_ij F_ij = -dE/d(strain), of all nine components."""
    model = load_with("ANI-1x", "cpu", "double", members=[0])
    numbers, positions = water_box()
    local = local_potential(model, "HCNO")
    parts = np.array_split(np.arange(len(numbers)), 2)
    pull = whole_from_parts(local, numbers, positions, parts)[2]
    every, atoms = with_images(positions, 0.53)
    step, expected = 1e-5, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * step
                found = find_neighbourhoods(every @ strain, len(numbers), local.cutoff)
                energies.append(local.evaluate(numbers[atoms], found).energies.sum())
            expected[a, b] = -(energies[0] - energies[1]) / (2 * step)
    np.testing.assert_allclose(pull, expected, rtol=0, atol=1e-3)
    assert np.abs(expected).max() > 100


@pytest.mark.parametrize("together", [2048, 20, 7])
def test_neighbourhoods_are_all_atoms_within_the_range(together, monkeypatch):
    """Of all centres at once, or of some at a time."""
    monkeypatch.setattr("nnpmm.models.local._CENTRES_TOGETHER", together)
    positions = np.random.default_rng(0).random((60, 3))
    found = find_neighbourhoods(positions, 20, 0.3)
    assert len(found.start) == 21
    for i in range(20):
        distances = np.linalg.norm(positions - positions[i], axis=1)
        expected = [j for j in range(60) if j != i and distances[j] <= 0.3]
        own = slice(found.start[i], found.start[i + 1])
        assert sorted(found.atoms[own]) == expected
        np.testing.assert_array_equal(
            found.vectors[own], positions[found.atoms[own]] - positions[i]
        )


def test_isolated_atom_has_an_energy_and_no_gradient():
    model = load_with("ANI-1x", "cpu", "double")
    nothing = Neighbourhoods(np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)))
    result = local_potential(model, ["O"]).evaluate(np.array([8]), nothing)
    assert result.gradients.shape == (0, 3)
    alone = model.bind([8]).evaluate(np.zeros((1, 3)))
    assert result.energies[0] == pytest.approx(alone.energy, abs=1e-9)


@pytest.mark.parametrize("n_atoms", [0, 3])
def test_domain_without_centres(n_atoms):
    """A rank of an engine may own no atom at all."""
    local = local_potential(load_with("ANI-1x", "cpu", "double", members=[0, 1]), "HO")
    found = find_neighbourhoods(np.zeros((n_atoms, 3)), 0, local.cutoff)
    result = local.evaluate(np.ones(n_atoms, np.int64), found)
    assert result.member_energies.tolist() == [0, 0]
    assert not forces_on_atoms(found, result.gradients, n_atoms).any()
    assert not virial(found, result.gradients).any()


def test_results_are_independent_of_threads():
    numbers, positions = water_box()
    every, atoms = with_images(positions, 0.53)
    found = find_neighbourhoods(every, len(numbers), 0.52)
    one, three = (
        local_potential(load_with("ANI-1x", "cpu", "double", threads=n), "HCNO").evaluate(
            numbers[atoms], found
        )
        for n in (1, 3)
    )
    for a, b in zip(one, three, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_invalid_input_is_refused():
    model = load_with("ANI-1x", "cpu")
    with pytest.raises(RegionError, match="found the elements Na"):
        local_potential(model, ["H", "Na"])
    with pytest.raises(ModelError, match="torchani"):
        local_potential(load_with("ANI-1x", "torchani"), ["H"])
    with pytest.raises(ModelError, match="cannot be evaluated for part"):
        local_potential(type("Other", (), {"name": "AIMNet2"})(), ["H"])
    empty = Neighbourhoods(np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)))
    with pytest.raises(ModelError, match="found an atom of S"):
        local_potential(model, ["H"]).evaluate(np.array([16]), empty)
