"""Labels: on Gaussian models whose free energies are known exactly."""

import json

import numpy as np
import pytest
from martini_cases import needs_gmx

from nnpmm.core.arrays import save_arrays
from nnpmm.core.constants import GAS_CONSTANT, KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.permeation.dataset.folder import DatasetSettings, SoluteJob, open_dataset
from nnpmm.permeation.labels.anchored import (
    Anchor,
    anchor_residuals,
    anchored_labels,
    error_scale,
)
from nnpmm.permeation.labels.decoupling import (
    DecouplingSettings,
    decouple,
    join_states,
    read_dhdl,
)
from nnpmm.permeation.labels.linear import LinearEstimate, SoluteFrames, relative_free_energies
from nnpmm.permeation.labels.store import label_linear, read_label_record, read_labels
from nnpmm.permeation.martini import interaction, parse_solute
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.pair_energy import Channel
from nnpmm.permeation.runs.protocol import preset

KT = GAS_CONSTANT * 300.0
CHANNELS = (Channel("water", "P4", 0.47), Channel("lipid", "C1", 0.47))


def _epsilons(name):
    return np.array(
        [[interaction(b.type, c.type)[0] for c in CHANNELS] for b in parse_solute(name).beads]
    )


class GaussianSurroundings:
    """phi of an ideal solute is normal; then F(eps) = eps.mu - eps.S.eps / 2kT exactly."""

    def __init__(self, rng):
        self.rng = rng
        self.mu = np.array([-5.0, -3.0, -4.0, -2.0])
        root = rng.normal(size=(4, 4)) * 0.25
        self.covariance = root @ root.T

    def free_energy(self, name):
        e = _epsilons(name).ravel()
        return e @ self.mu - e @ self.covariance @ e / (2 * KT)

    def samples(self, name, n=400):
        e = _epsilons(name).ravel()
        mean = self.mu - self.covariance @ e / KT
        phi = self.rng.multivariate_normal(mean, self.covariance, size=n).reshape(n, 2, 2)
        return SoluteFrames(name, CHANNELS, phi, (), np.zeros((n, 0)))


def test_linear_free_energies_are_exact_for_gaussian_surroundings():
    model = GaussianSurroundings(np.random.default_rng(11))
    simulated = ["C1-C1", "C5-N0", "C1-P4", "N0-P3", "P4-P5"]
    targets = ["C3-P1", "Nda-P2", "P5-P5"]
    recorded = [model.samples(name) for name in simulated]
    found = relative_free_energies(recorded, targets, 300.0)
    assert found.solutes == (*simulated, *targets) and found.simulated == len(simulated)
    exact = np.array([model.free_energy(name) for name in found.solutes])
    errors = found.differences[0] - (exact - exact[0])
    sigmas = np.maximum(found.errors[0], 1e-9)
    assert np.all(np.abs(errors[1:]) < 4 * sigmas[1:]), (errors, sigmas)
    assert np.ptp(exact) > 5.0 and sigmas[1:].max() < 1.0
    assert 0.0 < found.overlap <= 1.0 and np.all(found.effective > 1)


def test_solutes_with_equal_interactions_are_one_state():
    """Na, Nd and Nda have the same interactions with P4 and C1: one free energy, more samples."""
    model = GaussianSurroundings(np.random.default_rng(12))
    recorded = [model.samples(name) for name in ("C1-C1", "Na-P2", "Nd-P2", "C5-N0")]
    found = relative_free_energies(recorded, ["Nda-P2"], 300.0)
    same = [found.solutes.index(name) for name in ("Na-P2", "Nd-P2", "Nda-P2")]
    assert not found.differences[np.ix_(same, same)].any()
    assert not found.errors[np.ix_(same, same)].any()
    exact = model.free_energy("Na-P2") - model.free_energy("C1-C1")
    assert abs(found.differences[0, same[2]] - exact) < 4 * found.errors[0, same[2]]
    assert 0.0 < found.overlap <= 1.0


def test_inner_pairs_contribute():
    rng = np.random.default_rng(3)
    phi = np.zeros((200, 3, 2))
    inner = rng.normal(-0.5, 0.1, size=(200, 1))
    recorded = [SoluteFrames("C1-C1-C1", CHANNELS, phi, ((0, 2),), inner)]
    found = relative_free_energies(recorded, ["P5-C1-P5"], 300.0)
    gap = interaction("P5", "P5")[0] - interaction("C1", "C1")[0]
    exact = -KT * np.log(np.mean(np.exp(-gap * inner / KT)))
    assert found.differences[0, 1] == pytest.approx(exact, rel=0.05)


