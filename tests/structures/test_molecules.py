from __future__ import annotations

import numpy as np
import pytest
from conftest import shared_data
from rdkit import Chem
from rdkit.Chem import rdDepictor

from nnpmm.core.errors import InputFileError
from nnpmm.structures import molecule_from_file, molecule_from_smiles, to_openmm_topology
from nnpmm.structures.ligands.mol2 import element_of

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"


def test_smiles_gives_hydrogens_and_the_same_conformer_for_the_same_seed():
    first, again, other = (molecule_from_smiles(PARACETAMOL, seed=s) for s in (4, 4, 5))
    assert first.GetNumAtoms() == 20
    positions = [m.GetConformer().GetPositions() for m in (first, again, other)]
    np.testing.assert_array_equal(positions[0], positions[1])
    assert np.abs(positions[0] - positions[2]).max() > 0.1


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("C1CC", "not a valid SMILES"),
        ("", "not a valid SMILES"),
        ("CC O", "not a valid SMILES .* blanks"),
        ("CC\nO", "not a valid SMILES .* blanks"),
        ("CC(=O)[O-].[Na+]", "found 2 separate molecules"),
        ("[CH3]", "unpaired electrons on atoms \\[0\\]"),
        ("C1#CC1", "found no 3D conformer"),
    ],
)
def test_bad_smiles_are_named(smiles, message):
    with pytest.raises(InputFileError, match=message) as caught:
        molecule_from_smiles(smiles)
    assert "\n" not in str(caught.value)


def test_open_stereocentres_are_warned_about(caplog):
    molecule_from_smiles("CC(F)Cl")
    assert "1 stereocentres open" in caplog.text
    caplog.clear()
    molecule_from_smiles("C[C@H](F)Cl")
    assert not caplog.records


def test_sdf_round_trip(tmp_path):
    molecule = molecule_from_smiles("C[NH2+]CC(=O)[O-]")
    path = tmp_path / "sarcosine.sdf"
    path.write_text(Chem.MolToMolBlock(molecule) + "$$$$\n")
    read = molecule_from_file(path)
    assert Chem.MolToSmiles(read) == Chem.MolToSmiles(molecule)
    np.testing.assert_allclose(
        read.GetConformer().GetPositions(), molecule.GetConformer().GetPositions(), atol=1e-4
    )


def _sdf(tmp_path, *blocks):
    path = tmp_path / "ligand.sdf"
    path.write_text("".join(block + "$$$$\n" for block in blocks))
    return path


def test_bad_sdf_files_are_named(tmp_path):
    molecule = molecule_from_smiles("CCO")
    block = Chem.MolToMolBlock(molecule)
    flat = Chem.Mol(molecule)
    flat.RemoveAllConformers()
    without_h = Chem.MolToMolBlock(Chem.RemoveHs(molecule))
    clash = Chem.Mol(molecule)
    clash.GetConformer().SetAtomPosition(0, clash.GetConformer().GetAtomPosition(1))
    for blocks, message in (
        ((block, block), "found 2 molecules in ligand.sdf"),
        ((Chem.MolToMolBlock(flat),), "without 3D coordinates"),
        ((without_h,), "found 6 hydrogens missing"),
        ((Chem.MolToMolBlock(clash),), "closer than 0.4 angstrom"),
        (("nonsense\n\n\nnot a molecule\n",), "rdkit cannot read"),
    ):
        with pytest.raises(InputFileError, match=message):
            molecule_from_file(_sdf(tmp_path, *blocks))


@pytest.mark.parametrize("text", ["", "\n", " \n\n"])
def test_empty_sdf_files(tmp_path, text):
    path = tmp_path / "x.sdf"
    path.write_text(text)
    with pytest.raises(InputFileError, match=r"the empty file x\.sdf"):
        molecule_from_file(path)


@pytest.mark.parametrize(
    "symbol", ["*", "R#", "R", "R1", "A", "Q", "X", "M", "L", "AH", "LP", "Du", "Xx", "Pol"]
)
def test_placeholders_in_an_sdf_file_are_named(tmp_path, symbol):
    lines = Chem.MolToMolBlock(molecule_from_smiles("CCO")).splitlines(keepends=True)
    lines[4 + 5] = lines[4 + 5][:31] + f"{symbol:<3}" + lines[4 + 5][34:]
    with pytest.raises(InputFileError) as caught:
        molecule_from_file(_sdf(tmp_path, "".join(lines)))
    message = str(caught.value)
    assert f"found {symbol!r} for atom 6 of ligand.sdf" in message
    assert "\n" not in message


