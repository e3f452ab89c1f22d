"""Formal charges from bonds and bond lengths, in any order of the atoms."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import shared_data
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from nnpmm.structures import molecule_from_file
from nnpmm.structures.formal_charge import bond_multiplicities, perceive_charge

NITRO_AND_CHARGE_SEPARATED = {
    "nitrofurantoin": "O=C1CN(N=Cc2ccc([N+](=O)[O-])o2)C(=O)N1",
    "nifedipine": "COC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1ccccc1[N+](=O)[O-]",
    "chloramphenicol": "O=C(NC(CO)C(O)c1ccc([N+](=O)[O-])cc1)C(Cl)Cl",
    "metronidazole": "Cc1ncc([N+](=O)[O-])n1CCO",
    "nitrobenzene": "O=[N+]([O-])c1ccccc1",
    "picric acid": "Oc1c([N+](=O)[O-])cc([N+](=O)[O-])cc1[N+](=O)[O-]",
    "nimesulide": "CS(=O)(=O)Nc1ccc([N+](=O)[O-])cc1Oc1ccccc1",
    "flutamide": "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1",
    "ranitidine": "CNC(=C[N+](=O)[O-])NCCSCc1ccc(CN(C)C)o1",
    "nitroglycerin": "O=[N+]([O-])OCC(CO[N+](=O)[O-])O[N+](=O)[O-]",
    "clonazepam": "O=C1CN=C(c2ccccc2Cl)c2cc([N+](=O)[O-])ccc2N1",
    "tolcapone": "Cc1ccc(C(=O)c2cc(O)c(O)c([N+](=O)[O-])c2)cc1",
    "minoxidil": "Nc1cc(N2CCCCC2)nc(N)[n+]1[O-]",
    "pyridine N-oxide": "[O-][n+]1ccccc1",
    "quinoxaline dioxide": "Cc1c(C)[n+]([O-])c2ccccc2[n+]1[O-]",
    "zidovudine": "Cc1cn(C2CC(N=[N+]=[N-])C(CO)O2)c(=O)[nH]c1=O",
    "ethyl diazoacetate": "CCOC(=O)C=[N+]=[N-]",
    "ethyl isocyanide": "CC[N+]#[C-]",
    "glycine zwitterion": "[NH3+]CC(=O)[O-]",
}
NEUTRAL = {
    "dapsone": "Nc1ccc(S(=O)(=O)c2ccc(N)cc2)cc1",
    "omeprazole": "COc1ccc2[nH]c(S(=O)Cc3ncc(C)c(OC)c3C)nc2c1",
    "sulfamethoxazole": "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "triethyl phosphate": "CCOP(=O)(OCC)OCC",
    "letrozole": "N#Cc1ccc(C(c2ccc(C#N)cc2)n2cncn2)cc1",
    "benzoquinone": "O=C1C=CC(=O)C=C1",
    "menadione": "CC1=CC(=O)c2ccccc2C1=O",
    "p-phenylenediamine": "Nc1ccc(N)cc1",
    "hydroquinone": "Oc1ccc(O)cc1",
    "indigo": "O=C1C(=C2Nc3ccccc3C2=O)Nc2ccccc21",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "furosemide": "NS(=O)(=O)c1cc(C(=O)O)c(NCc2ccco2)cc1Cl",
    "tetrachloroethene": "ClC(Cl)=C(Cl)Cl",
    "tetracyanoethylene": "N#CC(C#N)=C(C#N)C#N",
}
CHARGED = {
    "ibuprofen anion": ("CC(C)Cc1ccc(C(C)C(=O)[O-])cc1", -1),
    "metformin cation": ("CN(C)C(=[NH2+])NC(=N)N", 1),
    "benzamidinium": ("NC(=[NH2+])c1ccccc1", 1),
    "pyridinium": ("c1cc[nH+]cc1", 1),
    "choline": ("C[N+](C)(C)CCO", 1),
    "arginine": ("[NH3+]C(CCCNC(N)=[NH2+])C(=O)[O-]", 1),
    "tetramethylphosphonium": ("C[P+](C)(C)C", 1),
    "methylene blue": ("CN(C)c1ccc2nc3ccc(=[N+](C)C)cc-3sc2c1", 1),
    "dimethylimidazolium": ("Cn1cc[n+](C)c1", 1),
    "thiamine": ("Cc1ncc(C[n+]2csc(CCO)c2C)c(N)n1", 1),
    "methyl phosphate": ("COP(=O)([O-])[O-]", -2),
    "nitrate": ("O=[N+]([O-])[O-]", -1),
    "sulfate": ("O=S(=O)([O-])[O-]", -2),
    "nitrite": ("O=N[O-]", -1),
    "imidazolide": ("c1c[n-]cn1", -1),
    "tetrazolide": ("c1nnn[n-]1", -1),
    "cyanide": ("[C-]#N", -1),
    "ethylenediammonium": ("[NH3+]CC[NH3+]", 2),
}
AMBIGUOUS = {
    "paraquat": ("C[n+]1ccc(-c2cc[n+](C)cc2)cc1", (0, 2)),
    "diquat": ("c1cc[n+]2c(c1)-c1cccc[n+]1CC2", (0, 2)),
    "hydroquinone dianion": ("[O-]c1ccc([O-])cc1", (-2, 0)),
}


def geometry(smiles):
    """Symbols, bonds and positions (nm) of a molecule relaxed with a force field."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=1) == 0
    with rdBase.BlockLogs():
        if AllChem.MMFFHasAllMoleculeParams(molecule):
            AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
        else:
            AllChem.UFFOptimizeMolecule(molecule, maxIters=2000)
    return described(molecule)


