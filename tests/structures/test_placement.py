"""Proteins, crystal waters and poses from which a box can or cannot be built."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit
from rdkit.Geometry import Point3D

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.structures import molecule_from_smiles, parameterize, solvate
from nnpmm.structures.placement import check_placement

ALANINES = "[NH3+][C@@H](C)C(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)[O-]"
HYDROGEN = app.element.hydrogen
WATER = 0.1 * np.array([[0.0, 0.0, 0.0], [0.957, 0.0, 0.0], [-0.24, 0.927, 0.0]])


def peptide(*, left_out=lambda atom: False, names=("ALA", "ALA", "ALA")):
    """Return Modeller of three alanines without the atoms left out; residue 0 is the N terminus."""
    molecule = molecule_from_smiles(ALANINES, seed=2)
    residues = [min(atom.GetIdx() // 5, 2) for atom in molecule.GetAtoms()]
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 1:
            residues[atom.GetIdx()] = residues[atom.GetNeighbors()[0].GetIdx()]
    topology, made, order = app.Topology(), {}, []
    chain = topology.addChain("A")
    for number, name in enumerate(names):
        residue = topology.addResidue(name, chain, id=str(number + 7))
        for index in [i for i, r in enumerate(residues) if r == number]:
            atom = molecule.GetAtomWithIdx(index)
            element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
            made[index] = topology.addAtom(f"{element.symbol}{index}", element, residue)
            order.append(index)
    for bond in molecule.GetBonds():
        topology.addBond(made[bond.GetBeginAtomIdx()], made[bond.GetEndAtomIdx()])
    positions = 0.1 * molecule.GetConformer().GetPositions()[order]
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.delete([atom for atom in modeller.topology.atoms() if left_out(atom)])
    return modeller


def with_waters(modeller, n=2, *, hydrogens=2):
    """Add crystal waters 0.5 nm apart, the first 0.6 nm above the centre."""
    topology, places = app.Topology(), []
    chain = topology.addChain("W")
    centre = nm(modeller).mean(axis=0) if len(modeller.positions) else np.zeros(3)
    for k in range(n):
        residue = topology.addResidue("HOH", chain, id=str(301 + k))
        atoms = [topology.addAtom("O", app.element.oxygen, residue)]
        for name in ("H1", "H2")[:hydrogens]:
            atoms.append(topology.addAtom(name, HYDROGEN, residue))
            topology.addBond(atoms[0], atoms[-1])
        places.append(WATER[: 1 + hydrogens] + centre + [0.5 * k, 0, 0.6])
    modeller.add(topology, np.concatenate(places) * unit.nanometer)
    return modeller


def nm(modeller):
    return np.array(modeller.positions.value_in_unit(unit.nanometer))


def methanol_at(place):
    """Return methanol whose carbon is at a place (nm)."""
    molecule = molecule_from_smiles("CO", seed=1)
    conformer = molecule.GetConformer()
    shift = 10 * np.asarray(place) - conformer.GetPositions()[0]
    for i, position in enumerate(conformer.GetPositions() + shift):
        conformer.SetAtomPosition(i, Point3D(*position))
    return molecule


@pytest.fixture(scope="module")
def parameters():
    return parameterize(molecule_from_smiles("CO", seed=1), provider="fallback")


def build(modeller, place, parameters, **settings):
    protein = (modeller.topology, modeller.positions)
    settings = {"padding": 0.8, "nonbonded_cutoff": 0.8, **settings}
    return solvate(methanol_at(place), parameters, protein=protein, **settings)


def above(modeller, height=0.5):
    """Return a place above all atoms of a protein."""
    positions = nm(modeller)
    top = positions[positions[:, 2].argmax()]
    return top + np.array([0, 0, height])


@pytest.mark.parametrize("model", ["tip3p", "opc", "tip4pew", "tip4pfb"])
def test_crystal_waters_get_the_sites_of_the_water_model(parameters, model):
    modeller = with_waters(peptide())
    box = build(modeller, above(modeller), parameters, water_model=model)
    sites = {"tip3p": 3}.get(model, 4)
    waters = [r for r in box.topology.residues() if r.name == "HOH"]
    assert {len(list(residue.atoms())) for residue in waters} == {sites}
    crystal = [r for r in waters if r.id in ("301", "302") and r.chain.id == "W"]
    assert len(crystal) == 2
    virtual = sum(box.system.isVirtualSite(i) for i in range(box.system.getNumParticles()))
    assert virtual == (sites - 3) * len(waters)
    kept = [atom.index for residue in crystal for atom in residue.atoms() if atom.element]
    np.testing.assert_allclose(box.positions[kept], nm(modeller)[-6:], atol=1e-6)
    context = openmm.Context(box.system, openmm.VerletIntegrator(0.001))
    context.setPositions(box.positions)
    assert np.isfinite(context.getState(energy=True).getPotentialEnergy()._value)
    # The ligand is where its file puts it, with its own atoms.
    np.testing.assert_allclose(box.positions[box.ligand_atoms[0]], above(modeller), atol=1e-6)
    assert {list(box.topology.atoms())[i].residue.name for i in box.ligand_atoms} == {"MOL"}


@pytest.mark.parametrize("model", ["tip3p", "opc"])
def test_waters_that_have_another_number_of_sites_are_adapted(parameters, model):
    """Crystal waters with four sites are converted to three-site water, and back."""
    modeller = with_waters(peptide())
    modeller.addExtraParticles(app.ForceField("amber14-all.xml", "amber14/tip4pew.xml"))
    box = build(modeller, above(modeller), parameters, water_model=model)
    sites = {len(list(r.atoms())) for r in box.topology.residues() if r.name == "HOH"}
    assert sites == {3 if model == "tip3p" else 4}


@pytest.mark.parametrize("hydrogens", [0, 1])
@pytest.mark.parametrize("model", ["tip3p", "opc"])
def test_crystal_waters_without_hydrogens_are_named(parameters, model, hydrogens):
    modeller = with_waters(peptide(), hydrogens=hydrogens)
    with pytest.raises(InputFileError) as caught:
        build(modeller, above(modeller), parameters, water_model=model)
    text = str(caught.value)
    assert "found 2 crystal waters without all hydrogens" in text
    assert "first HOH 301 of chain W: add hydrogens" in text and "remove them" in text


@pytest.mark.parametrize(
    ("left_out", "error", "words"),
    [
        (
            lambda atom: atom.element is HYDROGEN,
            InputFileError,
            "found 3 residues without hydrogens in the protein's file, first ALA 7 of chain A: "
            "add all hydrogens at the pH",
        ),
        (
            lambda atom: atom.name == "C7",
            ForceFieldError,
            "found 1 residue in .* Amber14 does not describe, first ALA 8 .* add missing",
        ),
        (
            lambda atom: atom.residue.index == 1 and atom.element is HYDROGEN,
            InputFileError,
            "found 1 residue without hydrogens in the protein's file, first ALA 8",
        ),
        (
            lambda atom: atom.residue.index == 2,
            ForceFieldError,
            "first ALA 8 of chain A .*externally bonded .*missing atoms and termini",
        ),
    ],
    ids=["no hydrogens", "no side chain", "a residue without hydrogens", "no terminus"],
)
@pytest.mark.parametrize("crystal", [False, True])
def test_incomplete_proteins_are_refused_in_one_line(parameters, left_out, error, words, crystal):
    modeller = peptide(left_out=left_out)
    if crystal:  # of which those of four-site water have no template either
        with_waters(modeller)
    with pytest.raises(error, match=words) as caught:
        build(modeller, above(modeller), parameters, water_model="opc")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 450
    assert "PDBFixer" in str(caught.value)


def test_a_ligand_inside_the_protein_file_is_refused(parameters):
    modeller = peptide()
    place = above(modeller)
    molecule = methanol_at(place)
    block = app.Topology()
    residue = block.addResidue("LIG", block.addChain("L"), id="1")
    atoms = [
        block.addAtom(f"X{a.GetIdx()}", app.Element.getByAtomicNumber(a.GetAtomicNum()), residue)
        for a in molecule.GetAtoms()
    ]
    for bond in molecule.GetBonds():
        block.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    modeller.add(block, 0.1 * molecule.GetConformer().GetPositions() * unit.nanometer)
    words = r"of LIG 1 of chain L, allowed: .* remove the ligand from the protein's file"
    with pytest.raises(InputFileError, match=words):
        build(modeller, place, parameters)


def test_overlap_of_the_ligand_is_reported(parameters):
    modeller = peptide()
    carbon = next(a for a in modeller.topology.atoms() if a.name == "C7")
    place = nm(modeller)[carbon.index]
    with pytest.raises(
        InputFileError, match=r"found overlapping atoms: .* is 0\.000 nm from C7 of ALA 8"
    ):
        build(modeller, place, parameters)
    with pytest.raises(InputFileError, match=r"found overlapping atoms: .* between molecules"):
        build(modeller, place + np.array([0, 0, 0.08]), parameters)


def test_coincident_atoms_of_the_protein_are_refused(parameters):
    modeller = peptide()
    atoms = [a.index for a in modeller.topology.atoms() if a.name in ("H21", "H22")]
    positions = nm(modeller)
    positions[atoms[0]] = positions[atoms[1]]
    with pytest.raises(InputFileError, match=r"H21 of ALA 7 of chain A and H22 of ALA 7 .* apart"):
        build(
            app.Modeller(modeller.topology, positions * unit.nanometer), above(modeller), parameters
        )


def test_a_gap_in_the_chain_is_refused(parameters):
    modeller = peptide()
    positions = nm(modeller)
    last = [atom.index for atom in modeller.topology.atoms() if atom.residue.index == 2]
    outwards = positions[last].mean(axis=0) - positions.mean(axis=0)
    positions[last] += 0.5 * outwards / np.linalg.norm(outwards)
    broken = app.Modeller(modeller.topology, positions * unit.nanometer)
    words = (
        r"found a bond of 0\.\d+ nm between C8 of ALA 8 .* N10 of ALA 9 .* residues that are mis"
    )
    with pytest.raises(InputFileError, match=words):
        build(broken, above(broken), parameters)


@pytest.mark.parametrize("factor", [0.45, 1.8, 10.0])
def test_coordinates_in_another_unit_are_refused(parameters, factor):
    molecule = methanol_at([0, 0, 0])
    conformer = molecule.GetConformer()
    for i, position in enumerate(conformer.GetPositions() * factor):
        conformer.SetAtomPosition(i, Point3D(*position))
    with pytest.raises(InputFileError, match=r"found (a bond|overlapping atoms).* correct the"):
        solvate(molecule, parameters)


def test_a_ligand_on_a_crystal_water_is_refused_by_name(parameters):
    modeller = with_waters(peptide())
    oxygen = nm(modeller)[-3]
    with pytest.raises(InputFileError, match=r"HOH 302 of chain W.* remove that water"):
        build(modeller, oxygen + np.array([0, 0, 0.12]), parameters)


def test_a_ligand_far_from_its_protein_is_refused(parameters):
    modeller = with_waters(peptide())
    far = above(modeller, 4.0)
    with pytest.raises(InputFileError) as caught:
        build(modeller, far, parameters)
    distances = np.linalg.norm(
        nm(modeller)[:-6, None] - 0.1 * methanol_at(far).GetConformer().GetPositions(), axis=2
    )
    text = str(caught.value)
    assert f"found the ligand {distances.min():.2f} nm from the nearest atom of the protein" in text
    assert "allowed: 1 nm" in text and "frame of reference" in text
    modeller = peptide()
    assert len(build(modeller, above(modeller, 0.8), parameters).ligand_atoms) == 6


def pair(first, second, distance):
    topology = app.Topology()
    chain = topology.addChain("A")
    for name, symbol in (("PRT", first), ("MOL", second)):
        residue = topology.addResidue(name, chain)
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    return topology, np.array([[0.0, 0, 0], [distance, 0, 0]]), list(topology.residues())[1]


@pytest.mark.parametrize(
    ("first", "second", "covalent", "contact"),
    [  # nm: bonds between the elements, and short contacts of crystal structures
        ("C", "C", 0.154, 0.30),
        ("S", "C", 0.182, 0.32),
        ("O", "C", 0.143, 0.28),
        ("O", "H", 0.097, 0.15),
        ("O", "O", 0.148, 0.24),
        ("Cl", "C", 0.177, 0.30),
        ("Br", "C", 0.194, 0.31),
        ("H", "H", 0.074, 0.16),
        ("Zn", "S", 0.15, 0.228),
        ("Zn", "N", 0.13, 0.198),
        ("Mg", "O", 0.12, 0.203),
        ("Fe", "N", 0.13, 0.195),
        ("Na", "O", 0.13, 0.235),
    ],
)
def test_bonds_are_overlaps_and_contacts_are_not(first, second, covalent, contact):
    check_placement(*pair(first, second, contact))
    with pytest.raises(InputFileError, match="found overlapping atoms"):
        check_placement(*pair(first, second, covalent))


NAMES = ("HOH", "NA", "CL", "ALA", "HIS", "ZN", "K", "WAT", "SOL", "TIP3", "DA", "ACE", "POPC")


@pytest.mark.parametrize("name", NAMES)
def test_residue_names_in_use_are_refused(parameters, name):
    molecule = molecule_from_smiles("CO", seed=1)
    with pytest.raises(ConfigError, match=f"found residue_name '{name}', which stands for"):
        solvate(molecule, parameters, residue_name=name)


def test_other_residue_names_are_allowed(parameters):
    molecule = molecule_from_smiles("CO", seed=1)
    for name in ("LIG", "UNL", "4YT", "na1"):
        box = solvate(molecule, parameters, residue_name=name, padding=0.7, nonbonded_cutoff=0.7)
        assert sum(residue.name == name for residue in box.topology.residues()) == 1


@pytest.mark.parametrize(
    ("molar", "speaks"), [(0.0, False), (0.02, True), (0.15, True), (0.25, False)]
)
def test_a_box_too_small_for_its_ionic_strength_is_reported(parameters, caplog, molar, speaks):
    molecule = molecule_from_smiles("CO", seed=1)
    settings = {"ionic_strength": molar, "padding": 0.8, "nonbonded_cutoff": 0.8}
    box = solvate(molecule, parameters, **settings)
    pairs = sum(residue.name == "NA" for residue in box.topology.residues())
    found = [text for text in caplog.messages if "ionic_strength asks" in text]
    assert len(found) == speaks
    assert pairs == (molar > 0.1)
    if speaks:
        assert f"holds {pairs} pairs of Na+ and Cl-, " in found[0]
