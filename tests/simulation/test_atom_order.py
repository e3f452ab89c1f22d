"""Topology and coordinates must list the same atoms in the same order."""

from __future__ import annotations

import numpy as np
import parmed
import pytest
from gromacs_files import ATOMS, TOP, gro, write
from openmm import app, unit
from toys import water_box

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation import load_run_system, parse_config
from nnpmm.structures.inputs.elements import element_by_mass

ELEMENT = app.Element.getBySymbol


def load(system):
    region = {"selection": "all", "model": "ANI-2x"}
    return load_run_system(parse_config({"system": system, "region": region}))


def renamed(**names):
    """Return the atoms with other names."""
    return [(names.get(name, name), position) for name, position in ATOMS]


def reordered(*order):
    return [ATOMS[k] for k in order]


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (reordered(1, 0, 2, 3, 4, 5), "atom 1 is C1 (C) of MOL in the topology and O1 of MOL"),
        (reordered(0, 1, 2, 3, 5, 4), "atom 5 is H3 (H) of MOL in the topology and H4 of MOL"),
        (renamed(O1="N1"), "atom 2 is O1 (O) of MOL in the topology and N1 of MOL"),
    ],
)
def test_other_elements_and_permuted_names_are_refused(tmp_path, atoms, message):
    with pytest.raises(InputFileError) as raised:
        load(write(tmp_path, coordinates=gro(atoms)))
    assert message in str(raised.value)
    assert "x.top and x.gro do not list the same atoms in the same order" in str(raised.value)


def test_number_of_mismatched_atoms_is_reported(tmp_path):
    with pytest.raises(InputFileError, match="2 of 6 atoms do not fit"):
        load(write(tmp_path, coordinates=gro(reordered(1, 0, 2, 3, 4, 5))))


def test_different_names_give_one_warning(tmp_path, caplog):
    mm = load(write(tmp_path, coordinates=gro(renamed(C1="CT", H1="HT1", H2="HT2"))))
    assert len(mm.positions) == 6
    (message,) = caplog.messages
    assert "3 of 6 atoms have other names in x.gro than in x.top" in message
    assert "atom 1, CT in the one and C1 in the other" in message


@pytest.mark.parametrize("atoms", [ATOMS, renamed(H1="1H"), renamed(H1="h1"), renamed(C1="C1")])
def test_spellings_of_the_same_name_give_no_warning(tmp_path, caplog, atoms):
    load(write(tmp_path, coordinates=gro(atoms)))
    assert caplog.messages == []


def test_permuted_hydrogens_give_a_warning(tmp_path, caplog):
    load(write(tmp_path, coordinates=gro(reordered(0, 1, 4, 3, 2, 5))))
    (message,) = caplog.messages
    assert "2 of 6 atoms have other names" in message


def test_molecules_in_another_order_are_refused(tmp_path):
    """The names of the atoms agree, but those of the residues differ."""
    one = TOP[TOP.index("[ moleculetype ]") : TOP.index("[ system ]")]
    top = TOP.replace("[ system ]", one.replace("MOL", "LIG") + "[ system ]") + "LIG 1\n"
    lines = gro(ATOMS + ATOMS).splitlines()
    swapped = [
        line.replace("MOL  ", "LIG  ") if 2 <= k < 8 else line for k, line in enumerate(lines)
    ]
    with pytest.raises(InputFileError, match="of MOL in the topology and C1 of LIG"):
        load(write(tmp_path, top, "\n".join(swapped) + "\n"))


def test_truncated_names_are_accepted(tmp_path, caplog):
    top = TOP.replace("  C1 ", "  C1LONG ")
    load(write(tmp_path, top, gro(renamed(C1="C1LON"))))
    assert caplog.messages == []


