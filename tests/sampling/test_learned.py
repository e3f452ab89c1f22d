"""Learned variables: exact gradients, files, refusals, and training on a slow torsion."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from systems import PHI, PSI, alanine_dipeptide
from test_variables import energy_and_forces

from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.sampling.learned import (
    FeatureSet,
    LearningSettings,
    Projection,
    choose_features,
    correlated_features,
    learn,
    load_projection,
    save_projection,
)
from nnpmm.sampling.learned.gradient import CompiledGradient
from nnpmm.sampling.learned.projection import ProjectionRecord
from nnpmm.sampling.learned.training import _standardized
from nnpmm.sampling.variables import LearnedVariable, Structure, Torsion
from nnpmm.sampling.variables.variable import VariableError


@pytest.fixture(scope="module")
def peptide():
    topology, positions, system = alanine_dipeptide()
    return Structure.of(topology, positions, system)


@pytest.fixture(scope="module")
def features(peptide):
    return choose_features(peptide, np.arange(len(peptide.masses)))


def random_projection(structure, features, variables=2, seed=1) -> Projection:
    rng = np.random.default_rng(seed)
    atoms = list(structure.topology.atoms())
    sizes = [features.count, 7, 5, variables]
    arrays = {"shift": rng.normal(size=sizes[0]), "scale": rng.uniform(0.5, 2, size=sizes[0])}
    for layer, (inside, outside) in enumerate(itertools.pairwise(sizes)):
        arrays[f"weight{layer}"] = rng.normal(size=(outside, inside))
        arrays[f"bias{layer}"] = rng.normal(size=outside)
    arrays["output_shift"] = rng.normal(size=variables)
    arrays["output_matrix"] = rng.normal(size=(variables, variables))
    record = ProjectionRecord(
        kind="autoencoder",
        features=features,
        elements=tuple(atoms[i].element.symbol for i in features.atoms),
        n_atoms=len(atoms),
        variables=variables,
        low=(-2.0,) * variables,
        high=(2.0,) * variables,
    )
    return Projection(record, arrays)


def test_features_of_alanine_dipeptide(peptide, features):
    """phi, psi and both peptide bonds, no methyl group; long distances of heavy atoms."""
    names = features.names(peptide)
    assert len(names) == features.count == len(features.distances) + 2 * len(features.torsions)
    assert len(features.torsions) == 4
    where = torch.from_numpy(peptide.positions[list(features.atoms)])
    values = features.evaluate(where).numpy()
    angles = [
        Torsion(atoms=each).bind("t", peptide).evaluate(peptide.positions, None)
        for each in features.torsions
    ]
    found = values[len(features.distances) :].reshape(-1, 2)
    np.testing.assert_allclose(found, np.stack([np.sin(angles), np.cos(angles)], 1), atol=1e-9)
    i, j = features.distances[0]
    expected = np.linalg.norm(peptide.positions[i] - peptide.positions[j])
    assert values[0] == pytest.approx(expected)


def test_gradients_are_exact(peptide, features, tmp_path):
    """OpenMM's forces of a learned variable against finite differences of its value."""
    mixed = FeatureSet(
        distances=features.distances[:5], torsions=features.torsions, contacts=((0, 15), (1, 12))
    )
    save_projection(tmp_path / "cv.json", random_projection(peptide, mixed))
    variable = LearnedVariable(file=tmp_path / "cv.json", component=2).bind("cv", peptide)
    rng = np.random.default_rng(2)
    positions = peptide.positions + rng.normal(scale=0.01, size=peptide.positions.shape)
    energy, forces = energy_and_forces(variable, peptide, positions)
    assert energy == pytest.approx(variable.evaluate(positions, None), abs=1e-12)
    step = 1e-6
    for atom, axis in np.ndindex(*positions.shape):
        high, low = positions.copy(), positions.copy()
        high[atom, axis] += step
        low[atom, axis] -= step
        slope = (variable.evaluate(high, None) - variable.evaluate(low, None)) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, rel=0, abs=1e-6)
    assert np.abs(forces).max() > 0.1


