"""``nnpmm benchmark`` as a user calls it."""

from __future__ import annotations

import json

import pytest
from rdkit import Chem

from nnpmm.cli.main import main


def test_ani_prints_a_table_and_writes_json(call, paracetamol, tmp_path):
    output, path = tmp_path / "ani.json", tmp_path / "paracetamol.pdb"
    Chem.MolToPDBFile(paracetamol, str(path))
    result = call(
        main, "benchmark", "ani", path, "--model", "ANI-1x", "--backends", "cpu,reference",
        "--rounds", "2", "--output", output,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "cpu" in result.out
    assert "x bound" in result.out
    rows = json.loads(output.read_text())["results"]["rows"]
    assert [row["backend"] for row in rows] == ["cpu", "reference"]
    assert rows[0]["energy_error"] < 0.01
    assert rows[0]["atoms"] == 20


def test_md_compares_with_the_force_field(call, tmp_path):
    output, settings = tmp_path / "md.json", tmp_path / "md.yaml"
    settings.write_text(
        "system: {type: build, smiles: CO, padding: 0.6 nm, cutoff: 0.7 nm}\n"
        "region: {model: ANI-1x}\n"
        "platform: {name: Reference}\n"
        "stages: {production: {length: 1 ps}}\n"
    )
    result = call(
        main, "benchmark", "md", settings, "--model", "ANI-1x", "--backends", "cpu",
        "--rounds", "1", "--steps", "2", "--output", output,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "NNP/MM cpu" in result.out
    results = json.loads(output.read_text())["results"]
    assert results["platform"] == "Reference"
    assert set(results["ms_per_step"]) == {"MM", "cpu"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["ani", "--model", "ANI-1x", "--backends", "gpu"],
            "found the backend 'gpu', available: auto, cpu",
        ),
        (["ani", "--model", "ANI-9"], "found the model 'ANI-9', known: ANI-2x"),
        (["ani", "missing.pdb"], "missing.pdb"),
        (["md", "missing.yaml"], "missing.yaml"),
        (["ani", "--rounds", "0"], "--rounds"),
        (["ani", "--model", "model.pt"], "model.pt"),
    ],
)
def test_bad_input_is_one_line(call, arguments, message):
    call(main, "benchmark", *arguments).assert_one_line_error(message)