def test_placeholders_elsewhere(tmp_path):
    block = Chem.MolToV3KMolBlock(molecule_from_smiles("CCO"))
    assert molecule_from_file(_sdf(tmp_path, block)).GetNumAtoms() == 9
    broken = block.replace("M  V30 6 H", "M  V30 6 R#")
    with pytest.raises(InputFileError, match=r"for atom 6 of ligand\.sdf, which is not an element"):
        molecule_from_file(_sdf(tmp_path, broken))
    with pytest.raises(InputFileError, match=r"found '\*' for atom 3 of the SMILES"):
        molecule_from_smiles("CC*")


def test_bonds_without_an_order(tmp_path):
    block = Chem.MolToMolBlock(molecule_from_smiles("CCO")).replace("  1  2  1", "  1  2  8")
    with pytest.raises(InputFileError, match="without an order between atoms 1 and 2"):
        molecule_from_file(_sdf(tmp_path, block))


def test_a_wrong_valence_is_named(tmp_path):
    block = Chem.MolToMolBlock(molecule_from_smiles("CCO")).replace("  1  2  1", "  1  2  3")
    with pytest.raises(InputFileError, match=r"rdkit cannot read \(.*valence.*C, 6"):
        molecule_from_file(_sdf(tmp_path, block))


def _in_the_plane(molecule, tag):
    """The molecule's block, turned so that a planar one has z = 0 exactly."""
    molecule = Chem.Mol(molecule)
    positions = molecule.GetConformer().GetPositions()
    positions -= positions.mean(axis=0)
    axes = np.linalg.svd(positions)[2]
    positions = positions @ axes.T
    positions[:, 2] = 0.0
    molecule.GetConformer().SetPositions(positions)
    lines = Chem.MolToMolBlock(molecule).splitlines(keepends=True)
    lines[1] = f"  made    0101010101{tag}\n" if tag else "\n"
    return "".join(lines)


@pytest.mark.parametrize("tag", ["", "2D", "3D"])
@pytest.mark.parametrize(
    "smiles", ["c1ccccc1", "C=C", "C#C", "O", "Clc1ccc(Br)cc1", "O=C=O", "C=O", "c1ccc2ccccc2c1"]
)
def test_planar_molecules_need_no_3d_tag(tmp_path, smiles, tag):
    molecule = molecule_from_smiles(smiles)
    read = molecule_from_file(_sdf(tmp_path, _in_the_plane(molecule, tag)))
    assert Chem.MolToSmiles(read) == Chem.MolToSmiles(molecule)
    assert read.GetConformer().Is3D()


@pytest.mark.parametrize("tag", ["", "2D", "3D"])
@pytest.mark.parametrize("smiles", ["c1ccccc1", "CCO", "C", "O", "CC(=O)Nc1ccc(O)cc1"])
def test_drawings_are_no_coordinates(tmp_path, smiles, tag):
    molecule = molecule_from_smiles(smiles)
    rdDepictor.Compute2DCoords(molecule)
    lines = Chem.MolToMolBlock(molecule).splitlines(keepends=True)
    lines[1] = f"  made    0101010101{tag}\n" if tag else "\n"
    with pytest.raises(InputFileError, match=r"z = 0 for all atoms of ligand\.sdf.*a drawing"):
        molecule_from_file(_sdf(tmp_path, "".join(lines)))


def test_missing_file_and_unknown_suffix_are_named(tmp_path):
    with pytest.raises(InputFileError, match="found no file"):
        molecule_from_file(tmp_path / "none.sdf")
    with pytest.raises(InputFileError, match=r"'\.pdb' of x.pdb, allowed: .sdf, .mol and .mol2"):
        molecule_from_file(tmp_path / "x.pdb")


SYMBOLS = [Chem.GetPeriodicTable().GetElementSymbol(z) for z in range(1, 119)]


