"""Structure files: one molecule in every format, and broken files."""

from __future__ import annotations

import numpy as np
import openmm.app as app
import pytest
from conftest import shared_data
from openmm import Vec3, unit
from rdkit import Chem

from nnpmm.core.errors import InputFileError
from nnpmm.structures import to_openmm_topology
from nnpmm.structures.elements import guess_element
from nnpmm.structures.inputs.coordinates import read_coordinates
from nnpmm.structures.readers import READERS, read_structure

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
    from nnpmm.structures import molecule_from_smiles

    path = tmp_path / "x.sdf"
    path.write_text(Chem.MolToMolBlock(molecule_from_smiles("[NH3+]CC(=O)[O-]")))
    charges = read_structure(path).formal_charges
    assert sorted(charges[charges != 0].tolist()) == [-1, 1]


@pytest.mark.data
def test_mol2():
    structure = read_structure(shared_data("nnpops-ligands/3lka_ligand.mol2"))
    assert structure.topology.getNumAtoms() == len(structure.positions)
    assert structure.formal_charges.sum() == 0
    assert len(list(structure.topology.bonds())) >= structure.topology.getNumAtoms() - 1


@pytest.mark.data
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


@pytest.mark.data
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
def test_missing_files_and_folders_are_refused(tmp_path, suffix):
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
def test_files_with_other_content_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    _refused(path)


@pytest.mark.parametrize("suffix", [".sdf", ".cif", ".gro"])
def test_truncated_files_are_refused(files, tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    lines = files[suffix].read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) * 2 // 3])[:-7])
    _refused(path)


@pytest.mark.parametrize(("suffix", "width"), [(".pdb", 8), (".gro", 8)])
def test_non_numeric_coordinates_are_refused(files, tmp_path, suffix, width):
    lines = files[suffix].read_text().splitlines()
    row, column = (3, 30) if suffix == ".pdb" else (3, 20)
    lines[row] = lines[row][:column] + "nan".rjust(width) + lines[row][column + width :]
    path = tmp_path / f"x{suffix}"
    path.write_text("\n".join(lines) + "\n")
    _refused(path)


@pytest.mark.data
def test_coordinates_of_another_system_are_refused():
    _refused(
        shared_data("cb7-b2/ligand.prmtop"),
        "coordinates",
        coordinates=shared_data("cb7-b2/receptor.inpcrd"),
    )


@pytest.mark.data
def test_truncated_amber_files_are_refused(tmp_path):
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


@pytest.mark.data
@pytest.mark.parametrize("cell", [(0, 0, 0, 90, 90, 90), (30, 30, 30, 0, 0, 0), 6 * (0,)])
def test_amber_coordinates_with_a_box_of_zeros(tmp_path, cell):
    source = shared_data("cb7-b2/ligand.inpcrd")
    path = tmp_path / "x.rst7"
    path.write_text(source.read_text().rstrip() + "\n" + "".join(f"{x:12.7f}" for x in cell) + "\n")
    with pytest.raises(InputFileError, match="edges or angles of its periodic box are 0"):
        read_structure(shared_data("cb7-b2/ligand.prmtop"), path)


def test_coordinates_with_a_pdb(files):
    _refused(files[".pdb"], "only for an Amber topology", coordinates=files[".gro"])
    missing = files[".gro"].with_name("none.inpcrd")
    prmtop = files[".gro"].with_name("x.prmtop")
    prmtop.write_text("x")
    with pytest.raises(InputFileError, match=r"none\.inpcrd: no such file"):
        read_structure(prmtop, missing)


def _pdb(*atoms, cell=None):
    """PDB text of (four columns of name, residue name, number, x in angstrom[, element])."""
    lines = [] if cell is None else [f"CRYST1{cell:9.3f}{cell:9.3f}{cell:9.3f}" + 3 * "  90.00"]
    for i, (name, residue, number, x, *element) in enumerate(atoms):
        symbol = element[0] if element else ""
        lines.append(
            f"HETATM{i + 1:5d} {name:<4s} {residue:>3s} A{number:4d}    {x:8.3f}{0:8.3f}{0:8.3f}"
            f"{1:6.2f}{0:6.2f}{'':10s}{symbol:>2s}"
        )
    return "\n".join([*lines, "END"]) + "\n"


def _symbols(structure):
    return ["-" if a.element is None else a.element.symbol for a in structure.topology.atoms()]


