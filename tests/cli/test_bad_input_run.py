"""Bad input to nnpmm run: one line on stderr, exit status 2, nothing left behind."""

from __future__ import annotations

import copy
import json

import numpy as np
import openmm
import openmm.app as app
import pytest
from complexes import Inputs, methanol_system, side_by_side
from conftest import call_script
from openmm import unit
from rdkit import Chem

from nnpmm.cli.main import main
from nnpmm.models.preparation import prepare_nnp
from nnpmm.structures import molecule_from_smiles


@pytest.fixture
def inputs(tmp_path):
    return Inputs(tmp_path)


@pytest.fixture
def refused(inputs, call, monkeypatch):
    """Run and check that it gives one line with these words and writes nothing."""
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)
    monkeypatch.chdir(inputs.folder.parent)

    def check(*words, path=None):
        path = path or inputs.write_settings()
        before = sorted(inputs.folder.rglob("*"))
        call(main, "run", path).assert_one_line_error(*words)
        assert sorted(inputs.folder.rglob("*")) == before

    return check


def test_unchanged_settings_are_valid(inputs, call):
    result = call(main, "run", inputs.write_settings())
    assert result.status == 0, result.err
    assert (inputs.folder / "out").is_dir()
    again = call(main, "run", inputs.write_settings())
    again.assert_one_line_error("already contains a run", "--resume", "--overwrite")


def test_the_installed_script(inputs):
    inputs.set("ensemble", {"temprature": "300 K"})
    path = inputs.write_settings()
    before = sorted(inputs.folder.iterdir())
    result = call_script("nnpmm", "run", path, cwd=inputs.folder)
    result.assert_one_line_error("unknown key 'temprature' in 'ensemble'", "'temperature'")
    assert result.out == ""
    assert sorted(inputs.folder.iterdir()) == before


def test_debug_shows_the_traceback(inputs):
    inputs.set("region.selection", "resname LIG")
    result = call_script("nnpmm", "run", inputs.write_settings(), "--debug", cwd=inputs.folder)
    assert result.status != 0
    assert "Traceback (most recent call last)" in result.err
    assert "SelectionError" in result.err


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seeed", 3, ("unknown key 'seeed'", "'seed'")),
        ("region.colour", "red", ("unknown key 'colour' in 'region'", "selection")),
        ("stages.production.lenght", "1 ps", ("'lenght' in 'stages.production'", "'length'")),
        ("ensemble", {"temperature": "-300 K"}, ("ensemble.temperature", "-300 K")),
        ("ensemble", {"temperature": 0}, ("ensemble.temperature", "0")),
        ("ensemble", {"temperature": "300 ps"}, ("ensemble.temperature", "picosecond", "kelvin")),
        ("ensemble", {"temperature": "300 C"}, ("ensemble.temperature", "known units")),
        ("ensemble", {"temperature": float("inf")}, ("ensemble.temperature", "inf")),
        ("ensemble", {"temperature": float("nan")}, ("ensemble.temperature", "nan")),
        ("ensemble", {"pressure": float("nan"), "type": "NPT"}, ("ensemble.pressure", "nan")),
        ("ensemble", {"friction": float("inf")}, ("ensemble.friction", "inf")),
        ("ensemble", {"type": "NVE"}, ("ensemble.type", "'NVT', 'NPT'")),
        ("timestep", "0 fs", ("timestep", "0")),
        ("timestep", "1 nm", ("timestep", "nanometer", "picosecond")),
        ("timestep", "fast", ("timestep", "'fast'")),
        ("timestep", float("inf"), ("timestep", "inf")),
        ("stages.production.length", "2.2 fs", ("stages.production.length", "whole multiple")),
        ("seed", 0, ("seed", "0")),
        ("system.type", "lammps", ("'lammps'", "amber", "openmm", "build")),
        ("region.selection", "resname LIG", ("resname LIG matches nothing", "HOH, MOL")),
        ("region.selection", "mass > 0", ("matches all", "narrow it")),
        ("region.selection", "name O1 C1 and resname MOL", ("cuts", "select whole molecules")),
        ("region.model", "ANI-9x", ("'ANI-9x'", "ANI-2x, ANI-1x, ANI-1ccx")),
        ("region.model", "ANI-2x", ("found no weights of ANI-2x",)),
        ("region.members", [8], ("[8]", "[0, 1, 2")),
        ("region.members", [-1], ("[-1]",)),
        ("region.backend", "fast", ("'fast'", "available: auto")),
        ("region.device", "gpu", ("'gpu'", "allowed: auto, cpu")),
        ("region.weights", "none", ("found no folder", "none")),
        ("region.nnpfile", "model.json", ("nnpfile", "selection")),
        ("platform.name", "GPU", ("platform.name", "'GPU'", "CUDA")),
        (
            "platform",
            {"name": "CPU", "threads": 10**9},
            ("found threads", "allowed: 1 to", "4 for"),
        ),
        ("platform", {"name": "CPU", "threads": 10**40}, ("found threads", "allowed: 1 to")),
        ("system.system", "none.xml", ("none.xml", "no such file")),
        ("system.structure", "none.pdb", ("none.pdb", "no such file")),
        ("system.structure", "system.xml", ("system.xml", ".pdb, .cif")),
    ],
)
def test_a_wrong_setting(inputs, refused, key, value, words):
    inputs.set(key, value)
    refused(*words)


def test_a_time_step_over_the_safe_limit(inputs, refused):
    inputs.set("timestep", "4 fs")
    inputs.set("stages.production.length", "8 fs")
    for name in ("trajectory", "log", "checkpoint"):
        inputs.set(f"output.{name}_interval", "4 fs")
    refused("timestep: found 4 fs", "the limit is 1 fs", "set timestep")


