"""Malicious, huge or damaged settings files give one short line."""

from __future__ import annotations

import pytest

from nnpmm.core.errors import ConfigError, InputFileError, NnpmmError
from nnpmm.simulation import load_config, parse_config

HEAD = """system: {type: build, smiles: CO}
region: {model: ANI-2x}
"""
BUILD = {"system": {"type": "build", "smiles": "CO"}, "region": {"model": "ANI-2x"}}


def refused(tmp_path, text, error=ConfigError):
    """Return the error message for a settings file."""
    path = tmp_path / "md.yaml"
    path.write_text(text)
    with pytest.raises(error) as raised:
        load_config(path)
    message = str(raised.value)
    assert "\n" not in message and len(message) < 500
    return message


def bomb(levels):
    """Return lists of ten aliases each, nested: 10^levels values."""
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    for k in range(1, levels):
        lines.append(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]")
    return lines


@pytest.mark.parametrize("levels", [5, 12])
def test_aliases_that_expand_to_many_values_are_refused(tmp_path, levels):
    *earlier, last = bomb(levels)
    text = "\n".join([*earlier, last.replace(f"a{levels - 1}:", "timestep:", 1)])
    assert "values, most of them by aliases" in refused(tmp_path, text)


def test_recursive_alias_is_refused(tmp_path):
    message = refused(tmp_path, HEAD + "timestep: &a [*a, *a]\n")
    assert "an alias inside the value that it refers to" in message


@pytest.mark.parametrize(
    "value", ["[" * 3000 + "]" * 3000, "{a: " * 3000 + "1" + "}" * 3000, "[" * 100_000]
)
def test_deep_nesting_is_refused(tmp_path, value):
    assert "in line 3: nested deeper than 20" in refused(tmp_path, f"{HEAD}timestep: {value}\n")


def test_deep_nesting_by_indents_is_refused(tmp_path):
    lines = [" " * k + "a:" for k in range(900)]
    assert "in line 20: nested deeper than 20" in refused(tmp_path, "\n".join(lines))


def test_too_large_files_are_refused(tmp_path):
    message = refused(tmp_path, HEAD + "# " + "x" * 1_000_000, InputFileError)
    assert "larger than 1000 kB" in message


@pytest.mark.parametrize(
    "line",
    [
        "timestep: " + "9" * 5000,
        "timestep: " + "9" * 400,
        "timestep: 2001-99-99",
        "timestep: " + "x" * 100_000,
        "timestep: [" + "1, " * 5000 + "1]",
        "seed: " + "9" * 400,
        "x" * 100_000 + ": 1",
        "output: {directory: " + "x" * 100_000 + "}",
        "ensemble: {type: " + "x" * 100_000 + "}",
        "ensemble: " + "x" * 100_000,
        "ensemble: {temperature: 5 " + "x" * 100_000 + "}",
    ],
)
def test_too_large_values_are_refused(tmp_path, line):
    refused(tmp_path, HEAD + line + "\n")


def test_alias_is_accepted(tmp_path):
    path = tmp_path / "md.yaml"
    path.write_text(HEAD + "stages: {equilibrate: &e {length: 2 ps}, production: *e}\n")
    assert load_config(path).stages.production.length == 2.0


@pytest.mark.parametrize("name", ["", "\n", "LIG\n", "L G", "LIGA", "Ä", "L-1"])
def test_invalid_residue_names_are_refused(name):
    with pytest.raises(ConfigError, match=r"system\.residue_name: found .*, allowed: one to three"):
        parse_config({**BUILD, "system": {**BUILD["system"], "residue_name": name}})


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("a\0b", "without control characters"),
        ("a\nb", "without control characters"),
        ("x" * 256, "a name in it with 256, allowed: at most 4000 and 255"),
        ("ä" * 130, "a name in it with 260"),
        ("/".join(["a" * 200] * 30), "found a path with 6"),
        ("~no-such-user/x", "there is no such user"),
        ("", "found an empty text"),
    ],
)
def test_invalid_paths_are_refused(directory, message):
    settings = [{"output": {"directory": directory}}, {"system": {"type": "build"}}]
    settings[1]["system"]["ligand"] = directory
    for change in settings:
        with pytest.raises(ConfigError, match=message):
            parse_config({**BUILD, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"output": {"trajectory_interval": "1e30 ps"}},
        {"output": {"log_interval": 1e300}},
        {"output": {"checkpoint_interval": "1e12 ns"}},
        {"stages": {"production": {"length": "1e40 ps"}}},
    ],
)
def test_too_long_times_are_refused(change):
    with pytest.raises(ConfigError, match=r"allowed: at most 1e\+09 ps, which are 1e\+12 steps"):
        parse_config({**BUILD, **change})


def test_too_many_frames_are_refused():
    stages = {"production": {"length": "10 us"}}
    with pytest.raises(ConfigError, match=r"makes 1e\+10 frames .* at most 2147483647"):
        parse_config({**BUILD, "stages": stages, "output": {"trajectory_interval": "1 fs"}})


def test_production_of_more_than_2_to_the_31_steps_is_accepted():
    stages = {"production": {"length": "10 us"}}
    assert parse_config({**BUILD, "stages": stages}).stages.production.length == 1e7


def test_messages_truncate_long_settings():
    with pytest.raises(NnpmmError) as raised:
        parse_config({**BUILD, "region": {"model": "ANI-2x", "members": ["x" * 10_000]}})
    assert len(str(raised.value)) < 300
