"""Biased production of nnpmm run: output, crashes, signals, refused settings."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from runs import require_equal_runs
from sampled_toys import KINDS, go, sampled
from test_resume import Crash, crash_at
from toys import prepared_water

from nnpmm.core.errors import ConfigError, NnpmmError, SimulationError
from nnpmm.sampling import ReplicaExchange, read_samples
from nnpmm.simulation.protocol import check_prepared
from nnpmm.simulation.record.bias_log import read_bias_log

pytestmark = pytest.mark.usefixtures("empty_report")

SCRIPT = Path(__file__).with_name("sampled_toys.py")
EXCHANGES = ("umbrella", "temperatures", "region-scaling")


@pytest.fixture(scope="module")
def metadynamics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metadynamics")
    go(folder, "metadynamics")
    return folder


def require_equal_biased_runs(folder, reference):
    require_equal_runs(folder, reference)
    assert (folder / "bias.csv").read_bytes() == (reference / "bias.csv").read_bytes()


def test_bias_log_contains_every_gaussian(metadynamics):
    found = read_bias_log(metadynamics / "bias.csv")
    assert found.names == ("apart", "bend")
    np.testing.assert_array_equal(found.steps, np.arange(3, 101, 3))
    assert found.bias[0] == 0 and found.heights[0] == 1.0
    assert found.bias.max() > 3 and (np.diff(found.heights) != 0).all()


def test_crash_at_any_step_of_a_checkpoint_keeps_the_bias(tmp_path, monkeypatch, metadynamics):
    """Frames, log and Gaussians are bitwise equal to those of an uninterrupted run."""
    for count in (*range(81, 90, 2), 150):
        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            crash_at(patch, count)
            with pytest.raises(Crash):
                go(folder, "metadynamics")
        go(folder, "metadynamics", resume=True)
        require_equal_biased_runs(folder, metadynamics)


def start(folder, kind, length, *options):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), str(folder), kind, length, *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(path, process, least=1):
    for _ in range(1200):
        if path.exists() and path.stat().st_size >= least:
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise TimeoutError(f"{path} did not grow")


@pytest.mark.slow
def test_killed_metadynamics_resumes(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(killed, "metadynamics", "1 ps")
    wait_for(killed / "bias.csv", process, 2000)
    time.sleep(random.Random(1).uniform(0.0, 0.4))
    process.kill()
    process.wait()
    assert not (killed / "final.pdb").exists()
    go(killed, "metadynamics", production="1 ps", resume=True)
    go(whole, "metadynamics", production="1 ps")
    require_equal_biased_runs(killed, whole)


@pytest.mark.slow
def test_killed_replica_exchange_resumes(tmp_path):
    """No iteration is lost or repeated, and records match the configurations."""
    process = start(tmp_path, "umbrella", "2 ps")
    energies = tmp_path / "exchange/energies.bin"
    wait_for(energies, process, 5000)
    process.kill()
    process.wait()
    result = go(tmp_path, "umbrella", production="2 ps", resume=True)
    assert result.time_ps == pytest.approx(2.0)
    samples = read_samples(tmp_path / "exchange")
    assert samples.energies.shape == (500, 3, 3) and samples.names == ("apart", "bend")
    centers = np.linspace(0.3, 0.4, 3)
    restraint = 1000 * (samples.observables[:, :, :1] - centers) ** 2
    inside = samples.energies - samples.evaluated
    np.testing.assert_allclose(inside, restraint, rtol=0, atol=1e-6)
    assert (tmp_path / "final.pdb").is_file()
    assert len(list((tmp_path / "exchange/trajectories").glob("state-*.dcd"))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["metadynamics", "temperatures"])
def test_signal_ends_a_biased_run_with_a_checkpoint(tmp_path, kind):
    process = start(tmp_path, kind, "20 ps")
    record = tmp_path / ("bias.csv" if kind == "metadynamics" else "exchange/energies.bin")
    wait_for(record, process, 1000)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    if kind == "metadynamics":
        sizes = json.loads((tmp_path / "checkpoint.json").read_text())["sizes"]
        assert sizes["bias.csv"] == record.stat().st_size
    else:
        samples = read_samples(tmp_path / "exchange")
        row = record.stat().st_size // len(samples.energies)
        assert len(samples.energies) * row == record.stat().st_size
    process = start(tmp_path, kind, "20 ps", "--resume")
    size = record.stat().st_size
    wait_for(record, process, size + 100)
    process.kill()
    process.wait()


def test_interrupted_equilibration_is_repeated(tmp_path, monkeypatch):
    """Replicas that were not equilibrated are never sampled."""
    equilibrated, stops = [], [2]
    simulate = ReplicaExchange.simulateReplica

    def simulate_or_stop(self, index, steps=None):
        if steps is not None:
            equilibrated.append(index)
        if len(equilibrated) in stops:
            os.kill(os.getpid(), signal.SIGTERM)
        return simulate(self, index, steps)

    monkeypatch.setattr(ReplicaExchange, "simulateReplica", simulate_or_stop)
    assert go(tmp_path, "umbrella").signal_number == signal.SIGTERM
    stops.clear()
    assert go(tmp_path, "umbrella", resume=True).time_ps == pytest.approx(0.1)
    assert equilibrated == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("kind", EXCHANGES)
def test_replica_exchange_of_every_kind(tmp_path, kind):
    go(tmp_path, kind)
    samples = read_samples(tmp_path / "exchange")
    assert len(samples.energies) == 25 and np.isfinite(samples.energies).all()
    longer = go(tmp_path, kind, production="0.12 ps", resume=True)
    assert longer.time_ps == pytest.approx(0.12)
    assert len(read_samples(tmp_path / "exchange").energies) == 30
    assert go(tmp_path, kind, production="0.12 ps", resume=True).already_complete
    go(tmp_path, kind, production="0.02 ps", overwrite=True)
    assert len(read_samples(tmp_path / "exchange").energies) == 5


def test_changed_bias_is_refused(metadynamics):
    with pytest.raises(ConfigError, match=r"sampling.height"):
        go(metadynamics, "metadynamics", resume=True, height="2 kJ/mol")


def test_damaged_bias_log_is_reported(tmp_path):
    go(tmp_path, "metadynamics")
    path = tmp_path / "bias.csv"
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"x,y" + data[103:])
    with pytest.raises(SimulationError, match=r"bias.csv: line \d+ is damaged"):
        go(tmp_path, "metadynamics", production="0.12 ps", resume=True)


def test_run_that_leaves_its_range_is_an_error(tmp_path):
    ranges = {"apart": ["0.45 nm", "0.6 nm"]}
    with pytest.raises(SimulationError, match=r"apart is 0.\d+ nm, beyond the walls"):
        go(tmp_path, "metadynamics", ranges=ranges)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("metadynamics", {"widths": {"far": "1 nm"}}, "none of the variables"),
        ("metadynamics", {"widths": {"bend": 0.1}, "ranges": {}}, "angle with its unit"),
        ("metadynamics", {"ranges": {}}, "ranges.apart: is missing"),
        ("metadynamics", {"widths": {"apart": "3 fs"}}, "unit compatible with nanometer"),
        ("metadynamics", {"bias_factor": 1.0}, "greater than 1"),
        ("metadynamics", {"interval": "2.5 fs"}, "whole multiple"),
        ("metadynamics", {"variables": {"apart": {"type": "distance", "atoms": [0, 900]}}},
         "found the atoms"),
        ("umbrella", {"windows": {"apart": {"count": 3, "force_constant": "1"}}}, "either"),
        ("umbrella", {"interval": "3 fs"}, "multiples of sampling.interval"),
        ("temperatures", {"highest": "300 K"}, "more than ensemble.temperature"),
    ],
)  # fmt: skip
def test_contradictory_settings_give_one_line(tmp_path, kind, changes, words):
    with pytest.raises((NnpmmError, ValueError), match=words):
        check_prepared(prepared_water(), sampled(tmp_path, kind, **changes))
    assert not list(tmp_path.iterdir())


def test_centre_of_several_molecules_in_a_box_is_refused(tmp_path):
    variables = {**KINDS["metadynamics"]["variables"]}
    variables["apart"] = {"type": "distance", "atoms": [[0, 1, 2], [3, 6]]}
    settings = sampled(tmp_path, "metadynamics", variables=variables)
    with pytest.raises(ConfigError, match="several molecules"):
        check_prepared(prepared_water(periodic=True, per_edge=3), settings)
