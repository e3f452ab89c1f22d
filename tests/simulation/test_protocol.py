from __future__ import annotations

import dataclasses
import json
import re

import mdtraj
import numpy as np
import openmm
import pytest
import yaml
from openmm import unit
from runs import write_settings
from toys import SpringModel, prepared_water, protocol, springs_alone, water_box

import nnpmm.simulation.runner as runner
from nnpmm.core.errors import ConfigError, InputFileError, ModelError, SimulationError
from nnpmm.coupling import Role
from nnpmm.simulation import parse_config, run, run_protocol
from nnpmm.simulation.preparation.platform import choose_platform
from nnpmm.simulation.record.energy_log import Thermometer, read_log
from nnpmm.simulation.record.storage import load_mm_system, save_mm_system
from nnpmm.simulation.stages.dynamics import StageLoop, snapshot
from nnpmm.simulation.stages.stages import (
    Stage,
    create_stage_context,
    plan_stages,
    ramp_temperature,
    restrained_atoms,
    stage_seed,
)


def go(folder, prepared=None, **changes):
    settings = protocol(folder, **changes)
    return run_protocol(prepared or prepared_water(), settings, progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return go(folder)


def test_run_writes_every_file(finished):
    names = {path.name for path in finished.directory.iterdir()}
    record = json.loads((finished.directory / "checkpoint.json").read_text())
    assert names == {
        "settings.yaml",
        "provenance.json",
        "mm_system.xml",
        "structure.npz",
        "restraints.npz",
        "topology.pdb",
        "trajectory.dcd",
        "log.csv",
        "checkpoint.json",
        record["state_file"],
        "final.pdb",
        "report.png",
        "run.lock",
    }
    assert finished.report.read_bytes()[:4] == b"\x89PNG"
    stored = yaml.safe_load((finished.directory / "settings.yaml").read_text())
    assert stored["timestep"] == "0.001 ps"
    assert stored["output"]["directory"] == "."
    session = json.loads((finished.directory / "provenance.json").read_text())["sessions"][0]
    assert session["platform"]["name"] == "Reference"
    assert session["model"]["model"] == "springs"
    assert {"nnpmm", "openmm", "torch", "python"} <= set(session["versions"])


def test_log_and_trajectory_agree(finished):
    stages, columns = read_log(finished.log)
    assert stages == ["warmup"] * 2 + ["equilibrate"] * 2 + ["production"] * 20
    production = np.array(stages) == "production"
    np.testing.assert_array_equal(columns["step"][production], np.arange(5, 101, 5))
    np.testing.assert_allclose(columns["time_ps"], columns["step"] * 0.001, rtol=1e-12)
    frames = mdtraj.load(str(finished.trajectory), top=str(finished.directory / "topology.pdb"))
    assert frames.n_frames == 50
    # Frames are in single precision: up to 5e-7 nm times forces of up to 1e5 kJ/mol/nm.
    evaluator = SpringModel().bind([8, 1, 1])
    for row in range(2, 21, 2):  # rows of steps 10, 20 ...: frames 5, 10 ...
        step = 5 * row
        frame = frames.xyz[step // 2 - 1].astype(float)
        at = np.flatnonzero(production)[row - 1]
        evaluation = evaluator.evaluate(frame[:3])
        assert columns["step"][at] == step
        assert columns["nnp_energy_kj_mol"][at] == pytest.approx(evaluation.energy, abs=0.05)
        spread = np.std(evaluation.member_energies, ddof=1)
        assert columns["nnp_std_kj_mol"][at] == pytest.approx(spread, abs=0.05)


def test_logged_network_energy_matches_the_network_force(tmp_path):
    prepared = prepared_water(periodic=True, per_edge=3)
    go(tmp_path, prepared, production="0.02 ps", output={"log_interval": "2 fs"})
    _, columns = read_log(tmp_path / "log.csv")
    (group,) = prepared.hybrid.groups[Role.NETWORK]
    context = openmm.Context(
        prepared.hybrid.system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    frame = mdtraj.load(str(tmp_path / "trajectory.dcd"), top=str(tmp_path / "topology.pdb"))[-1]
    context.setPositions(frame.xyz[0])
    energy = context.getState(energy=True, groups={group}).getPotentialEnergy()._value
    assert columns["nnp_energy_kj_mol"][-1] == pytest.approx(energy, abs=0.05)
    assert columns["volume_nm3"][-1] == pytest.approx(0.99**3)
    assert columns["density_g_ml"][-1] == pytest.approx(27 * 18.015 / 602.214 / 0.99**3, rel=1e-3)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_molecules_are_whole_in_trajectory_and_final_structure(tmp_path, fmt):
    prepared = prepared_water(periodic=True, per_edge=3)
    mm = dataclasses.replace(prepared.mm, positions=prepared.mm.positions + 0.48)
    shifted = dataclasses.replace(prepared, mm=mm)
    result = go(tmp_path, shifted, production="0.05 ps", fmt=fmt)
    frames = mdtraj.load(str(result.trajectory), top=str(tmp_path / "topology.pdb"))
    final = mdtraj.load(str(result.final_structure))
    np.testing.assert_allclose(frames.unitcell_lengths, 0.99, atol=1e-5)
    np.testing.assert_allclose(final.unitcell_lengths, 0.99, atol=1e-4)
    for xyz in (*frames.xyz, *final.xyz):
        molecules = xyz.reshape(-1, 3, 3)
        assert np.linalg.norm(molecules[:, 1:] - molecules[:, :1], axis=2).max() < 0.13


def test_first_stage_begins_at_its_temperature_after_minimisation(tmp_path):
    prepared = prepared_water(periodic=True, per_edge=3)
    stages = {"minimize": {"max_iterations": 5}, "warmup": None}
    settings = protocol(tmp_path, stages=stages, output={"log_interval": "1 fs"})
    run_protocol(prepared, settings, progress=False)
    temperature = read_log(tmp_path / "log.csv")[1]["temperature_k"][0]
    # 27 waters, 1 fs after drawing velocities: sigma of T is 300 K sqrt(2 / 162) = 33 K.
    assert abs(temperature - 300) < 120


def test_warm_up_applies_restraint_and_ramp(tmp_path):
    prepared = prepared_water(periodic=True, per_edge=3)
    stages = {
        "minimize": None,
        "warmup": {
            "length": "1 ps",
            "start_temperature": "10 K",
            "restraint": "name O",
            "restraint_force_constant": 1e5,
        },
        "equilibrate": None,
    }
    settings = protocol(tmp_path, production=None, stages=stages)
    run_protocol(prepared, settings, progress=False)
    final = mdtraj.load(str(tmp_path / "final.pdb"))
    oxygens = np.arange(0, 81, 3)
    box = np.diag(prepared.mm.box_vectors)
    moved = final.xyz[0][oxygens] - prepared.mm.positions[oxygens]
    moved -= box * np.round(moved / box)
    # The thermal spread is 0.005 nm per axis; free water moves ten times as far in 1 ps.
    assert np.sqrt((moved**2).sum(axis=1).mean()) < 0.02
    temperature = read_log(tmp_path / "log.csv")[1]["temperature_k"]
    assert temperature[:10].mean() < temperature[-10:].mean()


def test_ramp_starts_and_ends_at_its_temperatures():
    stage = Stage("warmup", 0, 1000, start_temperature=10.0, restrained=True)
    values = [ramp_temperature(stage, step, 300.0) for step in range(1000)]
    assert values[0] == 10.0
    assert values[-1] == pytest.approx(300.0)
    assert np.all(np.diff(values) >= 0)
    assert ramp_temperature(Stage("production", 2, 10), 3, 300.0) == 300.0


def test_stages_add_forces_without_changing_the_system(tmp_path):
    prepared = prepared_water(periodic=True, per_edge=3)
    before = [force.getName() for force in prepared.hybrid.system.getForces()]
    settings = protocol(tmp_path).model_copy(
        update={"ensemble": protocol(tmp_path).ensemble.model_copy(update={"type": "NPT"})}
    )
    platform = choose_platform(settings.platform)
    names = {}
    for stage in plan_stages(settings):
        selection = settings.stages.warmup.model_copy(update={"restraint": "name O"})
        with_restraint = settings.model_copy(
            update={"stages": settings.stages.model_copy(update={"warmup": selection})}
        )
        context = create_stage_context(
            prepared, stage, with_restraint, platform, prepared.mm.positions
        )
        added = [f.getName() for f in context.getSystem().getForces()][len(before) :]
        names[stage.name] = added
    assert names == {
        "warmup": ["PositionRestraint"],
        "equilibrate": ["MonteCarloBarostat"],
        "production": ["MonteCarloBarostat"],
    }
    assert [force.getName() for force in prepared.hybrid.system.getForces()] == before


def test_default_restraints_leave_out_water_hydrogens_and_ions():
    topology = openmm.app.Topology()
    chain = topology.addChain()
    for name, symbols in (("LIG", "CHO"), ("HOH", "OHH"), ("XYZ", "HOH"), ("NA", ["Na"])):
        residue = topology.addResidue(name, chain)
        for symbol in symbols:
            topology.addAtom(symbol, openmm.app.Element.getBySymbol(symbol), residue)
    np.testing.assert_array_equal(restrained_atoms(topology, None), [0, 2])


def test_seeds_differ_between_stages_and_purposes_and_repeat():
    stages = [Stage(name, i, 1) for i, name in enumerate(("warmup", "equilibrate", "production"))]
    seeds = [stage_seed(s, stage, p) for s in (1, 2) for stage in stages for p in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [stage_seed(s, stage, p) for s in (1, 2) for stage in stages for p in range(3)]
    assert min(seeds) > 0


def test_thermometer_counts_degrees_of_freedom():
    mm = water_box(per_edge=2)
    # 8 rigid waters: 72 coordinates, 24 constraints, 3 of the centre of mass.
    kinetic = (
        0.5
        * (72 - 24 - 3)
        * 300
        * unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)
    )
    assert Thermometer(mm.system).temperature(kinetic) == pytest.approx(300.0)


def test_saved_mm_system_is_loaded_exactly(tmp_path):
    mm = water_box(per_edge=2, periodic=True)
    save_mm_system(mm, tmp_path)
    back = load_mm_system(tmp_path)
    np.testing.assert_array_equal(back.positions, mm.positions)
    np.testing.assert_array_equal(back.box_vectors, mm.box_vectors)
    as_text = [
        [(a.name, a.element.symbol, a.residue.name, a.residue.id, a.residue.chain.id) for a in
         m.topology.atoms()] + [(b[0].index, b[1].index) for b in m.topology.bonds()]
        for m in (mm, back)
    ]  # fmt: skip
    assert as_text[0] == as_text[1]
    serialize = openmm.XmlSerializer.serialize
    assert serialize(back.system) == serialize(mm.system)
    (tmp_path / "structure.npz").write_bytes(b"PK broken")
    with pytest.raises(InputFileError, match=r"structure\.npz: is missing or damaged"):
        load_mm_system(tmp_path)


def test_instability_reports_stage_and_step_and_keeps_the_checkpoint(tmp_path):
    stages = {"minimize": None, "warmup": None, "equilibrate": None}
    prepared = prepared_water()
    prepared.mm.positions[3:6] = prepared.mm.positions[6:9] + 1e-4  # two overlapping molecules
    with pytest.raises(SimulationError, match=r"production, .*(step|after step) \d+") as raised:
        go(tmp_path, prepared, stages=stages)
    assert "minimise further (stages.minimize.max_iterations)" in str(raised.value)
    assert "use a smaller timestep than 1 fs" in str(raised.value)
    assert "\n" not in str(raised.value)
    record = json.loads((tmp_path / "checkpoint.json").read_text())
    assert record["stage"] == "production" and (tmp_path / record["state_file"]).is_file()


def blow_up(loop, how):
    """Make a running stage unstable."""
    if how == "OpenMMException":
        raise openmm.OpenMMException("Particle coordinate\nis NaN")
    positions = loop.context.getState(positions=True).getPositions(asNumpy=True)._value
    positions[4, 1] = np.nan
    loop.context.setPositions(positions)


@pytest.mark.parametrize("how", ["OpenMMException", "NaN"])
@pytest.mark.parametrize("when", ["_advance", "_write_due"])
def test_late_instability_reports_the_time_step_and_keeps_the_run(tmp_path, monkeypatch, how, when):
    original = getattr(StageLoop, when)

    def failing(self):
        if self.stage.name == "production" and self.step >= 150:
            blow_up(self, how)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(StageLoop, when, failing)
        with pytest.raises(SimulationError, match=r"production, (after )?step 1[56]\d") as raised:
            go(tmp_path, production="0.2 ps")
    text = str(raised.value)
    assert "the time step of 1 fs is the likely cause: use a smaller timestep" in text
    assert "overwrite=True" in text and "the last checkpoint is kept" in text
    assert "\n" not in text
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 147
    run_protocol(
        prepared_water(), protocol(tmp_path, production="0.2 ps"), resume=True, progress=False
    )
    assert len(read_log(tmp_path / "log.csv")[0]) == 44


def test_overlapping_atoms_are_found_before_the_minimisation(tmp_path):
    prepared = prepared_water()
    prepared.mm.positions[3] = prepared.mm.positions[6]
    with pytest.raises(SimulationError, match=r"cannot start: the potential energy is .*overlap"):
        go(tmp_path, prepared)


def test_contradictions_are_refused_before_anything_is_written(tmp_path):
    folder = tmp_path / "out"
    base = protocol(folder)
    npt = base.model_copy(update={"ensemble": base.ensemble.model_copy(update={"type": "NPT"})})
    with pytest.raises(ConfigError, match=r"ensemble\.type: found NPT, but .* no periodic box"):
        run_protocol(prepared_water(), npt, progress=False)
    with pytest.raises(ConfigError, match="timestep: found 2 fs, the limit is 1 fs"):
        run_protocol(
            prepared_water(),
            protocol(
                folder,
                timestep="2 fs",
                output={"log_interval": "4 fs", "checkpoint_interval": "4 fs"},
            ),
            progress=False,
        )
    broken = prepared_water()
    broken.mm.positions[4, 1] = np.nan
    with pytest.raises(InputFileError, match="not all finite"):
        run_protocol(broken, base, progress=False)
    missing = base.model_copy(update={"platform": base.platform.model_copy(update={"name": "HIP"})})
    with pytest.raises(ConfigError, match=r"platform\.name: (found )?HIP"):
        run_protocol(prepared_water(), missing, progress=False)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["CPU", "auto"])
def test_too_many_threads_are_refused(tmp_path, monkeypatch, name):
    settings = protocol(tmp_path / "out", platform={"name": name, "threads": 10**9})
    with pytest.raises(ModelError, match="found threads = '1000000000', allowed: 1 to"):
        run_protocol(prepared_water(), settings, progress=False)
    monkeypatch.setenv("OPENMM_CPU_THREADS", "1000000")
    with pytest.raises(ModelError, match="found OPENMM_CPU_THREADS = '1000000', allowed: 1 to"):
        go(tmp_path / "out", platform={"name": name})
    assert not (tmp_path / "out").exists()


def test_folder_in_use_is_refused(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with open(tmp_path / "run.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is running in this folder"):
            go(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]


def test_run_from_a_settings_file_and_again_from_what_it_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("nnpmm.models.registry.families", springs_alone)
    mm = water_box(per_edge=3, periodic=True)
    data = write_settings(tmp_path, mm)
    result = run(tmp_path / "md.yaml", progress=False)
    assert result.directory == tmp_path / "out"
    (tmp_path / "system.xml").unlink()  # resuming reads the saved system
    data["stages"]["production"] = {"length": "0.02 ps"}
    (tmp_path / "md.yaml").write_text(yaml.safe_dump(data))
    again = run(tmp_path / "md.yaml", resume=True, progress=False)
    assert again.time_ps == pytest.approx(0.02)
    assert mdtraj.load(str(again.trajectory), top=str(result.final_structure)).n_frames == 10
    config = parse_config({**data, "region": {"selection": "resname ABC", "model": "springs"}})
    with pytest.raises(ValueError, match=re.escape("matches nothing")):
        runner.prepare_system(config, mm)


def test_snapshot_wraps_whole_molecules():
    prepared = prepared_water(periodic=True, per_edge=3)
    context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001))
    context.setPositions(prepared.mm.positions + 5.0)
    wrapped = snapshot(context, wrapped=True).positions.reshape(-1, 3, 3)
    assert np.linalg.norm(wrapped[:, 1:] - wrapped[:, :1], axis=2).max() < 0.11
    assert wrapped.max() < 1.5
