"""The exported TorchScript module: torch alone runs it and gives the evaluator's energy."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import model_directory, shared_data
from contracts import assert_conserves_energy, assert_forces_match_energy

from nnpmm.core.errors import RegionError
from nnpmm.models import load_model
from nnpmm.models.ani.torchscript import export_torchscript
from nnpmm.structures import molecule_from_file

ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-3, 1e-2  # kJ/mol, kJ/mol/nm

# Run by a fresh interpreter; it reads a list of (module, positions) and writes energies and forces.
TORCH_ALONE = """
import json, sys
import torch
results = []
for path, positions in json.load(sys.stdin):
    module = torch.jit.load(path)
    for call in range(3):  # TorchScript optimises itself in the first calls
        x = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        energy = module(x)
        assert energy.dim() == 0 and energy.dtype == torch.float64, energy
        energy.backward()
    results.append((energy.item(), (-x.grad).tolist()))
foreign = [name for name in ("nnpmm", "openmm", "torchani", "numba") if name in sys.modules]
print(json.dumps([results, foreign]))
"""


def _torch_alone(jobs):
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", TORCH_ALONE],
        input=json.dumps([(str(path), np.asarray(x).tolist()) for path, x in jobs]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results, foreign = json.loads(done.stdout)
    assert foreign == []
    return [(energy, np.array(forces)) for energy, forces in results]


def _composition(molecule):
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    positions = molecule.GetConformer().GetPositions() / 10
    shaken = positions + np.random.default_rng(3).normal(scale=0.003, size=positions.shape)
    return symbols, numbers, shaken


def _system_around(region, n_atoms, atoms):
    """Positions of a larger system, float64, with the region at the given atoms."""
    everything = np.random.default_rng(8).uniform(-2, 2, size=(n_atoms, 3))
    everything[atoms] = region
    return everything


def test_exported_ani1x_needs_only_torch(ani1x, paracetamol, tmp_path):
    symbols, numbers, positions = _composition(paracetamol)
    atoms = np.arange(3, 3 + 2 * len(symbols), 2)  # scattered over the system
    one = load_model("ANI-1x", members=6, backend="reference")
    ani1x = dataclasses.replace(ani1x, backend="reference")  # the exported code
    paths = {}
    for name, model in (("all", ani1x), ("one", one)):
        paths[name] = tmp_path / f"{name}.pt"
        paths[name].write_bytes(export_torchscript(model.parameters, symbols, atoms))
    system = _system_around(positions, 60, atoms)
    far = positions + np.array([31.0, -22.0, 17.0])
    found = _torch_alone(
        [
            (paths["all"], positions),
            (paths["all"], system),
            (paths["all"], far),
            (paths["one"], positions),
        ]
    )
    energy, forces = ani1x.bind(numbers)(positions)
    rest = np.setdiff1d(np.arange(60), atoms)
    np.testing.assert_array_equal(found[1][1][rest], 0.0)
    for got_energy, got_forces in (found[0], (found[1][0], found[1][1][atoms]), found[2]):
        np.testing.assert_allclose(got_energy, energy, rtol=0, atol=ENERGY_TOLERANCE)
        np.testing.assert_allclose(got_forces, forces, rtol=0, atol=FORCE_TOLERANCE)
    energy, forces = one.bind(numbers)(positions)
    np.testing.assert_allclose(found[3][0], energy, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found[3][1], forces, rtol=0, atol=FORCE_TOLERANCE)


@pytest.mark.data
def test_exported_ani2x_matches_on_a_ligand(tmp_path):
    weights = model_directory()
    ligand = molecule_from_file(shared_data("nnpops-ligands/3lka_ligand.mol2"))
    symbols, numbers, positions = _composition(ligand)
    model = load_model("ANI-2x", weights=weights)
    path = tmp_path / "model.pt"
    path.write_bytes(export_torchscript(model.parameters, symbols, range(len(symbols))))
    ((energy, forces),) = _torch_alone([(path, positions)])
    expected_energy, expected_forces = model.bind(numbers)(positions)
    np.testing.assert_allclose(energy, expected_energy, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=FORCE_TOLERANCE)


@pytest.mark.parametrize("symbols", [["O", "H", "H"], ["H", "H"], ["C"]])
def test_regions_of_one_and_two_atoms(ani1x, symbols, tmp_path):
    numbers = [{"H": 1, "C": 6, "O": 8}[symbol] for symbol in symbols]
    positions = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])[: len(symbols)]
    path = tmp_path / "model.pt"
    model = load_model("ANI-1x", members=0)
    path.write_bytes(export_torchscript(model.parameters, symbols, range(len(symbols))))
    found, expected = (m.bind(numbers)(positions) for m in (load_model(path), model))
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=FORCE_TOLERANCE)


def test_region_with_other_atoms_is_refused(tmp_path):
    """A file for water, hydrogens last: no other atoms, no other order, no other charge."""
    path = tmp_path / "model.pt"
    parameters = load_model("ANI-1x", members=0).parameters
    path.write_bytes(export_torchscript(parameters, ["O", "H", "H"], range(3)))
    model = load_model(path)
    model.bind([8, 1, 1])
    with pytest.raises(RegionError, match=r"found the region H2S, but the file describes H2O"):
        model.bind([16, 1, 1])
    with pytest.raises(RegionError, match=r"atoms in this order"):
        model.bind([1, 8, 1])
    with pytest.raises(RegionError, match=r"charge \+1 e, but the file describes one of \+0 e"):
        model.bind([8, 1, 1], charge=1)


def test_contract(tmp_path):
    """A module read from its file is a potential like any other."""
    path = tmp_path / "model.pt"
    model = load_model("ANI-1x", members=0)
    path.write_bytes(export_torchscript(model.parameters, ["O", "H", "H"], range(3)))
    evaluator = load_model(path).bind([8, 1, 1])
    water = np.array([[0, 0, 0], [0.1, 0, 0], [-0.024, 0.093, 0]])
    assert_forces_match_energy(evaluator, water, step=1e-4, atol=2.0)
    masses = np.array([15.999, 1.008, 1.008])
    assert_conserves_energy(evaluator, water, masses, precision=ENERGY_TOLERANCE)
