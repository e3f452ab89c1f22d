from __future__ import annotations

import pytest
import typer
import yaml
from typer.testing import CliRunner

from nnpmm import simulation
from nnpmm.cli.run import run
from nnpmm.core.errors import ConfigError
from nnpmm.simulation import RunResult, parse_config

app = typer.Typer()
app.command()(run)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_template_is_printed():
    outcome = invoke("--template")
    assert outcome.exit_code == 0
    assert parse_config(yaml.safe_load(outcome.stdout)).system.type == "amber"


def test_missing_and_invalid_settings_files_are_config_errors(tmp_path):
    assert isinstance(invoke().exception, ConfigError)
    path = tmp_path / "md.yaml"
    path.write_text("timestp: 2")
    outcome = invoke(path)
    assert isinstance(outcome.exception, ConfigError)
    assert "unknown key 'timestp'" in str(outcome.exception)


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({}, 0, "production reached 5 ps; results in"),
        ({"already_complete": True}, 0, "this run is complete"),
        ({"signal_number": 2}, 130, "continue with: nnpmm run md.yaml --resume"),
        ({"signal_number": 15}, 143, "continue with: nnpmm run md.yaml --resume"),
    ],
)
def test_message_and_exit_status_depend_on_the_end_of_the_run(
    tmp_path, monkeypatch, changes, code, text
):
    result = RunResult(
        **{
            "directory": tmp_path,
            "trajectory": None,
            "log": tmp_path / "log.csv",
            "final_structure": None,
            "report": None,
            "stage": "production",
            "time_ps": 5.0,
            **changes,
        }
    )
    monkeypatch.setattr(simulation, "run", lambda *args, **options: result)
    outcome = invoke("md.yaml")
    assert outcome.exit_code == code
    assert text in outcome.output
