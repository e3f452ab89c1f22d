"""Bad input to prepare-nnp: one line on stderr, exit status 2, nothing left behind."""

from __future__ import annotations

import shutil

import pytest
from complexes import side_by_side, write_pdb
from conftest import call_script, shared_data
from rdkit import Chem

from nnpmm.cli.main import main as nnpmm_main
from nnpmm.cli.prepare import main

LIGANDS = {
    "DRG": "CC(=O)Nc1ccc(O)cc1",
    "CLB": "Clc1ccccc1",
    "ACE": "CC(=O)[O-]",
    "HOH": "O",
}


@pytest.fixture(scope="module")
def structure(tmp_path_factory):
    """One PDB file with a drug, chlorobenzene, acetate and water side by side."""
    path = tmp_path_factory.mktemp("input") / "complex.pdb"
    return write_pdb(path, *side_by_side(LIGANDS.items()))


@pytest.fixture(autouse=True)
def no_model_directory(monkeypatch):
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)


@pytest.fixture
def refused(call, structure, tmp_path):
    """Run prepare-nnp; check that it gives one line with these words and writes nothing."""

    def check(*words, path=structure, selection="resname DRG", model="ANI-1x", more=()):
        out = tmp_path / "out"
        arguments = (path, "--selection", selection, "--model", model, "-o", out, *more)
        result = call(main, *arguments)
        result.assert_one_line_error(*words)
        assert result.out == ""
        assert not out.exists()
        return result

    return check


