"""``nnpmm fit-torsions``: files and RMSEs of a refit, and errors of bad input."""

from __future__ import annotations

import json

import openmm

from nnpmm.cli.main import main


def test_from_a_scan_to_a_force_field(call, tmp_path):
    folder = tmp_path / "scan"
    scan = ("scan", "--smiles", "CCCO", "--model", "ANI-1x", "--spacing", "30", "-o", folder)
    assert call(main, *scan).status == 0
    answer = call(main, "fit-torsions", folder, "--conformers", "5")
    assert answer.status == 0, answer.err
    assert "conformers" in answer.out and "C1-C2" in answer.out
    record = json.loads((folder / "refit" / "refit.json").read_text())
    (rmse,) = record["rmse"].values()
    assert rmse["after"] < 0.5 * rmse["before"]
    assert record["held_out"]["conformers"] == 5
    system = openmm.XmlSerializer.deserialize((folder / "refit" / "system.xml").read_text())
    assert system.getNumParticles() == 12
    for name in ("refitted.xml", "refitted.frcmod", "refitted.mol2", "bond-C1-C2.png"):
        assert (folder / "refit" / name).stat().st_size > 100
    assert "New terms" in (folder / "refit" / "report.html").read_text()


def test_without_a_scan(call, tmp_path):
    answer = call(main, "fit-torsions", tmp_path / "nothing")
    answer.assert_one_line_error("contains no torsion scan", "nnpmm scan")


def test_a_scan_without_a_force_field(call, tmp_path):
    options = ("--model", "ANI-1x", "--spacing", "60", "--parameters", "none", "-o", tmp_path / "a")
    assert call(main, "scan", "--smiles", "CCCC", *options).status == 0
    answer = call(main, "fit-torsions", tmp_path / "a")
    answer.assert_one_line_error("without a force field")
