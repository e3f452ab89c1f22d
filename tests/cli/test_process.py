"""Commands in separate processes: closed streams, lost terminals, Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import mdtraj
import openmm
import pytest
import yaml
from openmm import unit

TESTS = Path(__file__).parents[1]
TOYS = TESTS / "simulation"
# The command with springs instead of a network, which would load slowly.
_SPRINGS = f"""
import sys
sys.path.insert(0, {str(TOYS)!r})
from nnpmm.cli.process import guarded
with guarded():
    import nnpmm.models.registry
    from toys import springs_alone
    nnpmm.models.registry.families = springs_alone
    from nnpmm.cli.main import main
    main()
"""
_INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {target!r}:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
from nnpmm.cli import entry
sys.argv = {arguments!r}
entry.{command}()
"""


def write_settings(folder, production):
    """Write the settings of a run of water, one molecule of it by springs, and return the file."""
    sys.path.insert(0, str(TOYS))
    from toys import protocol, water_box

    mm = water_box()
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    with open(folder / "water.pdb", "w") as handle:
        openmm.app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    data = protocol("out", production=production).model_dump(mode="json", context={"base": "."})
    data["system"] = {"type": "openmm", "system": "system.xml", "structure": "water.pdb"}
    data["region"] = {"selection": "resid 0", "model": "springs"}
    data["output"]["directory"] = "out"
    path = folder / "md.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def environment():
    return {**os.environ, "PYTHONPATH": str(TESTS.parent), "COLUMNS": "200"}


def finish(arguments, folder, **options):
    """Run a process to its end; return its status and what it printed."""
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def shell(command, folder):
    return finish(["bash", "-c", command], folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "redirection",
    [
        "2>/dev/full",
        "2>&-",
        ">/dev/full 2>&1",
        ">&- 2>&- <&-",
        "2>&1 | head -c 10",
        "2>&1 >/dev/null | true",
    ],
)
def test_run_continues_if_progress_cannot_be_written(tmp_path, redirection):
    write_settings(tmp_path, "0.05 ps")
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(_SPRINGS)} run md.yaml {redirection}"
    done = shell(f"{command}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == 0, done
    out = tmp_path / "out"
    assert json.loads((out / "checkpoint.json").read_text())["step"] == 50
    assert mdtraj.load(str(out / "trajectory.dcd"), top=str(out / "topology.pdb")).n_frames == 25
    assert (out / "report.png").is_file()
    if redirection in ("2>/dev/full", "2>&-"):
        assert "production reached 0.05 ps" in done.stdout and done.stderr == ""


def test_exit_status_is_kept_if_the_error_cannot_be_printed(tmp_path):
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(_SPRINGS)}"
    assert shell(f"{command} run none.yaml 2>/dev/full", tmp_path).returncode == 2
    assert shell(f"{command} run none.yaml 2>&-", tmp_path).returncode == 2


def test_unwritable_stdout_is_an_error(tmp_path):
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(_SPRINGS)} run --template >/dev/full"
    done = shell(command, tmp_path)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == "error: No space left on device: remove the cause and try again"
    assert "Traceback" not in done.stderr


def wait_for_production(folder):
    for _ in range(1200):
        record = folder / "checkpoint.json"
        if record.exists() and json.loads(record.read_text())["stage"] == "production":
            return
        time.sleep(0.05)
    raise TimeoutError("the run did not reach production")


@pytest.mark.slow
def test_closed_terminal_leaves_a_checkpoint(tmp_path):
    pty = pytest.importorskip("pty")
    write_settings(tmp_path, "1000 ps")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        arguments = [sys.executable, "-c", _SPRINGS, "run", "md.yaml"]
        os.execve(sys.executable, arguments, environment())
    try:
        wait_for_production(tmp_path / "out")
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGHUP
    record = json.loads((tmp_path / "out" / "checkpoint.json").read_text())
    size = (tmp_path / "out" / "trajectory.dcd").stat().st_size
    assert record["sizes"]["trajectory.dcd"] == size  # the state is that of the last frame
    assert record["frames"] == record["step"] // 2


def interrupted(folder, command, arguments, target):
    script = _INTERRUPTED.format(target=target, command=command, arguments=arguments)
    return finish([sys.executable, "-c", script], folder)


@pytest.mark.parametrize(
    ("command", "arguments", "target"),
    [
        ("nnpmm", ["nnpmm", "run", "md.yaml"], "typer"),
        ("nnpmm", ["nnpmm", "run", "md.yaml"], "openmm"),
        ("nnpmm", ["nnpmm", "run", "md.yaml"], "matplotlib"),
        ("prepare_nnp", ["prepare-nnp", "--selection", "all", "x.pdb"], "typer"),
        ("prepare_nnp", ["prepare-nnp", "--selection", "all", "x.pdb"], "torch"),
    ],
)
def test_ctrl_c_during_an_import(tmp_path, command, arguments, target):
    done = interrupted(tmp_path, command, arguments, target)
    assert done.returncode == 130, done
    assert done.stderr.splitlines()[-1] == "stopped before anything was done"
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_the_first_step(tmp_path):
    write_settings(tmp_path, "0.05 ps")
    stopping = "families = lambda: os.kill(os.getpid(), signal.SIGINT)"
    script = _SPRINGS.replace("families = springs_alone", stopping)
    done = finish(
        [sys.executable, "-c", f"import os, signal\n{script}", "run", "md.yaml"],
        tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130, done
    assert done.stderr.splitlines()[-1] == "stopped before the simulation began"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