@pytest.mark.parametrize(
    ("names", "residue", "expected"),
    [
        # PRODRG: flush with column 14, and the same names one column to the left.
        ([" CAA", " NAA", " OAA", " HAA"], "LIG", "C N O H"),
        (["CAA ", "NAA ", "OAA ", "HAA "], "LIG", "C N O H"),
        # Carbon NA, CA, CD of a ligand; sodium, calcium, cadmium where the columns say so.
        ([" NA ", " CA ", " CD ", " C1 "], "LIG", "N C C C"),
        (["NA  ", "CA  ", "CD  ", " C1 "], "LIG", "Na Ca Cd C"),
        (["NA  ", "CA  ", "CD  ", "C1  "], "LIG", "N C C C"),  # a file that is flush left
        # Halogens in either column.
        (["CL1 ", "BR1 ", " C1 "], "LIG", "Cl Br C"),
        ([" CL1", " BR1", " C1 "], "LIG", "Cl Br C"),
        (["CL12", "BR10", " C1 "], "LIG", "Cl Br C"),
        (["CLAA", "BRAA", "CAA "], "LIG", "Cl Br C"),
        # An alpha carbon and the hydrogens of four columns, whatever the alignment.
        ([" N  ", " CA ", " CD1", "HG11", "1HB "], "VAL", "N C C H H"),
        (["N   ", "CA  ", "CE  ", "HE2 ", "HG  "], "LYS", "N C C H H"),
        (["FE  ", " NA ", " CHA", " C1A"], "HEM", "Fe N C C"),
        (["MG  ", " NA ", " CHA"], "CLA", "Mg N C"),
        (["SE  ", " CA ", " CE "], "MSE", "Se C C"),
        ([" D1 ", " C1 ", " O1 "], "LIG", "H C O"),  # deuterium
        ([" C1 ", " DC1", " LP1"], "LIG", "C - -"),  # a Drude particle and a lone pair
    ],
)
def test_pdb_without_elements(tmp_path, caplog, names, residue, expected):
    path = tmp_path / "x.pdb"
    path.write_text(_pdb(*((name, residue, 1, 2.0 * i) for i, name in enumerate(names))))
    structure = read_structure(path)
    assert _symbols(structure) == expected.split()
    (record,) = caplog.records
    assert f"{len(names)} atoms have no element in columns 77-78" in record.getMessage()
    assert structure.guesses in record.getMessage()


def test_ions_of_a_pdb_without_elements(tmp_path):
    ions = ["NA", "NA+", "CL-", "K", "MG", "CA", "ZN", "SOD", "CLA", "POT", "CAL"]
    path = tmp_path / "x.pdb"
    atoms = [(f" {name}"[-4:], name, i + 1, 3.0 * i) for i, name in enumerate(ions)]
    atoms += [("SOD ", "ION", 90, -5), ("CAL ", "ION", 91, -9), (" CA ", "ALA", 92, 50)]
    path.write_text(_pdb(*atoms))
    expected = "Na Na Cl K Mg Ca Zn Na Cl K Ca Na Ca C"
    assert _symbols(read_structure(path)) == expected.split()


def test_elements_of_a_pdb_file_are_used(tmp_path, caplog):
    path = tmp_path / "x.pdb"
    path.write_text(
        _pdb((" NA1", "LIG", 1, 0, "N"), ("CA  ", "LIG", 1, 2, "CA"), (" X1 ", "LIG", 1, 4, "EP"))
    )
    structure = read_structure(path)
    assert _symbols(structure) == ["N", "Ca", "-"]
    assert structure.guesses is None
    assert not caplog.records
    path.write_text(_pdb((" NA1", "LIG", 1, 0, "N"), (" NB1", "LIG", 1, 2)))
    assert _symbols(read_structure(path)) == ["N", "N"]
    assert "1 atoms have no element" in caplog.text
    assert "NB1 is N" in caplog.text


@pytest.mark.parametrize("cell", [1.0, 0.5, 1.9])
def test_placeholder_cell_is_ignored(tmp_path, cell, caplog):
    path = tmp_path / "em.pdb"
    path.write_text(_pdb((" C1 ", "LIG", 1, 0, "C"), (" C1 ", "LIG", 2, 9, "C"), cell=cell))
    structure = read_structure(path)
    assert structure.box is None
    assert structure.topology.getPeriodicBoxVectors() is None
    assert "is read as no box" in caplog.text
    path.write_text(path.read_text().replace("CRYST1", "REMARK"))
    assert read_structure(path).box is None


