from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import app, unit
from rdkit import Chem
from toys import prepared_water, water_box

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation import load_run_system, parse_config
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.inputs.gromacs import _merged_directories

PSF = """PSF

       1 !NTITLE
 REMARKS two waters

       6 !NATOM
       1 WAT  1    TIP3 OH2  OT    -0.834000       15.9994           0
       2 WAT  1    TIP3 H1   HT     0.417000        1.0080           0
       3 WAT  1    TIP3 H2   HT     0.417000        1.0080           0
       4 WAT  2    TIP3 OH2  OT    -0.834000       15.9994           0
       5 WAT  2    TIP3 H1   HT     0.417000        1.0080           0
       6 WAT  2    TIP3 H2   HT     0.417000        1.0080           0

       4 !NBOND: bonds
       1       2       1       3       4       5       4       6

       2 !NTHETA: angles
       2       1       3       5       4       6

       0 !NPHI: dihedrals


       0 !NIMPHI: impropers


       0 !NDON: donors


       0 !NACC: acceptors


       0 !NNB

       0       0       0       0       0       0

       1       0 !NGRP
       0       0       0

"""
PARAMETERS = """* water
*
ATOMS
MASS  1  OT  15.9994
MASS  2  HT   1.0080

BONDS
HT  OT   450.000  0.9572

ANGLES
HT  OT  HT   55.000  104.5200

DIHEDRALS

NONBONDED nbxmod  5 atom cdiel shift vatom vdistance vswitch -
cutnb 14.0 ctofnb 12.0 ctonnb 10.0 eps 1.0 e14fac 1.0 wmin 1.5
OT     0.000000  -0.152100     1.768200
HT     0.000000  -0.046000     0.224500

END
"""


def load(system, selection="resname LIG", ensemble="NVT"):
    region = {"selection": selection, "model": "ANI-2x"}
    settings = {"system": system, "region": region, "ensemble": {"type": ensemble}}
    return load_run_system(parse_config(settings))


def bond_lengths(mm):
    pairs = np.array([(a.index, b.index) for a, b in mm.topology.bonds()])
    return np.linalg.norm(mm.positions[pairs[:, 1]] - mm.positions[pairs[:, 0]], axis=1)


def energy(mm):
    context = openmm.Context(
        mm.system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU")
    )
    context.setPositions(mm.positions)
    return context.getState(energy=True).getPotentialEnergy()._value


