"""nnpmm init: a settings file that loads for each kind of input, or an error of one line."""

from __future__ import annotations

import itertools

import numpy as np
import openmm
import parmed
import pytest
from complexes import methanol_system, side_by_side, write_pdb
from openmm import unit
from rdkit import Chem
from rdkit.Chem import AllChem

from nnpmm import select_atoms
from nnpmm.cli.main import main
from nnpmm.simulation import load_config, load_run_system
from nnpmm.structures import molecule_from_smiles

METHANOL = range(6)
EDGE = 3.0  # nm


def with_angles(topology):
    """The system of `methanol_system` with angles, which GROMACS needs for rigid water."""
    system, angles = methanol_system(topology), openmm.HarmonicAngleForce()
    neighbours: dict[int, list[int]] = {}
    for first, second in topology.bonds():
        neighbours.setdefault(first.index, []).append(second.index)
        neighbours.setdefault(second.index, []).append(first.index)
    for centre, around in neighbours.items():
        for i, j in itertools.combinations(around, 2):
            angles.addAngle(i, centre, j, 1.9, 400.0)
    system.addForce(angles)
    return system


def write_system(folder, molecules=(("LIG", "CO"), *(3 * [("HOH", "O")])), periodic=True):
    """Write a complex in every format: complex.prmtop, complex.top, complex.psf ..."""
    folder.mkdir(exist_ok=True)
    topology, positions = side_by_side(molecules, 0.6)
    for number, residue in enumerate(topology.residues(), 1):
        residue.id = str(number)
    system = with_angles(topology)
    structure = parmed.openmm.load_topology(topology, system, positions)
    if periodic:
        structure.box = [10 * EDGE, 10 * EDGE, 10 * EDGE, 90, 90, 90]
        topology.setPeriodicBoxVectors(np.eye(3) * EDGE * unit.nanometer)
        system.setDefaultPeriodicBoxVectors(*np.eye(3) * EDGE)
        for force in system.getForces():
            if isinstance(force, openmm.NonbondedForce):
                force.setNonbondedMethod(openmm.NonbondedForce.PME)
    for suffix in ("prmtop", "inpcrd", "top", "gro", "psf"):
        structure.save(str(folder / f"complex.{suffix}"))
    parameters = parmed.charmm.CharmmParameterSet.from_structure(structure)
    parameters.write(par=str(folder / "all.prm"), top=str(folder / "all.rtf"))
    write_pdb(folder / "complex.pdb", topology, positions)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Methanol (LIG) and three waters in a periodic box, and the parts of a system to build."""
    folder = write_system(tmp_path_factory.mktemp("init") / "files")
    (folder / "ligand.sdf").write_text(Chem.MolToMolBlock(molecule_from_smiles("CO", seed=1)))
    peptide = Chem.AddHs(Chem.MolFromSequence("GA"))
    AllChem.EmbedMolecule(peptide, randomSeed=1)
    Chem.MolToPDBFile(peptide, str(folder / "protein.pdb"))
    return folder


KINDS = {
    "gromacs": ("complex.top", "complex.gro"),
    "gromacs, the other way round": ("complex.gro", "complex.top"),
    "amber": ("complex.prmtop", "complex.inpcrd"),
    "charmm": ("complex.psf", "complex.pdb", "all.prm", "all.rtf"),
    "openmm": ("system.xml", "complex.pdb"),
    "build": ("ligand.sdf",),
    "build with a protein": ("ligand.sdf", "protein.pdb"),
}


def init(call, folder, names, *more, output="md.yaml"):
    files = [folder / name for name in names]
    return call(main, "init", *files, "-o", folder.parent / output, *more)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_input(files, call, tmp_path, kind):
    output = tmp_path / "md.yaml"
    result = call(main, "init", *(files / name for name in KINDS[kind]), "-o", output)
    assert result.status == 0 and result.err == "", result
    assert f"written: {output}" in result.out and "--dry-run" in result.out
    assert len(output.read_text().splitlines()) < 35
    settings = load_config(output)
    assert settings.system.type == kind.split()[0].strip(",")
    assert settings.region.model == "ANI-2x" and settings.region.constraints == "keep"
    assert settings.ensemble.type == "NPT"
    if settings.system.type == "build":
        assert settings.timestep == pytest.approx(0.004)
        assert settings.system.ligand == files / "ligand.sdf"
        return
    mm = load_run_system(settings)
    assert mm.box_vectors is not None
    atoms = select_atoms(mm.topology, settings.region.selection)
    np.testing.assert_array_equal(atoms, METHANOL)
    if settings.system.type != "openmm":
        assert settings.timestep == pytest.approx(0.004)
        assert settings.system.hydrogen_mass == 3.0
        masses = [mm.system.getParticleMass(i)._value for i in range(2, 6)]
        np.testing.assert_allclose(masses, 3.0)


def test_smiles_as_an_option(call, tmp_path, monkeypatch):
    """The option always is SMILES, even if a file has that name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "CO").touch()
    assert call(main, "init", "--smiles", "CO", "-o", "option.yaml").status == 0
    assert load_config("option.yaml").system.smiles == "CO"
    both = call(main, "init", "complex.top", "--smiles", "CO")
    both.assert_one_line_error("complex.top", "--smiles", "give one of them")
    wrong = call(main, "init", "--smiles", "C1CC")
    wrong.assert_one_line_error("'C1CC'", "SMILES")
    assert "file" not in wrong.err


