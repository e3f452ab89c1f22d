"""Solvation free energies: from a molecule to a number, its error and a report."""

from __future__ import annotations

import json

import numpy as np
import openmm
import pytest
from campaign_jobs import assert_job_finds
from openmm import app

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, RegionError, SimulationError
from nnpmm.core.platforms import loaded_platforms
from nnpmm.core.settings.reading import parse_settings
from nnpmm.coupling import nnp_derivative
from nnpmm.freeenergy.estimators import FreeEnergies
from nnpmm.freeenergy.legs import LegResult, claim_folder
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings, run_solvation
from nnpmm.freeenergy.solvation.ladders import create_leg
from nnpmm.freeenergy.solvation.result import _split_reweighting
from nnpmm.freeenergy.solvation.solute import solute_alone
from nnpmm.freeenergy.solvation.solvent import solvated_solute
from nnpmm.freeenergy.solvation.template import template
from nnpmm.sampling import Samples, read_samples
from nnpmm.structures import create_ligand_system
from nnpmm.structures.ligands.source import read_molecule

SMALL = {
    "solute": {"smiles": "CO"},
    "padding": "0.55 nm",
    "cutoff": "0.6 nm",
    "model": "ANI-1x",
    "members": [0],
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "electrostatics": [1, 0.75, 0.5, 0.25, 0],
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
    """A calculation of a ladder for each potential, far too short to be converged."""
    folder = tmp_path_factory.mktemp("solvation")
    announced = []

    def announce(*ladder):
        announced.append(ladder)
        return lambda *_: None

    result = run_solvation(settings(route="separate"), folder, announce=announce)
    return folder, result, announced


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """The same calculation with one ladder for both potentials."""
    return run_solvation(settings(), tmp_path_factory.mktemp("joint"))


@pytest.mark.slow
def test_run_calculates_a_solvation_free_energy(finished):
    """Methanol's value is -21 kJ/mol; a few ps give its size: six seeds gave -27 to -7."""
    folder, result, announced = finished
    assert_job_finds("solvation", settings(route="separate"), folder, result)
    assert announced == [("network", 1, 1), ("force field", 1, 1)]
    for found in result.potentials.values():
        assert abs(found.value + 21) < 40
        assert 0 < found.error < 8
    difference = result.difference
    network, mm = (result.potentials[name] for name in ("network", "force field"))
    assert difference.value == pytest.approx(network.value - mm.value)
    assert difference.error == pytest.approx(np.hypot(network.error, mm.error))
    assert 0.8 < result.density < 1.1
    record = json.loads((folder / "result.json").read_text())
    assert record["network"]["kcal/mol"] == pytest.approx(network.value / 4.184)
    assert record["ladders"]["network"]["repeats"][0]["iterations"] == 15
    assert "MMFF94" in record["parameters"]


@pytest.mark.slow
def test_one_ladder_gives_both_potentials(joint):
    """Common contributions cancel: the difference has a smaller error than either value."""
    (leg,) = joint.ladders["joint"]
    assert leg.names[:3] == ("NNP 1", "NNP 0.5", "q 1")
    assert leg.names[-3:] == ("LJ 0", "NNP 0.5, none", "NNP 1, none")
    network, mm = joint.potentials["network"], joint.potentials["force field"]
    for found in (network, mm):
        assert abs(found.value + 21) < 40
    assert joint.difference.value == pytest.approx(network.value - mm.value)
    assert joint.difference.error < min(network.error, mm.error)
    # The network's energy is linear in its weight in every state.
    energies = leg.samples.energies
    for first, half, last in ((0, 1, 2), (-1, -2, -3)):
        mean = 0.5 * (energies[..., first] + energies[..., last])
        # overlapping atoms have energies so large that only their rounding differs
        np.testing.assert_allclose(energies[..., half], mean, rtol=1e-12, atol=1e-2)
    gaps = energies[..., 0] - energies[..., 2]  # network minus force field, in each sample
    without = energies[..., -1] - energies[..., -3]
    near = abs(energies[..., 2]) < 1e6  # energies of overlapping atoms have too few digits
    assert near.mean() > 0.5
    np.testing.assert_allclose(without[near], gaps[near], rtol=0, atol=1e-2)


@pytest.mark.slow
def test_reweighting_with_too_little_overlap_is_refused(tmp_path):
    """15 samples are too few for exponential averages; the message names the state and a remedy."""
    with pytest.raises(SimulationError, match=r"in the solvent: the ensembles .* route to joint"):
        run_solvation(settings(route="reweighting"), tmp_path)


def test_reweighting_is_the_difference_of_two_averages():
    """Normally distributed differences, whose exponential average is known."""
    rng = np.random.default_rng(1)
    kt, count = 0.0083144626 * 298.15, 4000
    gaps = [(3.0, 0.8), (-2.0, 1.2)]  # kT: in the solvent, and without it
    wanted = kt * ((3.0 - 0.8**2 / 2) - (-2.0 - 1.2**2 / 2))
    energies = kt * rng.normal(size=(count, 2, 2)).cumsum(axis=2)
    evaluated = np.zeros((count, 2, 2))
    for state, (mean, spread) in enumerate(gaps):
        own = energies[:, state, state]
        evaluated[:, state, state] = own + kt * rng.normal(mean, spread, size=count)
    samples = Samples(
        energies, evaluated, np.ones((count, 2)), np.zeros((count, 2), int), 1, 298.15
    )
    free = FreeEnergies(*np.zeros((3, 2, 2)), np.ones(2), np.ones(2))
    leg = LegResult(("q 1", "LJ 0"), free, None, samples)
    network, mm, difference = _split_reweighting(settings(), leg)
    assert difference.value == pytest.approx(wanted, abs=3 * difference.error)
    assert difference.error < 0.1
    assert network.value == pytest.approx(mm.value + difference.value)


def test_solute_in_vacuum_matches_the_solute_in_the_box(tmp_path):
    """The same masses and constraints, and the same energy of the network minus force field."""
    wanted = settings()
    molecule, parameters = read_molecule(wanted.solute)
    box = solvated_solute(wanted, tmp_path, molecule, parameters, None)
    alone = solute_alone(box, molecule, parameters)
    count = len(box.ligand_atoms)
    masses = [box.system.getParticleMass(i) for i in range(count)]
    assert masses == [alone.system.getParticleMass(i) for i in range(count)]
    assert alone.system.getNumConstraints() == 4  # three C-H and an O-H
    gaps = []
    for ladder, mm in (("joint", box), ("solvent", box), ("vacuum", alone)):
        leg = create_leg(wanted, mm, ladder)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(leg.system, openmm.VerletIntegrator(0.001), platform)
        if mm.box_vectors is not None:
            context.setPeriodicBoxVectors(*mm.box_vectors)
        context.setPositions(box.positions[: leg.system.getNumParticles()])
        gaps.append(nnp_derivative(context))
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-3)


