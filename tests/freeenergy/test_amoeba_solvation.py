"""Solvation free energies with AMOEBA: settings, states, legs, and a short calculation."""

from __future__ import annotations

import json

import numpy as np
import openmm
import pytest
import yaml
from cases import energy_and_forces
from tinker_files import HEADER, PEROXIDE, WATER, coordinates, write

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.settings.reading import parse_settings, read_settings
from nnpmm.coupling import LAMBDA_NNP
from nnpmm.freeenergy.alchemy import AMOEBA_STERICS, LAMBDA_ELECTROSTATICS
from nnpmm.freeenergy.legs import compression
from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings
from nnpmm.freeenergy.polarizable.ladders import create_leg, load_box, stage_states
from nnpmm.freeenergy.polarizable.solvent import prepare_box
from nnpmm.integrators import RespaIntegrator
from nnpmm.sampling import read_samples
from nnpmm.structures.inputs import load_system

LADDER = {
    "electrostatics": [1, 0.5, 0],
    "sterics": [0.9, 0.8, 0.7, 0.6, 0.45, 0],
    "time": "0.08 ps",
    "interval": "0.008 ps",
    "equilibration": "0.04 ps",
    "state_equilibration": "0.008 ps",
}


@pytest.fixture
def raw(tmp_path):
    """Hydrogen peroxide in a few waters."""
    coordinates(tmp_path, waters=8)
    write(tmp_path, "water.prm", HEADER + WATER)
    write(tmp_path, "solute.prm", PEROXIDE)
    return {
        "force_field": "amoeba",
        "system": {
            "type": "tinker",
            "xyz": "system.xyz",
            "parameters": ["water.prm", "solute.prm"],
            "vdw_cutoff": "0.9 nm",
            "polarization": "direct",
        },
        "solute": "resname UNK",
        "model": "ANI-1x",
        "members": [0],
        "network": [1.0],
        "inner_timestep": "0.5 fs",
        "platform": "Reference",
        "threads": 1,
        "ladder": LADDER,
    }


def settings(raw, tmp_path, **changes):
    return parse_settings(AmoebaSolvationSettings, {**raw, **changes}, base=tmp_path)


def test_states_of_the_two_ladders(raw, tmp_path):
    both = settings(raw, tmp_path)
    first, second = (stage_states(both, stage) for stage in ("electrostatics", "sterics"))
    assert [state.name for state in first] == [
        *("NNP 1", "multipoles 1", "multipoles 0.5", "multipoles 0"),
    ]
    assert first[0].parameters == {LAMBDA_ELECTROSTATICS: 1.0, LAMBDA_NNP: 1.0}
    assert second[0].parameters == {AMOEBA_STERICS: 1.0, LAMBDA_NNP: 0.0}
    assert second[-1].parameters == {AMOEBA_STERICS: 0.0, LAMBDA_NNP: 1.0}
    alone = settings(raw, tmp_path, potentials=["force field"])
    assert [list(state.parameters) for state in stage_states(alone, "sterics")] == [
        [AMOEBA_STERICS]
    ] * 7


def test_default_number_of_states_is_that_of_the_published_windows(raw, tmp_path):
    del raw["ladder"]
    found = settings(raw, tmp_path, potentials=["force field"])
    states = [stage_states(found, stage) for stage in ("electrostatics", "sterics")]
    assert sum(map(len, states)) - 1 == 21  # the stages meet in one state


