"""Formula and charge of a region, bonds that it cuts, and regions that a model refuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm.app as app
import pytest
from complexes import side_by_side, write_pdb
from conftest import shared_data
from openmm import Vec3, unit
from rdkit import Chem

from nnpmm.core.errors import RegionError
from nnpmm.models.region_check import check_region
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.formal_charge import perceive_charge
from nnpmm.structures.readers import Structure, read_structure
from nnpmm.structures.region import describe_region
from nnpmm.structures.selection import select_atoms


@dataclass(frozen=True)
class Model:
    """The attributes of a potential that check_region uses."""

    name: str = "ANI-1x"
    elements: tuple[str, ...] | None = ("H", "C", "N", "O")
    neutral_only: bool = True


def write_molecules(path, *smiles, connect=True, box=None):
    """Write molecules side by side to a PDB file, with or without CONECT records."""
    names = ["HOH" if text == "O" else f"L{i:02d}" for i, text in enumerate(smiles)]
    topology, positions = side_by_side(zip(names, smiles, strict=True), 2.0)
    if box is not None:
        topology.setPeriodicBoxVectors(np.diag([box] * 3) * unit.nanometer)
    write_pdb(path, topology, positions)
    if not connect:
        kept = [line for line in path.read_text().splitlines() if not line.startswith("CONECT")]
        path.write_text("\n".join(kept) + "\n")
    return path


def _describe(path, selection="all", charge=None):
    structure = read_structure(path)
    return describe_region(structure, select_atoms(structure.topology, selection), charge)


# Formal charges that a PDB file does not state must come out of the geometry.
CHARGES = {
    "neutral drug": ("CC(=O)Nc1ccc(O)cc1", "C8H9NO2", 0),
    "ammonium": ("C[NH3+]", "CH6N", 1),
    "quaternary ammonium": ("C[N+](C)(C)C", "C4H12N", 1),
    "carboxylate": ("CC(=O)[O-]", "C2H3O2", -1),
    "zwitterion": ("[NH3+]CC(=O)[O-]", "C2H5NO2", 0),
    "nitro": ("C[N+](=O)[O-]", "CH3NO2", 0),
    "sulfonamide": ("CS(=O)(=O)N", "CH5NO2S", 0),
    "sulfonate": ("CS(=O)(=O)[O-]", "CH3O3S", -1),
    "dication": ("[NH3+]CC[NH3+]", "C2H10N2", 2),
    "dianion": ("[O-]C(=O)C(=O)[O-]", "C2O4", -2),
    "pyridinium": ("c1cc[nH+]cc1", "C5H6N", 1),
    "guanidinium": ("NC(=[NH2+])N", "CH6N3", 1),
    "phenolate": ("[O-]c1ccccc1", "C6H5O", -1),
    "azide": ("CN=[N+]=[N-]", "CH3N3", 0),
    "N-oxide": ("C[N+](C)(C)[O-]", "C3H9NO", 0),
    "nitrile": ("CC#N", "C2H3N", 0),
    "water": ("O", "H2O", 0),
    "hydrogen": ("[H][H]", "H2", 0),
    "carbon dioxide": ("O=C=O", "CO2", 0),
}


@pytest.mark.parametrize("connect", [True, False], ids=["CONECT", "no bonds"])
@pytest.mark.parametrize("name", CHARGES)
def test_formula_and_charge_from_a_pdb(tmp_path, name, connect):
    smiles, formula, charge = CHARGES[name]
    summary = _describe(write_molecules(tmp_path / "x.pdb", smiles, connect=connect))
    assert summary.formula == formula
    assert summary.formal_charge == charge
    assert summary.charge_source == "perceived from bonds and elements"
    molecule = molecule_from_smiles(smiles)
    assert len(summary.bonds) == molecule.GetNumBonds()
    assert summary.cut_bonds == ()


@pytest.mark.parametrize("smiles", ["C[NH3+]", "CC(=O)[O-]", "[NH3+]CC(=O)[O-]"])
def test_charge_stated_in_an_sdf(tmp_path, smiles):
    path = tmp_path / "x.sdf"
    path.write_text(Chem.MolToMolBlock(molecule_from_smiles(smiles)))
    summary = _describe(path)
    expected = Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
    assert (summary.formal_charge, summary.charge_source) == (expected, "stated in the file")


def test_charge_stated_by_the_caller(tmp_path):
    summary = _describe(write_molecules(tmp_path / "x.pdb", "C[NH3+]"), charge=0)
    assert (summary.formal_charge, summary.charge_source) == (0, "stated")


def test_undeterminable_charge_is_refused(tmp_path):
    summary = _describe(write_molecules(tmp_path / "x.pdb", "[C-]#[O+]"))
    assert (summary.formal_charge, summary.charge_source) == (None, "unknown")
    for model in (Model(), Model(neutral_only=False)):
        with pytest.raises(
            RegionError, match=r"charge of the region .CO. cannot be determined.*charge=\.\.\."
        ):
            check_region(summary, model)


def test_radical_without_a_matching_charge_is_refused():
    """Methyl: every even-electron charge would put it on carbon."""
    bonds = np.array([[0, 1], [0, 2], [0, 3]])
    assert perceive_charge(("C", "H", "H", "H"), bonds).charge is None


@pytest.mark.data
def test_amber_charges():
    structure = read_structure(shared_data("toluene/toluene-explicit.prm7"))
    summary = describe_region(structure, select_atoms(structure.topology, "resname MBN"))
    assert summary.formula == "C7H8"
    assert (summary.formal_charge, summary.charge_source) == (0, "sum of force-field charges")
    assert len(summary.bonds) == 15
    assert summary.cut_bonds == ()


@pytest.mark.data
def test_a_ligand_in_a_gromacs_complex():
    folder = shared_data("hsp90/ligand-3")
    path = sorted(folder.rglob("*.gro"), key=lambda p: p.stat().st_size)[0]
    summary = _describe(path, "resname LIG")
    assert len(summary.symbols) == 33
    assert summary.cut_bonds == ()
    assert len(summary.bonds) >= 32
    assert summary.formal_charge == 0


@pytest.mark.parametrize("connect", [True, False], ids=["CONECT", "no bonds"])
def test_cut_bonds_are_refused(tmp_path, connect):
    path = write_molecules(tmp_path / "x.pdb", "CCO", "O", connect=connect)
    summary = _describe(path, "resname L00 and not element H")
    assert summary.formula == "C2O"
    assert len(summary.cut_bonds) == 6
    assert all(label.startswith("L00") for label in summary.cut_bonds)
    with pytest.raises(RegionError, match=r"cuts 6 covalent bonds \(L00.*select whole molecules"):
        check_region(summary, Model())


@pytest.mark.data
def test_cut_peptide_is_refused():
    structure = read_structure(shared_data("toluene/alanine-dipeptide-explicit.pdb"))
    summary = describe_region(structure, select_atoms(structure.topology, "resname ALA"))
    assert len(summary.cut_bonds) == 2
    with pytest.raises(RegionError, match="cuts 2 covalent bonds"):
        check_region(summary, Model())


def test_several_molecules_in_one_region(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "CCO", "O", "C[NH3+]", "CC(=O)[O-]")
    summary = _describe(path, "resname L00 HOH")
    assert (summary.formula, summary.formal_charge) == ("C2H8O2", 0)
    assert len(summary.residues) == 2
    assert _describe(path, "resname L02 L03").formal_charge == 0  # a salt


def test_bonds_are_rows_of_the_region(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "CCO", "CO")
    structure = read_structure(path)
    atoms = select_atoms(structure.topology, "resname L01")
    summary = describe_region(structure, atoms)
    distances = np.linalg.norm(
        np.subtract(*(structure.positions[atoms[summary.bonds[:, k]]] for k in (0, 1))), axis=1
    )
    assert len(distances) == 5
    assert distances.max() < 0.16


@pytest.mark.parametrize("connect", [True, False], ids=["CONECT", "no bonds"])
@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "CC(=O)[O-]", "C[NH3+]"])
def test_wrapped_coordinates_give_the_same_region(tmp_path, smiles, connect):
    """Each atom is wrapped into the box separately, which splits the molecule."""
    path = write_molecules(tmp_path / "x.pdb", smiles, connect=connect, box=2.5)
    whole = read_structure(path)
    middle = whole.positions.mean(axis=0)
    wrapped = Structure(whole.topology, (whole.positions - middle) % 2.5, whole.box)
    assert np.ptp(wrapped.positions, axis=0).max() > 1.5
    atoms = np.arange(whole.topology.getNumAtoms())
    expected, found = describe_region(whole, atoms), describe_region(wrapped, atoms)
    np.testing.assert_array_equal(found.bonds, expected.bonds)
    assert found.formal_charge == expected.formal_charge is not None


def test_wrapped_in_a_triclinic_box(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "CC(=O)Nc1ccc(O)cc1", connect=False)
    whole = read_structure(path)
    box = np.array([[2.5, 0, 0], [0.8, 2.4, 0], [-0.8, 0.8, 2.3]])
    fractions = (whole.positions - whole.positions.mean(axis=0)) @ np.linalg.inv(box)
    wrapped = Structure(whole.topology, (fractions % 1.0) @ box, box)
    whole.topology.setPeriodicBoxVectors([Vec3(*row) for row in box] * unit.nanometer)
    atoms = np.arange(20)
    expected, found = describe_region(whole, atoms), describe_region(wrapped, atoms)
    np.testing.assert_array_equal(found.bonds, expected.bonds)
    assert found.formal_charge == 0


def test_a_virtual_site_in_the_region():
    topology = app.Topology()
    residue = topology.addResidue("LIG", topology.addChain())
    topology.addAtom("C1", app.Element.getBySymbol("C"), residue)
    topology.addAtom("EP1", None, residue)
    with pytest.raises(RegionError, match=r"atoms without an element \(EP1\)"):
        describe_region(Structure(topology, np.eye(3)[:2], None), np.arange(2))


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        (
            "c1ccccc1Cl",
            "the region contains Cl, but ANI-1x supports H, C, N, O; select other atoms",
        ),
        (
            "CC(=O)[O-]",
            r"formal charge -1 \(perceived from bonds and elements\), but ANI-1x describes",
        ),
        ("[NH3+]CC[NH3+]", r"formal charge \+2"),
    ],
)
def test_charged_regions_are_refused_for_neutral_models(tmp_path, smiles, message):
    summary = _describe(write_molecules(tmp_path / "x.pdb", smiles))
    with pytest.raises(RegionError, match=message) as caught:
        check_region(summary, Model())
    assert "\n" not in str(caught.value)
    check_region(summary, Model(elements=None, neutral_only=False))


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "[NH3+]CC(=O)[O-]", "O"])
def test_neutral_regions_are_accepted_for_neutral_models(tmp_path, smiles):
    check_region(_describe(write_molecules(tmp_path / "x.pdb", smiles)), Model())


def test_hydrogens_without_conect_records_are_bonded_by_distance(tmp_path):
    """CONECT records of a crystal structure, and hydrogens that were added afterwards."""
    path = write_molecules(tmp_path / "x.pdb", "CC(=O)Nc1ccc(O)cc1")
    structure = read_structure(path)
    hydrogens = {a.index + 1 for a in structure.topology.atoms() if a.element.symbol == "H"}
    lines = []
    for line in path.read_text().splitlines():
        if line.startswith("CONECT"):
            first, *others = (int(line[k : k + 5]) for k in range(6, len(line.rstrip()), 5))
            others = [other for other in others if other not in hydrogens]
            if first in hydrogens or not others:
                continue
            line = f"CONECT{first:5d}" + "".join(f"{other:5d}" for other in others)
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")
    summary = _describe(path)
    assert (len(summary.bonds), summary.formal_charge) == (20, 0)
    check_region(summary, Model())


@pytest.mark.parametrize("charge", [None, 0])
@pytest.mark.parametrize("smiles", ["OCC(O)CO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "O", "C1CCCCC1"])
def test_missing_hydrogens_are_reported(tmp_path, smiles, charge):
    path = write_molecules(tmp_path / "x.pdb", smiles)
    structure = read_structure(path)
    heavy = [a.index for a in structure.topology.atoms() if a.element.symbol != "H"]
    bare = app.Modeller(structure.topology, structure.positions * unit.nanometer)
    bare.delete([a for a in bare.topology.atoms() if a.index not in heavy])
    write_pdb(path, bare.topology, bare.positions)
    summary = _describe(path, charge=charge)
    with pytest.raises(RegionError, match=r"seems to lack hydrogens: \d+ atoms .* add all hydro"):
        check_region(summary, Model())


def test_one_missing_hydrogen_is_reported(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "c1ccccc1")
    structure = read_structure(path)
    partly = app.Modeller(structure.topology, structure.positions * unit.nanometer)
    partly.delete([list(partly.topology.atoms())[-1]])
    write_pdb(path, partly.topology, partly.positions)
    with pytest.raises(RegionError, match=r"seems to lack hydrogens: 1 atoms"):
        check_region(_describe(path, charge=0), Model())


@pytest.mark.parametrize(
    "smiles",
    ["ClC(Cl)(Cl)Cl", "O=C=O", "S=C=S", "Fc1c(F)c(F)c(F)c(F)c1F", "ClC(Cl)=C(Cl)Cl", "N#CC#N"],
)
def test_molecules_without_hydrogens_are_accepted(tmp_path, smiles):
    summary = _describe(write_molecules(tmp_path / "x.pdb", smiles))
    assert summary.without_hydrogens == ()
    check_region(summary, Model(elements=None))


@pytest.mark.parametrize(("symbol", "distance"), [("K", 0.27), ("Na", 0.23), ("Ca", 0.24)])
def test_ions_in_contact_are_not_bonded(tmp_path, symbol, distance):
    summary = _describe(_with_ion(tmp_path, symbol, distance), "resname L00")
    assert summary.cut_bonds == ()
    assert summary.formal_charge == 0


def test_a_coordinated_metal_causes_a_warning(tmp_path, caplog):
    summary = _describe(_with_ion(tmp_path, "Zn", 0.21), "resname L00")
    assert summary.cut_bonds == ()
    assert "1 contacts with metal ions leave the region (L001:O1-ION1:ZN)" in caplog.text


def test_a_region_of_ions_names_its_element(tmp_path):
    """Distances to the water around sodium ions are not bonds that the region cuts."""
    summary = _describe(_with_ion(tmp_path, "Na", 0.23), "resname ION")
    with pytest.raises(RegionError, match="the region contains Na, but ANI-1x supports"):
        check_region(summary, Model())


def _with_ion(folder, symbol, distance):
    """Acetone and an ion on the far side of its oxygen."""
    path = write_molecules(folder / "x.pdb", "CC(C)=O")
    structure = read_structure(path)
    names = [atom.name for atom in structure.topology.atoms()]
    oxygen, carbon = (structure.positions[names.index(name)] for name in ("O1", "C2"))
    topology = app.Topology()
    residue = topology.addResidue("ION", topology.addChain(), "2")
    topology.addAtom(symbol.upper(), app.Element.getBySymbol(symbol), residue)
    place = oxygen + distance * (oxygen - carbon) / np.linalg.norm(oxygen - carbon)
    modeller = app.Modeller(structure.topology, structure.positions * unit.nanometer)
    modeller.add(topology, place[None] * unit.nanometer)
    return write_pdb(path, modeller.topology, modeller.positions)


def test_charged_molecules_do_not_cancel(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "C[NH3+]", "CC(=O)[O-]", "O", "CO")
    summary = _describe(path, "resname L00 L01 HOH")
    assert summary.formal_charge == 0
    message = r"charged molecules \(L00\d \+1, L01\d -1 e\), but ANI-1x describes only neutral"
    for stated in (summary, _describe(path, "resname L00 L01", charge=0)):
        with pytest.raises(RegionError, match=message):
            check_region(stated, Model())
    check_region(summary, Model(neutral_only=False))


def test_ambiguous_charge_lists_the_possible_charges(tmp_path):
    path = write_molecules(tmp_path / "x.pdb", "C[n+]1ccc(-c2cc[n+](C)cc2)cc1")
    summary = _describe(path)
    assert summary.formal_charge is None
    with pytest.raises(
        RegionError, match=r"is ambiguous: its bonds allow 0 or \+2, .* charge=\.\.\."
    ):
        check_region(summary, Model())
    check_region(_describe(path, charge=0), Model())
