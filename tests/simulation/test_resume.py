"""A run killed at any time can be resumed, with the result of an uninterrupted run."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import app, unit
from runs import frames, go, require_equal_runs
from toys import prepared_water, protocol

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.simulation import run_protocol
from nnpmm.simulation.preparation.platform import choose_platform
from nnpmm.simulation.record import files as _files
from nnpmm.simulation.record.checkpoint import load_state, read_record
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.record.trajectory import cut_back, open_trajectory
from nnpmm.simulation.stages.dynamics import StageLoop
from nnpmm.simulation.stages.stages import create_stage_context, plan_stages

pytestmark = pytest.mark.usefixtures("empty_report")

SCRIPT = Path(__file__).with_name("toys.py")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """An uninterrupted run: its folder by format."""
    folders = {}
    for fmt in ("dcd", "xtc"):
        folders[fmt] = tmp_path_factory.mktemp(f"reference-{fmt}")
        go(folders[fmt], fmt=fmt)
    return folders


class Crash(BaseException):
    """Simulates the end of the process."""


def crash_at(monkeypatch, count):
    """Let the process 'die' at the count-th write, rename or sync of a checkpoint."""
    left = [count]

    def dying(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            if left[0] < 0:  # after the crash, nothing is written
                return None
            return function(*args, **kwargs)

        return call

    for name in ("replace", "fsync"):
        monkeypatch.setattr(_files.os, name, dying(getattr(os, name)))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))
    return left


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_crash_at_any_step_of_a_checkpoint_can_be_resumed(tmp_path, monkeypatch, reference, fmt):
    rng = random.Random(3)
    # A checkpoint makes eight such calls: crash at each of them, or at a few random calls.
    counts = range(60, 68) if fmt == "dcd" else sorted(rng.sample(range(1, 200), 5))
    for count in counts:
        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            crash_at(patch, count)
            with pytest.raises(Crash):
                go(folder, fmt=fmt)
        go(folder, fmt=fmt, resume=True)
        require_equal_runs(folder, reference[fmt], fmt)
        assert len(list(folder.glob("checkpoint-*.chk"))) == 1


_OFTEN_IGNORED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)


def start(folder, fmt, length, *options, action=signal.SIG_DFL):
    """Start a run in a separate process that does not inherit ignored signals."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), str(folder), fmt, length, *options]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: [signal.signal(number, action) for number in _OFTEN_IGNORED],
    )


def wait_for_production(folder, process):
    for _ in range(600):
        record = folder / "checkpoint.json"
        if record.exists() and json.loads(record.read_text())["stage"] == "production":
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise TimeoutError("the run did not reach production")


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_killed_process_can_be_resumed(tmp_path, fmt):
    length = "2 ps"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(killed, fmt, length)
    wait_for_production(killed, process)
    time.sleep(random.Random(fmt).uniform(0.0, 0.6))
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "final.pdb").exists()
    go(killed, fmt=fmt, production=length, resume=True)
    go(whole, fmt=fmt, production=length)
    require_equal_runs(killed, whole, fmt)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name
)
def test_signal_ends_a_run_with_a_checkpoint(tmp_path, number):
    length = "2 ps"
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = start(stopped, "dcd", length)
    wait_for_production(stopped, process)
    process.send_signal(number)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    record = json.loads((stopped / "checkpoint.json").read_text())
    trajectory = stopped / "trajectory.dcd"
    assert record["sizes"]["trajectory.dcd"] == trajectory.stat().st_size  # no partly written frame
    # The checkpoint was written at the signal, so frames and steps agree.
    assert record["frames"] == record["step"] // 2 < 1000
    go(stopped, production=length, resume=True)
    go(whole, production=length)
    require_equal_runs(stopped, whole)