def test_network_difference_is_the_same_in_both_ladders(raw, tmp_path):
    """The change of potential is the same with and without the solvent at one geometry."""
    found = settings(raw, tmp_path)
    box = load_box(found)
    gaps = []
    for stage, ends in (("electrostatics", (0, 1)), ("sterics", (-1, -2))):
        leg = create_leg(found, box, stage)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(leg.system, openmm.VerletIntegrator(0.001), platform)
        context.setPeriodicBoxVectors(*box.box_vectors)
        context.setPositions(box.positions)
        energies = []
        for index in ends:
            for name, value in leg.states[index].items():
                context.setParameter(name, value)
            energies.append(energy_and_forces(context)[0])
        gaps.append(energies[0] - energies[1])
    assert abs(gaps[0]) > 1
    np.testing.assert_allclose(*gaps, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_command_calculates_a_solvation_free_energy(raw, tmp_path, call):
    """Each state is sampled for 0.1 ps; the contributions of the stages add up to the total."""
    path = write(tmp_path, "solvation.yaml", yaml.safe_dump(raw))
    out = tmp_path / "out"
    options = ["--potential", "force field", "--output", str(out)]
    found = call(main, "solvation", path, *options)
    assert found.status == 0, found.err
    assert "force field sterics ladder, repeat 1 of 1" in found.out
    record = json.loads((out / "result.json").read_text())
    total = record["force field"]
    parts = sum(total[stage]["kJ/mol"] for stage in ("electrostatics", "sterics"))
    assert total["kJ/mol"] == pytest.approx(parts)
    assert total["kJ/mol"] < 0
    assert "network" not in record
    samples = read_samples(out / "force-field-sterics" / "repeat-1")
    assert len(samples.energies) == 10
    assert (out / "alchemlyb" / "force-field-electrostatics" / "repeat-1").is_dir()
    assert "van der waals" in (out / "report.html").read_text().lower()
    with pytest.raises(ConfigError, match="contains a calculation"):
        settings_again = parse_settings(AmoebaSolvationSettings, raw, base=tmp_path)
        from nnpmm.freeenergy.polarizable import run_amoeba_solvation

        run_amoeba_solvation(settings_again, out)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"timestep": "4 fs"}, r"timestep: found 4 fs, allowed: up to 3 fs"),
        ({"timestep": "3 fs", "hydrogen_mass": 1.0}, r"found 3 fs, allowed: up to 2 fs"),
        ({"solute": None}, "found no solute"),
    ],
)
def test_invalid_settings_of_a_box_are_refused(raw, tmp_path, change, match):
    with pytest.raises(ConfigError, match=match):
        load_box(settings(raw, tmp_path, **change))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"nonbonded_method": "NoCutoff"}, "nonbonded_method: found NoCutoff, allowed: PME"),
        ({"hydrogen_mass": "3 amu"}, "system.hydrogen_mass: give 'hydrogen_mass'"),
    ],
)
def test_invalid_settings_of_the_system_are_refused(raw, tmp_path, change, match):
    system = {**raw["system"], **change}
    with pytest.raises(ConfigError, match=match):
        settings(raw, tmp_path, system=system)


@pytest.fixture
def of_molecules(raw, tmp_path):
    """Hydrogen peroxide alone, and a water molecule to build the box of."""
    lines = (tmp_path / "system.xyz").read_text().splitlines()
    write(tmp_path, "peroxide.xyz", "\n".join(["4 peroxide", *lines[2:6]]) + "\n")
    write(
        tmp_path, "water.xyz", "3 water\n1 O 0 0 0 1 2 3\n2 H 0.95 0 0 2 1\n3 H -0.28 0.91 0 2 1\n"
    )
    raw["system"] |= {"xyz": "peroxide.xyz", "cutoff": "0.4 nm", "vdw_cutoff": "0.4 nm"}
    raw["solvent"] = {"xyz": "water.xyz", "padding": "0.36 nm", "equilibration": "3 ps"}
    del raw["solute"]
    return raw


