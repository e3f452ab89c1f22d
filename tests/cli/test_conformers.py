"""``nnpmm conformers``: output, continuation, and errors of bad input."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from complexes import side_by_side, write_pdb
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from nnpmm.cli.main import main
from nnpmm.conformers import workflow

OPTIONS = ("conformers", "--smiles", "CCCC", "--model", "ANI-1x", "--count", "12")


def test_butane_from_smiles_to_report(call, tmp_path):
    folder = tmp_path / "found"
    answer = call(main, *OPTIONS, "-o", folder)
    assert answer.status == 0, answer.err
    assert "report" in answer.out
    record = json.loads((folder / "result.json").read_text())
    anti, gauche = record["conformers"]
    # Gauche is 0.6 kcal/mol above anti (CCSD(T)), and there are two of it.
    assert gauche["energy"] / 4.184 == pytest.approx(0.6, abs=0.25)
    assert gauche["weight"] == pytest.approx(2 * anti["weight"])
    share = 2 * np.exp(-gauche["energy"] / (8.314e-3 * 298.15))
    assert anti["population"] == pytest.approx(1 / (1 + share), abs=1e-3)
    angles = [
        abs(rdMolTransforms.GetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3))
        for molecule in Chem.SDMolSupplier(str(folder / "conformers.sdf"), removeHs=False)
    ]
    assert angles == pytest.approx([180.0, 65.0], abs=4.0)
    rows = list(csv.DictReader((folder / "conformers.csv").open()))
    assert [row["copies"] for row in rows] == ["1", "2"]
    assert sum(float(row["population_percent"]) for row in rows) == pytest.approx(100, abs=0.2)
    assert (folder / "conformers.png").stat().st_size > 1000
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 1 and "<canvas" in page and "http" not in page.split("<img")[0]


def test_strain_of_a_pose_in_water_and_harmonic_free_energies(call, tmp_path):
    """The strain of a pose at another minimum is the energy difference of the two minima."""
    topology, positions = side_by_side([("HOH", "O"), ("LIG", "CCO")])
    path = write_pdb(tmp_path / "complex.pdb", topology, positions)
    folder = tmp_path / "found"
    answer = call(
        main, "conformers", "--smiles", "CCO", "--model", "ANI-1x", "--count", "8",
        "--pose", path, "--selection", "resname LIG", "--solvent", "water",
        "--parameters", "fallback", "--free-energies", "-o", folder,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    record = json.loads((folder / "result.json").read_text())
    strain, energies = record["strain"], [c["energy"] for c in record["conformers"]]
    assert min(abs(strain["minimum"] - energy) for energy in energies) < 0.1
    assert strain["restrained"] >= strain["minimum"] - 0.1
    assert strain["moved_nm"] < 0.03 + 0.01
    assert "strain of the pose" in answer.out
    assert any("implicit water" in text for text in record["methods"])
    poses = list(Chem.SDMolSupplier(str(folder / "pose.sdf"), removeHs=False))
    centre = poses[0].GetConformer().GetPositions().mean(axis=0)
    there = 10 * np.array(positions.value_in_unit(positions.unit))[3:].mean(axis=0)
    assert np.linalg.norm(centre - there) < 0.5  # angstrom: where the complex is


def test_command_resumes_and_repeats_nothing(call, tmp_path, monkeypatch):
    folder = tmp_path / "found"
    options = (*OPTIONS[:2], "CCCO", *OPTIONS[3:], "-o", folder)
    monkeypatch.setattr(workflow, "_BLOCK", 2)
    relax, calls = workflow.relax_all, []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return relax(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "relax_all", broken)
        stopped = call(main, *options)
    assert stopped.status == 130 and "continue with the same command" in stopped.err
    blocks = []
    with monkeypatch.context() as patch:
        patch.setattr(workflow, "generate", None)  # not reached
        patch.setattr(
            workflow, "relax_all", lambda *arguments: blocks.append(1) or relax(*arguments)
        )
        assert call(main, *options).status == 0
    assert 0 < len(blocks)
    first = (folder / "result.json").read_text()
    monkeypatch.setattr(workflow, "relax_all", None)
    assert call(main, *options).status == 0
    assert (folder / "result.json").read_text() == first
    # Another window is another question to the same geometries.
    assert call(main, *options, "--window", "1").status == 0


def test_damaged_files_are_recalculated(call, tmp_path):
    folder = tmp_path / "found"
    assert call(main, *OPTIONS, "-o", folder).status == 0
    first = (folder / "result.json").read_text()
    for path in (folder / "stages").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert call(main, *OPTIONS, "-o", folder).status == 0
    assert (folder / "result.json").read_text() == first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("found no molecule",)),
        (("--smiles", "CC(C"), ("not a valid SMILES",)),
        (("--smiles", "CCBr"), ("ANI-1x supports H, C, N, O",)),
        (("--smiles", "CCC[NH3+]"), ("only neutral molecules",)),
        (("--smiles", "C" * 14, "--generator", "systematic"), ("11 rotatable bonds", "etkdg")),
        (("--smiles", "CCCC", "--generator", "crest"), ("'etkdg', 'systematic', 'confab'",)),
        (
            ("--smiles", "CCCC", "--generator", "etkdg", "--generator", "etkdg"),
            ("allowed: each once",),
        ),
        (("--smiles", "CCCC", "--solvent", "octanol"), ("'vacuum', 'water'",)),
        (("--smiles", "CCCC", "--count", "0"), ("count",)),
        (("--smiles", "CCCC", "--window", "-1"), ("window",)),
        (("--smiles", "CCCC", "--temperature", "0 K"), ("temperature",)),
        (("--smiles", "CCCC", "--pose", "complex.pdb"), ("require each other",)),
        (
            ("--smiles", "CCCC", "--pose", "none.pdb", "--selection", "resname LIG"),
            ("none.pdb: no such file",),
        ),
        (("--ligand", "none.sdf"), ("found no file",)),
        (
            ("--topology", "a.prmtop", "--coordinates", "a.inpcrd", "--parameters", "openff"),
            ("found parameters 'openff'", "'topology'"),
        ),
    ],
)
def test_bad_input(call, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr(workflow, "relax_all", None)  # not reached
    monkeypatch.chdir(tmp_path)
    answer = call(main, "conformers", *options, "--model", "ANI-1x")
    answer.assert_one_line_error(*words)


def test_a_molecule_that_cannot_be_embedded(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = call(main, "conformers", "--smiles", "C1#CC1", "--model", "ANI-1x")
    answer.assert_one_line_error("found no 3D conformer for the SMILES 'C1#CC1'")


def test_another_ligand_than_the_pose(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    topology, positions = side_by_side([("HOH", "O"), ("LIG", "CCO")])
    path = write_pdb(tmp_path / "complex.pdb", topology, positions)
    answer = call(
        main, "conformers", "--smiles", "CC=O", "--model", "ANI-1x",
        "--pose", path, "--selection", "resname LIG",
    )  # fmt: skip
    answer.assert_one_line_error("found C2H6O, the ligand is C2H4O")


def test_a_folder_of_another_molecule(call, tmp_path):
    assert call(main, *OPTIONS, "-o", tmp_path / "a").status == 0
    answer = call(main, "conformers", "--smiles", "CCCO", "--model", "ANI-1x", "-o", tmp_path / "a")
    answer.assert_one_line_error("was started with molecule smiles CCCC", "choose another folder")
