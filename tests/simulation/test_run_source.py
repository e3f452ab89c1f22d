"""Reading a run's folder for an analysis, and the short analysis at the end of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from runs import frames, go

from nnpmm.analysis import analyze, observe
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation import run_folders, run_source
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.report import report_figure


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "one"
    go(path)
    return path


def test_source_matches_the_files_of_the_run(folder):
    source, written = run_source(folder), frames(folder)
    found = observe(source)
    assert source.name == "one"
    assert found.n_frames == written.n_frames
    np.testing.assert_allclose(np.diff(found.time), source.interval)
    assert found.time[0] == source.interval
    stages, columns = read_log(folder / "log.csv")
    last = np.array(stages) == "production"
    np.testing.assert_array_equal(
        source.readings.columns["network_spread"], columns["nnp_std_kj_mol"][last]
    )
    assert source.ligand.tolist() == [0, 1, 2]


def test_report_contains_the_analysis(folder):
    found = observe(run_source(folder))
    assert "ligand_internal_rmsd" in found.series
    more = replace(
        found,
        torsions=np.zeros((found.n_frames, 1), dtype=np.float32),
        torsion_labels=("C1-C2-C3-C4",),
        contacts=np.arange(2 * found.n_frames).reshape(-1, 2) % 2 == 0,
        contact_labels=(("LEU84", "hydrophobic"), ("ALA99", "contact")),
    )
    bare, molecule, complex_ = (
        report_figure(folder / "log.csv", np.eye(3), ["O", "H", "H"], [(0, 1)], observed=o)
        for o in (None, found, more)
    )
    # One panel for each kind of observable, and no empty panels.
    assert [len(figure.axes) - len(bare.axes) for figure in (molecule, complex_)] == [1, 3]
    labels = [text.get_text() for text in molecule.axes[-1].get_legend().get_texts()]
    assert any(text.startswith("internal, ") for text in labels)
    first, second = (bar.get_width() for bar in complex_.axes[-1].patches)
    assert first > 0.5 > second  # LEU84 in every frame, ALA99 in none


def test_report_shows_averages_of_the_last_stage(folder):
    stages, columns = read_log(folder / "log.csv")
    last = np.array(stages) == stages[-1]
    figure = report_figure(folder / "log.csv", np.eye(3), ["O", "H", "H"], [(0, 1)])
    texts = [text.get_text() for text in figure.axes[-1].texts]
    value = texts[texts.index("temperature") + 1]
    stated = float(value.split(" ")[0])
    assert stated == pytest.approx(columns["temperature_k"][last].mean(), rel=0.01)


def test_unreadable_trajectory_does_not_end_a_run(tmp_path, monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise InputFileError("cannot be read")

    monkeypatch.setattr("nnpmm.simulation.short_analysis.observe", refuse)
    result = go(tmp_path / "run")
    assert result.report.is_file()
    assert "no analysis of the trajectory: cannot be read" in caplog.text


def test_folders_of_runs_are_found(folder, tmp_path):
    assert run_folders(folder) == [folder]
    assert run_folders(folder.parent) == [folder]
    with pytest.raises(InputFileError, match="found no folder of a run"):
        run_folders(tmp_path)


def test_replicas_have_their_names(folder):
    found = analyze([run_source(folder), run_source(folder)])
    assert [replica.name for replica in found.replicas] == ["one", "one"]
    assert found.of_kind("overall")[0].average.replicas == 2


def test_run_without_a_trajectory_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("settings.yaml", "checkpoint.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ConfigError, match="has not reached its production"):
        run_source(copy)
    (copy / "settings.yaml").write_text("output: 3")
    with pytest.raises(ConfigError, match="cannot be read"):
        run_source(copy)
