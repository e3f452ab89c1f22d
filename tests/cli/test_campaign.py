"""nnpmm campaign as a user calls it: errors in lists, output, exit statuses."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from conftest import ROOT

from nnpmm.calculations import calculations_of
from nnpmm.campaigns import ClusterSettings, read_list
from nnpmm.cli.main import main

SHARED = {"model": "ANI-1x", "count": 2}


@pytest.fixture
def go(call, tmp_path, monkeypatch):
    """Write a table and shared settings, and run them in this process."""
    monkeypatch.chdir(tmp_path)

    def run(table: str, *options, shared=SHARED):
        (tmp_path / "list.csv").write_text(table)
        (tmp_path / "shared.yaml").write_text(yaml.safe_dump(shared))
        chosen = ("--command", "conformers", "--settings", "shared.yaml", "--cluster", "serial")
        return call(main, "campaign", "run", "list.csv", *chosen, "-o", "out", *options)

    return run


def test_results_and_failures_are_printed(go, call):
    """The exit status is 1 if a result is missing; finished jobs are not repeated."""
    table = "name,molecule.smiles\nwater,O\nnonsense,C(\n"
    result = go(table)
    assert result.status == 1, result.err
    assert "[1/2] water done" in result.out and "[2/2] nonsense FAILED" in result.out
    assert (
        "nonsense failed; traceback in " in result.out and "results: out/results.csv" in result.out
    )
    assert result.err.splitlines() == ["1 of 2 calculations has no result"]
    again = go(table)
    assert again.status == 1 and "[1/" not in again.out
    status = call(main, "campaign", "status", "out")
    assert status.status == 0
    assert "0 waiting, 0 running, 1 finished, 1 failed" in status.out
    assert "  found 'C(', which is not a valid SMILES" in status.out
    corrected = go(table.replace("C(", "N"))
    assert (corrected.status, corrected.err) == (0, "")
    assert "[1/1] nonsense done" in corrected.out
    collected = call(main, "campaign", "collect", "out")
    assert collected.status == 0 and "results: out/results.csv" in collected.out
    go(table.replace("water,O", "water,N")).assert_one_line_error(
        "water was started with molecule.smiles O, found N", "rename the row"
    )


def test_single_calculation_is_refused(go):
    """Nothing is announced where the settings are not those that were begun."""
    assert "1 calculation of conformers, 1 at a time" in go("name,molecule.smiles\na,O\n").out
    changed = go("name,molecule.smiles\na,N\n")
    changed.assert_one_line_error("a was started with molecule.smiles O, found N")
    assert "at a time" not in changed.out
    failed = go("name,molecule.smiles\nb,C(\n", "-o", "other")
    assert failed.err.splitlines() == ["1 of 1 calculation has no result"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", ["list.csv: found no rows"]),
        ("name,molecule.smiles\n", ["list.csv: found no rows"]),
        ("molecule.smiles\nC,C\n", ["line 2: found 2 cells, expected 1"]),
        ("molecule.smile\nC\n", ["line 2: unknown key 'smile' in 'molecule'", "'smiles'"]),
        ("molecule.smiles,seed\nC,many\n", ["line 2: seed: found 'many'"]),
        ("molecule.smiles,name\nC,a\nCC,a\n", ["line 3: found the name 'a' again"]),
        ("molecule.smiles,name\nC,a\nC,b\n", ["line 3: found the same settings as in list.csv"]),
        ("molecule.file\nnone.sdf\n", ["line 2: ", "none.sdf: cannot be read"]),
    ],
)
def test_bad_tables_give_one_line(go, tmp_path, table, words):
    go(table).assert_one_line_error(*words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["found no list", "--template"]),
        (["run", "none.csv", "--command", "scan"], ["none.csv: cannot be read"]),
        (["run", "none.yaml"], ["none.yaml", "cannot read"]),
        (["status", "."], ["found no campaign in this folder"]),
        (["collect", "."], ["found no campaign in this folder"]),
    ],
)
def test_bad_arguments_give_one_line(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    call(main, "campaign", *arguments).assert_one_line_error(*words)


def test_other_bad_arguments_give_one_line(go, call, tmp_path):
    table = "molecule.smiles\nO\n"
    go(table, "--command", "fold").assert_one_line_error("the command 'fold', allowed: run,")
    go(table, "--cluster", "moon").assert_one_line_error("cluster 'moon': expected local, serial")
    go(table, shared=[1]).assert_one_line_error("shared.yaml: found no settings")
    call(main, "campaign", "run", tmp_path / "list.csv").assert_one_line_error("found no command")


def test_template_is_a_list(call, tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text(call(main, "campaign", "run", "--template").out)
    found = calculations_of(read_list(path))
    assert [one.name for one in found] == ["methanol", "ethanol", "ethanol-310"]
    assert json.dumps(found[2].settings["temperature"]) == '"310.0 K"'
    assert found[0].settings["ladder"]["time"] == "1000.0 ps"


def test_documented_examples_are_valid(tmp_path):
    """The table and the YAML file are the same calculations, and the cluster can be had."""
    page = (ROOT / "docs/many-calculations.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.M | re.S)
    (table,) = (text for language, text in blocks if not language)
    rows, cluster = (text for language, text in blocks if language == "yaml")
    shared = {"system": {"type": "build", "smiles": "CO"}, "region": {"model": "ANI-2x"}}
    for name, text in (("list.csv", table), ("list.yaml", rows), ("md.yaml", json.dumps(shared))):
        (tmp_path / name).write_text(text)
    found = read_list(tmp_path / "list.csv", command="run", settings=tmp_path / "md.yaml")
    cold, warm, again = calculations_of(found)
    assert calculations_of(read_list(tmp_path / "list.yaml"))[0].digest == cold.digest
    assert warm.settings["ensemble"]["temperature"] == "320.0 K"
    assert again.settings["seed"] == 2
    assert ClusterSettings.model_validate(yaml.safe_load(cluster)).resources.startswith("select=1")
