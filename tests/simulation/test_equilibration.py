"""Ensemble, warm-up and equilibration: defaults, and warnings at the start of production."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import openmm
import pytest
from openmm import app, unit
from toys import SpringModel, prepare, prepared_water, protocol, water_box

from nnpmm.integrators import scale_masses
from nnpmm.simulation import EnsembleConfig, MMSystem, parse_config, run_protocol
from nnpmm.simulation.preparation.density import ExpectedDensity, expected_density
from nnpmm.simulation.record.energy_log import Thermometer, read_log
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages.equilibration import temperature_limit
from nnpmm.simulation.stages.stages import Stage, ramp_temperature
from nnpmm.structures import molecule_from_smiles, parameterize, solvate

pytestmark = pytest.mark.usefixtures("empty_report")

REGION = {"selection": "resname MOL", "model": "ANI-1x", "members": 0}
BUILD = {"type": "build", "smiles": "CO", "padding": "0.6 nm", "cutoff": "0.7 nm"}
OTHERS = (
    {"type": "amber", "topology": "a.prmtop", "coordinates": "a.rst7"},
    {"type": "gromacs", "topology": "a.top", "coordinates": "a.gro"},
    {"type": "openmm", "system": "a.xml", "structure": "a.pdb"},
)


def ensemble_of(system, **ensemble):
    settings = {"system": system, "region": REGION, "ensemble": ensemble}
    return parse_config(settings).ensemble


def test_built_box_has_constant_pressure_by_default():
    assert ensemble_of(BUILD).type == "NPT"
    assert ensemble_of(BUILD, temperature="310 K").type == "NPT"
    assert ensemble_of(BUILD, type="NVT").type == "NVT"
    for system in OTHERS:
        assert ensemble_of(system).type == "NVT"
        assert ensemble_of(system, type="NPT").type == "NPT"
    assert ensemble_of(BUILD, temperature="310 K").temperature == 310


@pytest.mark.parametrize(("ensemble", "warns"), [({}, False), ({"type": "NVT"}, True)])
def test_built_box_at_constant_volume_gives_a_warning(caplog, ensemble, warns):
    config = parse_config({"system": BUILD, "region": REGION, "ensemble": ensemble})
    prepared = prepare_system(config)
    found = [r.getMessage() for r in caplog.records if "density" in r.getMessage()]
    assert len(found) == warns
    if warns:
        density = Thermometer(prepared.hybrid.system).density(
            np.linalg.det(prepared.mm.box_vectors)
        )
        assert f"density of {density:.3f} g/ml, pure tip3p water has 0.985 g/ml" in found[0]
    assert prepared.expected_density is not None


def test_ramp_ends_before_the_warm_up():
    for n_steps in (10, 1000, 12345):
        stage = Stage("warmup", 0, n_steps, start_temperature=10.0)
        values = np.array([ramp_temperature(stage, step, 300.0) for step in range(n_steps)])
        assert np.all(values[int(0.81 * n_steps) :] == 300.0)
        assert values[0] == 10.0 and values[n_steps // 4] < 150


def liquid_water():
    """A box of about a hundred waters; the first one is the region."""
    force_field = app.ForceField("amber14/tip3p.xml")
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(force_field, boxSize=openmm.Vec3(1.5, 1.5, 1.5) * unit.nanometer)
    system = force_field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.7 * unit.nanometer
    )
    positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
    mm = MMSystem(modeller.topology, positions, 1.5 * np.eye(3), system)
    return prepare(mm, SpringModel())


def test_warm_up_reaches_its_temperature(tmp_path):
    prepared = liquid_water()
    stages = {
        "minimize": {"max_iterations": 100},
        "warmup": {"length": "1 ps"},
        "equilibrate": None,
    }
    platform = {"name": "CPU", "threads": 1}
    output = {"log_interval": "10 fs"}
    settings = protocol(tmp_path, production=None, stages=stages, output=output, platform=platform)
    run_protocol(prepared, settings, progress=False)
    temperatures = read_log(tmp_path / "log.csv")[1]["temperature_k"]
    assert temperatures[0] < 50
    # The last 0.1 ps. With a friction of 1/ps, less than half of 300 K would be reached.
    freedom = Thermometer(prepared.hybrid.system).degrees_of_freedom
    assert abs(temperatures[-10:].mean() - 300) < temperature_limit(300, freedom, 1, 1.0)


def start_warnings(folder, caplog, *, ensemble=None, expected=None, log="20 fs", **stages):
    """Run to production and return the warnings about its start."""
    prepared = prepared_water(periodic=True, per_edge=4)
    prepared = dataclasses.replace(prepared, expected_density=expected)
    stages = {"minimize": {"max_iterations": 50}, "equilibrate": None, **stages}
    settings = protocol(folder, stages=stages, output={"log_interval": log}, production="20 fs")
    settings = settings.model_copy(update={"ensemble": EnsembleConfig(**(ensemble or {}))})
    run_protocol(prepared, settings, progress=False)
    return [text for text in caplog.messages if text.startswith("production begins")]


# Far shorter than the response time of the thermostat, so the initial lattice keeps its energy.
LOOSE = {"length": "0.1 ps", "friction": "0.1 1/ps"}


@pytest.mark.parametrize("log", ["20 fs", "10 ps"])  # with rows to average over, and without
def test_production_at_wrong_temperature_gives_a_warning(tmp_path, caplog, log):
    (text,) = start_warnings(tmp_path, caplog, warmup=LOOSE, log=log)
    found = float(text.split("begins at ")[1].split(" K")[0])
    assert abs(found - 300) > 60
    assert "the ensemble has 300 K: make stages.warmup and stages.equilibrate longer" in text


def test_short_equilibration_after_a_cold_warm_up_gives_a_warning(tmp_path, caplog):
    (text,) = start_warnings(tmp_path, caplog, warmup=LOOSE, equilibrate={"length": "0.1 ps"})
    assert "average over the end of equilibrate" in text


@pytest.mark.parametrize("warmup", [{"length": "1 ps"}, None])
def test_production_at_its_temperature_gives_no_warning(tmp_path, caplog, warmup):
    assert start_warnings(tmp_path, caplog, warmup=warmup) == []


@pytest.mark.parametrize(
    ("factor", "kind", "warns"),
    [(1.05, "NPT", True), (0.95, "NPT", True), (1.0, "NPT", False), (1.05, "NVT", False)],
)
def test_production_at_wrong_density_gives_a_warning(tmp_path, caplog, factor, kind, warns):
    box = water_box(4, periodic=True)
    density = 64 * 18.015 / np.linalg.det(box.box_vectors) * 1.66054e-3
    expected = ExpectedDensity(factor * density, 0.02, 0.985, "tip3p")
    ensemble = {"type": kind, "barostat_interval": 10000}
    found = start_warnings(tmp_path, caplog, warmup=None, ensemble=ensemble, expected=expected)
    assert len(found) == warns
    if warns:
        assert f"at a density of {density:.3f} g/ml, expected is {factor * density:.3f}" in found[0]


def test_temperature_limit_covers_statistical_fluctuations():
    generator = np.random.default_rng(5)
    for freedom, n in ((60, 1), (600, 5), (30000, 40)):
        kinetic = generator.chisquare(freedom, size=(4000, n)) / freedom
        means = 300 * kinetic.mean(axis=1)
        limit = temperature_limit(300.0, freedom, n, friction_interval=1e6)
        assert (np.abs(means - 300) > limit).mean() < 2e-3
        assert limit <= max(6.0, 6 * means.std())
    # Readings within the response time of the thermostat count as one.
    one = temperature_limit(300.0, 600, 1, 1.0)
    assert temperature_limit(300.0, 600, 50, 1e-6) == pytest.approx(one)
    assert temperature_limit(300.0, 600, 50, 0.0) == pytest.approx(one)


def test_expected_density_counts_water_and_solute():
    molecule = molecule_from_smiles("CC(=O)Nc1ccc(O)cc1")
    parameters = parameterize(molecule, provider="fallback")
    for model, water in (("tip3p", 0.985), ("opc", 0.997)):
        box = solvate(molecule, parameters, padding=0.9, water_model=model)
        expected = expected_density(box.topology, box.system, model, EnsembleConfig())
        assert expected.water == pytest.approx(water, abs=0.003)
        assert 0 < expected.density - expected.water < 0.01  # paracetamol is denser than water
        built = Thermometer(box.system).density(np.linalg.det(box.box_vectors))
        assert (
            built < expected.density - expected.tolerance
        )  # gaps at the faces of the box and around the solute
    for ensemble in ({"temperature": 400}, {"pressure": 1000}):
        found = expected_density(box.topology, box.system, "opc", EnsembleConfig(**ensemble))
        assert found is None


def test_scaled_masses_do_not_change_the_density():
    mm = water_box(3, periodic=True)
    heavy = copy.deepcopy(mm.system)
    scale_masses(heavy, range(3), 5.0)
    volume = np.linalg.det(mm.box_vectors)
    found = Thermometer(heavy, mm.system)
    assert found.density(volume) == pytest.approx(Thermometer(mm.system).density(volume))
    assert found.total_mass == pytest.approx(27 * 18.015, abs=0.1)
