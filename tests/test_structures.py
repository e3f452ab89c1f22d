"""Structure files: one molecule through every format, and files that are broken."""

from __future__ import annotations

import numpy as np
import openmm.app as app
import pytest
from conftest import shared_data
from openmm import Vec3, unit
from rdkit import Chem

from nnpmm.errors import InputFileError
from nnpmm.ligands import to_openmm_topology
from nnpmm.structures import READERS, guess_element, read_structure

BOX = np.array([[3.0, 0, 0], [0.5, 3.1, 0], [0.2, 0.4, 3.2]])


@pytest.fixture(scope="module")
def files(paracetamol, tmp_path_factory):
    """Paracetamol in every format that needs no outside program; returns suffix -> path."""
    folder = tmp_path_factory.mktemp("structures")
    topology, positions = to_openmm_topology(paracetamol)
    paths = {suffix: folder / f"drug{suffix}" for suffix in READERS}
    for suffix in (".sdf", ".mol"):
        paths[suffix].write_text(Chem.MolToMolBlock(paracetamol))
    topology.setPeriodicBoxVectors([Vec3(*row) for row in BOX] * unit.nanometer)
    with paths[".pdb"].open("w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    for suffix in (".cif", ".mmcif", ".pdbx"):
        with paths[suffix].open("w") as file:
            app.PDBxFile.writeFile(topology, positions * unit.nanometer, file)
    paths[".gro"].write_text(_gro(topology, positions, BOX))
    return paths


def _gro(topology, positions, box):
    lines = ["drug", str(topology.getNumAtoms())]
    for i, (atom, x) in enumerate(zip(topology.atoms(), positions, strict=True)):
        place = "".join(f"{value:8.3f}" for value in x)
        lines.append(f"{1:5d}{atom.residue.name[:5]:<5s}{atom.name[:5]:>5s}{i + 1:5d}{place}")
    order = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
    lines.append(" ".join(f"{box[i, j]:.5f}" for i, j in order))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("suffix", "atol", "boxed", "charged"),
    [
        (".pdb", 1e-4, True, False),
        (".cif", 1e-4, True, False),
        (".mmcif", 1e-4, True, False),
        (".pdbx", 1e-4, True, False),
        (".gro", 6e-4, True, False),
        (".sdf", 1e-5, False, True),
        (".mol", 1e-5, False, True),
    ],
)
def test_one_molecule_in_each_format(files, paracetamol, suffix, atol, boxed, charged):
    structure = read_structure(files[suffix])
    elements = [atom.element.symbol for atom in structure.topology.atoms()]
    assert elements == [atom.GetSymbol() for atom in paracetamol.GetAtoms()]
    assert structure.positions.dtype == np.float64
    expected = paracetamol.GetConformer().GetPositions() / 10
    np.testing.assert_allclose(structure.positions, expected, rtol=0, atol=atol)
    if boxed:
        np.testing.assert_allclose(structure.box, BOX, rtol=0, atol=2e-3)
    else:
        assert structure.box is None
    assert (structure.formal_charges is not None) is charged
    assert structure.partial_charges is None


def test_upper_case_suffix_and_text_paths(files, tmp_path):
    path = tmp_path / "DRUG.PDB"
    path.write_text(files[".pdb"].read_text())
    assert read_structure(str(path)).topology.getNumAtoms() == 20


def test_formal_charges_of_an_sdf(tmp_path):
    from nnpmm.ligands import molecule_from_smiles

    path = tmp_path / "x.sdf"
    path.write_text(Chem.MolToMolBlock(molecule_from_smiles("[NH3+]CC(=O)[O-]")))
    charges = read_structure(path).formal_charges
    assert sorted(charges[charges != 0].tolist()) == [-1, 1]


def test_mol2():
    structure = read_structure(shared_data("nnpops-ligands/3lka_ligand.mol2"))
    assert structure.topology.getNumAtoms() == len(structure.positions)
    assert structure.formal_charges.sum() == 0
    assert len(list(structure.topology.bonds())) >= structure.topology.getNumAtoms() - 1


def test_amber_with_and_without_coordinates():
    prmtop = shared_data("toluene/toluene-explicit.prm7")
    alone = read_structure(prmtop)
    assert alone.positions is None
    assert alone.topology.getNumAtoms() == 6495
    assert abs(alone.partial_charges.sum()) < 1e-3
    ligand = [a.index for a in alone.topology.atoms() if a.residue.name == "MBN"]
    assert len(ligand) == 15
    whole = read_structure(prmtop, shared_data("toluene/toluene-explicit.rst7"))
    assert whole.positions.shape == (6495, 3)
    assert whole.box.shape == (3, 3)
    assert (np.diag(whole.box) > 3).all()


