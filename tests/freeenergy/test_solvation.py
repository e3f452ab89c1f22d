"""Solvation free energies: from a molecule to a number, its error and a report."""

from __future__ import annotations

import json

import numpy as np
import openmm
import pytest
from openmm import app

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.core.platforms import loaded_platforms
from nnpmm.core.settings.reading import parse_settings
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings, run_solvation
from nnpmm.freeenergy.solvation.solute import read_solute
from nnpmm.freeenergy.solvation.template import template
from nnpmm.sampling import read_samples
from nnpmm.structures import create_ligand_system

SMALL = {
    "solute": {"smiles": "CO"},
    "padding": "0.55 nm",
    "cutoff": "0.6 nm",
    "model": "ANI-1x",
    "members": [0],
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "electrostatics": [1, 0.5, 0],
        "sterics": [0.8, 0.6, 0.4, 0.2, 0],
        "time": "3 ps",
        "interval": "0.2 ps",
        "equilibration": "2 ps",
        "state_equilibration": "0.2 ps",
    },
}


def settings(**changes) -> SolvationSettings:
    return parse_settings(SolvationSettings, {**SMALL, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A calculation with both potentials, far too short to be converged."""
    folder = tmp_path_factory.mktemp("solvation")
    told = []

    def announce(*ladder):
        told.append(ladder)
        return lambda *_: None

    return folder, run_solvation(settings(), folder, announce=announce), told


@pytest.mark.slow
def test_from_a_molecule_to_a_number(finished):
    """Methanol's value is -5.1 kcal/mol; a few ps are enough for its sign and its size."""
    folder, result, told = finished
    assert told == [("network", 1, 1), ("force field", 1, 1)]
    for found in result.potentials.values():
        assert -45 < found.total.value < -5
        assert 0 < found.total.error < 8
    difference = result.difference
    network, mm = (result.potentials[name].total for name in ("network", "force field"))
    assert difference.value == pytest.approx(network.value - mm.value)
    assert difference.error == pytest.approx(np.hypot(network.error, mm.error))
    assert 0.8 < result.density < 1.1
    record = json.loads((folder / "result.json").read_text())
    assert record["network"]["kcal/mol"] == pytest.approx(network.value / 4.184)
    assert record["network"]["repeats"][0]["iterations"] == 15
    assert "MMFF94" in record["parameters"]


@pytest.mark.slow
def test_the_report_needs_no_network_and_says_what_it_is_worth(finished):
    folder, _, _ = finished
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 8
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://www.rdkit.org", "")
    assert "Not converged: 3 ps for each state" in page
    assert len(list((folder / "alchemlyb/network/repeat-1").glob("*.xvg"))) == 8


@pytest.mark.slow
def test_a_calculation_goes_on(finished):
    """Again with the same settings nothing is sampled; with a longer time only what is missing."""
    folder, first, _ = finished
    again = run_solvation(settings(), folder, resume=True)
    assert again.record() == first.record()
    before = read_samples(folder / "network/repeat-1").energies
    longer = {**SMALL["ladder"], "time": "3.4 ps"}
    run_solvation(settings(ladder=longer, potentials=["network"]), folder, resume=True)
    after = read_samples(folder / "network/repeat-1").energies
    assert len(after) == 17
    np.testing.assert_array_equal(after[:15], before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": "310 K"}, "started with temperature"),
        ({"solute": {"smiles": "CCO"}}, "started with solute"),
        ({"ladder": {**SMALL["ladder"], "sterics": [0.5, 0]}}, "started with ladder"),
    ],
)
def test_another_calculation_does_not_go_on_with_it(finished, changes, words):
    folder, _, _ = finished
    with pytest.raises(ConfigError, match=words):
        run_solvation(settings(**changes), folder, resume=True)
    with pytest.raises(ConfigError, match="holds a calculation; resume it"):
        run_solvation(settings(), folder)


def test_a_charged_solute_is_refused(tmp_path):
    with pytest.raises(RegionError, match=r"charge of \+1\.000 e; allowed: neutral regions"):
        run_solvation(settings(solute={"smiles": "C[NH3+]"}, potentials=["force field"]), tmp_path)


def test_a_platform_that_is_not_there_is_named(tmp_path):
    if "HIP" in loaded_platforms():
        pytest.skip("OpenMM has a HIP platform here")
    with pytest.raises(ConfigError, match=r"found HIP, available here: .*CPU"):
        run_solvation(settings(platform="HIP", potentials=["force field"]), tmp_path)


@pytest.mark.parametrize(
    ("solute", "words"),
    [
        ({}, "found none of smiles, file and topology, allowed: one"),
        ({"smiles": "CO", "file": "a.sdf"}, "found smiles and file"),
        ({"topology": "a.prmtop"}, "go together"),
        ({"smile": "CO"}, "did you mean 'smiles'"),
    ],
)
def test_the_solute_is_given_once(solute, words):
    with pytest.raises(ConfigError, match=words):
        settings(solute=solute)


def test_amber_files_keep_their_energy(tmp_path):
    """Of a molecule alone: written from known parameters, and read back."""
    parmed = pytest.importorskip("parmed")
    molecule, parameters = read_solute(SoluteSettings(smiles="CC(=O)OC"))
    system = create_ligand_system(molecule, parameters)
    from nnpmm.structures import to_openmm_topology

    topology, positions = to_openmm_topology(molecule)
    structure = parmed.openmm.load_topology(topology, system, xyz=positions * 10)
    paths = tmp_path / "ester.prmtop", tmp_path / "ester.inpcrd"
    for path in paths:
        structure.save(str(path), format="amber" if path.suffix == ".prmtop" else "rst7")
    read, found = read_solute(SoluteSettings(topology=paths[0], coordinates=paths[1]))
    energies = []
    for candidate in (
        app.AmberPrmtopFile(str(paths[0])).createSystem(removeCMMotion=False),
        create_ligand_system(read, found),
    ):
        context = openmm.Context(
            candidate,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName("Reference"),
        )
        context.setPositions(positions)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    assert energies[1] == pytest.approx(energies[0], abs=0.01, rel=0)


@pytest.mark.data
def test_freesolv_files_are_read(data_folder_of_freesolv):
    read, found = read_solute(
        SoluteSettings(
            topology=data_folder_of_freesolv / "mobley_7532833.prmtop",
            coordinates=data_folder_of_freesolv / "mobley_7532833.inpcrd",
        )
    )
    assert read.GetNumAtoms() == 6
    assert found.charges.sum() == pytest.approx(0, abs=1e-9)


@pytest.fixture
def data_folder_of_freesolv():
    from conftest import shared_data

    return shared_data("freesolv/amber")


def test_the_template_is_a_settings_file(tmp_path):
    path = tmp_path / "solvation.yaml"
    path.write_text(template())
    from nnpmm.core.settings.reading import read_settings

    assert read_settings(SolvationSettings, path) == SolvationSettings(
        solute=SoluteSettings(smiles="CO")
    )


@pytest.mark.parametrize(
    ("given", "water_model", "label"),
    [
        ("water", "tip3p", "TIP3P water"),
        ("OPC", "opc", "OPC water"),
        ("1-octanol", None, "octanol"),
        ("DMSO", None, "dmso"),
        ("CCOCC", None, "CCOCC"),
        ({"name": "Toluene", "equilibration": "0.5 ns"}, None, "toluene"),
        ({"file": "solvents/amine.sdf"}, None, "amine.sdf"),
    ],
)
def test_solvents_by_name_smiles_or_file(given, water_model, label):
    found = settings(solvent=given).solvent
    assert found.water_model == water_model
    assert found.label == label


@pytest.mark.parametrize(
    ("solvent", "words"),
    [
        ({"name": "milk"}, "found the solvent 'milk', allowed: tip3p, .*toluene.* SMILES"),
        ({}, "found none of name, smiles, file and topology, allowed: one"),
        ({"name": "opc", "smiles": "CO"}, "found name and smiles"),
        ({"topology": "a.prmtop"}, "go together"),
        ({"smiles": "CO", "equilibration": "0 ps"}, "must be > 0"),
    ],
)
def test_the_solvent_is_given_once(solvent, words):
    with pytest.raises(ConfigError, match=words):
        settings(solvent=solvent)


@pytest.mark.slow
def test_methanol_in_acetonitrile(tmp_path):
    """The box is compressed once, and a second run takes the one that is there."""
    ladder = {**SMALL["ladder"], "time": "2 ps", "equilibration": "1 ps"}
    changes = {
        "solvent": {"name": "acetonitrile", "equilibration": "40 ps"},
        "padding": "0.6 nm",
        "potentials": ["force field"],
        "ladder": ladder,
    }
    told = []
    result = run_solvation(
        settings(**changes), tmp_path, compressing=lambda *done: told.append(done)
    )
    assert told[-1] == (40, 40)
    assert 0.7 < result.density < 0.9
    assert -45 < result.potentials["force field"].total.value < 5
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["solvent"] == "acetonitrile"
    assert "MMFF94" in record["solvent_parameters"]
    assert "in acetonitrile" in (tmp_path / "report.html").read_text()
    told.clear()
    again = run_solvation(settings(**changes), tmp_path, resume=True)
    assert not told
    assert again.record() == result.record()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["found no molecule", "--smiles"]),
        (["--smiles", "CO", "--ligand", "a.sdf"], ["smiles and file"]),
        (["--smiles", "C(", "--quick"], ["not a valid SMILES"]),
        (
            ["--smiles", "CO", "--solvent", "octanoll"],
            ["solvent", "'octanoll', which is not a valid SMILES", "known by name", "octanol"],
        ),
        (["--smiles", "CO", "--solvent", "O"], ["found water", "a model (tip3p"]),
        (["--smiles", "CO", "--solvent", "C[NH3+]"], ["solvent molecule of charge +1"]),
        (["--smiles", "CO", "--potential", "mm"], ["potentials", "mm", "force field"]),
        (["--smiles", "CO", "--time", "0 ps"], ["ladder.time", "must be > 0"]),
        (["--smiles", "CO", "--repeats", "0"], ["repeats", "must be >= 1"]),
        (["--smiles", "[Na]", "--quick"], ["unpaired electrons"]),
        (["none.yaml"], ["none.yaml"]),
    ],
)
def test_bad_requests_are_one_line(call, tmp_path, arguments, words):
    result = call(main, "solvation", *arguments, "-o", tmp_path / "out")
    result.assert_one_line_error(*words)


@pytest.mark.slow
def test_the_command_prints_what_it_found(call, finished):
    folder, _, _ = finished
    path = folder.parent / "again.yaml"
    path.write_text(json.dumps(SMALL))
    result = call(main, "solvation", path, "-o", folder, "--resume", "--potential", "force field")
    assert result.status == 0, result.err
    assert "force field, repeat 1 of 1" in result.out
    assert "kcal/mol" in result.out
    assert "Not converged" in result.out
