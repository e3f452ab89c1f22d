"""``nnpmm solvation`` killed at five moments: no iteration and no frame is lost or doubled."""

from __future__ import annotations

import json
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from killing import checkpointed, finish, iterations_written, kill_when

from nnpmm.sampling import Samples

STATES, ITERATIONS = 5, 30
ROW = 8 * STATES * (STATES + 2)  # bytes of an iteration in energies.bin
SETTINGS = {
    "solute": {"smiles": "C"},
    "padding": "0.6 nm",
    "cutoff": "0.6 nm",
    "potentials": ["force field"],
    "repeats": 2,
    "trajectories": "states",
    "trajectory_interval": "0.5 ps",
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "electrostatics": [1, 0],
        "sterics": [0.6, 0.3, 0],
        "time": f"{ITERATIONS * 0.1:g} ps",
        "interval": "0.1 ps",
        "equilibration": "1 ps",
        "state_equilibration": "0.1 ps",
    },
}


def command(settings: Path, folder: Path) -> tuple[object, ...]:
    return "solvation", settings, "-o", folder, "--resume"


def ladder(folder: Path, repeat: int) -> Path:
    return folder / "force-field" / f"repeat-{repeat}"


def rows(folder: Path, repeat: int) -> int:
    return iterations_written(ladder(folder, repeat), STATES)


def counted(folder: Path, repeat: int) -> Samples | None:
    return checkpointed(ladder(folder, repeat))


# The calculation is claimed; the first ladder equilibrates; both are sampled, each between two
# checkpoints; the second is just done and the result not yet written.
MOMENTS = (
    lambda folder: (folder / "settings.json").exists(),
    lambda folder: (ladder(folder, 1) / "exchange.json").exists(),
    lambda folder: rows(folder, 1) >= 13,
    lambda folder: rows(folder, 2) >= 17,
    lambda folder: rows(folder, 2) >= ITERATIONS,
)


@pytest.mark.slow
def test_calculation_killed_five_times_resumes(tmp_path):
    settings, folder, whole = tmp_path / "methane.yaml", tmp_path / "killed", tmp_path / "whole"
    settings.write_text(json.dumps(SETTINGS))
    finished: dict[int, np.ndarray] = {}
    for moment in MOMENTS:
        kill_when(moment, folder, *command(settings, folder))
        assert not (folder / "result.json").exists()
        for repeat, before in finished.items():
            found = counted(folder, repeat).energies
            np.testing.assert_array_equal(found[: len(before)], before)
        for repeat in (1, 2):
            samples = counted(folder, repeat)
            if samples is not None:
                finished[repeat] = samples.energies
    assert len(finished[1]) == ITERATIONS and len(finished[2]) >= 10
    finish(*command(settings, folder))
    finish(*command(settings, whole))
    for repeat in (1, 2):
        found, uninterrupted = counted(folder, repeat), counted(whole, repeat)
        assert found.energies.shape == (ITERATIONS, STATES, STATES)
        assert rows(folder, repeat) == ITERATIONS
        assert (ladder(folder, repeat) / "energies.bin").stat().st_size == ITERATIONS * ROW
        np.testing.assert_array_equal(found.energies[: len(finished[repeat])], finished[repeat])
        assert {tuple(sorted(row)) for row in found.replicas.tolist()} == {(0, 1, 2, 3, 4)}
        # Up to the checkpoint that the killed run went on from: the same random numbers.
        np.testing.assert_array_equal(found.energies[:10], uninterrupted.energies[:10])
        for state in range(STATES):
            path = ladder(folder, repeat) / f"trajectories/state-{state:02d}.dcd"
            frames = mdtraj.load_dcd(str(path), top=str(ladder(folder, repeat) / "topology.pdb"))
            volumes = np.prod(frames.unitcell_lengths.astype(float), axis=1)
            np.testing.assert_allclose(volumes, found.volumes[4::5, state], rtol=1e-5)
        assert len(np.unique(found.energies[:, 0, 0])) == ITERATIONS
    results = [json.loads((path / "result.json").read_text()) for path in (folder, whole)]
    for result in results:
        assert [repeat["iterations"] for repeat in result["ladders"]["force field"]["repeats"]] == [
            30,
            30,
        ]