@pytest.mark.slow
def test_a_molecule_by_its_smiles_and_a_dry_run(call, tmp_path, monkeypatch):
    """Two commands create settings and estimate the speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)
    result = call(main, "init", "CO", "--model", "ANI-1x")
    assert result.status == 0, result.err
    settings = load_config("md.yaml")
    assert (settings.system.smiles, settings.system.hydrogen_mass) == ("CO", 3.0)
    dry = call(main, "run", "md.yaml", "--dry-run")
    assert dry.status == 0, dry.err
    assert "ns/day" in dry.out and "CH4O, 6 atoms" in dry.out
    assert [path.name for path in tmp_path.iterdir()] == ["md.yaml"]


def test_paths_are_relative_to_the_settings(files, call, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    result = call(main, "init", *(files / n for n in KINDS["amber"]), "-o", folder / "a b.yaml")
    assert result.status == 0, result.err
    settings = load_config(folder / "a b.yaml")
    assert settings.system.topology == files / "complex.prmtop"
    assert "/complex.prmtop" in (folder / "a b.yaml").read_text()
    assert settings.output.directory == folder / "a b-output"


@pytest.mark.parametrize(
    ("mass", "constrained", "fs"),
    [(1.0, False, 1), (1.0, True, 2), (3.0, False, 2), (3.0, True, 4)],
)
def test_the_time_step_follows_from_a_finished_system(call, tmp_path, mass, constrained, fs):
    folder = write_system(tmp_path / "files")
    system = openmm.XmlSerializer.deserialize((folder / "system.xml").read_text())
    (bonds,) = [f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce)]
    for k in range(bonds.getNumBonds()):
        pair = bonds.getBondParameters(k)[:2]
        light = [i for i in pair if system.getParticleMass(i)._value < 3.5]
        for atom in light:
            system.setParticleMass(atom, mass)
        if constrained and light:
            system.addConstraint(*pair, 0.1)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    result = init(call, folder, KINDS["openmm"])
    assert result.status == 0, result.err
    assert load_config(tmp_path / "md.yaml").timestep == pytest.approx(fs / 1000)
    assert ("hydrogenMass" in result.out) == (fs < 4)


def test_a_molecule_in_vacuum(call, tmp_path):
    folder = write_system(tmp_path / "files", [("LIG", "CO"), ("GUE", "C")], periodic=False)
    result = init(call, folder, KINDS["amber"], "--ligand", "LIG")
    assert result.status == 0, result.err
    settings = load_config(tmp_path / "md.yaml")
    assert (settings.ensemble.type, settings.system.nonbonded_method) == ("NVT", "NoCutoff")
    assert "vacuum" in result.out
    assert load_run_system(settings).box_vectors is None


def test_water_without_a_box_is_refused(call, tmp_path):
    folder = write_system(tmp_path / "files", periodic=False)
    result = init(call, folder, KINDS["amber"])
    result.assert_one_line_error("water and no periodic box", "coordinates file")
    result = init(call, folder, KINDS["charmm"])
    result.assert_one_line_error("water and no periodic box", "--box")
    assert not (tmp_path / "md.yaml").exists()
    result = init(call, folder, KINDS["charmm"], "--box", "3,3,3.5")
    assert result.status == 0, result.err
    assert load_config(tmp_path / "md.yaml").system.box == (3.0, 3.0, 3.5)


TWO = [("LIG", "CO"), ("DRG", "C"), ("HOH", "O")]
COPIES = [("LIG", "CO"), ("LIG", "CO"), ("HOH", "O")]


@pytest.mark.parametrize(
    ("molecules", "more", "words"),
    [
        (TWO, (), ("several possible ligands", "--ligand", "LIG (6 atoms)", "DRG (5 atoms)")),
        (TWO, ("--ligand", "XXX"), ("found no residue XXX", "LIG (6 atoms), DRG (5 atoms)")),
        (TWO, ("--selection", "resname XXX"), ("matches nothing", "LIG")),
        (TWO, ("--ligand", "LIG", "--selection", "resname LIG"), ("one of them",)),
        (COPIES, (), ("2 residues LIG (numbers 1, 2)", "--selection", "resname LIG and resid 0")),
        (COPIES, ("--ligand", "LIG"), ("2 residues LIG", "resname LIG and resid 0")),
        ([("HOH", "O")] * 3, (), ("found no ligand", "--selection")),
        ([("HOH", "O")] * 3, ("--ligand", "LIG"), ("found no residue LIG", "--selection")),
    ],
)
def test_choices_of_the_ligand(call, tmp_path, molecules, more, words):
    folder = write_system(tmp_path / "files", molecules)
    result = init(call, folder, KINDS["amber"], *more)
    result.assert_one_line_error(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize(
    ("molecules", "more", "selection"),
    [
        (TWO, ("--ligand", "DRG"), "resname DRG"),
        (COPIES, ("--selection", "resname LIG and resid 1"), "resname LIG and resid 1"),
    ],
)
def test_the_requested_ligand_is_the_region(call, tmp_path, molecules, more, selection):
    folder = write_system(tmp_path / "files", molecules)
    result = init(call, folder, KINDS["amber"], *more)
    assert result.status == 0, result.err
    assert load_config(tmp_path / "md.yaml").region.selection == selection


def test_an_existing_file_is_not_overwritten(call, tmp_path):
    path = tmp_path / "md.yaml"
    path.write_text("mine")
    call(main, "init", "CO", "-o", path).assert_one_line_error("exists already", "--overwrite")
    assert path.read_text() == "mine"
    assert call(main, "init", "CO", "-o", path, "--overwrite").status == 0
    assert load_config(path).system.smiles == "CO"


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        (["none.pdb"], (), ("none.pdb: no such file", "SMILES")),
        (["complex.pdb"], (), ("complex.pdb", "no force field", "ligand")),
        (["complex.gro"], (), ("complex.gro", "top + gro")),
        (["complex.top"], (), ("no file for the coordinates", "top + gro")),
        (["complex.prmtop"], (), ("no file for the coordinates", "prmtop + inpcrd")),
        (["complex.psf", "complex.pdb"], (), ("without parameters",)),
        (["complex.psf", "all.prm"], (), ("no file for the coordinates",)),
        (["system.xml"], (), ("no file for the structure", "xml + pdb")),
        (["complex.top", "complex.gro", "ligand.sdf"], (), ("ligand.sdf", "leave it out")),
        (["ligand.sdf"], ("--ligand", "LIG"), ("--ligand", "leave them out")),
        (["ligand.sdf"], ("--box", "3,3,3"), ("found box 3,3,3", "CHARMM")),
        (["ligand.sdf"], ("-I", "/tmp"), ("found include", "GROMACS")),
        (["complex.psf", "complex.pdb", "all.prm"], ("--box", "3,3"), ("found box '3,3'", "three")),
        (["complex.psf", "complex.pdb", "all.prm"], ("--box", "a,3,3"), ("found box", "three")),
    ],
)
def test_files_that_are_not_a_system(files, call, tmp_path, names, more, words):
    output = tmp_path / "md.yaml"
    result = call(main, "init", *(files / name for name in names), "-o", output, *more)
    result.assert_one_line_error(*words)
    assert not output.exists()


def test_a_protein_file_that_cannot_be_read(files, call, tmp_path):
    """The digits of z extend into the columns of the occupancy."""
    path, output = tmp_path / "protein.pdb", tmp_path / "md.yaml"
    atoms = (files / "protein.pdb").read_text().splitlines()
    atoms[1] = atoms[1][:46] + "10000.123  1.00" + atoms[1][60:]
    path.write_text("\n".join(atoms) + "\n")
    result = call(main, "init", files / "ligand.sdf", path, "-o", output)
    result.assert_one_line_error("protein.pdb, line 2", "columns 31 to 60")
    assert not output.exists()


@pytest.mark.parametrize("text", ["C1CC", "ligand", "resname LIG", "ligand.mol3"])
def test_arguments_that_are_neither_a_file_nor_smiles(call, tmp_path, text):
    result = call(main, "init", text, "-o", tmp_path / "md.yaml")
    result.assert_one_line_error(repr(text), "no file of that name")


def test_a_missing_output_folder(call, tmp_path):
    result = call(main, "init", "CO", "-o", tmp_path / "none" / "md.yaml")
    result.assert_one_line_error("cannot write there", "another output")


def test_unknown_models_are_refused(call, tmp_path):
    path = tmp_path / "md.yaml"
    result = call(main, "init", "CO", "-o", path, "--model", "ani2")
    result.assert_one_line_error("'ani2'", "ANI-2x")
    assert call(main, "init", "CO", "-o", path, "--model", "ani1x").status == 0
    assert load_config(path).region.model == "ANI-1x"
    model = tmp_path / "model.pt"
    missing = call(main, "init", "CO", "-o", path, "--model", model, "--overwrite")
    missing.assert_one_line_error("model.pt: no such file", "model file")
    model.touch()
    assert call(main, "init", "CO", "-o", path, "--model", model, "--overwrite").status == 0
    assert load_config(path).region.model == str(model)