@pytest.mark.parametrize("kinds", [("distances",), ("torsions",), ("contacts",), None])
def test_compiled_gradient_equals_that_of_the_network(peptide, features, kinds):
    mixed = FeatureSet(
        distances=features.distances[:5], torsions=features.torsions, contacts=((0, 15), (1, 12))
    )
    if kinds is not None:
        mixed = FeatureSet(**{kind: getattr(mixed, kind) for kind in kinds})
    projection = random_projection(peptide, mixed)
    rng = np.random.default_rng(4)
    rows = list(mixed.atoms)
    for component in (0, 1):
        fast = CompiledGradient(mixed, projection.arrays, component)
        for _ in range(5):
            positions = peptide.positions[rows] + rng.normal(scale=0.03, size=(len(rows), 3))
            value, gradient = fast(positions)
            expected, slope = projection.gradient(positions, component)
            assert value == pytest.approx(expected, abs=1e-12)
            np.testing.assert_allclose(gradient, slope, rtol=0, atol=1e-10)
            assert np.abs(slope).max() > 1e-3


def test_values_are_invariant_to_translation_and_rotation(peptide, features):
    projection = random_projection(peptide, features)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    moved = peptide.positions @ turn.T + [1.0, -2.0, 0.5]
    rows = list(features.atoms)
    both = projection.values(np.stack([peptide.positions, moved])[:, rows])
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)
    mirrored = projection.values((peptide.positions * [1, 1, -1])[None, rows])
    assert np.abs(mirrored - both[0]).max() > 1e-3


def test_json_and_weights_must_belong_together(peptide, features, tmp_path):
    projection = random_projection(peptide, features)
    save_projection(tmp_path / "a.json", projection)
    save_projection(tmp_path / "b.json", random_projection(peptide, features, seed=2))
    again = load_projection(tmp_path / "a.json")
    frame = peptide.positions[None, list(features.atoms)]
    np.testing.assert_array_equal(again.values(frame), projection.values(frame))
    (tmp_path / "b.safetensors").replace(tmp_path / "a.safetensors")
    with pytest.raises(InputFileError, match="sha256"):
        load_projection(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputFileError, match=r"a.json: kind"):
        load_projection(tmp_path / "a.json")


def test_the_older_name_of_correlated_features_is_read(peptide, features, tmp_path):
    save_projection(tmp_path / "cv.json", random_projection(peptide, features))
    record = json.loads((tmp_path / "cv.json").read_text())
    del record["correlated_features"]
    record["meaning"] = [{"component": 1, "features": {"phi": 0.9}}]
    (tmp_path / "cv.json").write_text(json.dumps(record))
    again = load_projection(tmp_path / "cv.json").record
    assert again.correlated_features == ({"component": 1, "features": {"phi": 0.9}},)


def test_another_molecule_is_refused(peptide, features, tmp_path):
    path = tmp_path / "cv.json"
    save_projection(path, random_projection(peptide, features))
    setting = LearnedVariable(file=path)
    with pytest.raises(VariableError, match="component 3"):
        LearnedVariable(file=path, component=3).bind("cv", peptide)
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "n_atoms": 30}))
    with pytest.raises(VariableError, match="system of 30 atoms, found 22"):
        LearnedVariable(file=path).bind("cv", peptide)
    elements = ["S", *data["elements"][1:]]
    path.write_text(json.dumps({**data, "elements": elements}))
    with pytest.raises(VariableError, match="another molecule"):
        LearnedVariable(file=path).bind("cv", peptide)
    with pytest.raises(VariableError, match="another file than the settings"):
        setting.bind("cv", peptide)
    with pytest.raises(InputFileError, match="cannot be read"):
        LearnedVariable(file=tmp_path / "none.json").bind("cv", peptide)


def test_variables_are_standardized(peptide, features):
    """The outputs have mean 0 and standard deviation 1, and differ only by shift and scale."""
    raw = random_projection(peptide, features)
    where = np.random.default_rng(5).normal(scale=0.02, size=(200, *peptide.positions.shape))
    frames = (peptide.positions + where)[:, list(features.atoms)]
    found = _standardized(raw, features.evaluate(torch.from_numpy(frames)))
    values = found.values(frames)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-9)
    np.testing.assert_allclose(found.record.low, values.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.record.high, values.max(axis=0), atol=1e-9)
    before = raw.values(frames)
    assert np.corrcoef(before[:, 1], values[:, 1])[0, 1] == pytest.approx(1, abs=1e-9)
    constant = raw.arrays | {"output_matrix": np.zeros((2, 2))}
    with pytest.raises(SimulationError, match="constant"):
        _standardized(Projection(raw.record, constant), torch.zeros(3, features.count).double())