@pytest.mark.parametrize("value", ["1000000", "0", "many"])
def test_too_many_threads_by_the_environment(inputs, refused, monkeypatch, value):
    monkeypatch.setenv("OPENMM_CPU_THREADS", value)
    inputs.set("platform.name", "CPU")
    refused(f"found OPENMM_CPU_THREADS = '{value}'", "allowed: 1 to", "processors of this machine")


def test_a_missing_key(inputs, refused):
    del inputs.settings["system"]
    refused("md.yaml", "the key 'system' is missing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("md.yaml",)),
        ("- a\n- b\n", ("md.yaml", "list")),
        ("system: [\n", ("not valid YAML", "line")),
        ("seed: 1\nseed: 2\n", ("'seed' is given twice",)),
        ("seed: !!python/object/apply:os.getcwd []\n", ("not valid YAML",)),
    ],
)
def test_invalid_settings_file(inputs, refused, text, words):
    path = inputs.folder / "md.yaml"
    path.write_text(text)
    refused(*words, path=path)


def test_a_missing_settings_file(inputs, refused):
    refused("none.yaml", "No such file", path=inputs.folder / "none.yaml")


def test_no_settings_file_at_all(call):
    call(main, "run").assert_one_line_error("found no settings file", "--template")


@pytest.mark.parametrize(
    "force",
    [openmm.CustomHbondForce("0*distance(a1, d1)"), openmm.CustomCVForce("1"), openmm.DrudeForce()],
    ids=lambda force: type(force).__name__,
)
def test_an_unsupported_force_is_named(inputs, refused, force):
    system = methanol_system(inputs.topology)
    system.addForce(copy.deepcopy(force))
    inputs.write_system(system)
    refused(type(force).__name__, "supported: ", "HarmonicBondForce")


def test_missing_charges(inputs, refused):
    inputs.write_system(methanol_system(inputs.topology, charge=0.0))
    refused("all 6 region atoms have zero charge", "parameterise the ligand")


def test_missing_lennard_jones(inputs, refused):
    inputs.write_system(methanol_system(inputs.topology, epsilon=0.0))
    refused("region atom 0 (C) has no Lennard-Jones parameters", "parameterise the ligand")


@pytest.mark.parametrize(
    ("charge", "words"),
    [(-1.0, ("the region has charge -1 e", "neutral")), (0.4, ("+0.400 e", "not to an integer"))],
)
def test_a_charged_region(inputs, refused, charge, words):
    system = methanol_system(inputs.topology)
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    q, sigma, epsilon = nonbonded.getParticleParameters(0)
    nonbonded.setParticleParameters(0, q + charge * unit.elementary_charge, sigma, epsilon)
    inputs.write_system(system)
    refused(*words)


def test_no_nonbonded_force(inputs, refused):
    system = methanol_system(inputs.topology)
    system.removeForce(1)
    inputs.write_system(system)
    refused("found 0 NonbondedForces")


def test_structure_and_system_disagree(inputs, refused):
    modeller = app.Modeller(inputs.topology, inputs.positions)
    modeller.delete([list(inputs.topology.residues())[-1]])
    inputs.write_structure(modeller.topology, modeller.positions)
    refused("complex.pdb has 15 atoms and system.xml has 18 particles", "same structure")


def test_structure_and_system_disagree_in_the_order_of_atoms(inputs, refused):
    inputs.write_structure(*side_by_side([("MOL", "OC"), *(4 * [("HOH", "O")])], 0.6))
    refused("atom 0", "mass of 12.0", "give the topology that the system was made from")


def test_positions_that_are_not_numbers(inputs, refused):
    path = inputs.folder / "complex.pdb"
    lines = path.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("HETATM"))
    lines[row] = lines[row][:30] + "     nan" + lines[row][38:]
    path.write_text("\n".join(lines) + "\n")
    refused("complex.pdb", "finite")


@pytest.mark.parametrize("content", ["", "nonsense", "cut", "<Integrator/>", "&#80;"])
def test_a_system_that_cannot_be_read(inputs, refused, content):
    path = inputs.folder / "system.xml"
    path.write_text(path.read_text()[:500] if content == "cut" else content)
    refused("system.xml")


def test_a_system_that_carries_code(inputs, refused):
    system = methanol_system(inputs.topology)
    system.addForce(openmm.PythonForce(_no_force))
    inputs.write_system(system)
    refused("PythonForce", "would run code")


def _no_force(state):
    return 0.0, np.zeros((18, 3))


def test_a_prepared_file_of_another_structure(inputs, refused, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "x.sdf").write_text(Chem.MolToMolBlock(molecule_from_smiles("CO", seed=1)))
    prepare_nnp(folder / "x.sdf", "all", "ANI-1x", members=0, output=folder)
    inputs.settings["region"] = {"nnpfile": str(folder / "model.json")}
    refused("prepared for 6 atoms (x.sdf), but the topology has 18", "run prepare-nnp again")
    content = json.loads((folder / "model.json").read_text())
    content["atoms"][0] = 7
    (folder / "model.json").write_text(json.dumps(content))
    refused("fingerprint", "edited")


def test_a_prepared_file_that_is_not_there(inputs, refused):
    inputs.settings["region"] = {"nnpfile": "model.json"}
    refused("model.json", "cannot be read", "prepare-nnp")


def test_an_output_folder_that_is_a_file(inputs, refused):
    (inputs.folder / "out").write_text("mine")
    refused("output.directory", "is a file")
    assert (inputs.folder / "out").read_text() == "mine"
