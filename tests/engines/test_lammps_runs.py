"""Runs from a settings file: stages, restarts, trajectory, analysis; on one rank."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import yaml
from conftest import ROOT
from openmm import app, unit
from pydantic import ValidationError
from water_boxes import needs_lammps, water, write_water

from nnpmm.campaigns import cuda_devices
from nnpmm.core.errors import ConfigError, InputFileError, ModelError, SimulationError
from nnpmm.engines import lammps
from nnpmm.engines.lammps import record
from nnpmm.engines.lammps.parallel import device_of_rank
from nnpmm.engines.lammps.running import integration
from nnpmm.engines.lammps.settings import steps_of
from nnpmm.engines.lammps.source import read_log

SHORT = {
    "engine": "lammps",
    "system": {"file": "box.pdb"},
    "network": {"model": "ANI-1x", "members": [0, 1], "precision": "double"},
    "ensemble": {"type": "NPT", "thermostat": "nose-hoover"},
    "stages": {
        "minimize": {"max_iterations": 3},
        "equilibrate": {"length": "4 fs"},
        "production": {"length": "12 fs"},
    },
    "output": {
        "directory": "out",
        "trajectory_interval": "2 fs",
        "log_interval": "1 fs",
        "restart_interval": "3 fs",
    },
}


def settings(folder: Path, name: str = "md.yaml", **changes) -> Path:
    """Write settings that differ in some sections from the short ones."""
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in SHORT.items()}
    for key, value in changes.items():
        data[key] = {**data[key], **value} if isinstance(value, dict) else value
    path = folder / name
    path.write_text(yaml.safe_dump(data))
    return path


def frames(folder: Path) -> mdtraj.Trajectory:
    topology = mdtraj.Topology.from_openmm(lammps.read_run(folder).topology)
    return mdtraj.load(str(folder / "trajectory.dcd"), top=topology)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Return the folder of a run that nothing has interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    write_water(folder / "box.pdb")
    result = lammps.run(settings(folder))
    assert (result.stage, result.signal_number) == ("production", None)
    assert result.time_ps == pytest.approx(0.012)
    return folder / "out"


@needs_lammps
def test_files_of_a_run(whole):
    run = lammps.read_run(whole)
    np.testing.assert_allclose(run.time, 0.001 * np.arange(13), atol=1e-12)
    assert run.interval == pytest.approx(0.002)
    found = frames(whole)
    assert found.n_frames == 7
    volumes = np.linalg.det(found.unitcell_vectors)
    np.testing.assert_allclose(volumes, run.readings["volume"][::2], rtol=1e-5)
    assert np.ptp(volumes) > 0
    assert abs(run.readings["temperature"][0] - 300) < 100
    grams = 27 * 18.015 * 1.66054e-3
    np.testing.assert_allclose(run.readings["density"], grams / run.readings["volume"], rtol=1e-3)
    oxygen = found.xyz[:, ::3]  # molecules stay whole
    for k in (1, 2):
        assert np.linalg.norm(found.xyz[:, k::3] - oxygen, axis=2).max() < 0.13
    restarts = sorted(path.name for path in whole.glob("*.restart"))
    assert restarts == ["production.18.restart", "production.24.restart"]


@needs_lammps
def test_energy_and_spread_in_the_log_are_the_evaluators(whole):
    from nnpmm import load_model
    from nnpmm.models.local import find_neighbourhoods, local_potential

    run, found = lammps.read_run(whole), frames(whole)
    model = load_model("ANI-1x", members=[0, 1], precision="double", backend="cpu")
    local = local_potential(model, "HO")
    numbers = np.array([atom.element.atomic_number for atom in run.topology.atoms()])
    positions, box = found.xyz[-1].astype(float), found.unitcell_vectors[-1].astype(float)
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    shifts = np.vstack([[0, 0, 0], shifts[shifts.any(axis=1)]]) @ box
    every = (positions[None] + shifts[:, None]).reshape(-1, 3)
    neighbourhoods = find_neighbourhoods(every, len(numbers), local.cutoff)
    energies = local.evaluate(np.tile(numbers, 27), neighbourhoods).member_energies
    # The trajectory has single precision: 1e-7 nm against forces of 1e4 kJ/mol/nm.
    assert run.readings["potential_energy"][-1] == pytest.approx(energies.mean(), abs=0.1)
    assert run.readings["network_spread"][-1] == pytest.approx(energies.std(ddof=1), abs=0.1)


@needs_lammps
@pytest.mark.parametrize(
    ("stage", "step"), [("equilibrate", 3), ("production", 5), ("minimize", 1)]
)
def test_a_signal_ends_a_run_that_then_goes_on(stage, step, whole, tmp_path):
    """At any stage; the trajectory in the end is that of the run without interruption."""
    write_water(tmp_path / "box.pdb")
    path = settings(tmp_path)

    def interrupt(name, done, total):
        if (name, done) == (stage, step):
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = lammps.run(path, progress=interrupt)
    assert (stopped.stage, stopped.signal_number) == (stage, signal.SIGTERM)
    with pytest.raises(ConfigError, match="already contains a run"):
        lammps.run(path)
    result = lammps.run(path, resume=True)
    assert result.stage == "production"
    assert not result.already_complete
    assert lammps.run(path, resume=True).already_complete
    again, before = lammps.read_run(tmp_path / "out"), lammps.read_run(whole)
    np.testing.assert_array_equal(again.time, before.time)
    for name, values in before.readings.items():
        np.testing.assert_allclose(again.readings[name], values, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(frames(tmp_path / "out").xyz, frames(whole).xyz, rtol=0, atol=1e-5)


@needs_lammps
def test_a_run_whose_last_restart_file_is_cut_goes_on_from_the_one_before(whole, tmp_path):
    import shutil

    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    write_water(tmp_path / "box.pdb")
    last = folder / "production.24.restart"
    last.write_bytes(last.read_bytes()[:-100])
    os.truncate(folder / "trajectory.dcd", (folder / "trajectory.dcd").stat().st_size - 50)
    result = lammps.run(settings(tmp_path), resume=True)
    assert not result.already_complete
    np.testing.assert_allclose(frames(folder).xyz, frames(whole).xyz, rtol=0, atol=1e-5)


@needs_lammps
def test_other_settings_are_refused_on_resume(whole, tmp_path):
    import shutil

    shutil.copytree(whole, tmp_path / "out")
    write_water(tmp_path / "box.pdb")
    changed = settings(tmp_path, ensemble={"temperature": "310 K"})
    with pytest.raises(ConfigError, match=r"ensemble\.temperature is '310\.0 K' here and was '300"):
        lammps.run(changed, resume=True)
    longer = settings(tmp_path, stages={"production": {"length": "14 fs"}})
    assert lammps.run(longer, resume=True).time_ps == pytest.approx(0.014)
    assert frames(tmp_path / "out").n_frames == 8


@needs_lammps
def test_nothing_is_left_of_a_run_that_cannot_begin(tmp_path):
    write_water(tmp_path / "box.pdb", edge=2, spacing=0.25)
    with pytest.raises(ConfigError, match="use a larger box"):
        lammps.run(settings(tmp_path))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.lock"]


@needs_lammps
def test_analysis_of_a_box_of_water(whole):
    """No ligand and no receptor: density and structure, with what LAMMPS logged."""
    from nnpmm.analysis import analyze
    from nnpmm.simulation import run_source

    found = analyze(run_source(whole))
    (replica,) = found.replicas
    assert replica.facts["liquid"] == "27 HOH"
    assert replica.n_frames == 7
    assert set(replica.distributions) == {"O-O", "O-H", "H-H"}
    values = {quantity.name: quantity.average for quantity in found.of_kind("overall")}
    run = lammps.read_run(whole)
    for name in ("density", "temperature", "pressure"):
        assert values[name].value == pytest.approx(run.readings[name].mean())
    assert values["potential energy"].samples == 13


@needs_lammps
def test_analysis_of_a_run(tmp_path):
    """A methanol among waters is the solute of ``nnpmm analyze``."""
    from nnpmm.analysis import analyze
    from nnpmm.simulation import run_folders, run_source
    from nnpmm.structures import molecule_from_smiles, to_openmm_topology

    topology, positions, _ = water(4)
    methanol, own = to_openmm_topology(molecule_from_smiles("CO", seed=1))
    modeller = app.Modeller(topology, positions * unit.nanometer)
    centre = own.mean(axis=0)
    distances = np.linalg.norm(positions - positions[96], axis=1)
    near = [r for r in topology.residues() if min(distances[a.index] for a in r.atoms()) < 0.35]
    modeller.delete(near)
    modeller.add(methanol, (own - centre + positions[96]) * unit.nanometer)
    with open(tmp_path / "box.cif", "w") as handle:
        app.PDBxFile.writeFile(modeller.topology, modeller.positions, handle)
    path = settings(tmp_path, system={"file": "box.cif"}, stages={"equilibrate": None})
    lammps.run(path)
    assert run_folders(tmp_path / "out") == [tmp_path / "out"]
    source = run_source(tmp_path / "out")
    assert source.start == 0
    found = analyze(source, selection="not water")
    assert found.replicas[0].n_frames == 7
    names = {quantity.name for quantity in found.of_kind("overall")}
    assert any("temperature" in name.lower() for name in names), names


def test_the_template_is_valid(tmp_path):
    (tmp_path / "md.yaml").write_text(lammps.template())
    found = lammps.load_config(tmp_path / "md.yaml")
    assert found.system.file == tmp_path / "box.pdb"
    assert found.network.model == "ANI-2x"


def test_template_and_docs_say_how_many_steps_the_default_stages_have():
    config = lammps.LammpsConfig.model_validate(
        {"system": {"file": "a"}, "network": {"model": "ANI-2x"}}
    )
    for stage, words in (("equilibrate", "equilibrate for {}"), ("production", "produce {}")):
        steps = f"{steps_of(config, getattr(config.stages, stage).length):,}"
        assert f"{steps} steps of 0.5 fs" in " ".join(lammps.template().split())
        assert words.format(steps) in " ".join((ROOT / "docs/lammps.md").read_text().split())
    assert config.timestep == 0.0005


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep": "2 fs"}, "timestep: found 2 fs, allowed: at most 1 fs"),
        (
            {"output": {"log_interval": "1.2 fs"}},
            r"output\.log_interval: found 0\.0012 ps, must be",
        ),
        (  # 1,000,000.4 steps
            {"stages": {"production": {"length": "500.0002 ps"}}, "timestep": "0.5 fs"},
            r"stages\.production\.length: found 500\.0002 ps, must be",
        ),
        ({"ensemble": {"thermostat": "berendsen"}}, "ensemble.thermostat: found 'berendsen'"),
        ({"region": {"selection": "all"}}, "unknown key 'region'"),
    ],
)
def test_wrong_settings(changes, message, tmp_path):
    path = settings(tmp_path)
    data = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=message):
        lammps.load_config(path)


def test_fixes_of_each_ensemble():
    def fixes(**ensemble):
        config = lammps.LammpsConfig.model_validate(
            {"system": {"file": "a"}, "network": {"model": "ANI-2x"}, "ensemble": ensemble}
        )
        return integration(config, "production", 0)

    assert fixes(type="NVE") == ["fix motion all nve"]
    assert fixes(type="NVT", thermostat="nose-hoover", thermostat_time="0.1 ps") == [
        "fix motion all nvt temp 300 300 100"
    ]
    assert fixes(type="NPT", thermostat="nose-hoover", pressure="1.01325 bar") == [
        "fix motion all npt temp 300 300 500 iso 1 1 1000"
    ]
    mover, bath = fixes(type="NPT", barostat="aniso")
    assert mover.startswith("fix motion all nph aniso 0.98692")
    assert bath.startswith("fix bath all langevin 300 300 500 ")
    assert fixes(type="NVT")[0] == "fix motion all nve"


def test_no_stretch_of_a_langevin_run_repeats_random_numbers():
    """Stretches with the same numbers are correlated (D. J. Sindhikara et al., JCTC 2009, 5, 1624).

    Stages and continuations count their steps from where they begin.
    """
    config = lammps.LammpsConfig.model_validate(
        {"system": {"file": "a"}, "network": {"model": "ANI-2x"}}
    )
    seeds = {
        int(integration(config, stage, step)[1].split()[-3])
        for stage in record.STAGES
        for step in (0, 1000, 2000)
    }
    assert len(seeds) == 6
    assert all(0 < seed < 900_000_000 for seed in seeds)  # what LAMMPS allows


def test_the_last_rows_of_a_step_count(tmp_path):
    text = """LAMMPS
   Step  Time  PotEng
         0  0  -1.5
        10  5  -2
        20  10  -2.5
