"""A table of molecules: one job each, which can be continued, and failures in one line each."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_ladders import METHANE

from nnpmm.campaigns import ClusterSettings, Output, Store
from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.settings.reading import parse_settings
from nnpmm.freeenergy.solvation import SolvationSettings
from nnpmm.freeenergy.solvation.campaign import (
    Molecule,
    campaign_jobs,
    read_molecules,
    run_solvation_campaign,
)
from nnpmm.freeenergy.solvation.summary import summarize, write_summary
from nnpmm.sampling import read_samples


def settings(**changes) -> SolvationSettings:
    return parse_settings(SolvationSettings, {**METHANE, **changes})


def table(folder: Path, text: str) -> Path:
    path = folder / "molecules.csv"
    path.write_text(text)
    return path


def test_table_of_molecules_is_read(tmp_path):
    path = table(
        tmp_path,
        "name,smiles,class,experiment\nmethane,C,alkane,2.00\n1,2-x/y,CC,,\n".replace(
            "1,2-x/y", '"1,2-x/y"'
        ),
    )
    first, second = read_molecules(path)
    assert first == Molecule("methane", "C", 2.0)
    assert second == Molecule("1,2-x/y", "CC", None)
    jobs = campaign_jobs([first, second], settings(), tmp_path)
    assert [job.name for job in jobs] == ["methane", "1_2-x_y"]
    assert jobs[1].folder == tmp_path / "molecules/1_2-x_y"
    assert jobs[1].inputs["settings"].solute.smiles == "CC"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nmethane\n", "found the columns name and 1 lines"),
        ("name,smiles\n", "name, smiles and 0 lines"),
        ("name,smiles\nmethane,\n", r"line 2: found name 'methane' and smiles ''"),
        ("name,smiles\na,C\na,CC\n", "line 3: found the name 'a' again"),
        ("name,smiles,experiment\na,C,low\n", "line 2: found the experiment 'low'"),
        ("name,smiles,experiment\na,C,inf\n", "found the experiment 'inf'"),
    ],
)
def test_bad_tables_give_one_line(tmp_path, text, words):
    with pytest.raises(InputFileError, match=words):
        read_molecules(table(tmp_path, text))


def test_job_key_depends_only_on_the_calculation(tmp_path):
    """The identity of a job depends on the solvent, but not on threads or its folder."""

    def key(folder: str, **changes) -> str:
        return campaign_jobs([Molecule("a", "C")], settings(**changes), tmp_path / folder)[0].key

    assert key("here") == key("there", threads=2)
    assert key("here") != key("here", solvent="spce")
    assert key("here") != key("here", temperature="310 K")


def test_summary_of_a_campaign(tmp_path):
    """Values in kcal/mol, agreement with experiment, and failures in words."""
    molecules = [Molecule("a", "C", 2.0), Molecule("b", "CC", 1.0), Molecule("c", "CCC")]
    wanted = settings(potentials=["network", "force field"])
    jobs, store = campaign_jobs(molecules, wanted, tmp_path), Store(tmp_path / "results")
    for job, shift in zip(jobs[:2], (0.5, -1.5), strict=True):
        measured = {"a": 2.0, "b": 1.0}[job.name]
        record = {
            "network": {"kcal/mol": measured + shift, "error_kcal/mol": 0.1},
            "force field": {"kcal/mol": measured - shift, "error_kcal/mol": 0.2},
        }
        store.save(job, Output({}, record))
    store.save_failure(jobs[2], ["seed 1: no", "seed 2: it blew up"], "")
    rows = summarize(molecules, jobs, store)
    assert rows[2].failure == "seed 2: it blew up"
    write_summary(tmp_path, rows, wanted)
    with open(tmp_path / "summary.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert found[0]["network"] == "2.500" and found[0]["force field error"] == "0.200"
    assert found[2]["network"] == "" and found[2]["failure"] == "seed 2: it blew up"
    record = json.loads((tmp_path / "summary.json").read_text())
    assert record["agreement"]["network"]["mae"] == pytest.approx(1.0)
    assert record["agreement"]["network"]["rmse"] == pytest.approx(1.25**0.5)
    assert record["molecules"][1]["network"]["value"] == pytest.approx(-0.5)
    page = (tmp_path / "summary.html").read_text()
    assert page.count("data:image/png;base64,") == 1 and "it blew up" in page
    assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_command_runs_a_table_of_molecules(call, tmp_path):
    """One molecule has a result and one cannot be read; a second call samples nothing."""
    path = table(tmp_path, "name,smiles,experiment\nmethane,C,2.00\nnonsense,C(,\n")
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps({name: METHANE[name] for name in METHANE if name != "solute"}))
    arguments = ("solvation", config, path, "-o", tmp_path / "out")
    result = call(main, *arguments)
    assert result.status == 1, result.err
    assert "methane" in result.out and "experiment     2.00" in result.out
    assert "not a valid SMILES" in result.out and "Not converged" in result.out
    assert "1 of 2 molecules have no result: nonsense" in result.err
    assert (tmp_path / "out/molecules/methane/report.html").exists()
    samples = read_samples(tmp_path / "out/molecules/methane/force-field/repeat-1").energies
    again = call(main, *arguments)
    assert again.status == 1
    after = read_samples(tmp_path / "out/molecules/methane/force-field/repeat-1").energies
    np.testing.assert_array_equal(after, samples)
    other = call(main, *arguments, "--solvent", "spce")
    other.assert_one_line_error("was started with solvent")


@pytest.mark.slow
def test_killed_campaign_resumes_within_a_molecule(tmp_path):
    path = table(tmp_path, "name,smiles\nmethane,C\n")
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps({name: METHANE[name] for name in METHANE if name != "solute"}))
    code = "from nnpmm.cli.entry import nnpmm; nnpmm()"
    command = [sys.executable, "-c", code, "solvation", config, path, "-o", tmp_path / "out"]
    ladder = tmp_path / "out/molecules/methane/force-field/repeat-1"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 600
    while not (ladder / "checkpoint.safetensors").exists() or not len(
        before := read_samples(ladder).energies
    ):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(before) == 10
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    after = read_samples(ladder).energies
    assert len(after) == 20
    np.testing.assert_array_equal(after[:10], before)


def test_other_settings_are_refused_before_anything_runs(tmp_path):
    molecules = [Molecule("methane", "C")]
    (job,) = campaign_jobs(molecules, settings(), tmp_path)
    job.folder.mkdir(parents=True)
    from nnpmm.campaigns import derived_seed
    from nnpmm.freeenergy.legs import claim_folder

    own = job.inputs["settings"].model_copy(
        update={"seed": derived_seed(job.seed, job.name, 0), "temperature": 310.0}
    )
    claim_folder(own, job.folder, resume=False)
    (job.folder / "force-field").mkdir()  # something was sampled
    with pytest.raises(ConfigError, match="started with temperature"):
        run_solvation_campaign(
            molecules, settings(), tmp_path, cluster=ClusterSettings(kind="serial")
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], ["none.csv", "cannot be read"]),
        (["a.csv", "b.csv"], ["0 settings files and 2 tables"]),
        (["a.csv", "--smiles", "C"], ["a table of molecules", "and a molecule"]),
    ],
)
def test_bad_arguments_with_a_table_give_one_line(call, tmp_path, arguments, words):
    call(main, "solvation", *arguments, "-o", tmp_path / "out").assert_one_line_error(*words)