@pytest.mark.parametrize("value", ["?", ".", "0", "0.000", "1.000", "30.0"])
def test_placeholder_cif_cell_is_ignored(files, tmp_path, value):
    lines = files[".cif"].read_text().splitlines(keepends=True)
    angle = value if value in "?." else "90.0"
    cell = [f"_cell.length_{axis}  {value}\n" for axis in "abc"]
    cell += [f"_cell.angle_{name}  {angle}\n" for name in ("alpha", "beta", "gamma")]
    rest = [line for line in lines[1:] if not line.startswith("_cell.")]
    path = tmp_path / "em.cif"
    path.write_text("".join([lines[0], *cell, "_cell.entry_id  X\n", "#\n", *rest]))
    structure = read_structure(path)
    assert structure.topology.getNumAtoms() == 20
    if value == "30.0":
        np.testing.assert_allclose(structure.box, 3 * np.eye(3), rtol=0, atol=1e-6)
    else:
        assert structure.box is None


def test_a_real_cell_and_zeros(tmp_path, caplog):
    path = tmp_path / "x.pdb"
    path.write_text(_pdb((" C1 ", "LIG", 1, 0, "C"), cell=30.0))
    np.testing.assert_allclose(read_structure(path).box, 3 * np.eye(3), rtol=0, atol=1e-6)
    path.write_text(_pdb((" C1 ", "LIG", 1, 0, "C"), cell=0.0))
    assert read_structure(path).box is None
    assert not caplog.records


def test_gro_of_six_decimals_and_without_a_box(files, tmp_path):
    plain = read_structure(files[".gro"])
    lines = files[".gro"].read_text().splitlines()
    wide = [
        line[:20] + "".join(f"{float(line[20 + 8 * k : 28 + 8 * k]):11.6f}" for k in range(3))
        for line in lines[2:-1]
    ]
    path = tmp_path / "x.gro"
    path.write_text("\n".join([*lines[:2], *wide, "0 0 0"]) + "\n")
    structure = read_structure(path)
    np.testing.assert_allclose(structure.positions, plain.positions, rtol=0, atol=1e-9)
    assert structure.box is None
    assert "names" in structure.guesses


@pytest.mark.parametrize("suffix", [".pdb", ".cif", ".sdf"])
def test_deuterium_is_hydrogen(files, paracetamol, tmp_path, suffix):
    lines = files[suffix].read_text().splitlines()
    for i, line in enumerate(lines):
        fields = line.split()
        if suffix == ".pdb" and line.startswith("HETATM") and line[76:78] == " H":
            lines[i] = line[:76] + " D" + line[78:]
        elif suffix == ".cif" and line.startswith("HETATM") and fields[2] == "H":
            lines[i] = line.replace(" H ", " D ", 1)
        elif suffix == ".sdf" and len(fields) > 10 and fields[3] == "H":
            lines[i] = line.replace(" H ", " D ", 1)
    path = tmp_path / f"d{suffix}"
    path.write_text("\n".join(lines) + "\n")
    assert path.read_text() != files[suffix].read_text()
    expected = [atom.GetSymbol() for atom in paracetamol.GetAtoms()]
    assert _symbols(read_structure(path)) == expected


def test_only_the_first_model_is_used(files, tmp_path, caplog):
    one = files[".pdb"].read_text().splitlines()
    atoms = [line for line in one if line.startswith("HETATM")]
    shifted = [f"{line[:30]}{99:8.3f}{line[38:]}" for line in atoms]
    path = tmp_path / "nmr.pdb"
    path.write_text("\n".join(["MODEL        1", *atoms, "ENDMDL", "MODEL        2", *shifted]))
    structure = read_structure(path)
    (message,) = caplog.messages
    assert message == f"{path}: contains 2 models; the first is taken"
    expected = read_structure(files[".pdb"]).positions
    np.testing.assert_allclose(structure.positions, expected, rtol=0, atol=1e-9)


