"""nnpmm graphs: pre-training, a property, predictions, a kill, and errors of bad input."""

from __future__ import annotations

import csv
import io

import pytest
import yaml
from killing import finish, kill_when

from nnpmm.cli.entry import nnpmm as main
from nnpmm.core.arrays import load_record

ACIDS = [f"{'C' * n}C(=O)O" for n in range(1, 13)]
ALCOHOLS = [f"{'C' * n}O" for n in range(1, 13)]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    rows = [f"{text},{0.5 * text.count('C') - 1.0}" for text in ACIDS + ALCOHOLS]
    path.write_text("\n".join(["smiles,logp", *rows]) + "\n")
    return path


def settings_file(data, **changes):
    values = {"molecules": [data.name], "conformers": 1, "batch": 8, "epochs": 2,
              "network": {"width": 8, "layers": 1}}  # fmt: skip
    path = data.parent / "pretraining.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def test_pretrain_finetune_predict(call, data, tmp_path):
    answer = call(main, "graphs", "pretrain", settings_file(data), "-o", tmp_path / "pre")
    assert answer.status == 0 and "24 molecules, 2 epochs: loss" in answer.out
    assert (tmp_path / "pre" / "learning.png").stat().st_size > 1000
    answer = call(
        main, "graphs", "finetune", "--data", data, "--value", "logp", "--members", 2,
        "--pretrained", tmp_path / "pre" / "model.json", "-o", tmp_path / "logp",
    )  # fmt: skip
    assert answer.status == 0 and "test: 2 molecules, MAE" in answer.out
    assert (tmp_path / "logp" / "learning.png").stat().st_size > 1000
    model = tmp_path / "logp" / "model.json"
    answer = call(
        main, "graphs", "predict", model, "--smiles", "OCC", "--molecules", data,
        "-o", tmp_path / "out.csv",
    )  # fmt: skip
    assert answer.status == 0
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert len(rows) == 25 and rows[0]["smiles"] == "CCO" and float(rows[0]["error"]) > 0
    assert rows == list(csv.DictReader((tmp_path / "out.csv").open()))


def test_templates_are_valid(call, data, tmp_path):
    for command in ("pretrain", "finetune"):
        answer = call(main, "graphs", command, "--template")
        assert answer.status == 0
        assert isinstance(yaml.safe_load(answer.out), dict)


@pytest.mark.slow
def test_killed_pretraining_resumes(data, tmp_path):
    config = settings_file(data, epochs=60)
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    def is_on_its_way(folder) -> bool:
        path = folder / "checkpoint.safetensors"
        return path.exists() and len(load_record(path)["curve"]) >= 3

    kill_when(lambda _: is_on_its_way(killed), killed, "graphs", "pretrain", config, "-o", killed)
    assert not (killed / "model.json").exists()
    for folder in (killed, whole):
        finish("graphs", "pretrain", config, "-o", folder)
    name = "model.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_bad_arguments_give_one_line(call, data, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("smiles,logp\nCCO,1\nC1CC,2\n")
    config = settings_file(data)
    assert call(main, "graphs", "pretrain", config, "-o", tmp_path / "a").status == 0
    other = settings_file(data, conformers=2)
    cases = (
        (("pretrain",), "found no molecules"),
        (("pretrain", "--molecules", bad, "-o", tmp_path / "b"), "line 3", "C1CC"),
        (("pretrain", other, "-o", tmp_path / "a"), "was started with conformers 1, found 2"),
        (("finetune",), "found no data"),
        (
            ("finetune", "--data", data, "--value", "x", "-o", tmp_path / "c"),
            "expected 'x' as well",
        ),
        (("predict", tmp_path / "a" / "none.json", "--smiles", "CC"), "cannot be read"),
    )
    for arguments, *words in cases:
        call(main, "graphs", *arguments).assert_one_line_error(*words)