@pytest.mark.slow
def test_ignored_signals_stay_ignored(tmp_path):
    process = start(tmp_path, "dcd", "1 ps", action=signal.SIG_IGN)
    wait_for_production(tmp_path, process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGQUIT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert (tmp_path / "report.png").is_file()


def interrupted(folder, monkeypatch, fmt="dcd", count=150):
    with monkeypatch.context() as patch:
        crash_at(patch, count)
        with pytest.raises(Crash):
            go(folder, fmt=fmt)
    record = json.loads((folder / "checkpoint.json").read_text())
    assert record["stage"] == "production"
    return record


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_partly_written_frame_is_removed(tmp_path, monkeypatch, reference, fmt):
    interrupted(tmp_path, monkeypatch, fmt)
    with open(tmp_path / f"trajectory.{fmt}", "ab") as handle:
        handle.write(b"\x54half a frame")
    with open(tmp_path / "log.csv", "a") as handle:
        handle.write("production,12")
    go(tmp_path, fmt=fmt, resume=True)
    require_equal_runs(tmp_path, reference[fmt], fmt)


def test_longer_production_continues_a_finished_run(tmp_path, reference):
    go(tmp_path, production="0.05 ps")
    first = (tmp_path / "final.pdb").read_text()
    result = go(tmp_path, production="0.1 ps", resume=True)
    assert not result.already_complete
    require_equal_runs(tmp_path, reference["dcd"])
    assert (tmp_path / "final.pdb").read_text() != first


def test_crash_before_the_final_structure_can_be_resumed(tmp_path, monkeypatch, reference):
    """Otherwise the run would count as complete, with the structure of the shorter one."""

    def die(*_):
        raise Crash

    go(tmp_path, production="0.05 ps")
    with monkeypatch.context() as patch:
        patch.setattr("nnpmm.simulation.stages.staged_run.write_final", die)
        with pytest.raises(Crash):
            go(tmp_path, production="0.1 ps", resume=True)
    assert not (tmp_path / "final.pdb").exists() and not (tmp_path / "report.png").exists()
    result = go(tmp_path, production="0.1 ps", resume=True)
    assert not result.already_complete
    require_equal_runs(tmp_path, reference["dcd"])
    assert result.final_structure.read_text() == (reference["dcd"] / "final.pdb").read_text()


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    go(tmp_path)
    names = ("trajectory.dcd", "log.csv", "final.pdb", "report.png", "checkpoint.json")
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in names}
    result = go(tmp_path, resume=True)
    assert result.already_complete
    assert result.signal_number is None
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in names} == before


def test_resume_with_other_settings_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match=r"cannot resume: timestep is '0\.0005 ps' here and was"):
        go(tmp_path, resume=True, timestep="0.5 fs")
    with pytest.raises(ConfigError, match=r"output\.log_interval is '0\.01 ps' here"):
        go(tmp_path, resume=True, output={"log_interval": "10 fs"})
    with pytest.raises(ConfigError, match=r"stages\.production\.length: the run has \d+ steps"):
        go(tmp_path, resume=True, production="2 fs")
    with pytest.raises(ConfigError, match="the network differs from that of the run"):
        go(tmp_path, resume=True, prepared=prepared_water(digest="springs-2"))
    go(tmp_path, resume=True, output={"checkpoint_interval": "20 fs"})


def test_resume_with_another_region_is_refused(tmp_path, monkeypatch):
    record = interrupted(tmp_path, monkeypatch)
    assert record["region"] == [0, 1, 2]
    other = prepared_water(region=(3, 4, 5))
    with pytest.raises(
        ConfigError, match=r"atoms differ from those of the run.*\(3 atoms, before 3\)"
    ):
        go(tmp_path, resume=True, prepared=other)


def test_second_run_in_the_folder_is_refused(tmp_path):
    go(tmp_path, production=None)
    with pytest.raises(ConfigError, match=r"already contains a run: .*resume=True.*overwrite=True"):
        go(tmp_path, production=None)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    run_protocol(
        prepared_water(), protocol(tmp_path, production=None), overwrite=True, progress=False
    )
    assert notes.read_text() == "mine"