def test_only_one_alternate_location_is_used(tmp_path, caplog):
    first = (" C1 ", "LIG", 1, 0, "C"), (" C2 ", "LIG", 1, 1.5, "C")
    lines = _pdb(*first, (" C2 ", "LIG", 1, 1.8, "C")).splitlines()
    lines[1:3] = [
        line[:16] + letter + line[17:] for line, letter in zip(lines[1:3], "BA", strict=True)
    ]
    (tmp_path / "x.pdb").write_text("\n".join(lines))
    expected = [[0, 0, 0], [0.15, 0, 0]]
    cif = tmp_path / "x.cif"
    with cif.open("w") as file:
        topology = read_structure(tmp_path / "x.pdb").topology
        app.PDBxFile.writeFile(topology, np.array(expected) * unit.nanometer, file)
    last = cif.read_text().splitlines()[-2].replace(" . ", " A ", 1)
    cif.write_text(cif.read_text().replace("#\n", "", -1) + last + "\n#\n")
    caplog.clear()
    for path in (tmp_path / "x.pdb", cif):
        np.testing.assert_allclose(read_structure(path).positions, expected, rtol=0, atol=1e-9)
    assert caplog.messages == [
        f"{path}: contains alternate locations; the first of each atom is taken (left out: 1)"
        for path in (tmp_path / "x.pdb", cif)
    ]


@pytest.mark.filterwarnings("ignore:WARNING. duplicate atom")
def test_atoms_with_equal_names_are_kept(tmp_path):
    path = tmp_path / "x.pdb"
    path.write_text(_pdb(*((" C  ", "LIG", 1, 1.5 * k, "C") for k in range(3))))
    _refused(path, "2 atoms have the name of another atom of their residue")


@pytest.mark.parametrize(
    "fields",
    [
        "-1000.123-1000.123   0.000  1.00",
        "10000.12320000.123   0.000  1.00",
        "10000.12310000.12310000.123  1.00",
        "   0.000   0.00010000.123  1.00",
        "     nan   0.000   0.000  1.00",
    ],
)
def test_pdb_coordinates_too_large_for_their_columns_are_refused(tmp_path, fields):
    path = tmp_path / "x.pdb"
    good = _pdb((" C1 ", "LIG", 1, 0, "C"), (" C2 ", "LIG", 1, 1.5, "C")).splitlines()
    good[1] = good[1][:30] + fields + "  0.00           C"
    path.write_text("\n".join(good) + "\n")
    _refused(path, "line 2", "8 columns", "mmCIF")


def test_a_pdb_without_atoms_and_one_with_an_odd_occupancy(tmp_path):
    path = tmp_path / "x.pdb"
    path.write_text("HEADER    NOTHING\nEND\n")
    _refused(path, "no ATOM or HETATM records")
    text = _pdb((" C1 ", "LIG", 1, 1.5, "C"))
    path.write_text(text.replace("  1.00  0.00", "******  0.00"))
    np.testing.assert_allclose(read_structure(path).positions, [[0.15, 0, 0]], rtol=0, atol=1e-9)


@pytest.mark.parametrize("reader", [read_structure, read_coordinates])
def test_pdb_lines_that_end_after_z_are_read(tmp_path, reader):
    """Occupancy and temperature factor have defaults, 1.0 and 0.0."""
    path = tmp_path / "x.pdb"
    atoms = _pdb((" C1 ", "LIG", 1, 0, "C"), (" C2 ", "LIG", 1, 1.5, "C")).splitlines()
    path.write_text("".join(f"{line[:54]}\n" for line in atoms))
    np.testing.assert_allclose(reader(path).positions, [[0, 0, 0], [0.15, 0, 0]], rtol=0, atol=1e-9)


def test_cif_without_elements(files, tmp_path):
    path = tmp_path / "x.cif"
    text = files[".cif"].read_text().replace("_atom_site.type_symbol", "_atom_site.some_symbol")
    path.write_text(text)
    _refused(path, "no elements", "_atom_site.type_symbol")


@pytest.mark.parametrize("column", ["id", "Cartn_z", "label_alt_id"])
def test_cif_without_a_column_is_refused(files, tmp_path, column):
    """Values are then in wrong columns; OpenMM's reader raises an IndexError and others."""
    lines = files[".cif"].read_text().splitlines(keepends=True)
    path = tmp_path / "x.cif"
    path.write_text("".join(x for x in lines if x.strip() != f"_atom_site.{column}"))
    with pytest.raises(InputFileError) as caught:
        read_structure(path)
    assert "index" not in str(caught.value)