def write_water(folder, periodic=True):
    mm = water_box(per_edge=3, periodic=periodic)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    with open(folder / "water.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    return mm


@pytest.mark.data
def test_amber():
    folder = shared_data("toluene")
    files = {
        "type": "amber",
        "topology": str(folder / "toluene-explicit.prm7"),
        "coordinates": str(folder / "toluene-explicit.rst7"),
    }
    mm = load(files)
    assert mm.positions.shape == (6495, 3)
    np.testing.assert_allclose(np.diag(mm.box_vectors), 4.0, atol=1e-6)
    assert mm.system.getNumConstraints() > 0
    heavy = load({**files, "hydrogen_mass": "3 amu", "constraints": "None", "rigid_water": False})
    assert heavy.system.getNumConstraints() == 0
    masses = [heavy.system.getParticleMass(i)._value for i in range(15)]
    assert min(masses) == pytest.approx(3.0)
    with pytest.raises(ConfigError, match=r"system\.nonbonded_method: found PME, but the files"):
        vacuum = shared_data("cb7-b2")
        load(
            {
                "type": "amber",
                "topology": str(vacuum / "ligand.prmtop"),
                "coordinates": str(vacuum / "ligand.inpcrd"),
            }
        )


@pytest.mark.data
def test_gromacs_with_include_directories_and_defines(tmp_path, monkeypatch):
    # An installed GROMACS has a folder of the same name, which OpenMM would find.
    monkeypatch.setenv("GMXDATA", str(tmp_path / "no-gromacs"))
    folder = shared_data("hsp90/ligand-3/ligand")
    files = {
        "type": "gromacs",
        "topology": str(folder / "ligand.top"),
        "coordinates": str(folder / "ligand.gro"),
        "defines": {"HEAVY_H": ""},
    }
    with pytest.raises(InputFileError, match=r"ligand\.top: cannot read the GROMACS topology: "):
        load(files)
    (tmp_path / "amber99sb-ildn.ff").mkdir()  # an empty folder of the same name is merged
    includes = [str(tmp_path), str(shared_data("amber99sb-ildn"))]
    mm = load({**files, "include_directories": includes})
    assert mm.positions.shape == (3705, 3)
    assert bond_lengths(mm).max() < 0.2
    assert np.isfinite(energy(mm))
    with pytest.raises(InputFileError, match=r"no such folder; see system\.include_directories"):
        load({**files, "include_directories": [str(tmp_path / "none")]})


def test_include_directories_with_circular_links(tmp_path):
    """Two folders link to each other; a folder that is linked twice is found twice."""
    first, second = tmp_path / "a.ff", tmp_path / "b.ff"
    for folder in (first, second):
        folder.mkdir()
        (folder / f"{folder.stem}.itp").touch()
    (first / "other").symlink_to(second)
    (second / "other").symlink_to(first)
    (tmp_path / "same.ff").symlink_to(first)
    with _merged_directories((tmp_path, second)) as merged:
        found = {str(path.relative_to(merged)) for path in Path(merged).rglob("*.itp")}
    once = {f"{name}.ff/{inside}" for name in ("a", "same") for inside in ("a.itp", "other/b.itp")}
    assert found == once | {"b.ff/b.itp", "b.ff/other/a.itp", "b.itp", "other/a.itp"}


def test_charmm(tmp_path):
    (tmp_path / "w.psf").write_text(PSF)
    (tmp_path / "w.prm").write_text(PARAMETERS)
    lattice = water_box(per_edge=2)
    with open(tmp_path / "w.pdb", "w") as handle:
        modeller = app.Modeller(lattice.topology, lattice.positions * unit.nanometer)
        residues = list(modeller.topology.residues())
        modeller.delete(residues[2:])
        app.PDBFile.writeFile(modeller.topology, modeller.positions, handle)
    files = {
        "type": "charmm",
        "psf": str(tmp_path / "w.psf"),
        "coordinates": str(tmp_path / "w.pdb"),
        "parameters": [str(tmp_path / "w.prm")],
    }
    vacuum = load({**files, "nonbonded_method": "NoCutoff"})
    assert vacuum.box_vectors is None
    assert vacuum.system.getNumConstraints() == 6
    # OpenMM's CHARMM reader adds forces for impropers and CMAP even where there are none.
    model = load_model("ANI-1x", members=0)
    hybrid = create_hybrid_system(vacuum.system, vacuum.topology, [0, 1, 2], model)
    assert hybrid.getNumConstraints() == 3
    boxed = load({**files, "box": ["3 nm", "3 nm", "3 nm"], "switch_distance": "0.8 nm"})
    np.testing.assert_allclose(boxed.box_vectors, 3 * np.eye(3))
    with pytest.raises(ConfigError, match=r"switch_distance: found 1\.2 nm, must be less than"):
        load({**files, "box": ["3 nm", "3 nm", "3 nm"], "switch_distance": "1.2 nm"})
    with pytest.raises(ConfigError, match="the files contain no periodic box"):
        load(files)
    (tmp_path / "bad.prm").write_text(PARAMETERS.replace("HT  OT   450", "HT  XX   450"))
    with pytest.raises(InputFileError, match="cannot read the CHARMM"):
        load({**files, "parameters": [str(tmp_path / "bad.prm")], "nonbonded_method": "NoCutoff"})


def test_openmm_xml_and_wrapped_coordinates(tmp_path):
    mm = write_water(tmp_path)
    shifted = mm.positions + 0.4
    wrapped = shifted - np.floor(shifted / np.diag(mm.box_vectors)) * np.diag(mm.box_vectors)
    with open(tmp_path / "water.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, wrapped * unit.nanometer, handle)
    files = {
        "type": "openmm",
        "system": str(tmp_path / "system.xml"),
        "structure": str(tmp_path / "water.pdb"),
    }
    assert np.linalg.norm(np.diff(wrapped.reshape(-1, 3, 3), axis=1), axis=2).max() > 0.5
    loaded = load(files)
    assert bond_lengths(loaded).max() < 0.1
    assert energy(loaded) == pytest.approx(energy(mm), abs=2.0)  # PDB rounds to 1e-4 nm


def test_openmm_xml_with_code_is_refused(tmp_path):
    write_water(tmp_path)
    hybrid = prepared_water(periodic=True, per_edge=3).hybrid.system
    files = {
        "type": "openmm",
        "system": str(tmp_path / "system.xml"),
        "structure": str(tmp_path / "water.pdb"),
    }
    text = openmm.XmlSerializer.serialize(hybrid)
    assert "PythonForce" in text
    entity = '<!DOCTYPE System [<!ENTITY p "P">]>' + text.partition("?>")[2]
    hidden = [text.replace("PythonForce", f"{p}ythonForce") for p in ("&#80;", "&#x50;", "&#x050;")]
    for content in (text, *hidden, entity.replace("PythonForce", "&p;ythonForce")):
        (tmp_path / "system.xml").write_text(content)
        with pytest.raises(InputFileError, match=r"PythonForce, which would run code|not a plain"):
            load(files)


def test_escaped_control_characters_are_read(tmp_path):
    """A newline in an expression, a tab in a name: OpenMM writes them as &#x0A; and &#x09;."""
    mm = write_water(tmp_path)
    wall = openmm.CustomExternalForce("0.5*k*z^2;\nk=10")
    wall.setName("a\twall\r")
    mm.system.addForce(wall)
    text = openmm.XmlSerializer.serialize(mm.system)
    assert "&#x0A;" in text
    (tmp_path / "system.xml").write_text(text)
    files = {"system": str(tmp_path / "system.xml"), "structure": str(tmp_path / "water.pdb")}
    loaded = load({"type": "openmm", **files}).system
    found = loaded.getForce(loaded.getNumForces() - 1)
    assert (found.getEnergyFunction(), found.getName()) == ("0.5*k*z^2;\nk=10", "a\twall\r")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": "none.pdb"}, "none.pdb: no such file; give the structure"),
        ({"structure": "system.xml"}, "found '.xml' for the structure, allowed: .pdb, .cif"),
        ({"system": "state.xml"}, "state.xml: contains a State, expected a System"),
        ({"system": "broken.xml"}, "broken.xml: cannot read the OpenMM System"),
        ({"system": "other.xml"}, "water.pdb has 81 atoms and other.xml has 24 particles"),
        ({"structure": "bad.pdb"}, "finite"),
    ],
)
def test_unusable_files_are_named(tmp_path, changes, message):
    mm = write_water(tmp_path)
    context = openmm.Context(mm.system, openmm.VerletIntegrator(0.001))
    context.setPositions(mm.positions)
    (tmp_path / "state.xml").write_text(
        openmm.XmlSerializer.serialize(context.getState(positions=True))
    )
    (tmp_path / "broken.xml").write_text("<System")
    (tmp_path / "other.xml").write_text(openmm.XmlSerializer.serialize(water_box().system))
    lines = (tmp_path / "water.pdb").read_text().splitlines()
    atoms = [k for k, line in enumerate(lines) if line.startswith(("ATOM", "HETATM"))]
    bad = lines[atoms[3]]
    lines[atoms[3]] = bad[:30] + "     nan" + bad[38:]
    (tmp_path / "bad.pdb").write_text("\n".join(lines))
    files = {"type": "openmm", "system": "system.xml", "structure": "water.pdb", **changes}
    files = {k: v if k == "type" else str(tmp_path / v) for k, v in files.items()}
    with pytest.raises(InputFileError) as raised:
        load(files)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def load_with_forces(folder, forces, ensemble):
    mm = write_water(folder)
    for name, force in forces.items():
        force.setName(name)
        mm.system.addForce(force)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    files = {"system": str(folder / "system.xml"), "structure": str(folder / "water.pdb")}
    return load({"type": "openmm", **files}, ensemble=ensemble).system


