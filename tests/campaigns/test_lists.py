"""Lists of calculations: CSV and YAML, dotted keys, names, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnpmm.campaigns import read_list
from nnpmm.core.errors import ConfigError, InputFileError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_table(tmp_path):
    """Text stays text, also if YAML would convert it; only lists, sections and null are parsed."""
    path = write(
        tmp_path,
        "list.csv",
        "solute.smiles,ladder.sterics,temperature,ladder.exchange\n"
        'NO,"[0.5, 0]",,\n'
        "[Na+].[Cl-],,310 K,null\n",
    )
    (tmp_path / "other").mkdir()
    shared = write(tmp_path / "other", "shared.yaml", "temperature: 300 K\nsolute: {charge: 0}\n")
    found = read_list(path, command="solvation", settings=shared)
    assert (found.command, found.base) == ("solvation", tmp_path / "other")
    first, second = found.rows
    assert found.settings_of(first) == {
        "temperature": "300 K",
        "solute": {"charge": 0, "smiles": "NO"},
        "ladder": {"sterics": [0.5, 0]},
    }
    assert found.settings_of(second) == {
        "temperature": "310 K",
        "solute": {"charge": 0, "smiles": "[Na+].[Cl-]"},
        "ladder": {"exchange": None},
    }
    assert first.place == "list.csv, line 2" and first.name == "smiles=NO_sterics=_0.5_0_"


def test_a_yaml_file(tmp_path):
    path = write(
        tmp_path,
        "list.yaml",
        "command: run\nsettings: {seed: 1, stages: {minimize: null}}\n"
        "rows:\n- {name: a b, seed: 3}\n- {ensemble.temperature: 310 K, stages: {warmup: null}}\n",
    )
    found = read_list(path)
    assert (found.command, found.base) == ("run", tmp_path)
    assert [row.name for row in found.rows] == [
        "a_b",
        "temperature=310_K_stages=_warmup_None_",
    ]
    assert found.settings_of(found.rows[0]) == {"seed": 3, "stages": {"minimize": None}}
    assert found.settings_of(found.rows[1]) == {
        "seed": 1,
        "stages": {"minimize": None, "warmup": None},
        "ensemble": {"temperature": "310 K"},
    }


def test_a_yaml_file_names_others(tmp_path):
    write(tmp_path, "rows.csv", "seed\n1\n2\n")
    write(tmp_path, "md.yaml", "seed: 5\ntimestep: 1 fs\n")
    path = write(tmp_path, "list.yaml", "settings: md.yaml\nrows: rows.csv\n")
    found = read_list(path, command="run")
    assert [found.settings_of(row) for row in found.rows] == [
        {"seed": "1", "timestep": "1 fs"},
        {"seed": "2", "timestep": "1 fs"},
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "seed\n", "found no rows"),
        ("a.csv", "seed\n1\n1\n", "line 3: found the name 'seed=1' again, which a.csv, line 2"),
        ("a.csv", 'a\n"[1, 2"\n', r"line 2: found '\[1, 2', which is neither a list"),
        ("a.csv", "seed,seed\n1,2\n", "found a column twice"),
        ("a.yaml", "rows: []\n", "found no rows"),
        ("a.yaml", "rows: [{}]\n", "row 1: found no values"),
        ("a.yaml", "row: [{seed: 1}]\n", "unknown key 'row' in the top level; did you mean 'rows'"),
        (
            "a.yaml",
            "command: scan\nrows: [{seed: 1}]\n",
            "the command 'scan' in the file and 'run'",
        ),
        ("a.yaml", "[1]\n", "expected keys"),
        ("a.yaml", "rows: b.csv\n", "b.csv: cannot be read"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, name, text, words):
    with pytest.raises((ConfigError, InputFileError), match=words):
        read_list(write(tmp_path, name, text), command="run")


def test_what_is_given_twice_or_not_at_all(tmp_path):
    path = write(tmp_path, "a.yaml", "settings: {seed: 1}\nrows: [{seed: 1}]\n")
    with pytest.raises(ConfigError, match="found no command"):
        read_list(path)
    with pytest.raises(ConfigError, match=r"settings in the file and in .*b.yaml"):
        read_list(path, command="run", settings=tmp_path / "b.yaml")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{a: 1, a.b: 2}", "row 1: found 'a.b' and a value of 'a' itself"),
        ("{a.b: 2, a: 1}", "row 1: found 'a' and parts of it"),
        ("{a..b: 2}", "row 1: found the key 'a..b'"),
    ],
)
def test_keys_that_contradict_each_other(tmp_path, row, words):
    found = read_list(write(tmp_path, "a.yaml", f"rows: [{row}]\n"), command="run")
    with pytest.raises(ConfigError, match=words):
        found.settings_of(found.rows[0])