def test_solutes_of_different_shape_are_refused():
    model = GaussianSurroundings(np.random.default_rng(1))
    with pytest.raises(ConfigError, match="C1-C1-C1 has not the shape of C1-P4"):
        relative_free_energies([model.samples("C1-P4")], ["C1-C1-C1"], 300.0)
    with pytest.raises(ConfigError, match="found no finished simulations"):
        relative_free_energies([], ["C1-P4"], 300.0)


def _linear(values, error):
    values = np.array(values)
    n = len(values)
    names = ("C1-C1", "C1-P4", "P4-P5")
    errors = error * (1.0 - np.eye(n))
    return LinearEstimate(names, n, values[None] - values[:, None], errors, np.ones(n), 1)


def test_anchors_determine_absolute_values():
    membrane, water = _linear([0.0, 5.0, 20.0], 0.3), _linear([0.0, -4.0, -3.0], 0.4)
    anchors = {"C1-C1": Anchor(-4.0, 0.1)}
    labels = {label.solute: label for label in anchored_labels(membrane, water, anchors)}
    assert labels["C1-P4"].free_energy == pytest.approx(-4.0 + 9.0 / KJ_PER_KCAL)
    expected = np.sqrt(0.1**2 + (0.3**2 + 0.4**2) / KJ_PER_KCAL**2)
    assert labels["P4-P5"].error == pytest.approx(expected)
    anchors["P4-P5"] = Anchor(-4.0 + 23.0 / KJ_PER_KCAL + 0.5, 0.2)
    first, second = anchor_residuals(membrane, water, anchors)
    assert second.difference == pytest.approx(0.5) and first.difference == pytest.approx(-0.5)
    both = {label.solute: label for label in anchored_labels(membrane, water, anchors)}
    assert both["C1-C1"].free_energy == pytest.approx(-4.0 + 0.5 * 0.2)  # weights 4 to 1
    # Half a kcal/mol apart with errors of 0.1 and 0.2: chi^2 = 1 + 4.
    assert error_scale(membrane, water, anchors) == pytest.approx(np.sqrt(5.0))
    wide = {name: Anchor(a.free_energy, a.error * np.sqrt(5.0)) for name, a in anchors.items()}
    assert error_scale(membrane, water, wide) == pytest.approx(1.0)
    for label in anchored_labels(membrane, water, wide):
        assert label.error == pytest.approx(both[label.solute].error)
    with pytest.raises(ConfigError, match="expected at least one"):
        anchored_labels(membrane, water, {})
    with pytest.raises(ConfigError, match="found the anchors N0-N0"):
        anchored_labels(membrane, water, {"N0-N0": Anchor(0.0, 1.0)})


def _write_runs(folder, models, simulated, anchors, beads=2):
    """Write files of runs and direct values of solutes of one shape."""
    settings = DatasetSettings(
        protocol=preset("short"), engine="gromacs", lipids=["DOPC"], solutes=simulated
    )
    open_dataset(folder, settings)
    for place, model in models.items():
        for name in simulated:
            found = model.samples(name if beads == 2 else f"{name}-{name}")
            arrays = {"phi": found.phi[:, :beads].astype(np.float32), "inner": found.inner}
            record = {"channels": [list(c) for c in CHANNELS], "inner_pairs": []}
            save_arrays(SoluteJob(place, name).result(folder), arrays, record)
        for name in anchors:
            value = -model.free_energy(name) + 3.0 * (place == "DOPC")
            path = folder / "labels" / "direct" / place / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"decoupling_kj": value, "error_kj": 0.1}))


def test_label_table_of_a_lipid_is_exact(tmp_path):
    """Labels from files of runs and direct values are the exact ones."""
    inside = GaussianSurroundings(np.random.default_rng(21))
    outside = GaussianSurroundings(np.random.default_rng(22))
    simulated = ["C1-C1", "C5-N0", "C1-P4", "P4-P5"]

    def exact(name):
        return (inside.free_energy(name) - outside.free_energy(name)) / KJ_PER_KCAL

    # The second anchor has no runs of its own.
    _write_runs(tmp_path, {"DOPC": inside, "water": outside}, simulated, ["C1-C1", "P3-P5"])
    label_linear(tmp_path, "DOPC", ["N0-N0", "C1-P4"])
    labels = read_labels(tmp_path, "DOPC")
    assert list(labels) == [*simulated, "N0-N0", "P3-P5"]
    for name, (value, error) in labels.items():
        assert abs(value - exact(name) + 3.0 / KJ_PER_KCAL) < 4 * error, name
        assert error < 0.5
    record = read_label_record(tmp_path, "DOPC", "P1-P1")
    assert record["simulated"] == {"membrane": 4, "water": 4}
    difference, error = record["residuals"]["P3-P5"]
    assert abs(difference) < 4 * error
    for read in (read_labels, lambda *where: read_label_record(*where, "C1-C1")):
        with pytest.raises(InputFileError, match="label linear"):
            read(tmp_path, "POPC")