def membrane_barostat():
    kind = openmm.MonteCarloMembraneBarostat
    return kind(1, 0, 300, kind.XYIsotropic, kind.ZFree)


@pytest.mark.parametrize("ensemble", ["NVT", "NPT"])
def test_barostats_and_thermostats_are_recognised_by_their_type(tmp_path, caplog, ensemble):
    forces = {
        "pressure": openmm.MonteCarloBarostat(1, 300),
        "heat": openmm.AndersenThermostat(300, 1),
        "anti-Barostat wall": openmm.CustomExternalForce("z^2"),
    }
    system = load_with_forces(tmp_path, forces, ensemble)
    names = [force.getName() for force in system.getForces()]
    assert "anti-Barostat wall" in names
    assert not {"pressure", "heat"} & set(names)
    (message,) = caplog.messages
    assert "the MM system's AndersenThermostat, MonteCarloBarostat is left out" in message
    assert f"({ensemble})" in message


@pytest.mark.parametrize(
    "barostat",
    [
        membrane_barostat,
        lambda: openmm.MonteCarloAnisotropicBarostat([1, 1, 1], 300),
        lambda: openmm.MonteCarloFlexibleBarostat(1, 300),
    ],
)
def test_isotropic_barostat_does_not_replace_other_kinds(tmp_path, caplog, barostat):
    kind = type(barostat()).__name__
    with pytest.raises(ConfigError, match=f"found NPT, and a {kind} .*: set NVT, or remove it"):
        load_with_forces(tmp_path, {"pressure": barostat()}, "NPT")
    system = load_with_forces(tmp_path, {"pressure": barostat()}, "NVT")
    assert "pressure" not in [force.getName() for force in system.getForces()]
    assert f"the MM system's {kind} is left out" in caplog.text