@pytest.mark.parametrize(
    ("name", "atom_type", "element"),
    [
        ("C1", "C.ar", "C"),
        ("X1", "cl", "Cl"),
        ("X1", "ca", "C"),
        ("X1", "S.o2", "S"),
        ("CL3", "zw", "Cl"),
        ("C3", "zw", "C"),
        ("Br1", "z|", "Br"),
        ("HB1", "z}", "H"),
        ("2HB", "??", "H"),
        ("X", "??", None),
        # Any type whose part before the dot is a symbol is that element.
        ("SN1", "Sn", "Sn"),
        ("S1", "Sn.x", "Sn"),
        *((f"X{z}", s, s) for z, s in enumerate(SYMBOLS, start=1)),
        ("X1", "Cr.oh", "Cr"),
        ("X1", "Co.oh", "Co"),
        ("H1", "D", "H"),
        # Names with two readings.
        ("SN1", "zz", None),
        ("NA1", "zz", None),
        ("CA", "CT", None),
        ("HO1", "zz", None),
        ("K1", "zz", None),
        ("Sn1", "zz", "Sn"),
        ("BR1", "BRGR1", "Br"),
        ("C1", "CG2R61", "C"),
    ],
)
def test_element_comes_from_the_type_or_else_the_name(name, atom_type, element):
    assert element_of(name, atom_type) == element


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "smiles"),
    [
        (
            "nnpops-ligands/3lka_ligand.mol2",
            "COc1ccc(S(N)(=O)=O)cc1",
        ),
        (
            "nnpops-ligands/1hvj_ligand.mol2",
            "CC(C)C(NC(=O)N(C)Cc1ccccn1)C(=O)NC(Cc1ccccc1)CC(O)C(Cc1ccccc1)NC(=O)"
            "C(NC(=O)N(C)Cc1ccccn1)C(C)C",
        ),
        (
            "nnpops-ligands/3hkw_ligand.mol2",
            "C=C(C)COc1ccc(C2C3=C(CC(C)(C)CS3(=O)=O)Nc3c(O)cccc3N2C(=O)c2nc(C)oc2C)c(F)c1",
        ),
        (
            "nnpops-ligands/3o99_ligand.mol2",
            "CCC(C)CN(CC(O)C(Cc1ccccc1)NC(=O)OC1COC2OCCC21)S(=O)(=O)c1ccc(N)cc1",
        ),
        ("cb7-b2/b2_am1-bcc.mol2", "OCC12CCC(CO)(CC1)CC2"),
        ("cb7-b2/b2_tripos.mol2", "OCC12CCC(CO)(CC1)CC2"),
    ],
)
def test_mol2_files_with_gaff_and_unknown_types(file, smiles):
    molecule = molecule_from_file(shared_data(file))
    heavy = Chem.RemoveHs(molecule)
    Chem.RemoveStereochemistry(heavy)
    assert Chem.MolToSmiles(heavy) == Chem.CanonSmiles(smiles)
    assert Chem.GetFormalCharge(molecule) == 0


def _write_mol2(path, molecule, charges, order_of, type_of):
    positions = molecule.GetConformer().GetPositions()
    lines = ["@<TRIPOS>MOLECULE", "LIG", "", "SMALL", "USER_CHARGES", "", "@<TRIPOS>ATOM"]
    for i, atom in enumerate(molecule.GetAtoms()):
        x, y, z = positions[i]
        name = f"{atom.GetSymbol()}{i + 1}"
        lines.append(
            f"{i + 1} {name} {x:.4f} {y:.4f} {z:.4f} {type_of(atom)} 1 LIG {charges[i]:.6f}"
        )
    lines.append("@<TRIPOS>BOND")
    for i, bond in enumerate(molecule.GetBonds()):
        ends = f"{bond.GetBeginAtomIdx() + 1} {bond.GetEndAtomIdx() + 1}"
        lines.append(f"{i + 1} {ends} {order_of(bond)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _kekule(smiles):
    molecule = molecule_from_smiles(smiles)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    charges = np.full(molecule.GetNumAtoms(), Chem.GetFormalCharge(molecule), dtype=float)
    charges /= molecule.GetNumAtoms()
    charges[:2] += (0.1, -0.1)
    return molecule, charges


@pytest.mark.parametrize(
    "smiles",
    ["CC(=O)[O-]", "C[NH3+]", "C[N+](=O)[O-]", "C[S-]", "Clc1cc[nH+]cc1", "NCC(=O)Nc1ccc(Br)cc1"],
)
@pytest.mark.parametrize("single_bonds_only", [False, True])
def test_formal_charges_follow_from_bonds_or_from_the_charge_sum(
    tmp_path, smiles, single_bonds_only
):
    molecule, charges = _kekule(smiles)
    path = _write_mol2(
        tmp_path / "x.mol2",
        molecule,
        charges,
        order_of=lambda bond: 1 if single_bonds_only else int(bond.GetBondTypeAsDouble()),
        type_of=lambda atom: "zz",
    )
    read = molecule_from_file(path)
    assert Chem.GetFormalCharge(read) == Chem.GetFormalCharge(molecule)
    assert Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(read))) == Chem.CanonSmiles(smiles)


def test_carboxylate_with_aromatic_bonds(tmp_path):
    molecule, charges = _kekule("CC(=O)[O-]")
    path = _write_mol2(
        tmp_path / "x.mol2",
        molecule,
        charges,
        order_of=lambda b: (
            "ar" if "O" in (b.GetBeginAtom().GetSymbol(), b.GetEndAtom().GetSymbol()) else 1
        ),
        type_of=lambda atom: "O.co2" if atom.GetSymbol() == "O" else atom.GetSymbol(),
    )
    assert Chem.GetFormalCharge(molecule_from_file(path)) == -1