def trajectory(peptide, frames=1500, seed=1):
    """Alanine dipeptide that hops between two values of phi now and then, with noise on psi."""
    rng = np.random.default_rng(seed)
    state = np.cumsum(rng.random(frames) < 0.02) % 2
    phi = np.where(state == 0, -1.3, 0.9) + 0.2 * rng.normal(size=frames)
    psi = rng.uniform(-np.pi, np.pi, size=frames)
    found = np.empty((frames, *peptide.positions.shape))
    for frame in range(frames):
        found[frame] = set_torsions(peptide, phi[frame], psi[frame])
    return found + rng.normal(scale=0.002, size=found.shape), state, phi


def set_torsions(peptide, phi, psi):
    """Positions with two torsions set to given values."""
    positions = peptide.positions.copy()
    bonds = [(a.index, b.index) for a, b in peptide.topology.bonds()]
    for atoms, wanted in ((PHI, phi), (PSI, psi)):
        variable = Torsion(atoms=atoms).bind("t", peptide)
        _, j, k, _ = (int(peptide.atoms(each, "t")[0]) for each in atoms)
        moving, queue = {k}, [k]
        while queue:
            atom = queue.pop()
            for a, b in bonds:
                for one, other in ((a, b), (b, a)):
                    if one == atom and other not in moving and {atom, other} != {j, k}:
                        moving.add(other)
                        queue.append(other)
        axis = positions[k] - positions[j]
        axis /= np.linalg.norm(axis)
        turn = wanted - variable.evaluate(positions, None)
        rows = sorted(moving)
        arm = positions[rows] - positions[k]
        turned = (
            arm * np.cos(turn)
            + np.cross(axis, arm) * np.sin(turn)
            + np.outer(arm @ axis, axis) * (1 - np.cos(turn))
        )
        positions[rows] = positions[k] + turned
    return positions


@pytest.fixture(scope="module")
def hopping(peptide, features):
    frames, state, phi = trajectory(peptide)
    return frames[:, list(features.atoms)], state, phi


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep-tica", "time-lagged"])
def test_slow_torsion_is_found(kind, peptide, features, hopping, tmp_path):
    """phi changes rarely, and psi is white noise. The variable distinguishes the states of phi."""
    pytest.importorskip("mlcolvar")
    frames, state, _ = hopping
    settings = LearningSettings(kind=kind, lag=2, epochs=150, hidden=(12, 8), learning_rate=5e-3)
    reported = []
    learned = learn(
        features, [frames], peptide, settings, progress=lambda done, total: reported.append(done)
    )
    values = learned.projection.values(frames)[:, 0]
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std() == pytest.approx(1, abs=1e-6)
    assert learned.projection.record.low[0] == pytest.approx(values.min(), abs=1e-6)
    between = abs(values[state == 0].mean() - values[state == 1].mean())
    within = max(values[state == 0].std(), values[state == 1].std())
    assert between > 3 * within
    assert reported[-1] == len(learned.validation) >= learned.best
    strongest = correlated_features(learned.projection, [frames], peptide)[0].features[0]
    assert abs(strongest[1]) > 0.7
    save_projection(tmp_path / "cv.json", learned.projection)
    again = load_projection(tmp_path / "cv.json")
    np.testing.assert_array_equal(again.values(frames)[:, 0], values)


@pytest.mark.slow
def test_an_autoencoder_is_deterministic(peptide, features, hopping):
    pytest.importorskip("mlcolvar")
    settings = LearningSettings(kind="autoencoder", variables=2, epochs=20, hidden=(12, 8))
    first, second = (learn(features, [hopping[0]], peptide, settings) for _ in range(2))
    np.testing.assert_array_equal(
        first.projection.values(hopping[0]), second.projection.values(hopping[0])
    )
    assert first.validation[first.best - 1] < 0.8 * first.validation[0]


def test_too_few_frames_are_refused(peptide, features):
    frames = np.repeat(peptide.positions[None], 60, axis=0)
    with pytest.raises(ConfigError, match="found 60 frames"):
        learn(features, [frames], peptide, LearningSettings())
    with pytest.raises(ConfigError, match="found 50 pairs of frames in 2"):
        settings = LearningSettings(kind="time-lagged", lag=5)
        learn(features, [frames[:30], frames[:30]], peptide, settings)
    one = FeatureSet(distances=((0, 5),))
    with pytest.raises(ConfigError, match="found 1 features"):
        learn(one, [frames], peptide, LearningSettings())