def test_building_a_ligand_in_water():
    config = parse_config(
        {
            "system": {
                "type": "build",
                "smiles": "CO",
                "padding": "0.9 nm",
                "parameters": "fallback",
            },
            "region": {"model": "ANI-2x"},
        }
    )
    mm = load_run_system(config)
    atoms = list(mm.topology.atoms())
    assert sorted(atoms[i].element.symbol for i in mm.ligand_atoms) == [
        "C",
        "H",
        "H",
        "H",
        "H",
        "O",
    ]
    assert mm.box_vectors is not None
    assert np.isfinite(energy(mm))


@pytest.mark.data
def test_build_with_a_protein(tmp_path):
    """A ligand file and a peptide: both in one box, the ligand where its file puts it."""
    source = app.PDBFile(str(shared_data("toluene/alanine-dipeptide-explicit.pdb")))
    peptide = app.Modeller(source.topology, source.positions)
    peptide.deleteWater()
    with open(tmp_path / "peptide.pdb", "w") as handle:
        app.PDBFile.writeFile(peptide.topology, peptide.positions, handle)
    ligand = molecule_from_smiles("CO", seed=1)
    centre = np.mean(peptide.positions.value_in_unit(unit.angstrom), axis=0)
    conformer = ligand.GetConformer()
    placed = conformer.GetPositions() + centre + [0, 0, 9.0]
    for i, position in enumerate(placed.tolist()):
        conformer.SetAtomPosition(i, position)
    Chem.MolToMolFile(ligand, str(tmp_path / "ligand.sdf"))
    mm = load(
        {
            "type": "build",
            "ligand": str(tmp_path / "ligand.sdf"),
            "protein": str(tmp_path / "peptide.pdb"),
            "padding": "0.8 nm",
            "cutoff": "0.8 nm",
        }
    )
    assert len(mm.ligand_atoms) == 6
    names = [residue.name for residue in mm.topology.residues()]
    assert names[:4] == ["ACE", "ALA", "NME", "MOL"] and set(names[4:]) == {"HOH"}
    found = mm.positions[mm.ligand_atoms]
    peptide_now = mm.positions[: peptide.topology.getNumAtoms()]
    separation = found.mean(axis=0) - peptide_now.mean(axis=0)
    expected = (placed.mean(axis=0) - centre) / 10
    np.testing.assert_allclose(separation, expected, atol=1e-3)
    hybrid = create_hybrid_system(mm.system, mm.topology, mm.ligand_atoms, load_model("ANI-1x"))
    context = openmm.Context(hybrid, openmm.VerletIntegrator(0.001))
    context.setPositions(mm.positions)
    assert np.isfinite(context.getState(energy=True).getPotentialEnergy()._value)