def test_pdb_file_with_another_element_is_refused(tmp_path):
    """The element column is compared even if the names agree."""
    mm = load(write(tmp_path))
    with open(tmp_path / "x.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    system = write(tmp_path)
    system["coordinates"] = str(tmp_path / "x.pdb")
    assert len(load(system).positions) == 6
    lines = (tmp_path / "x.pdb").read_text().splitlines()
    lines = [line[:76] + " N" + line[78:] if " O1 " in line else line for line in lines]
    (tmp_path / "x.pdb").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputFileError, match=r"is O1 \(O\) .* and O1 \(N\) of MOL"):
        load(system)
    blank = [line[:76] + "  " if line.startswith(("ATOM", "HETATM")) else line for line in lines]
    (tmp_path / "x.pdb").write_text("\n".join(blank) + "\n")
    assert len(load(system).positions) == 6  # an element guessed by OpenMM is not compared


def test_pdb_coordinates_that_overflow_their_columns_are_refused(tmp_path, amber):
    mm = load(amber)
    with open(tmp_path / "x.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    files = {**amber, "coordinates": str(tmp_path / "x.pdb")}
    assert len(load(files).positions) == 6
    lines = (tmp_path / "x.pdb").read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith(("ATOM", "HETATM")))
    lines[first] = lines[first][:30] + "10000.12320000.123   0.000" + lines[first][54:]
    (tmp_path / "x.pdb").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputFileError, match=rf"line {first + 1}: .* 8 columns each"):
        load(files)


def test_charmm_coordinates_in_another_order_are_refused(tmp_path):
    from test_inputs import PARAMETERS, PSF

    (tmp_path / "w.psf").write_text(PSF)
    (tmp_path / "w.prm").write_text(PARAMETERS)
    positions = water_box(per_edge=2).positions[:6] * 10

    def crd(names):
        rows = [
            f"{k + 1:5d}{k // 3 + 1:5d} TIP3 {name:<4s}"
            + "".join(f"{x:10.5f}" for x in positions[k])
            + f" WAT  {k // 3 + 1:<4d}{0:10.5f}"
            for k, name in enumerate(names)
        ]
        return "* water\n*\n" + f"{len(rows):5d}\n" + "\n".join(rows) + "\n"

    files = {
        "type": "charmm",
        "psf": str(tmp_path / "w.psf"),
        "coordinates": str(tmp_path / "w.crd"),
        "parameters": [str(tmp_path / "w.prm")],
        "nonbonded_method": "NoCutoff",
    }
    (tmp_path / "w.crd").write_text(crd(["OH2", "H1", "H2"] * 2))
    assert len(load(files).positions) == 6
    (tmp_path / "w.crd").write_text(crd(["OH2", "H1", "H2", "H1", "OH2", "H2"]))
    with pytest.raises(InputFileError, match=r"atom 4 is O \(O\) of HOH .* and H1 of TIP3"):
        load(files)


@pytest.mark.parametrize(
    ("symbol", "mass", "expected"),
    [
        ("B", 79.9, "Br"),
        ("C", 40.08, "Ca"),
        (None, 65.4, "Zn"),
        ("C", 12.01, None),
        ("N", 11.99, None),  # an NH group of 3 amu hydrogens, near carbon
        ("C", 3.0, None),
        ("H", 4.032, None),
        ("C", 14.027, None),  # united atoms, near nitrogen and oxygen
        ("C", 15.035, None),
        ("O", 15.9994, None),
        ("Ca", 40.08, None),
    ],
)
def test_elements_are_corrected_by_mass(symbol, mass, expected):
    element = None if symbol is None else ELEMENT(symbol)
    found = element_by_mass(element, mass)
    assert (None if found is None else found.symbol) == expected


def test_elements_of_atom_types_without_an_atomic_number(tmp_path):
    """OpenMM uses the first letter of the name, so BR would be boron."""
    top = TOP.replace("  H3 ", "  BR1 ")
    for kind, number in (("c3", 6), ("oh", 8), ("h1", 1), ("ho", 1)):
        top = top.replace(f"\n{kind}  {number} ", f"\n{kind} ")
    top = top.replace("5  h1  1  MOL  BR1  1   0.0    1.008", "5  br  1  MOL  BR1  1  0.0  79.9")
    top = top.replace("[ moleculetype ]", "br  79.9  0.0  A  0.4  1.0\n\n[ moleculetype ]")
    mm = load(write(tmp_path, top, gro(renamed(H3="BR1"))))
    symbols = [atom.element.symbol for atom in mm.topology.atoms()]
    assert symbols == ["C", "O", "H", "H", "Br", "H"]