Loop time of 1
   Step  Time  PotEng
        10  5  -3
        20  10
        20  10  -4
WARNING: something else here
"""
    (tmp_path / "a.log").write_text(text)
    found = read_log(tmp_path / "a.log")
    assert found["Step"].tolist() == [0, 10, 20]
    assert found["PotEng"].tolist() == [-1.5, -3, -4]
    (tmp_path / "b.log").write_text("LAMMPS\n")
    with pytest.raises(InputFileError, match="found no thermodynamic output"):
        read_log(tmp_path / "b.log")


def test_a_trajectory_that_lacks_frames_is_refused(tmp_path):
    with pytest.raises(SimulationError, match="found 0 frames, the restart file expects 3"):
        record.cut_trajectory(tmp_path, 3, 10)
    assert record.cut_trajectory(tmp_path, 0, 10) == tmp_path / "trajectory.dcd"


def test_settings_cannot_be_changed():
    config = lammps.LammpsConfig.model_validate(
        {"system": {"file": "a"}, "network": {"model": "ANI-2x"}}
    )
    with pytest.raises(ValidationError):
        config.seed = 3


@needs_lammps
def test_ranks_of_a_machine_take_its_gpus_in_turn(monkeypatch):
    import torch

    class Ranks:
        """A rank of a machine, as mpi4py has them."""

        def __init__(self, rank: int = 0) -> None:
            self.rank = rank

        def Split_type(self, kind):
            return self

        def Free(self):
            pass

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = [device_of_rank(Ranks(n), "cuda") for n in range(3)]
    assert devices == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of_rank(Ranks(1), "cpu") == "cpu"


@needs_lammps
@pytest.mark.skipif(bool(cuda_devices()), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    write_water(tmp_path / "box.pdb")
    with pytest.raises(ModelError, match="found the device 'cuda:0'"):
        lammps.run(settings(tmp_path, network={"model": "ANI-1x", "device": "cuda"}))
    assert not list((tmp_path / "out").glob("*.log"))
