"""nnpmm sample: surfaces and weights of runs, and errors of bad input."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nnpmm.cli.errors import run_app
from nnpmm.cli.main import app
from nnpmm.core.errors import ConfigError
from nnpmm.sampling.learned import FeatureSet
from nnpmm.simulation.sampled import frame_weights, read_sampled, samples_of
from nnpmm.simulation.surfaces import surface_of_runs

sys.path.append(str(Path(__file__).parents[1] / "simulation"))
from sampled_toys import go


def nnpmm(*arguments) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as caught:
        run_app(app, [str(argument) for argument in arguments])
    return caught.value.code


@pytest.fixture(scope="module")
def biased(tmp_path_factory):
    folder = tmp_path_factory.mktemp("biased")
    go(folder, "metadynamics", production="0.6 ps", interval="2 fs")
    return folder


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    go(folder, "umbrella", production="0.4 ps")
    return folder


def test_a_surface_with_its_files(biased, tmp_path, capsys):
    assert nnpmm("sample", "fes", biased, "--bins", 20, "-o", tmp_path) == 0
    assert "minimum 1: apart 0.3" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"surface.json", "surface.csv", "surface.png", "convergence.png"}
    data = json.loads((tmp_path / "surface.json").read_text())
    assert sum(m["population"] for m in data["minima"]) == pytest.approx(1)
    with open(tmp_path / "surface.csv") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 20 and float(rows[0]["apart_nm"]) == pytest.approx(0.21)
    heights = [float(r["free_energy_kj_mol"]) for r in rows if r["free_energy_kj_mol"]]
    assert min(heights) == 0


def test_surfaces_along_recorded_variables(biased, replicas, capsys, tmp_path):
    for folder in (biased, replicas):
        command = ("sample", "fes", folder, "--along", "bend", "--bins", 10, "--json")
        assert nnpmm(*command, "-o", tmp_path) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["variables"] == [{"name": "bend", "unit": "degrees"}]
        assert 60 < data["minima"][0]["place"]["bend"] < 150
    both = ("--along", "apart", "--along", "bend", "--bins", 8, "-o", tmp_path)
    assert nnpmm("sample", "fes", replicas, *both) == 0
    assert (tmp_path / "surface.png").stat().st_size > 10_000


def test_runs_together(biased):
    one, two = surface_of_runs([biased], bins=10), surface_of_runs([biased, biased], bins=10)
    known = np.isfinite(one.surface.free_energy)
    np.testing.assert_allclose(
        two.surface.free_energy[known], one.surface.free_energy[known], atol=1e-9
    )


def test_weights_of_frames_are_those_of_the_record(biased, tmp_path, capsys):
    path = tmp_path / "weights.csv"
    assert nnpmm("sample", "weights", biased, "-o", path) == 0
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert len(table) == 300 and table["weight"].sum() == pytest.approx(1)
    run = read_sampled(biased)
    samples = samples_of(run)
    np.testing.assert_allclose(table["weight"], samples.weights(), rtol=1e-6)
    np.testing.assert_allclose(table["time_ps"], samples.times, rtol=1e-9)
    with pytest.raises(ConfigError, match="a Gaussian at the time of each frame"):
        frame_weights(run, 301)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "found no folder of a run"),
        (("{biased}", "--along", "chi"), "recorded are: apart, bend"),
        (("{biased}", "--discard", "1"), "discarded fraction"),
        (("{biased}", "{replicas}"), "different variables, ranges"),
    ],
)
def test_runs_without_a_surface_give_one_line(arguments, words, biased, replicas, capsys):
    places = {"biased": biased, "replicas": replicas}
    assert nnpmm("sample", "fes", *(a.format(**places) for a in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("command", ["fes", "weights", "learn"])
def test_folder_without_a_run_is_named(command, tmp_path, capsys):
    assert nnpmm("sample", command, tmp_path / "none") == 2
    error = capsys.readouterr().err
    assert error == f"error: {tmp_path}/none: found no run; give the output folder of nnpmm run\n"


def test_weights_need_metadynamics(replicas, capsys):
    assert nnpmm("sample", "weights", replicas) == 2
    assert "found no frames" in capsys.readouterr().err


def test_learned_variables_name_the_features_that_correlate_with_them(
    biased, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("mlcolvar")
    sides = FeatureSet(distances=((0, 1), (0, 2), (1, 2)))  # water has no torsions to choose
    monkeypatch.setattr("nnpmm.simulation.learning_runs.choose_features", lambda *_: sides)
    path = tmp_path / "cv.json"
    assert nnpmm("sample", "learn", biased, "--epochs", 3, "-o", path) == 0
    record = json.loads(path.read_text())
    (correlated,) = record["correlated_features"]
    assert correlated["component"] == 1
    lines = capsys.readouterr().out
    for name, correlation in correlated["features"].items():
        assert f"  {correlation:+.2f}  {name}\n" in lines