def test_resume_without_a_run_starts_one(tmp_path, reference):
    go(tmp_path, resume=True)
    require_equal_runs(tmp_path, reference["dcd"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d, r: (d / "checkpoint.json").write_text("{"), "checkpoint record is damaged"),
        (lambda d, r: (d / r["state_file"]).write_bytes(b"x"), "does not match its sha256"),
        (lambda d, r: (d / r["state_file"]).unlink(), "the checkpoint's state is missing"),
        (
            lambda d, r: (d / "log.csv").write_text(""),
            "log.csv: has 0 bytes, but the checkpoint says",
        ),
        (
            lambda d, r: (d / "trajectory.dcd").unlink(),
            "trajectory.dcd: is missing, but the checkpoint",
        ),
    ],
)
def test_damaged_files_are_reported(tmp_path, monkeypatch, damage, message):
    record = interrupted(tmp_path, monkeypatch)
    damage(tmp_path, record)
    with pytest.raises(SimulationError, match=message) as raised:
        go(tmp_path, resume=True)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 1},
        {"step": 0},
        {"sizes": {"trajectory.dcd": 276, "log.csv": 0}},
        {"stage": "equilibrate"},
        {"record_sha256": "0" * 64},
        {"record_sha256": None},
    ],
    ids=str,
)
def test_edited_record_is_refused(tmp_path, monkeypatch, change):
    record = interrupted(tmp_path, monkeypatch)
    (tmp_path / "checkpoint.json").write_text(json.dumps({**record, **change}))
    before = (tmp_path / "trajectory.dcd").read_bytes()
    with pytest.raises(SimulationError, match=r"record is damaged .*does not match its record_sha"):
        go(tmp_path, resume=True)
    assert (tmp_path / "trajectory.dcd").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 10**5, "{}", "\0", "null"])
def test_invalid_record_is_refused(tmp_path, monkeypatch, text):
    interrupted(tmp_path, monkeypatch)
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(
        SimulationError, match=r"checkpoint\.json: the checkpoint record is damaged"
    ):
        go(tmp_path, resume=True)


def overwrite(path, offset, content):
    with open(path, "r+b") as handle:
        handle.seek(offset)
        handle.write(content)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
@pytest.mark.parametrize("content", [bytes(4), b"nons"], ids=repr)
def test_damaged_trajectory_header_is_reported(tmp_path, monkeypatch, reference, fmt, content):
    interrupted(tmp_path, monkeypatch, fmt)
    path = tmp_path / f"trajectory.{fmt}"
    whole = path.read_bytes()
    # DCD: mark, name, sizes of the blocks, atoms. XTC: mark, atoms, length of the first frame.
    for offset in (0, 4, 88, 92, 260, 264, 268, 272) if fmt == "dcd" else (0, 4, 52, 88):
        path.write_bytes(whole)
        overwrite(path, offset, content)
        with pytest.raises(SimulationError, match=rf"trajectory\.{fmt}: .*restore the file"):
            go(tmp_path, fmt=fmt, resume=True)
    path.write_bytes(whole)
    go(tmp_path, fmt=fmt, resume=True)
    require_equal_runs(tmp_path, reference[fmt], fmt)


def test_damaged_log_row_is_reported(tmp_path, monkeypatch, reference):
    interrupted(tmp_path, monkeypatch)
    path = tmp_path / "log.csv"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    rows = {
        "letters": lines[2].replace(b".", b"x"),
        "cut": lines[2][:20] + b"\n",
        "joined": lines[2].rstrip() + lines[2],
        "binary": bytes(len(lines[2])) + b"\n",
        "not UTF-8": b"\xff\xfe" * 9 + b"\n",
    }
    for row in rows.values():
        text = b"".join([*lines[:2], row, *lines[3:]])
        path.write_bytes(text + b"\n" * (len(whole) - len(text)))
        with pytest.raises(
            SimulationError, match=r"log\.csv: line 3 is damaged .*restore"
        ) as raised:
            go(tmp_path, resume=True)
        assert "\n" not in str(raised.value)
    path.write_bytes(whole)
    go(tmp_path, resume=True)
    require_equal_runs(tmp_path, reference["dcd"])


