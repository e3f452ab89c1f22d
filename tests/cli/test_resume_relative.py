"""``nnpmm binding-relative`` killed at several moments: no iteration is lost or doubled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from killing import checkpointed, finish, iterations_written, kill_when
from small_transfer import SMALL, write_inputs

from nnpmm.sampling import Samples

STATES, ITERATIONS, PAIRS = 7, 24, (("alcohol", "amine"), ("amine", "alkane"))
ROW = 8 * STATES * (STATES + 2)  # bytes of an iteration in energies.bin


def ladder(folder: Path, pair: int) -> Path:
    return folder / "edges" / "~".join(PAIRS[pair]) / "force-field" / "repeat-1"


def rows(folder: Path, pair: int) -> int:
    return iterations_written(ladder(folder, pair), STATES)


def counted(folder: Path, pair: int) -> Samples | None:
    return checkpointed(ladder(folder, pair))


# The first pair is claimed and equilibrates; both are sampled, each between two checkpoints; the
# second is just done and the result of the network not yet written.
MOMENTS = (
    lambda folder: (ladder(folder, 0) / "exchange.json").exists(),
    lambda folder: rows(folder, 0) >= 13,
    lambda folder: rows(folder, 1) >= 13,
    lambda folder: rows(folder, 1) >= ITERATIONS,
)


@pytest.mark.slow
def test_calculation_killed_four_times_resumes(tmp_path):
    write_inputs(tmp_path)
    path, folder, whole = tmp_path / "pairs.yaml", tmp_path / "killed", tmp_path / "whole"
    files = {"protein": "protein.pdb", "ligands": "ligands.sdf", "edges": PAIRS}
    times = {**SMALL["ladder"], "time": f"{ITERATIONS * 0.02:g} ps"}
    path.write_text(json.dumps({**SMALL, **files, "ladder": times}))
    command = ("binding-relative", path, "--resume", "-o")
    finished: dict[int, np.ndarray] = {}
    for moment in MOMENTS:
        kill_when(moment, folder, *command, folder)
        assert not (folder / "result.json").exists()
        for pair, before in finished.items():
            found = counted(folder, pair).energies
            np.testing.assert_array_equal(found[: len(before)], before)
        for pair in range(len(PAIRS)):
            samples = counted(folder, pair)
            if samples is not None:
                finished[pair] = samples.energies
    assert len(finished[0]) == ITERATIONS and len(finished[1]) >= 10
    finish(*command, folder)
    finish(*command, whole)
    for pair in range(len(PAIRS)):
        found, uninterrupted = counted(folder, pair), counted(whole, pair)
        assert found.energies.shape == (ITERATIONS, STATES, STATES)
        assert (ladder(folder, pair) / "energies.bin").stat().st_size == ITERATIONS * ROW
        np.testing.assert_array_equal(found.energies[: len(finished[pair])], finished[pair])
        assert {tuple(sorted(row)) for row in found.replicas.tolist()} == {tuple(range(STATES))}
        # Up to the checkpoint that the killed run went on from: the same random numbers.
        np.testing.assert_array_equal(found.energies[:10], uninterrupted.energies[:10])
        assert len(np.unique(found.energies[:, 0, 0])) == ITERATIONS
    for result in (folder, whole):
        record = json.loads((result / "result.json").read_text())
        assert [tuple(edge["ligands"]) for edge in record["edges"]] == list(PAIRS)
