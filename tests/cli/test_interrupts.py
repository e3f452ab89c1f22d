"""Ctrl-C in a campaign ends with one line that says how to continue."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nnpmm.cli.main import app


def _interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "command"),
    [
        (
            "nnpmm.freeenergy.solvation.campaign.run_solvation_campaign",
            ["solvation", "molecules.csv", "-o", "out"],
        ),
        (
            "nnpmm.permeation.runs.campaign.build_dataset",
            ["permeation", "dataset", "build", "--solutes", "C1-P4", "-o", "out"],
        ),
        (
            "nnpmm.permeation.prediction.predict_molecules",
            ["permeation", "predict", "--beads", "C1-P4", "-o", "out"],
        ),
    ],
)
def test_an_interrupted_campaign_says_how_to_continue(tmp_path, monkeypatch, function, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "molecules.csv").write_text("name,smiles\nmethanol,CO\n")
    monkeypatch.setattr(function, _interrupt)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 130
    assert "stopped; continue with the same command (out)" in result.output
