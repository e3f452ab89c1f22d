"""prepare-nnp: files and output, in this process and as the installed script."""

from __future__ import annotations

import json

import numpy as np
import openmm.app as app
import pytest
from complexes import side_by_side, write_pdb
from conftest import call_script, model_directory, shared_data
from rdkit import Chem

import nnpmm
from nnpmm.cli.main import main as nnpmm_main
from nnpmm.cli.prepare import main
from nnpmm.core.errors import RegionError, WeightsError
from nnpmm.models.preparation import prepare_nnp
from nnpmm.structures.readers import read_structure

WRITTEN = ["model.json", "model.pt", "model.safetensors"]


@pytest.fixture(scope="module")
def complex_pdb(tmp_path_factory):
    """Paracetamol (LIG) between two waters."""
    path = tmp_path_factory.mktemp("complex") / "complex.pdb"
    molecules = (("HOH", "O"), ("LIG", "CC(=O)Nc1ccc(O)cc1"), ("HOH", "O"))
    return write_pdb(path, *side_by_side(molecules))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_installed_script(complex_pdb, tmp_path):
    """The complete command in a separate process; its files can be loaded."""
    result = call_script(
        "prepare-nnp",
        complex_pdb,
        "--selection",
        "resname LIG",
        "--model",
        "ani1x",
        "--members",
        "0,3",
        cwd=tmp_path,
    )
    assert result.status == 0, result
    assert result.err == ""
    for word in ("20", "C8H9NO2", "perceived from bonds and elements", "LIG", "ANI-1x, 2 networks"):
        assert word in result.out
    assert names(tmp_path) == WRITTEN
    content = nnpmm.read_model_file(tmp_path / "model.json")
    assert content.atoms == tuple(range(3, 23))
    assert (content.model, content.members, content.formal_charge) == ("ANI-1x", (0, 3), 0)
    assert (content.structure_file, content.n_structure_atoms) == ("complex.pdb", 26)
    structure = read_structure(complex_pdb)
    content.check_topology(structure.topology)
    positions = structure.positions[list(content.atoms)]
    numbers = [app.Element.getBySymbol(s).atomic_number for s in content.elements]
    prepared = nnpmm.load_model(tmp_path / "model.json").bind(numbers)(positions)
    direct = nnpmm.load_model("ANI-1x", members=[0, 3]).bind(numbers)(positions)
    same_code = nnpmm.load_model("ANI-1x", members=[0, 3], backend="reference").bind(numbers)
    exported = nnpmm.load_model(tmp_path / "model.pt").bind(numbers)(positions)
    assert prepared[0] == direct[0]
    assert exported[0] == pytest.approx(direct[0], rel=0, abs=1e-2)
    np.testing.assert_allclose(exported[1], same_code(positions)[1], rtol=0, atol=1e-2)


def test_the_table_shows_the_whole_path_of_the_weights(
    complex_pdb, tmp_path, call, torchani_folder
):
    """A long path is not cut with dots, however narrow the terminal."""
    arguments = (complex_pdb, "--selection", "resname LIG", "--model", "ANI-1x", "--members", "0")
    result = call(main, *arguments, "-o", tmp_path, columns=80)
    assert result.status == 0
    assert "…" not in result.out
    assert str(torchani_folder) in "".join(result.out.split())


def test_output_is_reproducible(complex_pdb, tmp_path, call):
    arguments = (complex_pdb, "--selection", "resname LIG", "--model", "ANI-1x", "--members", 5)
    for folder in ("a", "b"):
        assert call(main, *arguments, "-o", tmp_path / "deep" / folder).status == 0
    first, second = (tmp_path / "deep" / folder for folder in ("a", "b"))
    stored = [(folder / "model.safetensors").read_bytes() for folder in (first, second)]
    assert stored[0] == stored[1]
    a, b = (json.loads((folder / "model.json").read_text()) for folder in (first, second))
    for content in (a, b):
        content.pop("torchscript")  # TorchScript archives number their classes by process
    assert a == b