@pytest.mark.slow
def test_solvent_box_is_built_once_and_reused(of_molecules, tmp_path, monkeypatch):
    """The box is packed and compressed once, then stored; its density is not tested."""
    monkeypatch.setattr(compression, "require_liquid", lambda *_, **__: None)
    monkeypatch.setattr(compression, "_FLUCTUATION", 0.5)
    found = settings(of_molecules, tmp_path)
    seen = []
    box = prepare_box(found, tmp_path, lambda *n: seen.append(n))
    assert seen[-1] == (3, 3)
    assert box.ligand_atoms.tolist() == [0, 1, 2, 3]
    assert box.topology.getNumAtoms() % 3 == 1
    again = prepare_box(found, tmp_path, lambda *_: pytest.fail("compressed again"))
    np.testing.assert_array_equal(again.positions, box.positions)
    loose = load_system(found.system.model_copy(update={"xyz": tmp_path / "box.xyz"}))
    assert np.linalg.det(box.box_vectors) < 0.9 * np.linalg.det(loose.box_vectors)
    assert create_leg(found, box, "sterics").system.getNumParticles() == len(box.positions)
    assert found.label == "water"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"solute": "index 0"}, "found solute with 'solvent', allowed: system.xyz with the solute"),
        ({"solvent": {"xyz": "no.xyz"}}, r"no.xyz: no such file; give the Tinker coordinates"),
    ],
)
def test_invalid_solvents_are_refused(of_molecules, tmp_path, change, match):
    with pytest.raises((ConfigError, InputFileError), match=match):
        prepare_box(settings(of_molecules, tmp_path, **change), tmp_path)


@pytest.mark.parametrize("pilot", [[], ["--pilot"]], ids=["value", "pilot"])
def test_a_charged_solute_is_refused(raw, tmp_path, call, pilot):
    """Hydrogen peroxide with a charge of 1 e on its oxygens."""
    text = PEROXIDE.replace("-0.20000\n", "0.30000\n", 1)
    assert text != PEROXIDE
    write(tmp_path, "solute.prm", text)
    path = write(tmp_path, "solvation.yaml", yaml.safe_dump(raw))
    found = call(main, "solvation", path, *pilot, "--output", tmp_path / "out")
    found.assert_one_line_error("the region has a charge of +1.000 e; allowed with AMOEBA: neutral")
    assert "box" in found.err


def test_molecule_options_with_a_box_are_refused(raw, tmp_path, call):
    path = write(tmp_path, "solvation.yaml", yaml.safe_dump(raw))
    found = call(main, "solvation", path, "--smiles", "CO")
    found.assert_one_line_error("found --smiles with a box of AMOEBA")


def test_valence_terms_use_the_inner_time_step(raw, tmp_path):
    from nnpmm.freeenergy.legs import create_simulation

    found = settings(raw, tmp_path, potentials=["force field"])
    leg = create_leg(found, load_box(found), "electrostatics")
    simulation = create_simulation(found, leg.system, leg.mm, 1, inner_timestep=leg.inner_timestep)
    integrator = simulation.integrator
    assert isinstance(integrator, RespaIntegrator)
    assert [level.substeps for level in integrator.levels] == [1, 4]
    (fast,) = integrator.levels[1].groups
    assert (
        len(integrator.levels[0].groups) == 1
    )  # each further group would be evaluated twice in a step
    kinds = {type(f).__name__ for f in leg.system.getForces() if f.getForceGroup() == fast}
    assert "HarmonicBondForce" in kinds
    assert not kinds & {"AmoebaVdwForce", "CustomCVForce", "PythonForce"}


@pytest.mark.slow
def test_a_pilot_places_the_states(raw, tmp_path, call):
    """There are as many states as requested, with the ends and the common state of the ladders."""
    path, out = write(tmp_path, "solvation.yaml", yaml.safe_dump(raw)), tmp_path / "pilot"
    options = ["--pilot", "--time", "0.07 ps", "--states", "8", "--output", out]
    found = call(main, "solvation", path, *options)
    assert found.status == 0, found.err
    placed = read_settings(AmoebaSolvationSettings, out / "settings.yaml")
    ladder = placed.ladder
    assert len(ladder.electrostatics) + len(ladder.sterics) == 8
    assert (ladder.electrostatics[0], ladder.electrostatics[-1], ladder.sterics[-1]) == (1, 0, 0)
    assert (np.diff([1, *ladder.sterics]) < 0).all()
    assert ladder.time == 0.08  # of the settings, not of the pilot
    assert placed.potentials == ("network", "force field")
