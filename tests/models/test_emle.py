"""EMLE: its reference, its authors' implementation, its gradient, and files that hold none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import distorted, model_directory
from emle_toy import toy_arrays, write_toy
from rdkit import Chem

from nnpmm.core.constants import BOHR_IN_NM, COULOMB_CONSTANT, HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import InputFileError, RegionError, WeightsError
from nnpmm.coupling.electrostatic.reference import reference_energy
from nnpmm.models.emle import EmleCharges, load_emle
from nnpmm.models.emle.induction import induce
from nnpmm.models.emle.reference import reference_charges

PUBLISHED = json.loads((Path(__file__).parent / "emle_values.json").read_text())["molecules"]
SMILES = ["O", "CC(=O)N", "C[NH3+]", "CS(=O)(=O)CSSC"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> EmleCharges:
    return load_emle(write_toy(tmp_path_factory.mktemp("emle") / "toy.mat"))


def molecule(smiles):
    numbers, positions = distorted(smiles)
    return numbers, positions, Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("smiles", SMILES)
def test_charges_match_the_reference(model, smiles):
    numbers, positions, charge = molecule(smiles)
    bound = model.bind(numbers, charge)
    found = bound(positions)
    places = torch.tensor(positions, requires_grad=True)
    expected = reference_charges(model.parameters, bound.symbols, charge, places)
    for value, tensor in zip((found.total, found.valence, found.widths), expected, strict=True):
        np.testing.assert_allclose(value, tensor.detach().numpy(), rtol=0, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=(3, len(numbers)))
    total = sum((torch.from_numpy(w) * t).sum() for w, t in zip(weights, expected, strict=True))
    (gradient,) = torch.autograd.grad(total, places)
    assert gradient.abs().max() > 1
    np.testing.assert_allclose(found.pull_back(*weights), gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("smiles", SMILES)
def test_charges_add_up_and_are_invariant(model, smiles):
    numbers, positions, charge = molecule(smiles)
    bound = model.bind(numbers, charge)
    found = bound(positions)
    np.testing.assert_allclose(found.total.sum(), charge, rtol=0, atol=1e-12)
    turned = bound(positions[:, [2, 0, 1]] + 3.0)
    np.testing.assert_allclose(turned.total, found.total, rtol=0, atol=1e-10)
    order = np.random.default_rng(1).permutation(len(numbers))
    permuted = model.bind(numbers[order], charge)(positions[order])
    np.testing.assert_allclose(permuted.total, found.total[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(permuted.widths, found.widths[order], rtol=0, atol=1e-10)


@pytest.mark.data
@pytest.mark.parametrize("case", PUBLISHED, ids=[case["smiles"] for case in PUBLISHED])
def test_values_match_those_of_the_authors(case):
    """emle-engine on the published model: charges, widths, and the energy with point charges."""
    file = model_directory() / "emle" / "emle_qm7_aev_species.mat"
    if not file.exists():
        pytest.skip("no EMLE model among the weights")
    positions = np.array(case["positions_angstrom"]) / 10
    found = load_emle(file).bind(case["numbers"], case["charge"])(positions)
    np.testing.assert_allclose(found.widths / BOHR_IN_NM, case["widths_bohr"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.valence, case["valence_charges"], rtol=0, atol=1e-7)
    core = found.total - found.valence
    np.testing.assert_allclose(core, case["core_charges"], rtol=0, atol=1e-7)
    energy = reference_energy(
        *(positions, found.total, np.array(case["point_positions_angstrom"]) / 10),
        np.array(case["point_charges"]),
        valence=found.valence,
        widths=found.widths,
    )
    expected = HARTREE_TO_KJ_PER_MOL * case["static_hartree"]
    np.testing.assert_allclose(energy, expected, rtol=0, atol=1e-4)
    vectors = positions[:, None] - np.array(case["point_positions_angstrom"]) / 10
    distances = np.linalg.norm(vectors, axis=2, keepdims=True)
    fields = COULOMB_CONSTANT * np.array(case["point_charges"])[:, None] * vectors / distances**3
    x = distances / (2 * found.widths[:, None, None])
    damped = (fields * (1 - (1 + x + x**2 / 2) * np.exp(-x))).sum(axis=1)
    induced = found.induce(fields.sum(axis=1), damped).energy
    expected = HARTREE_TO_KJ_PER_MOL * case["induced_hartree"]
    np.testing.assert_allclose(induced, expected, rtol=0, atol=1e-4)
    assert COULOMB_CONSTANT == pytest.approx(HARTREE_TO_KJ_PER_MOL * BOHR_IN_NM, rel=1e-6)


def test_atoms_without_valence_electrons_are_not_polarizable():
    """EMLE finds positive valence charges in distorted molecules; the others induce as before."""
    rng = np.random.default_rng(3)
    positions = 0.15 * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    valence, widths = np.array([-4.0, 0.3, -1.0, -5.0]), np.full(4, 0.02)
    scales, fields = np.full(4, 2.0), rng.normal(0, 1000, (2, 4, 3))
    found = induce(positions, valence, widths, scales, 2.0, *fields)
    kept = valence < 0
    rest = [each[kept] for each in (positions, valence, widths, scales)]
    expected = induce(*rest, 2.0, *fields[:, kept])
    assert found.energy == pytest.approx(expected.energy, rel=1e-4)
    np.testing.assert_allclose(found.by_positions[kept], expected.by_positions, rtol=1e-3)
    assert all(np.isfinite(each).all() for each in found[1:])
    np.testing.assert_allclose(found.by_field[~kept], 0.0, atol=1e-6)


def test_copies_share_the_parameters(model):
    numbers, positions, _ = molecule("O")
    again = pickle.loads(pickle.dumps(model.bind(numbers)))
    assert again.model.parameters.digest() == model.parameters.digest()
    np.testing.assert_array_equal(again(positions).total, model.bind(numbers)(positions).total)


def test_unknown_elements_are_refused(model):
    with pytest.raises(RegionError, match="F"):
        model.bind([9, 1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chi_ref": None}, "found no chi_ref"),
        ({"s_ref": np.zeros((5, 3))}, r"found s_ref of shape \(5, 3\)"),
        ({"aev_mask": np.ones((1, 528), np.uint8)}, "ref_aev|symmetry functions"),
        ({"n_ref": np.array([[12, 12, 12, 12, 40]])}, "symmetry functions and 5 elements"),
        ({"q_core": np.ones((1, 3))}, "found 3 numbers in q_core, expected 5"),
        ({"a_QEq": np.ones((1, 2))}, "found 2 numbers in a_QEq, expected 1"),
    ],
)
def test_files_with_invalid_content_are_refused(tmp_path, changes, words):
    with pytest.raises(WeightsError, match=words):
        load_emle(write_toy(tmp_path / "other.mat", **changes))


def test_invalid_files_are_refused(tmp_path):
    with pytest.raises(InputFileError, match="cannot be read"):
        load_emle(tmp_path / "missing.mat")
    (tmp_path / "text.mat").write_text("EMLE")
    with pytest.raises(InputFileError, match="not a MATLAB file"):
        load_emle(tmp_path / "text.mat")
    whole = write_toy(tmp_path / "whole.mat").read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((InputFileError, WeightsError)):
        load_emle(tmp_path / "cut.mat")


def test_file_determines_the_digest(tmp_path):
    arrays = toy_arrays()
    one = load_emle(write_toy(tmp_path / "a.mat"))
    other = load_emle(write_toy(tmp_path / "b.mat", a_QEq=arrays["a_QEq"] + 0.1))
    assert one.parameters.digest() != other.parameters.digest()