def test_labels_of_other_shapes_are_kept(tmp_path):
    models = {place: GaussianSurroundings(np.random.default_rng(23)) for place in ("DOPC", "water")}
    _write_runs(tmp_path, models, ["C1-C1", "C1-P4"], ["C1-C1"])
    label_linear(tmp_path, "DOPC", ["C1-C1"])
    dimers = read_labels(tmp_path, "DOPC")
    for model in models.values():
        model.free_energy = lambda name: 1.0
    _write_runs(tmp_path, models, ["C1", "P4"], ["P4"], beads=1)
    label_linear(tmp_path, "DOPC", ["N0"])
    both = read_labels(tmp_path, "DOPC")
    assert set(both) == {*dimers, "C1", "P4", "N0"}
    assert {name: both[name] for name in dimers} == dimers
    assert set(read_label_record(tmp_path, "DOPC", "C3")["anchors"]) == {"P4"}
    label_linear(tmp_path, "DOPC", ["C1-C1"])
    again = read_labels(tmp_path, "DOPC")
    assert again == both
    (tmp_path / "labels" / "DOPC.json").write_text("[]")
    (tmp_path / "labels" / "direct" / "DOPC" / "C1-C1.json").write_text(
        json.dumps({"decoupling_kj": 9.0, "error_kj": 0.1})
    )
    with pytest.raises(InputFileError, match="remove what is damaged"):
        label_linear(tmp_path, "DOPC", ["C1-C1"])
    assert read_labels(tmp_path, "DOPC") == both  # neither file is written


def test_reading_dhdl_files(tmp_path):
    lines = [
        "# comment",
        '@ s0 legend "dH/d\\xl\\f{} vdw-lambda = 0.0000"',
        '@ s1 legend "\\xD\\f{}H \\xl\\f{} to 0.0000"',
        '@ s2 legend "\\xD\\f{}H \\xl\\f{} to 1.0000"',
        '@ s3 legend "pV (kJ/mol)"',
        "0.0 -3.5 0.0 7.5 1.6",
        "2.0 -3.6 0.0 7.4 1.6",
        "2.0 -3.6 0.0 7.4 1.6",
    ]
    (tmp_path / "dhdl.xvg").write_text("\n".join(lines) + "\n")
    times, energies = read_dhdl(tmp_path / "dhdl.xvg")
    assert times.tolist() == [0.0, 2.0] and energies.tolist() == [[0.0, 7.5], [0.0, 7.4]]


@needs_gmx
def test_decoupling_runs_and_resumes(tmp_path):
    """The calculation is too short for a precise value."""
    system, start = build_water_box(parse_solute("C1"))
    engine = GromacsEngine(threads=1)
    relaxed = engine.minimize(system, start, tmp_path)
    settings = DecouplingSettings(
        states=5, equilibration=10.0, production=40.0, sample_interval=0.2
    )
    calls = []
    found = decouple(
        system, relaxed, engine, tmp_path, settings, progress=lambda *a: calls.append(a)
    )
    assert len(calls) == 5 and -25.0 < found.free_energy < 15.0 and 0 < found.overlap <= 1
    assert decouple(system, relaxed, engine, tmp_path, settings) == found


def test_joined_states_give_the_exact_free_energy():
    """Oscillators of increasing stiffness; the free energy is that of the last minus the first."""
    rng = np.random.default_rng(8)
    constants = np.linspace(1.0, 4.0, 5)
    energies = [0.5 * constants * rng.normal(0, (KT / k) ** 0.5, (1500, 1)) ** 2 for k in constants]
    found = join_states(energies, 300.0)
    assert found.free_energy == pytest.approx(0.5 * KT * np.log(4.0), abs=4 * found.error)
    assert found.error < 0.1 and found.samples > 5000
