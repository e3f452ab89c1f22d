"""Umbrella sampling: a harmonic profile with an exact solution, and short calculations."""

import json
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from martini_cases import membrane, needs_gmx

from nnpmm.core.constants import GAS_CONSTANT, KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.files import write_atomically
from nnpmm.permeation.dataset.folder import DatasetSettings, SoluteJob
from nnpmm.permeation.labels import direct
from nnpmm.permeation.labels import umbrella as module
from nnpmm.permeation.labels.direct import (
    differing_settings,
    read_umbrella,
    run_direct,
    run_umbrella,
)
from nnpmm.permeation.labels.umbrella import UmbrellaSettings, join_windows, run_windows
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Frame, Restraint, StageResult
from nnpmm.permeation.martini.geometry import periodic_center
from nnpmm.permeation.runs.protocol import preset
from nnpmm.permeation.runs.simulations import RunOutcome

KT = GAS_CONSTANT * 300.0
TINY = preset("short", lipids_per_leaflet=16, waters_per_lipid=6, bilayer_relaxation="20 ps")
SETTINGS = DatasetSettings(protocol=TINY, engine="gromacs", lipids=["DOPC"], solutes=["C1-P4"])


def test_harmonic_profile_is_exact():
    """G = a z^2 / 2: windows are Gaussian, and F_k = a K z_k^2 / 2 (a + K) up to a constant."""
    rng = np.random.default_rng(4)
    umbrella = UmbrellaSettings(top=1.2, spacing=0.1, bulk=0.15, force_constant=800.0)
    a, k = 40.0, umbrella.force_constant
    centers = umbrella.centers
    assert centers[0] == 0.0 and centers[-1] == pytest.approx(1.2) and len(centers) == 13
    heights = [rng.normal(k * z / (a + k), np.sqrt(KT / (a + k)), 1500) for z in centers]
    found = join_windows(heights, umbrella, 300.0)
    exact = a * k / (a + k) / 2.0 * centers**2
    exact -= exact[-2:].mean()  # water: the last two windows
    assert np.all(np.abs(found.free_energies - exact) < 4 * found.errors)
    assert found.free_energies[-2:].mean() == pytest.approx(0.0, abs=1e-9)
    assert 0.0 < found.errors[0] < 0.5 and 0.0 < found.overlap <= 1.0
    assert found.samples > 15000


def test_failures_are_retried_with_another_seed_and_reported(tmp_path, monkeypatch):
    seen = []

    def windows(*_, seed, **__):
        seen.append(seed)
        if len(seen) in (1, 3, 4):
            raise SimulationError("the solute leaked")
        rng = np.random.default_rng(0)
        return [rng.normal(z, 0.05, 100) for z in UmbrellaSettings().centers]

    monkeypatch.setattr(direct, "run_windows", windows)
    monkeypatch.setattr(direct, "create_engine", lambda *_, **__: create_engine("openmm"))
    job = SoluteJob("DOPC", "C1-P4")
    record = run_umbrella(job, SETTINGS, tmp_path, tmp_path / "scratch")
    assert record["attempts"] == [f"seed {seen[0]}: the solute leaked"]
    assert record["seed"] == seen[1] != seen[0]
    assert abs(record["dg_kcal"]) < 4 * record["error_kcal"]  # a flat profile
    assert record["dg_kcal"] == pytest.approx(record["profile_kj"][0] / KJ_PER_KCAL)
    assert read_umbrella(tmp_path, "DOPC") == {"C1-P4": json.loads(json.dumps(record))}
    assert (tmp_path / "labels/umbrella/DOPC/C1-P4.png").stat().st_size > 1000
    assert run_umbrella(job, SETTINGS, tmp_path, tmp_path / "scratch") == record
    assert len(seen) == 2
    assert differing_settings(record, UmbrellaSettings()) == ""
    assert differing_settings(record, UmbrellaSettings(top=3.4)) == "top 4.1 nm"
    with pytest.raises(SimulationError, match=r"DOPC/N0 failed with 2 seeds: .*leaked.*; seed"):
        run_umbrella(SoluteJob("DOPC", "N0"), SETTINGS, tmp_path, tmp_path / "scratch")


def test_interrupted_calculation_resumes_only_with_the_same_settings(tmp_path, monkeypatch):
    """Other settings and other data sets have other folders. A folder in use is locked."""
    folders = []

    def windows(*arguments, **_):
        folders.append(arguments[5])
        if len(folders) == 5:
            with pytest.raises(
                ConfigError, match="umbrella sampling of DOPC/C1 is already running"
            ):
                run_umbrella(SoluteJob("DOPC", "C1"), SETTINGS, tmp_path, tmp_path / "scratch")
        raise KeyboardInterrupt

    monkeypatch.setattr(direct, "run_windows", windows)
    monkeypatch.setattr(direct, "create_engine", lambda *_, **__: None)
    other = SETTINGS.model_copy(update={"seed": 2})
    for settings, folder, force_constant in (
        (SETTINGS, "a", 1000.0),
        (SETTINGS, "a", 500.0),
        (SETTINGS, "b", 1000.0),
        (other, "a", 1000.0),
    ):
        umbrella = UmbrellaSettings(force_constant=force_constant)
        with pytest.raises(KeyboardInterrupt):
            run_umbrella(
                SoluteJob("DOPC", "C1"), settings, tmp_path / folder, tmp_path, umbrella=umbrella
            )
    assert len(set(folders)) == 4
    with pytest.raises(KeyboardInterrupt):
        run_umbrella(SoluteJob("DOPC", "C1"), SETTINGS, tmp_path, tmp_path / "scratch")