def described(molecule):
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    pairs = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
    bonds = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return symbols, bonds, molecule.GetConformer().GetPositions() / 10


def in_random_orders(symbols, bonds, positions, count=4):
    """Perceived charges with and without bond lengths, for some orders of the atoms."""
    with_lengths, without = set(), set()
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(len(symbols))
        shuffled = [symbols[i] for i in order], np.argsort(order)[bonds]
        with_lengths.add(perceive_charge(*shuffled, positions[order]))
        without.add(perceive_charge(*shuffled))
    return with_lengths, without


@pytest.mark.parametrize(
    ("smiles", "charge"),
    [
        *((smiles, 0) for smiles in (NITRO_AND_CHARGE_SEPARATED | NEUTRAL).values()),
        *CHARGED.values(),
    ],
    ids=[*NITRO_AND_CHARGE_SEPARATED, *NEUTRAL, *CHARGED],
)
def test_charge_matches_the_smiles_in_every_order(smiles, charge):
    assert Chem.GetFormalCharge(Chem.MolFromSmiles(smiles)) == charge
    (with_lengths,), (without,) = in_random_orders(*geometry(smiles))
    assert with_lengths.charge == charge
    # Bonds alone may leave two charges of the same size open, but give no wrong one.
    assert without.charge in (charge, None)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_charges_are_not_guessed(name):
    """A neutral structure with other bond lengths has the same number of electrons."""
    smiles, possible = AMBIGUOUS[name]
    (with_lengths,), _ = in_random_orders(*geometry(smiles))
    assert with_lengths.charge is None
    assert with_lengths.possible == possible


@pytest.mark.parametrize("scale", [0.97, 1.03])
def test_short_bonds_do_not_turn_an_anion_into_a_cation(scale):
    """Nitrogen with four bonds to two neighbours would be linear, which no ring has."""
    symbols, bonds, positions = geometry("c1c[n-]cn1")
    assert perceive_charge(symbols, bonds, scale * positions).charge == -1


def test_opposite_charges_with_similar_bond_lengths_are_not_guessed():
    """A linear O-N-O between nitronium, with bonds of 0.115 nm, and nitrite, with 0.124 nm."""
    bonds = np.array([[0, 1], [0, 2]])
    positions = np.array([[0, 0, 0], [0.121, 0, 0], [-0.121, 0, 0]])
    found = perceive_charge("NOO", bonds, positions)
    assert found.charge is None
    assert found.possible == (-1, 1)


@pytest.mark.parametrize("smiles", ["[CH3]", "[CH3+]", "[CH3-]"])
def test_radicals_and_charges_on_carbon_are_not_determined(smiles):
    assert perceive_charge(*geometry(smiles)).charge is None


def test_an_alkoxy_radical_is_read_as_the_anion_with_its_bonds():
    """Bonds cannot distinguish a radical from an ion; a neutral model refuses both."""
    assert perceive_charge(*geometry("C[O]")).charge == -1


def test_charges_of_unknown_elements_are_not_determined():
    assert perceive_charge(["Sn"], np.zeros((0, 2), dtype=np.int64)).charge is None


def test_multiplicities_follow_bond_lengths():
    bonds = np.array([[0, 1]])
    for symbols, length, expected in (
        ("CC", 0.154, 0), ("CC", 0.134, 1), ("CC", 0.120, 2), ("CC", 0.142, 0.5), ("CO", 0.122, 1),
    ):  # fmt: skip
        positions = np.array([[0, 0, 0], [length, 0, 0]])
        found = bond_multiplicities(list(symbols), bonds, positions)
        assert found[0] == pytest.approx(expected, abs=0.2)
    assert np.isnan(bond_multiplicities(["C", "H"], bonds, np.eye(3)[:2]))


REAL = (
    "nnpops-ligands/1hvj_ligand.mol2",
    "nnpops-ligands/3hkw_ligand.mol2",
    "nnpops-ligands/3lka_ligand.mol2",
    "nnpops-ligands/3o99_ligand.mol2",
    "cb7-b2/b2_tripos.mol2",
    "cb7-b2/cb7_tripos.mol2",
)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_ligands_keep_the_charge_that_their_file_states(name):
    molecule = molecule_from_file(shared_data(name))
    assert perceive_charge(*described(molecule)).charge == Chem.GetFormalCharge(molecule)


@pytest.mark.data
def test_ligands_of_tyk2_are_neutral():
    path = shared_data("tyk2/ligands.sdf")
    molecules = [m for m in Chem.SDMolSupplier(str(path), removeHs=False) if m is not None]
    assert len(molecules) > 5
    for molecule in molecules:
        assert perceive_charge(*described(molecule)).charge == 0
