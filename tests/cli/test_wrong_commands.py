"""Mistakes on the command line: each gives one line with a command that works."""

from __future__ import annotations

import re

import pytest
import typer

from nnpmm.cli.main import app, main

ROWS = [
    (["rnu", "md.yaml"], ("'rnu'", "Did you mean 'run'")),
    (["md.yaml"], ("md.yaml", "nnpmm run md.yaml")),
    (["MD.YML"], ("MD.YML", "nnpmm run MD.YML")),
    (["run"], ("no settings file", "nnpmm init", "--template")),
    (["run", "--resume"], ("no settings file", "nnpmm init")),
    (["run", "none.yaml"], ("none.yaml", "No such file")),
    (["run", "complex.pdb"], ("complex.pdb", "not a settings file", "nnpmm init complex.pdb")),
    (["run", "model.json"], ("model.json", "not a settings file")),
    (["run", "md.yaml", "--dryrun"], ("--dryrun", "--dry-run")),
    (["run", "md.yaml", "more.yaml"], ("more.yaml", "run --help")),
    (["run", "md.yaml", "--overwite"], ("--overwite", "--overwrite")),
    (["prepare"], ("structure", "prepare --help")),
    (["prepare", "x.pdb"], ("--selection",)),
    (["prepare", "x.pdb", "--select", "all"], ("--select", "--selection")),
    (["init"], ("no files", "--smiles", "top + gro")),
    (["init", "CO", "--ligand", "LIG"], ("--ligand", "leave them out")),
    (["init", "complex.top"], ("complex.top", "no such file", "top + gro")),
    (["demo", "--smiles", "C1CC"], ("C1CC", "SMILES")),
    (["benchmark", "anni"], ("'anni'", "Did you mean 'ani'")),
    (["benchmark", "ani", "--model", "ANI-1x", "--backends", "fast"], ("'fast'", "cpu")),
    (["doctor", "md.yaml"], ("md.yaml", "doctor --help")),
    (["--versoin"], ("--versoin", "--version")),
]


@pytest.mark.parametrize(("arguments", "words"), ROWS, ids=lambda row: " ".join(row)[:40])
def test_wrong_commands_give_one_helpful_line(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    call(main, *arguments).assert_one_line_error(*words)
    assert list(tmp_path.iterdir()) == []


def test_demo_does_not_replace_a_run(call, tmp_path):
    (tmp_path / "settings.yaml").write_text("{}")
    result = call(main, "demo", "-o", tmp_path)
    result.assert_one_line_error("already contains a run", "--overwrite", "--output")
    assert "resume" not in result.err  # which nnpmm demo does not have
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("group", [["benchmark"], ["permeation"], ["permeation", "dataset"]])
def test_a_group_alone_shows_its_help_and_nothing_else(call, group):
    result = call(main, *group)
    assert (result.status, result.err) == (2, "")
    assert "Usage:" in result.out and "Commands" in result.out


@pytest.mark.parametrize(("word", "text"), [("help", "Usage:"), ("version", "nnpmm 0.")])
def test_words_in_place_of_options_are_explained(call, word, text):
    result = call(main, word)
    assert result.status == 0 and text in result.out


def every_command(group, path=()):
    """Yield the words of each command of a group, and of the groups in it."""
    yield list(path)
    for name, command in getattr(group, "commands", {}).items():
        yield from every_command(command, (*path, name))


def test_options_in_error_messages_exist(call):
    """Every --option that the sources of the package name is one of some command."""
    from conftest import ROOT

    known = set()
    for command in every_command(typer.main.get_command(app)):
        known |= set(re.findall(r"--[a-z][a-z-]+", call(main, *command, "--help").out))
    # Of other programs: pip, AmberTools, Open Babel.
    known |= {"--force-reinstall", "--no-deps", "--ph"}
    known |= {"--confab", "--conf", "--ecutoff", "--rcutoff"}
    for path in (ROOT / "nnpmm").rglob("*.py"):
        strings = re.findall(r"\"[^\"\n]*\"", path.read_text())
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(strings)))
        assert named <= known, f"{path}: {named - known}"
