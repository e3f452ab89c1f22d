"""A System XML is checked before OpenMM reads it."""

from __future__ import annotations

import openmm
import pytest
from openmm import app, unit
from test_inputs import load
from toys import water_box

from nnpmm.core.errors import InputFileError
from nnpmm.structures.inputs import read_system_xml
from nnpmm.structures.inputs.xml_check import TEXTUAL, check_xml


@pytest.fixture
def files(tmp_path):
    mm = water_box(per_edge=3, periodic=True)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 3, 0.33, 1.0)
    mm.system.addForce(bond)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    with open(tmp_path / "water.pdb", "w") as handle:
        app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    return {
        "type": "openmm",
        "system": str(tmp_path / "system.xml"),
        "structure": str(tmp_path / "water.pdb"),
    }


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mass="15.99943"', 'mass="abc"', r'line \d+: found mass="abc" of <Particle>'),
        ('mass="15.99943"', 'mass=""', 'found mass="" of <Particle>, expected a finite number'),
        ('mass="15.99943"', 'mass="-1"', 'found mass="-1" .* allowed: 0'),
        ('q="-.834"', 'q="nan"', 'found q="nan" .* expected a finite number'),
        ('q="-.834"', 'q="1e999"', 'found q="1e999"'),
        ('cutoff=".45"', 'cutoff="-1"', 'found cutoff="-1" of <Force>, expected more than 0'),
        ('ewaldTolerance=".0005"', 'ewaldTolerance="0"', "expected a number between 0 and 1"),
        ('<Constraint d="', '<Constraint d="-', "of <Constraint>, expected more than 0"),
        ('<A x="', '<A x="inf" was="', 'found x="inf" of <A>'),
        ('p1="0" p2="3"', 'p1="0" p2="999999"', "OpenMM refuses the MM system: .* particle index"),
        ('p1="0" p2="1"', 'p1="0" p2="999999"', "OpenMM refuses the MM system: .* constraint"),
        ('p1="0" p2="1"', 'p1="zero" p2="1"', 'found p1="zero" of <Constraint>'),
        ("</System>", "", r"cannot read the OpenMM System: not complete XML \(no element found"),
        ("<Particles>", "<Particles>" + "<a>" * 100_000, "nested more than 50 deep"),
    ],
)
def test_invalid_values_are_refused(tmp_path, files, old, new, message):
    change(tmp_path / "system.xml", old, new)
    with pytest.raises(InputFileError, match=message) as raised:
        load(files)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize("content", [b"", b"\xff\xfe<\x00S", b"<System>\xff</System>", b"hello"])
def test_files_that_are_not_xml_are_refused(tmp_path, files, content):
    (tmp_path / "system.xml").write_bytes(content)
    with pytest.raises(InputFileError, match=r"system\.xml"):
        load(files)


def test_every_force_class_is_accepted(tmp_path):
    """The list of attributes that are not numbers is complete."""
    system = openmm.System()
    for _ in range(12):
        system.addParticle(1.0)
    inner = openmm.CustomBondForce("k*r")
    inner.addGlobalParameter("k", 1.0)
    inner.addEnergyParameterDerivative("k")
    bias = openmm.CustomCVForce("cv + table(cv)")
    bias.addCollectiveVariable("cv", inner)
    bias.addTabulatedFunction("table", openmm.Continuous1DFunction([0, 1, 2], 0, 1))
    hydrogen_bonds = openmm.CustomHbondForce("distance(a1,d1)")
    many = openmm.CustomManyParticleForce(3, "distance(p1,p2)")
    many.setTypeFilter(0, [1, 2])
    generalized = openmm.CustomGBForce()
    generalized.addPerParticleParameter("q")
    generalized.addComputedValue("B", "q", openmm.CustomGBForce.SingleParticle)
    generalized.addEnergyTerm("B", openmm.CustomGBForce.SingleParticle)
    centroid = openmm.CustomCentroidBondForce(2, "distance(g1,g2)")
    nonbonded = openmm.NonbondedForce()
    nonbonded.addGlobalParameter("scale", 1.0)
    for _ in range(12):
        nonbonded.addParticle(0, 1, 0)
    nonbonded.addParticleParameterOffset("scale", 0, 1, 0, 0)
    vdw = openmm.AmoebaVdwForce()
    forces = [bias, hydrogen_bonds, many, generalized, centroid, nonbonded, vdw]
    for force in (*forces, openmm.RMSDForce([[0, 0, 0]] * 12), openmm.CMMotionRemover()):
        system.addForce(force)
    text = openmm.XmlSerializer.serialize(system)
    assert {"types", "EpsilonCombiningRule"} <= {name for name in TEXTUAL if f' {name}="' in text}
    (tmp_path / "all.xml").write_text(text)
    assert read_system_xml(tmp_path / "all.xml").getNumForces() == len(forces) + 2
    check_xml(text.encode(), tmp_path / "all.xml")
