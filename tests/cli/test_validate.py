"""``nnpmm validate``: output, files, exit status, and openmm-ml's own models."""

from __future__ import annotations

import json

import pytest
from conftest import model_directory
from rdkit import Chem

from nnpmm.cli.main import main
from nnpmm.cli.validate import _load
from nnpmm.models import FunctionModel, registry
from nnpmm.models.validation import validate
from nnpmm.models.validation.forces import FORCES
from nnpmm.structures import molecule_from_smiles

OPTIONS = ("validate", "ANI-1x", "--molecule", "O")


def test_valid_model_passes(call, tmp_path):
    answer = call(main, *OPTIONS, "--output", tmp_path / "report")
    assert answer.status == 0, answer
    assert "forces" in answer.out and "≤ 0.5 (2)" in answer.out and "ANI-1x: pass" in answer.out
    assert "central differences of the energy" in answer.out  # a wide terminal has room for it
    record = json.loads((tmp_path / "report" / "validation.json").read_text())
    assert record["checks"]["forces"]["molecules"]["O"]["verdict"] == "pass"
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".json", ".png", ".svg"}
    narrow = call(main, *OPTIONS, columns=80)
    assert max(map(len, narrow.out.splitlines())) <= 80


def test_json_on_stdout_and_molecule_from_a_file(call, tmp_path, monkeypatch):
    path = tmp_path / "drop.sdf"
    path.write_text(Chem.MolToMolBlock(molecule_from_smiles("O")) + "$$$$\n")
    load = registry.load_model

    def loud(*arguments, **options):
        print("as torchani does")
        return load(*arguments, **options)

    monkeypatch.setattr("nnpmm.models.load_model", loud)
    answer = call(main, "validate", "ANI-1x", "--molecule", path, "--json")
    record = json.loads(answer.out)
    assert record["verdict"] == "pass" and "as torchani does" in answer.err
    assert list(record["checks"]["speed"]["molecules"]) == ["drop"]


def test_broken_model_gives_status_1(call, monkeypatch):
    model = FunctionModel(lambda x, numbers, charge: (float((x**2).sum()), -0.2 * x), "broken")
    monkeypatch.setattr("nnpmm.models.load_model", lambda *arguments, **options: model)
    answer = call(main, "validate", "broken", "--molecule", "O")
    assert answer.status == 1 and answer.err == ""
    assert "fail: forces, O: forces are 0.1000 times -dE/dx" in answer.out
    assert "a factor of 10 is nanometre against angstrom" in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "found the model 'nonsense'"),
        (("ANI-1x", "--molecule", "C(("), "not a valid SMILES"),
        (("ANI-1x", "--molecule", "missing.sdf"), "found no file missing.sdf"),
        (("ANI-1x", "--molecule", "[NH4+]"), "charge of +1 e"),
        (("ANI-1x", "--family", "nobody"), "found the model family 'nobody'"),
        (("ANI-1x", "--precision", "half"), "found the precision 'half'"),
        (("ani2x", "--family", "openmm-ml", "--precision", "double"), "takes: device"),
    ],
)
def test_bad_input(call, tmp_path, monkeypatch, arguments, words):
    pytest.importorskip("openmmml")
    monkeypatch.chdir(tmp_path)
    call(main, "validate", *arguments).assert_one_line_error(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.data
def test_the_factor_of_ten_of_openmm_mls_own_ani(tmp_path, monkeypatch):
    """The name is nnpmm's own ANI-2x, and with the family openmm-ml's."""
    pytest.importorskip("openmmml")
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(model_directory()))
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "torchani").symlink_to(model_directory(), target_is_directory=True)
    monkeypatch.setenv("HOME", str(tmp_path))  # torchani looks for its files there
    own, theirs = (
        _load("ani2x", None, "auto", "single"),
        _load("ani2x", "openmm-ml", "cpu", "single"),
    )
    (finding,) = validate(own, ["O"], checks=[FORCES]).findings
    assert finding.verdict == "pass"
    (finding,) = validate(theirs, ["O"], checks=[FORCES]).findings
    assert finding.verdict == "fail" and finding.note.startswith("forces are 0.1000 times -dE/dx")
