"""The commands: output, and one line for every error."""

import sys

import pytest
from martini_cases import needs_gmx

from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.permeation.dataset.folder import DatasetSettings, open_dataset
from nnpmm.permeation.runs.protocol import preset

TINY = [
    *("--set", "lipids_per_leaflet=16", "--set", "waters_per_lipid=6"),
    *("--set", "bilayer_relaxation=20", "--set", "nvt=10", "--set", "npt=20"),
    *("--set", "production=60 ps", "--set", "frame_interval=30 ps", "--engine", "gromacs"),
]


def main():
    run_app(permeation, sys.argv[1:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lipids", "DSPC"], ["'DSPC'", "known lipids: DPPC, DOPC"]),
        (["--solutes", "C1-X"], ["'X'", "known beads", "trimers:N"]),
        (["--solutes", "C1-Qa"], ["charged Qa", "neutral beads"]),
        (["--solutes", "C1.C1"], ["not bonded to the rest"]),
        (["--preset", "long"], ["'long'", "known presets: paper, short"]),
        (["--engine", "charmm"], ["'charmm'", "known engines: auto, gromacs, openmm"]),
        (["--set", "lipid=3"], ["lipid: Extra inputs", "lipids_per_leaflet"]),
        (["--set", "production=-1 ns"], ["production", "greater than 0"]),
        (["--set", "production=1e300"], ["production", "less than or equal to"]),
        (["--set", "production=5"], ["settings: a production of 5 ps with a frame every 60 ps"]),
        (["--set", "temperature=-10"], ["temperature", "greater than or equal to 200"]),
        (["--set", "temperature=27"], ["temperature", "greater than or equal to 200"]),
        (["--set", "temperature=27 C"], ["settings: temperature: found the unit 'C'"]),
        (["--set", "lipids_per_leaflet=1000000000"], ["lipids_per_leaflet", "10000"]),
        (["--set", "water_box=-3"], ["water_box", "greater than 0"]),
        (["--cluster", "pbs"], ["'pbs'", "local, serial, or a YAML file"]),
        (["--workers", "0"], ["'--workers'", "1"]),
        (["--seed", "0"], ["'--seed'", "1"]),
    ],
)
def test_bad_arguments_give_one_line_and_no_files(call, tmp_path, arguments, words):
    folder = tmp_path / "set"
    call(main, "dataset", "build", "-o", folder, *arguments).assert_one_line_error(*words)
    assert not folder.exists()


def test_bilayer_too_small_for_the_cutoff_is_refused(call, tmp_path):
    arguments = ["--cluster", "serial", "--set", "lipids_per_leaflet=9", "--solutes", "C1"]
    found = call(main, "dataset", "build", "-o", tmp_path / "set", *arguments)
    found.assert_one_line_error("at least 2.75 nm for the cutoff", "more lipids")


def test_missing_gmx_is_reported(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["--engine", "gromacs", "--cluster", "serial", "-o", tmp_path / "set"]
    found = call(main, "dataset", "build", *arguments)
    found.assert_one_line_error("found no gmx on the PATH", "apt install gromacs")


def test_invalid_data_sets_are_refused(call, tmp_path):
    path = tmp_path / "dataset.json"
    for text, words in (
        ("{}", ("no valid settings of a data set: protocol: Field required",)),
        ("[1,", ("cannot be read",)),
        ("[]", ("no valid settings of a data set",)),
    ):
        path.write_text(text)
        found = call(main, "dataset", "status", "-o", tmp_path)
        found.assert_one_line_error("dataset.json", *words)
        assert "pydantic" not in found.err
    call(main, "dataset", "status", "-o", path).assert_one_line_error("Not a directory")
    export = ["dataset", "export", "x.csv", "-o", tmp_path]
    call(main, *export).assert_one_line_error("ends in '.csv', expected .safetensors")


def test_missing_data_set_is_reported(call, tmp_path):
    for command in (["dataset", "status"], ["dataset", "export", tmp_path / "x.safetensors"]):
        found = call(main, *command, "-o", tmp_path / "none")
        found.assert_one_line_error("found no dataset.json", "dataset build")
    found = call(main, "label", "linear", "-o", tmp_path / "none")
    found.assert_one_line_error("found no dataset.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decouple", "--lipid", "DSPC"], ["'DSPC'", "known lipids: DPPC, DOPC"]),
        (["umbrella", "--lipid", "DSPC"], ["'DSPC'", "known lipids: DPPC, DOPC"]),
        (["decouple", "--solutes", "C1-Qd"], ["charged Qd", "neutral beads"]),
        (["umbrella", "--solutes", "C1.P4"], ["not bonded to the rest"]),
        (["umbrella", "--set", "height=3"], ["height: Extra inputs", "known settings: top"]),
        (["decouple", "--set", "states=1"], ["states", "greater than or equal to 3"]),
        (["umbrella", "--engine", "charmm"], ["'charmm'", "known engines: auto"]),
        (["decouple", "--threads", "0"], ["'--threads'", "1"]),
        (["linear", "--lipid", "POPC"], ["found no finished simulations"]),
    ],
)
def test_bad_arguments_for_labels_give_one_line(call, data_set, arguments, words):
    call(main, "label", *arguments, "-o", data_set).assert_one_line_error(*words)
    assert [path.name for path in data_set.iterdir()] == ["dataset.json"]


@pytest.mark.parametrize("command", ["decouple", "umbrella"])
def test_labels_report_missing_gmx(call, data_set, monkeypatch, command):
    monkeypatch.setenv("PATH", str(data_set))
    engine = ["--engine", "gromacs"] if command == "umbrella" else []
    found = call(main, "label", command, *engine, "-o", data_set)
    found.assert_one_line_error("found no gmx on the PATH", "apt install gromacs")


@pytest.fixture
def data_set(tmp_path):
    """Return the folder of a data set without results."""
    settings = DatasetSettings(
        protocol=preset("short"), engine="gromacs", lipids=["DOPC"], solutes=["C1"]
    )
    open_dataset(tmp_path / "begun", settings)
    return tmp_path / "begun"


@pytest.mark.slow
@needs_gmx
def test_build_status_export_and_label(call, tmp_path):
    folder = tmp_path / "set"
    build = ["dataset", "build", "--solutes", "C1,P4", "--cluster", "serial", *TINY, "-o", folder]
    found = call(main, *build)
    assert found.status == 0 and "4 jobs done now, 0 existed, 0 failed" in found.out
    assert "0 jobs done now, 4 existed" in call(main, *build).out
    found = call(main, "dataset", "status", "-o", folder)
    assert [line.split("│")[1:5] for line in found.out.splitlines() if "DOPC" in line] == [
        [" DOPC  ", "    2 ", "      0 ", "       0 "]
    ]
    file = tmp_path / "all.safetensors"
    assert "2 samples" in call(main, "dataset", "export", file, "-o", folder).out
    found = call(main, "label", "linear", "--solutes", "C1,P4", "-o", folder)
    found.assert_one_line_error("anchors none", "label decouple")
