"""Commands as the jobs of a campaign: settings, results, kills of main process and worker."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from complexes import Inputs

from nnpmm.calculations import COMMANDS, calculate, calculations_of, run_list
from nnpmm.campaigns import Attempt, ClusterSettings, collect_results, read_list, states_of
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation.record.energy_log import read_log

SERIAL = ClusterSettings(kind="serial")
SEARCH = {"model": "ANI-1x", "count": 2}


def listing(folder: Path, command: str, settings: dict, *rows: dict) -> Path:
    path = folder / "list.yaml"
    path.write_text(yaml.safe_dump({"command": command, "settings": settings, "rows": list(rows)}))
    return path


def attempt(folder: Path, number: int = 0) -> Attempt:
    folder.mkdir()
    return Attempt(folder, 77, 1, number)


@pytest.fixture
def inputs(tmp_path):
    """Methanol next to some water, not periodic; a run of 4 steps."""
    found = Inputs(tmp_path)
    found.set("stages.production.length", "2 fs")
    found.write_settings()
    return found


def test_settings_of_every_command_are_checked_before_anything_runs(tmp_path):
    for command in COMMANDS:
        path = listing(tmp_path, command, {}, {"seed": 1}, {"colour": "red"})
        with pytest.raises(ConfigError, match=r"^list.yaml, row [12]: "):
            calculations_of(read_list(path))
    path = listing(tmp_path, "conformers", {"molecule": {"smiles": "C"}}, {"colour": "red"})
    with pytest.raises(ConfigError, match=r"row 1: unknown key 'colour' in the top level"):
        calculations_of(read_list(path))
    path = listing(tmp_path, "fold", {}, {"seed": 1})
    with pytest.raises(ConfigError, match="the command 'fold', allowed: run, solvation, binding"):
        calculations_of(read_list(path))


def test_two_rows_of_the_same_calculation_are_refused(tmp_path):
    rows = ({"name": "a", "seed": 3}, {"name": "b", "seed": 4}, {"name": "c", "seed": 3})
    path = listing(tmp_path, "conformers", {"molecule": {"smiles": "C"}}, *rows)
    with pytest.raises(ConfigError, match=r"row 3: found the same settings as in list.yaml, row 1"):
        calculations_of(read_list(path))


def test_one_edge_in_a_row(tmp_path):
    for name in ("protein.pdb", "ligands.sdf"):
        (tmp_path / name).write_text("")
    settings = {"protein": "protein.pdb", "ligands": "ligands.sdf"}
    path = listing(tmp_path, "binding-relative", settings, {"edges": [["a", "b"], ["b", "c"]]})
    with pytest.raises(
        ConfigError, match="row 1: edges: found 2 pairs, allowed in a row of the list: one"
    ):
        calculations_of(read_list(path))
    table = tmp_path / "edges.csv"
    table.write_text('name,edges\nab,"[[a, b]]"\nbc,"[[b, c]]"\n')
    shared = tmp_path / "shared.yaml"
    shared.write_text(yaml.safe_dump(settings))
    found = read_list(table, command="binding-relative", settings=shared)
    assert [one.settings["edges"] for one in calculations_of(found)] == [
        [["a", "b"]],
        [["b", "c"]],
    ]


def test_a_missing_input_file_is_found_at_once(inputs):
    path = listing(inputs.folder, "run", inputs.settings, {"system.structure": "none.pdb"})
    with pytest.raises(InputFileError, match=r"list.yaml, row 1: .*none.pdb: cannot be read"):
        calculations_of(read_list(path))


def test_replicas_of_a_run(inputs):
    """Each has its seed and its folder; averages are those of the log; a second attempt differs."""
    path = listing(inputs.folder, "run", inputs.settings, {"seed": 1}, {"seed": 2})
    one, two = calculations_of(read_list(path))
    folder = inputs.folder
    values = dict(calculate("run", one.settings, attempt=attempt(folder / "a")).record["values"])
    stages, columns = read_log(folder / "a/log.csv")
    assert set(stages) == {"production"} and values["simulated (ps)"] == pytest.approx(0.002)
    mean = columns["temperature_k"].mean()
    assert values["temperature (K)"] == pytest.approx(mean, abs=1e-9)
    assert values["temperature error (K)"] > 0 and "density (g/ml)" not in values
    settings = yaml.safe_load((folder / "a/settings.yaml").read_text())
    assert settings["seed"] == 1 and settings["platform"]["threads"] == 1
    calculate("run", two.settings, attempt=attempt(folder / "b"))
    assert yaml.safe_load((folder / "b/settings.yaml").read_text())["seed"] == 2
    calculate("run", one.settings, attempt=attempt(folder / "c", number=1))
    assert yaml.safe_load((folder / "c/settings.yaml").read_text())["seed"] == 77
    temperatures = [read_log(folder / name / "log.csv")[1]["temperature_k"] for name in "abc"]
    assert not np.allclose(temperatures[0], temperatures[1], rtol=0, atol=1e-3)
    assert not np.allclose(temperatures[0], temperatures[2], rtol=0, atol=1e-3)


def test_conformers_of_a_table(tmp_path):
    """Populations add up to 100 %; a molecule that cannot be read is tried once."""
    table = tmp_path / "list.csv"
    table.write_text("name,molecule.smiles\nwater,O\nnonsense,C(\n")
    shared = tmp_path / "shared.yaml"
    shared.write_text(yaml.safe_dump(SEARCH))
    found = read_list(table, command="conformers", settings=shared)
    result = run_list(found, tmp_path / "out", cluster=SERIAL)
    assert (result.done, len(result.failed)) == (1, 1)
    assert result.failed[0].reasons[0].startswith("found 'C(', which is not a valid SMILES")
    assert len(result.failed[0].reasons) == 1
    rows = collect_results(tmp_path / "out").rows
    assert rows[0]["conformers"] == 1 and rows[0]["population of the lowest (%)"] == 100
    assert (tmp_path / "out/jobs/water/report.html").exists()


def test_a_scan(tmp_path):
    """The barrier of the full profile, as in the report."""
    settings = {"models": ["ANI-1x"], "spacing": 60, "force_field": False, "hydrogen_rotors": True}
    path = listing(tmp_path, "scan", settings, {"molecule.smiles": "CO"})
    (one,) = calculations_of(read_list(path))
    values = dict(calculate("scan", one.settings, attempt=attempt(tmp_path / "a")).record["values"])
    assert values["bonds"] == 1
    (barrier,) = (values[name] for name in values if name.startswith("barrier of"))
    assert 0.5 < barrier < 2.0  # measured: 1.07 kcal/mol


def start(*arguments: object) -> subprocess.Popen:
    program = [sys.executable, "-c", "from nnpmm.cli.entry import nnpmm; nnpmm()"]
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(moment, master: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not moment():
        assert master.poll() is None, master.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def workers_of(master: subprocess.Popen) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(master.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.mark.slow
def test_no_run_is_lost_or_doubled_by_kills(inputs):
    """kill -9 of the worker in the first run, of the main process in the second: all continue."""
    steps = 200
    inputs.set("stages.production.length", f"{steps * 0.5} fs")
    inputs.set("output.checkpoint_interval", "5 fs")
    inputs.set("output.trajectory_interval", "5 fs")
    inputs.set("output.log_interval", "0.5 fs")
    rows = [{"name": f"r{n}", "seed": n} for n in (1, 2, 3)]
    path = listing(inputs.folder, "run", inputs.settings, *rows)
    out = inputs.folder / "campaign"
    logs = {name: out / "jobs" / name / "log.csv" for name in ("r1", "r2", "r3")}
    command = ("campaign", "run", path, "-o", out, "--workers", 1)

    master = start(*command)
    wait_until(lambda: lines(logs["r1"]) > 30, master)
    begun = (out / "jobs/r1/topology.pdb").stat().st_mtime_ns
    assert [one.state for one in states_of(out)] == ["running", "waiting", "waiting"]
    (worker,) = workers_of(master)
    worker.kill()
    wait_until(lambda: lines(logs["r2"]) > 30, master)
    (orphan,) = workers_of(master)
    master.kill()
    master.communicate()
    assert [one.state for one in states_of(out)] == ["finished", "waiting", "waiting"]

    master = start(*command)
    _, err = master.communicate(timeout=600)
    assert master.returncode == 0, err
    assert not orphan.is_running()
    assert [one.state for one in states_of(out)] == ["finished"] * 3
    assert (out / "jobs/r1/topology.pdb").stat().st_mtime_ns == begun  # it did not begin anew
    for name, log in logs.items():
        found = read_log(log)[1]["step"]
        np.testing.assert_array_equal(found, np.arange(1, steps + 1), err_msg=name)
    with open(out / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["name"], row["attempts"]) for row in table] == [(n, "1") for n in logs]
    assert len(list((out / "results").rglob("*.safetensors"))) == 3