@pytest.mark.parametrize("content", ["{", "[]", '{"sessions": 3}', "[" * 10**5])
def test_damaged_provenance_is_reported(tmp_path, content):
    go(tmp_path, production="0.01 ps")
    (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(
        SimulationError, match=r"provenance\.json: is damaged .*restore it, or delete"
    ):
        go(tmp_path, production="0.02 ps", resume=True)
    (tmp_path / "provenance.json").unlink()
    go(tmp_path, production="0.02 ps", resume=True)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_run_of_more_than_2_to_the_31_steps_can_be_resumed(tmp_path, fmt):
    """Headers of trajectories have 32 bits."""
    done = 2**31 + 6
    length = f"{(done + 10) // 1000 + 1} ps"
    go(tmp_path, fmt=fmt, production="0.05 ps")
    data = protocol(tmp_path, fmt=fmt, production=length)
    record = read_record(tmp_path)
    frame = frames(tmp_path, fmt)
    assert record.frames == frame.n_frames == 25
    at = record.model_copy(update={"step": done})
    (tmp_path / "checkpoint.json").write_text(at.to_json())

    class Stopping(StageLoop):
        def _show(self):
            super()._show()
            if self.step >= done + 10:
                self.recorder.stop.signal_number = signal.SIGTERM

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnpmm.simulation.stages.staged_run.StageLoop", Stopping)
        for _ in range(2):
            result = run_protocol(prepared_water(), data, resume=True, progress=False)
            assert result.signal_number == signal.SIGTERM
    longer = frames(tmp_path, fmt)
    assert longer.n_frames > 25
    np.testing.assert_array_equal(longer.xyz[:25], frame.xyz)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_empty_trajectory_has_its_final_header_size(tmp_path, fmt):
    """A checkpoint at the start of production records the size, which must not change."""
    path = tmp_path / f"empty.{fmt}"
    writer = open_trajectory(path, prepared_water().mm.topology, 0.01)
    recorded = path.stat().st_size
    writer.close()
    assert path.stat().st_size == recorded


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_frames_more_than_2_to_the_31_steps_apart(tmp_path, fmt):
    """More than 2^31 steps between the first frame and the fourth."""
    topology = prepared_water().mm.topology
    path = tmp_path / f"long.{fmt}"
    positions = prepared_water().mm.positions
    interval = 1e9 * 0.001  # 10^9 steps of 1 fs, in ps
    for begun in range(4):
        if begun:
            cut_back(path, path.stat().st_size, begun, topology.getNumAtoms())
        writer = open_trajectory(path, topology, interval, begun)
        writer.write(positions + begun, None)
        writer.close()
    with open(tmp_path / "top.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle)
    loaded = mdtraj.load(str(path), top=str(tmp_path / "top.pdb"))
    assert loaded.n_frames == 4
    np.testing.assert_allclose(loaded.xyz[3], positions + 3, atol=2e-3)
    if fmt == "xtc":
        np.testing.assert_allclose(loaded.time, interval * np.arange(1, 5), rtol=1e-6)
    else:
        step, spacing = struct.unpack_from("<i", path.read_bytes(), 12)[0], 0.04888821
        assert step == 1
        (akma,) = struct.unpack_from("<f", path.read_bytes(), 44)
        assert akma * spacing == pytest.approx(interval, rel=1e-6)


def test_record_with_an_unknown_file_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("precious")
    foreign = read_record(tmp_path).model_copy(update={"sizes": {"../outside.txt": 0}})
    (tmp_path / "checkpoint.json").write_text(foreign.to_json())
    with pytest.raises(SimulationError, match="names an unknown file"):
        go(tmp_path, resume=True)
    assert outside.read_text() == "precious"


def test_resume_at_constant_pressure_restores_the_volume(tmp_path, monkeypatch):
    data = protocol(tmp_path).model_dump()
    data["ensemble"] = {"type": "NPT", "barostat_interval": 2}
    settings = type(protocol(tmp_path)).model_validate(data)
    prepared = prepared_water(periodic=True, per_edge=3)
    starts = []

    def volume_of(context):
        return context.getState().getPeriodicBoxVolume()._value

    class Watched(StageLoop):
        def run(self):
            starts.append(volume_of(self.context))
            return super().run()

    with monkeypatch.context() as patch:
        crash_at(patch, 150)
        with pytest.raises(Crash):
            run_protocol(prepared, settings, progress=False)
    record = read_record(tmp_path)
    assert record.stage == "production" and record.step > 0
    context = create_stage_context(
        prepared, plan_stages(settings)[-1], settings, choose_platform(settings.platform)
    )
    initial = volume_of(context)
    load_state(tmp_path, record, context)
    assert abs(volume_of(context) - initial) > 1e-4 * initial
    monkeypatch.setattr("nnpmm.simulation.stages.staged_run.StageLoop", Watched)
    run_protocol(prepared, settings, resume=True, progress=False)
    assert starts == [volume_of(context)]
    stages, columns = read_log(tmp_path / "log.csv")
    volume = columns["volume_nm3"][[s == "production" for s in stages]]
    assert len(volume) == 20
    assert np.unique(volume).size > 3
    assert frames(tmp_path).n_frames == 50
