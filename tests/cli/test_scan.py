"""``nnpmm scan``: output, continuation, and errors of bad input."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from nnpmm.cli.main import main
from nnpmm.torsions import scan as engine
from nnpmm.torsions import workflow

OPTIONS = ("scan", "--smiles", "CCCC", "--model", "ANI-1x", "--spacing", "60")


def test_from_smiles_to_report(call, tmp_path):
    folder = tmp_path / "scan"
    reference = tmp_path / "reference.csv"
    reference.write_text(
        "torsion,angle_degrees,energy_kcal_mol\n"
        + "".join(f"0-1-2-3,{a},{e}\n" for a, e in ((0, 5.5), (60, 0.6), (120, 3.3), (180, 0)))
    )
    answer = call(main, *OPTIONS, "--reference", reference, "-o", folder)
    assert answer.status == 0, answer.err
    assert "C1-C2" in answer.out and "report" in answer.out
    record = json.loads((folder / "result.json").read_text())
    (bond,) = record["bonds"]
    assert bond["torsion"] == [0, 1, 2, 3]
    assert bond["profiles"]["ANI-1x"]["rotamers_degrees"] == [-60.0, 60.0, 180.0]
    assert bond["against"] == "reference"
    # Gauche butane is 0.6 and the syn barrier 5.5 kcal/mol above anti (CCSD(T), rounded).
    assert bond["errors"]["ANI-1x"]["rotamer"] < 2.0
    rows = list(csv.DictReader((folder / "profiles.csv").open()))
    assert {row["potential"] for row in rows} == {
        "ANI-1x", "force field", "force field at the geometries of ANI-1x", "reference",
    }  # fmt: skip
    angles = [
        rdMolTransforms.GetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3)
        for molecule in Chem.SDMolSupplier(str(folder / "bond-C1-C2.sdf"), removeHs=False)
    ]
    off = np.array(angles) - np.array(record["angles_degrees"])
    assert np.abs((off + 180) % 360 - 180).max() < 0.05  # SDF has four digits
    assert (folder / "bond-C1-C2.png").stat().st_size > 1000
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 1 and "<svg" in page and "http" not in page.split("<svg")[0]


def test_command_resumes_and_repeats_nothing(call, tmp_path, monkeypatch):
    folder = tmp_path / "scan"
    options = (*OPTIONS, "--parameters", "none", "-o", folder)
    relax, calls = engine._relax_at, []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return relax(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_relax_at", broken)
        stopped = call(main, *options)
    assert stopped.status == 130 and "continue with the same command" in stopped.err
    calls.clear()
    steps = []
    monkeypatch.setattr(
        engine, "_relax_at", lambda *arguments: steps.append(1) or relax(*arguments)
    )
    assert call(main, *options).status == 0
    assert 4 <= len(steps) < 6 + 12
    first = (folder / "result.json").read_text()
    monkeypatch.setattr(engine, "_relax_at", None)
    assert call(main, *options).status == 0
    assert (folder / "result.json").read_text() == first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--smiles", "Cc1ccccc1", "--bond", "1-2"), "bond 1-2: found a bond of a ring"),
        (("--smiles", "CCCC", "--bond", "0-3"), "no bond between these atoms"),
        (("--smiles", "CCCC", "--bond", "1to2"), "two 0-based atom indices"),
        (("--smiles", "CCCC", "--bond", "1-2", "--bond", "2-1"), "allowed: each once"),
        (("--smiles", "CCCC", "--bond", "1-2", "--all"), "allowed: one of them"),
        (("--smiles", "c1ccccc1"), "found no rotatable bond"),
        (("--smiles", "CCBr", "--bond", "0-1"), "ANI-1x supports H, C, N, O"),
        (("--smiles", "CCC[NH3+]"), "only neutral molecules"),
        (("--smiles", "CCCC", "--spacing", "7"), "divisor of 360"),
        (("--smiles", "CCCC", "--parameters", "gaff"), "parameters"),
        (("--smiles", "CCCC", "--reference", "no-such-file.csv"), "cannot be read"),
        ((), "found no molecule"),
        (("--smiles", "CC(C"), "not a valid SMILES"),
    ],
)
def test_bad_input(call, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr(workflow, "scan_torsions", None)  # not reached
    monkeypatch.chdir(tmp_path)
    answer = call(main, "scan", *options, "--model", "ANI-1x")
    answer.assert_one_line_error(words)


def test_a_folder_of_another_molecule(call, tmp_path):
    assert call(main, *OPTIONS, "--parameters", "none", "-o", tmp_path / "a").status == 0
    answer = call(main, "scan", "--smiles", "CCCO", "--model", "ANI-1x", "-o", tmp_path / "a")
    answer.assert_one_line_error("was started with molecule smiles CCCC", "choose another folder")