def test_bad_mol2_files_are_named(tmp_path):
    molecule, charges = _kekule("CCO")

    def broken(old, new, q=charges):
        path = _write_mol2(tmp_path / "x.mol2", molecule, q, lambda bond: 1, lambda atom: "zz")
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return path

    n_atoms = molecule.GetNumAtoms()
    cases = (
        ((" C1 ", " X1 "), "atom X1 of type zz", charges),
        (("1 1 2 1", "1 1 99 1"), "bond line '1 1 99 1'", charges),
        (("1 1 2 1", "1 1 2 du"), "bond line '1 1 2 du'", charges),
        (("1 1 2 1", "1 1 2 1\n1 2 1 1"), "several bonds between atoms 1 and 2", charges),
        (("@<TRIPOS>BOND", "@<TRIPOS>OTHER"), "9 atoms and 0 bonds", charges),
        ((" C1 ", " C1 "), "add up to 0.4500", charges + 0.45 / n_atoms),
        ((" C1 ", " C1 "), "add up to 1, its bond orders give 0", charges + 1 / n_atoms),
        (("SMALL", "SMALL\n@<TRIPOS>MOLECULE"), "several MOLECULE sections", charges),
    )
    for (old, new), message, q in cases:
        with pytest.raises(InputFileError, match=message):
            molecule_from_file(broken(old, new, q))


def test_a_metal_in_a_mol2_file(tmp_path):
    """Tetramethyltin with names and types as in real files."""
    molecule = molecule_from_smiles("C[Sn](C)(C)C")
    charges = np.linspace(-0.1, 0.1, molecule.GetNumAtoms())
    for name, atom_type in (("Sn2", "Sn"), ("SN1", "Sn"), ("M1", "Sn"), ("Sn2", "zz")):
        types = {"C": "C.3", "H": "H", "Sn": atom_type}
        path = _write_mol2(
            tmp_path / "tin.mol2",
            molecule,
            charges,
            lambda bond: 1,
            lambda atom, types=types: types[atom.GetSymbol()],
        )
        path.write_text(path.read_text().replace(" Sn2 ", f" {name} "))
        read = molecule_from_file(path)
        assert [a.GetSymbol() for a in read.GetAtoms()] == [
            a.GetSymbol() for a in molecule.GetAtoms()
        ]
    path.write_text(path.read_text().replace(" Sn2 ", " SN1 "))
    with pytest.raises(InputFileError, match=r"atom SN1 of type zz in tin\.mol2"):
        molecule_from_file(path)


@pytest.mark.parametrize("atom_type", ["Du", "Du.C", "LP", "Any", "Hal", "Het", "Hev"])
def test_dummy_atoms_and_lone_pairs_in_a_mol2_file(tmp_path, atom_type):
    molecule, charges = _kekule("CCO")
    types = {"C": "C.3", "H": "H", "O": atom_type}
    path = _write_mol2(
        tmp_path / "x.mol2", molecule, charges, lambda bond: 1, lambda atom: types[atom.GetSymbol()]
    )
    with pytest.raises(InputFileError, match=f"atom O3 of type {atom_type} in x.mol2.*dummy"):
        molecule_from_file(path)


def test_deuterium_in_a_mol2_file_and_in_smiles(tmp_path):
    molecule, charges = _kekule("CO")
    types = {"C": "C.3", "H": "D", "O": "O.3"}
    path = _write_mol2(
        tmp_path / "x.mol2", molecule, charges, lambda bond: 1, lambda atom: types[atom.GetSymbol()]
    )
    for found in (molecule_from_file(path), molecule_from_smiles("[2H]C([2H])([2H])O[2H]")):
        topology, _ = to_openmm_topology(found)
        assert sorted(atom.element.symbol for atom in topology.atoms()) == list("CHHHHO")


def test_elements_from_names_are_logged(tmp_path, caplog):
    molecule, charges = _kekule("CCO")
    path = _write_mol2(tmp_path / "x.mol2", molecule, charges, lambda b: 1, lambda a: "zz")
    molecule_from_file(path)
    assert "x.mol2: 9 atoms have types that are neither Tripos nor GAFF" in caplog.text
    assert "C1 is C" in caplog.text


def test_mol2_without_partial_charges_is_read_with_a_warning(tmp_path, caplog):
    molecule, charges = _kekule("C[NH3+]")
    path = _write_mol2(tmp_path / "x.mol2", molecule, 0 * charges, lambda b: 1, lambda a: "zz")
    assert Chem.GetFormalCharge(molecule_from_file(path)) == 1
    assert "no partial charges; its bond orders give the formal charge +1" in caplog.text