@pytest.mark.slow
def test_correction_route_calculates_the_difference(joint, call, tmp_path):
    """From the force field to the network in water and in vacuum, without decoupling."""
    path = tmp_path / "correction.yaml"
    path.write_text(json.dumps({**SMALL, "route": "correction"}))
    result = call(main, "solvation", path, "-o", tmp_path / "out")
    assert result.status == 0, result.err
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert "network" not in record and "force field" not in record
    found = record["network minus force field"]
    error = np.hypot(found["error_kJ/mol"], joint.difference.error)
    assert abs(found["kJ/mol"] - joint.difference.value) < 4 * error
    assert record["ladders"]["vacuum"]["states"] == ["NNP 1", "NNP 0.5", "NNP 0"]


@pytest.mark.parametrize("weights", [[], [0.5], [1.0, 0.5], [0.0, 1.0], [0.5, 1.1]])
def test_network_weights_must_rise_to_one(weights):
    with pytest.raises(ConfigError, match=r"network: found .* allowed: weights that rise"):
        settings(network=weights)


@pytest.mark.slow
def test_report_is_self_contained_and_warns_if_not_converged(finished):
    folder, _, _ = finished
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 8
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://www.rdkit.org", "")
    assert "Not converged: 3 ps for each state" in page
    assert len(list((folder / "alchemlyb/network/repeat-1").glob("*.xvg"))) == 10


@pytest.mark.slow
def test_resume_continues_the_calculation(finished):
    """The same settings sample nothing again; a longer time samples only the rest."""
    folder, first, _ = finished
    again = run_solvation(settings(route="separate"), folder, resume=True)
    assert again.record() == first.record()
    before = read_samples(folder / "network/repeat-1").energies
    longer = {**SMALL["ladder"], "time": "3.4 ps"}
    shorter = settings(route="separate", ladder=longer, potentials=["network"])
    run_solvation(shorter, folder, resume=True)
    after = read_samples(folder / "network/repeat-1").energies
    assert len(after) == 17
    np.testing.assert_array_equal(after[:15], before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": "310 K"}, "started with temperature"),
        ({"solute": {"smiles": "CCO"}}, r"started with solute\.smiles CO, found CCO"),
        (
            {"ladder": {**SMALL["ladder"], "sterics": [0.5, 0]}},
            r"started with ladder\.sterics \[0\.8, .*\], found \[0\.5, 0\.0\]; use",
        ),
    ],
)
def test_resume_with_other_settings_is_refused(finished, changes, words):
    folder, _, _ = finished
    with pytest.raises(ConfigError, match=words):
        run_solvation(settings(route="separate", **changes), folder, resume=True)
    with pytest.raises(ConfigError, match="contains a calculation; resume it"):
        run_solvation(settings(), folder)