# The command runs as for a user, each row in a separate process.
SCRIPT_ROWS = {
    "selection that matches nothing": (
        ("--selection", "resname LIG", "--model", "ANI-1x"),
        ("resname LIG matches nothing", "residue names here: ACE, CLB, DRG, HOH"),
    ),
    "element the model does not know": (
        ("--selection", "resname CLB", "--model", "ANI-1x"),
        ("contains Cl, but ANI-1x supports H, C, N, O", "use another model"),
    ),
    "charged region": (
        ("--selection", "resname ACE", "--model", "ANI-1x"),
        ("(C2H3O2) has formal charge -1", "neutral"),
    ),
    "no weights": (
        ("--selection", "resname DRG", "--model", "ANI-2x"),
        ("found no weights of ANI-2x", "NNPMM_OFFLINE", "NNPMM_MODEL_DIR"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", SCRIPT_ROWS)
def test_the_installed_script(structure, tmp_path, row):
    arguments, words = SCRIPT_ROWS[row]
    result = call_script("prepare-nnp", structure, *arguments, cwd=tmp_path)
    result.assert_one_line_error(*words)
    assert result.out == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(structure, tmp_path):
    result = call_script(
        "prepare-nnp", structure, "--selection", "resname LIG", "--debug", cwd=tmp_path
    )
    assert result.status != 0
    assert "Traceback (most recent call last)" in result.err
    assert "SelectionError" in result.err
    assert list(tmp_path.iterdir()) == []


def test_selection_that_matches_everything(refused):
    refused("matches all", "narrow it", selection="mass > 0")


def test_selection_that_cannot_be_read(refused):
    refused("cannot read the selection", "mdtraj", selection="resname (")


def test_region_that_cuts_bonds(refused):
    refused(
        "cuts 9 covalent bonds",
        "select whole molecules",
        selection="resname DRG and not element H",
    )


@pytest.mark.data
def test_region_that_cuts_a_peptide(refused):
    path = shared_data("toluene/alanine-dipeptide-explicit.pdb")
    refused("cuts 2 covalent bonds", "ALA", path=path, selection="resname ALA")


def test_unknown_model(refused):
    refused("'ANI-9x'", "known: ANI-2x, ANI-1x, ANI-1ccx", model="ANI-9x")


def test_a_model_that_cannot_be_exported(refused, tmp_path):
    (tmp_path / "x.pt").write_bytes(b"")
    refused("x.pt", "exports only ANI and AIMNet2", model=tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("8", ("[8]", "[0, 1, 2, 3, 4, 5, 6, 7]")),
        ("1,1", ("[1, 1]", "once")),
        ("one", ("--members 'one'", "0 or 0,3")),
        ("", ("--members ''",)),
    ],
)
def test_members(refused, members, words):
    refused(*words, more=("--members", members))


def test_structures_that_are_not_there_or_not_known(refused, tmp_path):
    refused("none.pdb: no such file", path=tmp_path / "none.pdb")
    (tmp_path / "x.xyz").write_text("3\n")
    refused("unknown structure format '.xyz'", ".pdb", path=tmp_path / "x.xyz")


@pytest.mark.parametrize("suffix", [".pdb", ".cif", ".gro", ".prmtop", ".sdf", ".mol2"])
@pytest.mark.parametrize("content", ["", "nonsense\n"], ids=["empty", "nonsense"])
def test_broken_structures(refused, tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_text(content)
    refused(f"broken{suffix}", path=path)


def test_positions_that_are_not_numbers(refused, structure, tmp_path):
    lines = structure.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("HETATM"))
    lines[row] = lines[row][:30] + "     nan" + lines[row][38:]
    path = tmp_path / "nan.pdb"
    path.write_text("\n".join(lines) + "\n")
    refused("nan.pdb, line", "finite numbers", path=path)


@pytest.mark.data
def test_topology_and_coordinates_that_disagree(refused):
    refused(
        "ligand.prmtop",
        "coordinates",
        path=shared_data("cb7-b2/ligand.prmtop"),
        selection="all",
        more=("--coordinates", shared_data("cb7-b2/receptor.inpcrd")),
    )


def test_coordinates_that_have_no_place(refused, tmp_path):
    refused("only for an Amber topology", more=("--coordinates", tmp_path / "x.inpcrd"))


def test_an_sdf_with_two_molecules(refused, tmp_path, paracetamol):
    path = tmp_path / "two.sdf"
    path.write_text(2 * (Chem.MolToMolBlock(paracetamol) + "$$$$\n"))
    refused("found 2 molecules in two.sdf", path=path, selection="all")


@pytest.mark.parametrize("damage", ["truncated", "tampered", "missing"])
def test_damaged_weights(refused, tmp_path, torchani_folder, damage):
    folder = shutil.copytree(torchani_folder, tmp_path / "ani-1x_8x")
    path = folder / "train5" / "networks" / "ANN-C.nnf-l1.wparam"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:100])
    elif damage == "tampered":
        content[7] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()
    words = {"tampered": "not those of the published ANI-1x"}.get(damage, path.name)
    refused(str(folder), words, more=("--weights", folder))


def test_a_weights_folder_that_is_not_there(refused, tmp_path):
    refused("weights: found no folder", more=("--weights", tmp_path / "none"))


def test_a_model_directory_that_is_not_there(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path / "none"))
    refused("NNPMM_MODEL_DIR: found no folder")


@pytest.mark.parametrize("below", [False, True], ids=["a file", "below a file"])
def test_an_output_that_cannot_be_a_folder(call, structure, tmp_path, below):
    (tmp_path / "out").write_text("mine")
    out = tmp_path / "out" / "deeper" if below else tmp_path / "out"
    result = call(
        main,
        structure,
        "--selection",
        "resname DRG",
        "--model",
        "ANI-1x",
        "--members",
        "0",
        "-o",
        out,
    )
    result.assert_one_line_error(str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("x.pdb",),
        ("x.pdb", "--selection", "all", "--charge", "neutral"),
        ("x.pdb", "--selection", "all", "--modell", "ANI-2x"),
    ],
    ids=["nothing", "no selection", "charge", "unknown option"],
)
def test_wrong_usage(call, arguments):
    result = call(main, *arguments)
    result.assert_one_line_error("--help")
    assert result.out == ""


def test_an_unknown_command_of_nnpmm(call):
    call(nnpmm_main, "simulate").assert_one_line_error("simulate", "--help")