def test_gromacs_complex():
    folder = shared_data("hsp90/ligand-3")
    path = sorted(folder.rglob("*.gro"), key=lambda p: p.stat().st_size)[0]
    structure = read_structure(path)
    ligand = [a for a in structure.topology.atoms() if a.residue.name == "LIG"]
    assert len(ligand) == 33
    assert {atom.element.symbol for atom in ligand} == {"C", "H", "N", "O"}


@pytest.mark.parametrize(
    ("atom", "residue", "symbol"),
    [
        ("C1", "LIG", "C"),
        ("CA", "ALA", "C"),
        ("CA", "CA", "Ca"),
        ("CA2+", "CA2+", "Ca"),
        ("CL", "CL", "Cl"),
        ("CL-", "CL-", "Cl"),
        ("CL1", "LIG", "Cl"),
        ("Cl2", "LIG", "Cl"),
        ("BR", "LIG", "Br"),
        ("NA", "NA", "Na"),
        ("NA+", "NA+", "Na"),
        ("NA1", "LIG", "N"),
        ("K", "K", "K"),
        ("MG", "MG", "Mg"),
        ("ZN", "ZN2", "Zn"),
        ("OW", "SOL", "O"),
        ("HW1", "SOL", "H"),
        ("1HB", "ALA", "H"),
        ("HG11", "VAL", "H"),
        ("F3", "LIG", "F"),
        ("S1", "LIG", "S"),
        ("MW", "SOL", None),
        ("EPW", "HOH", None),
        ("LP1", "LIG", None),
        ("123", "LIG", None),
        ("X1", "LIG", None),
        # CHARMM's names of ions.
        ("SOD", "SOD", "Na"),
        ("POT", "POT", "K"),
        ("CLA", "CLA", "Cl"),
    ],
)
def test_element_from_a_name(atom, residue, symbol):
    found = guess_element(atom, residue)
    assert (None if found is None else found.symbol) == symbol


def _refused(path, *words, coordinates=None):
    with pytest.raises(InputFileError) as caught:
        read_structure(path, coordinates)
    text = str(caught.value)
    assert "\n" not in text
    for word in (path.name, *words):
        assert word in text, text


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_missing_files_and_folders(tmp_path, suffix):
    _refused(tmp_path / f"none{suffix}", "no such file")
    (tmp_path / f"folder{suffix}").mkdir()
    _refused(tmp_path / f"folder{suffix}", "no such file")


def test_an_unknown_suffix_lists_those_known(tmp_path):
    _refused(tmp_path / "x.xyz", "'.xyz'", ".pdb, .cif", ".mol2")
    _refused(tmp_path / "x", "unknown structure format ''")


@pytest.mark.parametrize("suffix", sorted(READERS))
@pytest.mark.parametrize(
    "content", [b"", b"not a structure\nat all\n", b"\xff\xfe\x00\x80"], ids=["empty", "text", "-"]
)
def test_files_that_hold_something_else(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    _refused(path)


@pytest.mark.parametrize("suffix", [".sdf", ".cif", ".gro"])
def test_truncated_files(files, tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    lines = files[suffix].read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) * 2 // 3])[:-7])
    _refused(path)


@pytest.mark.parametrize(("suffix", "width"), [(".pdb", 8), (".gro", 8)])
def test_coordinates_that_are_not_numbers(files, tmp_path, suffix, width):
    lines = files[suffix].read_text().splitlines()
    row, column = (3, 30) if suffix == ".pdb" else (3, 20)
    lines[row] = lines[row][:column] + "nan".rjust(width) + lines[row][column + width :]
    path = tmp_path / f"x{suffix}"
    path.write_text("\n".join(lines) + "\n")
    _refused(path)


def test_coordinates_of_another_system():
    _refused(
        shared_data("cb7-b2/ligand.prmtop"),
        "coordinates",
        coordinates=shared_data("cb7-b2/receptor.inpcrd"),
    )


def test_truncated_amber_files(tmp_path):
    source = shared_data("cb7-b2/ligand.prmtop")
    text = source.read_text()
    cut = tmp_path / "cut.prmtop"
    cut.write_text(text[: text.index("%FLAG BONDS_INC_HYDROGEN")])
    _refused(cut)
    inpcrd = shared_data("cb7-b2/ligand.inpcrd")
    short = tmp_path / "short.inpcrd"
    short.write_text("\n".join(inpcrd.read_text().splitlines()[:5]))
    with pytest.raises(InputFileError):
        read_structure(source, short)


def test_coordinates_beside_a_pdb(files):
    _refused(files[".pdb"], "only for an Amber topology", coordinates=files[".gro"])
    missing = files[".gro"].with_name("none.inpcrd")
    prmtop = files[".gro"].with_name("x.prmtop")
    prmtop.write_text("x")
    with pytest.raises(InputFileError, match=r"none\.inpcrd: no such file"):
        read_structure(prmtop, missing)