def test_existing_files_are_kept_unless_overwritten(complex_pdb, tmp_path, call):
    arguments = (complex_pdb, "--selection", "resname LIG", "--model", "ANI-1x", "-o", tmp_path)
    (tmp_path / "model.pt").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    result = call(main, *arguments, "--members", "1")
    result.assert_one_line_error("model.pt", "exists already", "--overwrite")
    assert names(tmp_path) == ["model.pt", "notes.txt"]
    assert (tmp_path / "model.pt").read_text() == "mine"
    assert call(main, *arguments, "--members", "1", "--overwrite").status == 0
    assert names(tmp_path) == [*WRITTEN, "notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine too"
    assert nnpmm.load_model(tmp_path / "model.json").parameters.member_indices == (1,)


def test_a_failure_while_writing_keeps_the_old_files(complex_pdb, tmp_path, call, monkeypatch):
    arguments = (complex_pdb, "--selection", "resname LIG", "--model", "ANI-1x", "-o", tmp_path)
    assert call(main, *arguments, "--members", "1").status == 0
    before = {name: (tmp_path / name).read_bytes() for name in WRITTEN}

    def fail(*_):
        raise WeightsError("the export failed")

    monkeypatch.setattr("nnpmm.models.preparation.export_ani", fail)
    result = call(main, *arguments, "--members", "2", "--overwrite")
    result.assert_one_line_error("the export failed")
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_an_sdf_of_one_molecule(tmp_path, call, paracetamol):
    (tmp_path / "drug.sdf").write_text(Chem.MolToMolBlock(paracetamol))
    out = tmp_path / "out"
    result = call(main, tmp_path / "drug.sdf", "--selection", "all", "--model", "ANI-1x", "-o", out)
    assert result.status == 0, result.err
    assert "stated in the file" in result.out
    assert "8 networks" in result.out


@pytest.mark.data
@pytest.mark.parametrize("with_coordinates", [True, False])
def test_amber(tmp_path, call, with_coordinates):
    extra = ()
    if with_coordinates:
        extra = ("--coordinates", shared_data("toluene/toluene-explicit.rst7"))
    topology = shared_data("toluene/toluene-explicit.prm7")
    arguments = (topology, "--selection", "resname MBN", "--model", "ANI-1x", "--members", "0")
    result = call(main, *arguments, "-o", tmp_path, *extra)
    assert result.status == 0, result.err
    assert "C7H8" in result.out
    assert "sum of force-field charges" in result.out
    assert len(nnpmm.read_model_file(tmp_path / "model.json").atoms) == 15


@pytest.mark.data
def test_ani2x_is_the_default_model(tmp_path, call):
    result = call(
        main,
        shared_data("nnpops-ligands/3lka_ligand.mol2"),
        "--selection",
        "all",
        "--weights",
        model_directory(),
        "--members",
        "0",
        "-o",
        tmp_path,
    )
    assert result.status == 0, result.err
    content = nnpmm.read_model_file(tmp_path / "model.json")
    assert content.model == "ANI-2x"
    assert "S" in content.elements


def test_a_stated_charge(tmp_path, call):
    (tmp_path / "x.pdb").write_text(
        "HETATM    1  C   CMO A   1       0.000   0.000   0.000  1.00  0.00           C\n"
        "HETATM    2  O   CMO A   1       1.128   0.000   0.000  1.00  0.00           O\n"
    )
    arguments = (tmp_path / "x.pdb", "--selection", "all", "--model", "ANI-1x", "--members", "0")
    out = tmp_path / "out"
    call(main, *arguments, "-o", out).assert_one_line_error("cannot be determined", "--charge")
    assert not out.exists()
    result = call(main, *arguments, "-o", out, "--charge", "0")
    assert result.status == 0, result.err
    assert "stated" in result.out
    assert nnpmm.read_model_file(out / "model.json").formal_charge == 0


def test_deuterium(complex_pdb, tmp_path):
    """A neutron structure: the region's hydrogens are D, and rdkit does not know the name."""
    path = tmp_path / "neutron.pdb"
    lines = complex_pdb.read_text().splitlines(keepends=True)
    path.write_text("".join(line[:76] + line[76:].replace(" H", " D") for line in lines))
    assert path.read_text() != complex_pdb.read_text()
    prepare_nnp(path, "resname LIG", "ANI-1x", members=[0], output=tmp_path)
    content = nnpmm.read_model_file(tmp_path / "model.json")
    assert set(content.elements) == {"C", "H", "N", "O"}
    assert content.formal_charge == 0


def test_a_refused_element_that_was_guessed(tmp_path):
    """Elements are missing in columns 77-78: the error and the warning say so."""
    path = tmp_path / "old.pdb"
    path.write_text(
        "HETATM    1 BR1  LIG A   1       0.000   0.000   0.000  1.00  0.00\n"
        "HETATM    2  H1  LIG A   1       1.410   0.000   0.000  1.00  0.00\n"
    )
    with pytest.raises(RegionError) as caught:
        prepare_nnp(path, "all", "ANI-1x", members=[0], output=tmp_path)
    message = str(caught.value)
    for word in ("contains Br", "old.pdb", "2 atoms have no element in columns 77-78", "BR1 is Br"):
        assert word in message, message
    assert names(tmp_path) == ["old.pdb"]


def test_a_gro_file_says_that_elements_were_guessed(tmp_path):
    path = tmp_path / "x.gro"
    path.write_text(
        "guessed\n2\n    1LIG    BR1    1   0.000   0.000   0.000\n"
        "    1LIG     H1    2   0.141   0.000   0.000\n   0 0 0\n"
    )
    with pytest.raises(RegionError, match=r"x\.gro: a GRO file contains no elements"):
        prepare_nnp(path, "all", "ANI-1x", members=[0], output=tmp_path)


def test_nnpmm_prepare_is_the_same_command(call, complex_pdb, tmp_path):
    arguments = (complex_pdb, "--selection", "resname LIG", "--model", "ANI-1x", "--members", 0)
    first = call(main, *arguments, "-o", tmp_path / "a")
    second = call(nnpmm_main, "prepare", *arguments, "-o", tmp_path / "b")
    assert (first.status, second.status) == (0, 0)
    assert second.out == first.out.replace(str(tmp_path / "a"), str(tmp_path / "b"))
    for name in WRITTEN:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_capped_region(call, complex_pdb, tmp_path):
    """The methyl group of paracetamol: a table with the cut bond; a kind that is not known."""
    arguments = (complex_pdb, "--selection", "index 3 14 15 16", "--model", "ANI-1x")
    choice = "--link-atoms", "C-C, C-N"
    result = call(main, *arguments, "--members", 0, *choice, "-o", tmp_path / "a")
    assert result.status == 0, result
    assert "link atoms     LIG1:C1-LIG1:C2" in result.out
    assert nnpmm.read_model_file(tmp_path / "a" / "model.json").link_bonds == ("C-C", "C-N")
    result = call(main, *arguments, "--link-atoms", "all", "-o", tmp_path / "b")
    assert result.status == 2
    assert "found the bond 'all', allowed: two of" in result.err
    assert result.err.count("\n") == 1