def test_refused_calculation_does_not_claim_the_folder(tmp_path):
    charged = settings(solute={"smiles": "C[NH3+]"})
    for _ in range(2):  # the second refusal is not due to the first
        with pytest.raises(RegionError, match=r"\+1 e, but ANI-1x describes only neutral"):
            run_solvation(charged, tmp_path)
    claim_folder(settings(), tmp_path, resume=False)


def test_unavailable_platform_is_reported(tmp_path):
    if "HIP" in loaded_platforms():
        pytest.skip("OpenMM has a HIP platform here")
    with pytest.raises(ConfigError, match=r"found HIP, available here: .*CPU"):
        run_solvation(settings(platform="HIP", potentials=["force field"]), tmp_path)


@pytest.mark.parametrize(
    ("solute", "words"),
    [
        ({}, "found none of smiles, file and topology, allowed: one"),
        ({"smiles": "CO", "file": "a.sdf"}, "found smiles and file"),
        ({"topology": "a.prmtop"}, "require each other"),
        ({"smile": "CO"}, "did you mean 'smiles'"),
    ],
)
def test_solute_must_be_given_exactly_once(solute, words):
    with pytest.raises(ConfigError, match=words):
        settings(solute=solute)


def test_amber_files_give_the_same_energy(tmp_path):
    """A molecule in vacuum is written with known parameters and read back."""
    parmed = pytest.importorskip("parmed")
    molecule, parameters = read_molecule(SoluteSettings(smiles="CC(=O)OC"))
    system = create_ligand_system(molecule, parameters)
    from nnpmm.structures import to_openmm_topology

    topology, positions = to_openmm_topology(molecule)
    structure = parmed.openmm.load_topology(topology, system, xyz=positions * 10)
    paths = tmp_path / "ester.prmtop", tmp_path / "ester.inpcrd"
    for path in paths:
        structure.save(str(path), format="amber" if path.suffix == ".prmtop" else "rst7")
    read, found = read_molecule(SoluteSettings(topology=paths[0], coordinates=paths[1]))
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
    read, found = read_molecule(
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


def test_template_is_a_valid_settings_file(tmp_path):
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
        ({"topology": "a.prmtop"}, "require each other"),
        ({"smiles": "CO", "equilibration": "0 ps"}, "must be > 0"),
    ],
)
def test_solvent_must_be_given_exactly_once(solvent, words):
    with pytest.raises(ConfigError, match=words):
        settings(solvent=solvent)


@pytest.mark.slow
def test_methanol_in_acetonitrile(tmp_path):
    """The box is compressed once, and a second run uses the stored one."""
    ladder = {**SMALL["ladder"], "time": "4 ps", "interval": "0.1 ps", "equilibration": "1 ps"}
    changes = {
        "solvent": {"name": "acetonitrile", "equilibration": "90 ps"},
        "padding": "0.6 nm",
        "potentials": ["force field"],
        "ladder": ladder,
    }
    calls = []
    result = run_solvation(
        settings(**changes), tmp_path, compressing=lambda *done: calls.append(done)
    )
    assert calls[-1] == (90, 90)
    assert 0.6 < result.density < 1.0  # 0.777 g/mL; 0.71 to 0.76 in such a small box
    assert -50 < result.potentials["force field"].value < 25
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["solvent"] == "acetonitrile"
    assert "MMFF94" in record["solvent_parameters"]
    assert "in acetonitrile" in (tmp_path / "report.html").read_text()
    calls.clear()
    again = run_solvation(settings(**changes), tmp_path, resume=True)
    assert not calls
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
def test_bad_arguments_give_one_line(call, tmp_path, arguments, words):
    result = call(main, "solvation", *arguments, "-o", tmp_path / "out")
    result.assert_one_line_error(*words)


@pytest.mark.slow
def test_command_prints_the_result(call, finished):
    folder, _, _ = finished
    path = folder.parent / "again.yaml"
    path.write_text(json.dumps({**SMALL, "route": "separate"}))
    result = call(main, "solvation", path, "-o", folder, "--resume", "--potential", "force field")
    assert result.status == 0, result.err
    assert "force field ladder, repeat 1 of 1" in result.out
    assert "kcal/mol" in result.out
    assert "Not converged" in result.out