def test_record_of_another_process_is_reused(tmp_path, monkeypatch):
    """The other process finishes between the check of the record and the lock."""
    monkeypatch.setattr(direct, "create_engine", lambda *_, **__: None)
    monkeypatch.setattr(direct, "GromacsEngine", lambda **_: None)
    monkeypatch.setattr(direct, "_with_seeds", lambda *_: pytest.fail("done again"))
    job = SoluteJob("DOPC", "C1")

    @contextmanager
    def late(*_):
        for kind in ("direct", "umbrella"):
            write_atomically(tmp_path / f"labels/{kind}/DOPC/C1.json", json.dumps({"of": kind}))
        yield

    for run, kind in ((run_direct, "direct"), (run_umbrella, "umbrella")):
        monkeypatch.setattr(direct, "locked", late)
        assert run(job, SETTINGS, tmp_path, tmp_path / "scratch") == {"of": kind}
        shutil.rmtree(tmp_path / "labels")


def test_diffusivities_use_the_simulated_interval(tmp_path, monkeypatch):
    """An interval of 0.03 ps becomes 0.04 ps with a time step of 0.02 ps."""
    rng = np.random.default_rng(1)

    def windows(*_, **__):
        return [rng.normal(z, 0.05, 200) for z in UmbrellaSettings().centers]

    monkeypatch.setattr(direct, "run_windows", windows)
    monkeypatch.setattr(direct, "create_engine", lambda *_, **__: create_engine("openmm"))
    intervals = []
    found = direct.window_diffusivity
    monkeypatch.setattr(
        direct, "window_diffusivity", lambda z, t: intervals.append(t) or found(z, t)
    )
    umbrella = UmbrellaSettings(sample_interval="0.03 ps")
    record = run_umbrella(SoluteJob("DOPC", "C1"), SETTINGS, tmp_path, tmp_path, umbrella=umbrella)
    assert set(intervals) == {0.04} and record["interval_ps"] == 0.04


def test_solute_outside_its_window_is_an_error(tmp_path, monkeypatch):
    """Windows at 0 and 1 nm, and a run that puts the solute at the midplane in both."""
    system, start = membrane()
    middle = periodic_center(start.positions[system.select("lipid"), 2], start.box[2])
    start.positions[system.select("solute"), 2] = middle
    frames = [Frame(float(n), start.positions, start.box) for n in range(3)]
    production = StageResult(start, tmp_path, {})
    monkeypatch.setattr(module, "equilibrated_bilayer", lambda *_: (system, start))
    monkeypatch.setattr(module, "read_frames", lambda _: frames)
    monkeypatch.setattr(module, "run_solute", lambda *_, **__: RunOutcome(system, production))
    for n in range(2):
        (tmp_path / f"window-{n:02d}").mkdir()
    umbrella = UmbrellaSettings(top=1.0, spacing=1.0)
    with pytest.raises(SimulationError, match=r"leaked: -?0.00 nm .* allowed 1 ± 0.5 nm"):
        run_windows("C1", {"DPPC": 16}, TINY, umbrella, None, tmp_path, seed=1)
    assert (tmp_path / "window-00.safetensors").exists()
    assert not (tmp_path / "window-01.safetensors").exists()


@pytest.mark.slow
@needs_gmx
def test_windows_restrain_the_solute_and_are_not_repeated(tmp_path):
    umbrella = UmbrellaSettings(
        top=1.5, spacing=1.5, equilibration="8 ps", production="20 ps", sample_interval="1 ps"
    )
    engine = create_engine("gromacs", threads=1)
    calls = []

    def run():
        return run_windows(
            *("C1-P4", {"DOPC": 16}, TINY, umbrella, engine, tmp_path),
            seed=3,
            progress=lambda *a: calls.append(a),
        )

    inner, outer = run()
    assert inner.shape == outer.shape == (21,)
    assert abs(inner.mean()) < 0.15 and outer.mean() == pytest.approx(1.5, abs=0.15)
    assert ("windows", 2, 2) in calls
    assert not list(tmp_path.glob("window-*/*.trr"))
    np.testing.assert_array_equal(run(), [inner, outer])
    too_high = umbrella.model_copy(update={"top": 9.0})
    with pytest.raises(ConfigError, match=r"window at 9 nm lies beyond .* waters_per_lipid"):
        run_windows("C1", {"DOPC": 16}, TINY, too_high, engine, tmp_path, seed=1)
    assert Restraint().force_constant == umbrella.force_constant
