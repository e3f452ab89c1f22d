"""Trajectories of a replica exchange: each frame once, also after kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import mdtraj
import numpy as np
import pytest
from openmm import unit
from test_exchange import CONSTANTS, PARTICLES, settings, springs

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.sampling import ExchangeRecord, ReplicaExchange, read_samples

EVERY = 2


def exchange(folder, *, box=False, resume=False, **changes) -> ReplicaExchange:
    wanted = {"trajectories": "replicas", "trajectory_every": EVERY, **changes}
    simulation = springs()
    if box:
        simulation.topology.setPeriodicBoxVectors(np.eye(3) * 2 * unit.nanometer)
    return ReplicaExchange(simulation, ExchangeRecord(folder, settings(**wanted), resume=resume))


def first_energies(folder, name) -> np.ndarray:
    """Energies (frames,) in the first state, from the positions of a trajectory."""
    path = folder / f"trajectories/{name}.dcd"
    frames = mdtraj.load_dcd(str(path), top=str(folder / "topology.pdb"))
    assert frames.xyz.shape[1:] == (PARTICLES, 3)
    return 0.5 * CONSTANTS[0] * (frames.xyz.astype(float) ** 2).sum(axis=(1, 2))


def assert_frames_are_those_of_the_samples(folder, kind, every=EVERY):
    samples = read_samples(folder)
    energies = samples.energies[every - 1 :: every, :, 0]  # in the order of the states
    if kind == "replica":
        order = np.argsort(samples.replicas[every - 1 :: every], axis=1)
        energies = np.take_along_axis(energies, order, axis=1)
    for index in range(energies.shape[1]):
        found = first_energies(folder, f"{kind}-{index:02d}")
        np.testing.assert_allclose(found, energies[:, index], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("kind", ["replica", "state"])
def test_frames_after_the_last_checkpoint_are_removed(tmp_path, kind, box):
    """As after kill -9, there are frames, and half a frame, after the last checkpoint."""
    sampler = exchange(tmp_path, trajectories=f"{kind}s", box=box)
    sampler.sample(7)
    sampler.checkpoint = lambda: None
    sampler.sample(13)
    path = tmp_path / f"trajectories/{kind}-02.dcd"
    path.write_bytes(path.read_bytes() + b"half a frame")
    again = exchange(tmp_path, trajectories=f"{kind}s", box=box, resume=True)
    assert again.currentIteration == 7
    again.sample(12)
    assert len(first_energies(tmp_path, f"{kind}-02")) == 6
    assert_frames_are_those_of_the_samples(tmp_path, kind)


def test_killed_run_without_a_checkpoint_starts_again(tmp_path):
    sampler = exchange(tmp_path)
    sampler.checkpoint = lambda: None
    sampler.sample(4)
    exchange(tmp_path, resume=True).sample(6)
    assert_frames_are_those_of_the_samples(tmp_path, "replica")


def test_independent_windows_have_trajectories(tmp_path):
    exchange(tmp_path, sampled=(2,), trajectories="states").sample(4)
    samples = read_samples(tmp_path)
    found = first_energies(tmp_path, "state-02")
    np.testing.assert_allclose(found, samples.energies[1::2, 0, 0], rtol=1e-4)


def test_missing_and_damaged_files_are_named(tmp_path):
    exchange(tmp_path).sample(4)
    path = tmp_path / "trajectories/replica-01.dcd"
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    with pytest.raises(InputFileError, match=r"replica-01\.dcd: found \d+ bytes, the checkpoint"):
        exchange(tmp_path, resume=True)
    path.write_bytes(b"x" * len(content))
    with pytest.raises(InputFileError, match=r"replica-01\.dcd: its header is damaged"):
        exchange(tmp_path, resume=True)
    path.unlink()
    with pytest.raises(InputFileError, match="found 0 bytes"):
        exchange(tmp_path, resume=True)
    with pytest.raises(ConfigError, match="started with other trajectories"):
        exchange(tmp_path, resume=True, trajectories="states")


@pytest.mark.slow
def test_killed_exchange_loses_and_repeats_no_frame(tmp_path):
    script = (
        "import sys; from pathlib import Path; from test_trajectories import exchange;"
        "s = exchange(Path(sys.argv[1]), resume=True, trajectories='states', trajectory_every=3);"
        "s.sample(300, checkpoint_every=7)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    rows = tmp_path / "energies.bin"
    for wanted in (20, 80, 170):
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 120
        while not rows.exists() or rows.stat().st_size < wanted * 8 * 4 * 6:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert subprocess.run(command, env=environment).returncode == 0
    assert len(read_samples(tmp_path).energies) == 300
    assert_frames_are_those_of_the_samples(tmp_path, "state", every=3)