@pytest.fixture
def amber(tmp_path):
    """Methanol as Amber files in a box; the section ``system`` of the settings."""
    mm = load(write(tmp_path, constraints="None"))
    structure = parmed.openmm.load_topology(mm.topology, mm.system, mm.positions * unit.nanometer)
    structure.box = [30, 30, 30, 90, 90, 90]
    structure.save(str(tmp_path / "x.prmtop"))
    structure.save(str(tmp_path / "x.rst7"))
    files = {"topology": str(tmp_path / "x.prmtop"), "coordinates": str(tmp_path / "x.rst7")}
    return {"type": "amber", **files}


def test_amber_topology_in_place_of_coordinates_is_refused(tmp_path, amber):
    (tmp_path / "top.inpcrd").write_text((tmp_path / "x.prmtop").read_text())
    with pytest.raises(InputFileError, match="is an Amber topology, expected coordinates"):
        load({**amber, "coordinates": str(tmp_path / "top.inpcrd")})
    (tmp_path / "crd.prmtop").write_text((tmp_path / "x.rst7").read_text())
    with pytest.raises(InputFileError, match=r"crd\.prmtop: cannot read the Amber topology"):
        load({**amber, "topology": str(tmp_path / "crd.prmtop")})


def test_boxes_of_amber_coordinates(tmp_path, amber):
    """The box is that of the coordinates, not of the topology."""
    np.testing.assert_allclose(load(amber).box_vectors, 3 * np.eye(3), atol=1e-6)
    lines = (tmp_path / "x.rst7").read_text().splitlines()
    octahedron = "".join(f"{x:12.7f}" for x in (35, 35, 35, *[109.4712190] * 3))
    (tmp_path / "x.rst7").write_text("\n".join([*lines[:-1], octahedron]) + "\n")
    box = load(amber).box_vectors
    np.testing.assert_allclose(np.linalg.norm(box, axis=1), 3.5, atol=1e-6)
    cosine = box[0] @ box[1] / 3.5**2
    assert abs(cosine) == pytest.approx(1 / 3, abs=1e-6)
    (tmp_path / "x.rst7").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ConfigError, match="the files contain no periodic box"):
        load(amber)
    for numbers in ((0, 0, 0, 90, 90, 90), (30, 30, 30, 0, 0, 0)):
        zeros = "".join(f"{x:12.7f}" for x in numbers)
        (tmp_path / "x.rst7").write_text("\n".join([*lines[:-1], zeros]) + "\n")
        with pytest.raises(InputFileError, match="edges or angles of its periodic box are 0"):
            load(amber)


def test_gro_files_without_a_box_and_of_high_precision(tmp_path):
    precise = gro(box="0.0 0.0 0.0", decimals=6)
    mm = load(write(tmp_path, coordinates=precise, nonbonded_method="NoCutoff"))
    assert mm.box_vectors is None
    np.testing.assert_allclose(mm.positions[1], ATOMS[1][1], atol=1e-9)
    with pytest.raises(ConfigError, match="the files contain no periodic box"):
        load(write(tmp_path, coordinates=precise))


def test_unit_cell_of_1_angstrom_is_ignored(tmp_path, caplog):
    mm = load(write(tmp_path, nonbonded_method="NoCutoff"))
    mm.topology.setPeriodicBoxVectors(np.eye(3) * 0.1 * unit.nanometer)
    with open(tmp_path / "x.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    system = write(tmp_path, nonbonded_method="NoCutoff")
    system["coordinates"] = str(tmp_path / "x.pdb")
    assert load(system).box_vectors is None
    assert "is read as no box" in caplog.text
