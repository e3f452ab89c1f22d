"""Killed processes: messages, retries, resuming, and no processes left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dataset_cases import CHANGES, replace_simulations, tiny_settings
from martini_cases import needs_gmx

from nnpmm.campaigns import CampaignResult, ClusterSettings, JobReport, KilledError, create_cluster
from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.core.errors import SimulationError
from nnpmm.permeation.dataset.folder import SoluteJob
from nnpmm.permeation.labels import direct
from nnpmm.permeation.martini import parse_solute
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import StageResult
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.runs import campaign, jobs, simulations

SERIAL = ClusterSettings(kind="serial")
LINUX = sys.platform.startswith("linux")


def main():
    run_app(permeation, sys.argv[1:])


@pytest.fixture
def fake_gmx(tmp_path, monkeypatch):
    """Return a function that puts a shell script in place of gmx; REAL stands for the real one."""
    real = shutil.which("gmx")

    def write(script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        text = script.replace("REAL", str(real)).replace("HERE", str(tmp_path))
        (folder / "gmx").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "gmx").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return write


@pytest.fixture
def default_hangup():
    """Restore the default SIGHUP: under nohup, tests and their children ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def minimize(folder):
    system, start = build_water_box(parse_solute("C1"))
    GromacsEngine(threads=1).minimize(system, start, folder)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -KILL $$", "gmx grompp was killed by SIGKILL .*out of memory"),
        ("kill -TERM $$", "gmx grompp was killed by SIGTERM"),
        ("kill -HUP $$", "gmx grompp was killed by SIGHUP"),
        ("exit 137", "gmx grompp was killed by SIGKILL"),  # a script around gmx
    ],
)
def test_external_signals_are_reported(fake_gmx, tmp_path, script, words, default_hangup):
    fake_gmx(f"echo step 2000, remaining wall clock time: 55 s; {script}")
    with pytest.raises(KilledError, match=words) as caught:
        minimize(tmp_path / "run")
    assert "remaining" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -SEGV $$", r"gmx grompp crashed in .*killed by SIGSEGV"),
        ("kill -ABRT $$", r"crashed in .*killed by SIGABRT"),
        ("exit 3", r"failed in .* with status 3: no message"),
        ("echo Fatal error:; echo the cat sat on it; exit 1", "status 1: the cat sat on it"),
    ],
)
def test_failures_of_gmx_are_not_reported_as_kills(fake_gmx, tmp_path, script, words):
    fake_gmx(f"printf 'step 100\\rstep 2000, remaining wall clock time: 55 s\\n'; {script}")
    with pytest.raises(SimulationError, match=words) as caught:
        minimize(tmp_path / "run")
    assert not isinstance(caught.value, KilledError) and "remaining" not in str(caught.value)


@pytest.mark.slow
@needs_gmx
def test_campaign_retries_killed_jobs(call, fake_gmx, tmp_path, monkeypatch):
    """gmx is killed twice during the relaxation, and twice during the production."""
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "cache"))
    fake_gmx(
        'for stage in relax production; do case "$*" in *"-deffnm $stage "*)\n'
        "n=$(cat HERE/$stage 2>/dev/null || echo 0)\n"
        "if [ $n -lt 2 ]; then echo $((n+1)) > HERE/$stage; kill -KILL $$; fi;; esac; done\n"
        'exec REAL "$@"'
    )
    changes = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]
    arguments = ["--engine", "gromacs", "--solutes", "C1", "--cluster", "serial", *changes]
    found = call(main, "dataset", "build", "-o", tmp_path / "set", *arguments)
    assert found.status == 0, found.err
    assert "2 jobs done now, 0 existed, 0 failed" in found.out
    assert "gmx mdrun was killed by SIGKILL" in found.out
    assert [(tmp_path / name).read_text() for name in ("relax", "production")] == ["2\n", "2\n"]


@pytest.fixture
def no_simulations(monkeypatch):
    """Replace simulations by nothing."""
    replace_simulations(monkeypatch, lambda *_: 0.0)


@pytest.mark.parametrize(
    "reason", [KilledError("killed by SIGKILL"), OSError(28, "No space left on device")]
)
def test_killed_jobs_are_retried_by_the_next_campaign(tmp_path, monkeypatch, reason):
    def fail(job, seed):
        if job.name == "DOPC/P4":
            raise reason
        return 0.0

    replace_simulations(monkeypatch, fail)
    first = campaign.build_dataset(tiny_settings(), tmp_path, cluster=SERIAL)
    (failed,) = first.failed
    assert failed.name == "DOPC/P4" and first.done == 3
    assert ("SIGKILL" in failed.reasons[-1]) or ("No space left" in failed.reasons[-1])
    assert not SoluteJob("DOPC", "P4").failure(tmp_path).exists()
    replace_simulations(monkeypatch, lambda *_: 0.0)
    second = campaign.build_dataset(tiny_settings(), tmp_path, cluster=SERIAL)
    assert (second.already, second.given_up, second.done) == (3, 0, 1)


def test_failed_bilayer_fails_only_its_own_jobs(no_simulations, tmp_path, monkeypatch):
    tries = []

    def prepare(lipid, *_):
        tries.append(lipid)
        raise SimulationError(f"the bilayer of {lipid} was not relaxed: killed by SIGKILL")

    monkeypatch.setattr(campaign, "prepare_bilayer", prepare)
    result = campaign.build_dataset(tiny_settings(), tmp_path, cluster=SERIAL)
    assert result.done == 2 and tries == ["DOPC"]
    assert {report.name for report in result.failed} == {"DOPC/C1", "DOPC/P4"}
    assert all("killed by SIGKILL" in report.reasons[0] for report in result.failed)


def test_failed_bilayer_is_retried(monkeypatch, tmp_path):
    ends = [SimulationError("crashed"), KilledError("killed"), None]

    seen = []

    def relax(*arguments, seed):
        seen.append((arguments[3].name, seed))
        if (end := ends.pop(0)) is not None:
            raise end

    monkeypatch.setattr(jobs, "create_engine", lambda *_, **__: None)
    monkeypatch.setattr(jobs, "equilibrated_bilayer", relax)
    jobs.prepare_bilayer("DOPC", tiny_settings(), tmp_path, 1)
    # A failure restarts with another seed; a kill resumes with the same one.
    assert not ends and seen == [("0", 1), ("1", 2), ("1", 2)]
    ends += [KilledError("killed by SIGTERM")] * 3
    with pytest.raises(KilledError, match="bilayer of DOPC was not relaxed: killed by SIGT"):
        jobs.prepare_bilayer("DOPC", tiny_settings(), tmp_path, 1)
    ends += [SimulationError("crashed")] * 2
    with pytest.raises(SimulationError, match="DOPC was not relaxed: seed 1: crashed; seed 2: cra"):
        jobs.prepare_bilayer("DOPC", tiny_settings(), tmp_path, 1)


def test_every_stage_of_a_relaxation_uses_the_seed(monkeypatch, tmp_path):
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "cache"))
    seeds = []

    def stages(system, start, planned, *_):
        seeds.extend(stage.seed for stage in planned)
        return StageResult(start, None, {})

    monkeypatch.setattr(simulations, "run_stages", stages)
    protocol = tiny_settings().protocol
    lipids = {"DOPC": protocol.lipids_per_leaflet}
    engine = create_engine("openmm")
    simulations.equilibrated_bilayer(lipids, protocol, engine, tmp_path, seed=7)
    assert seeds == [7, 7]


def test_killed_label_calculation_is_retried(tmp_path):
    ends = [KilledError("killed by SIGKILL"), 3.0]
    seeds = []

    def simulate(work, seed):
        seeds.append((work, seed))
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    job = SoluteJob("DOPC", "C1")
    found, common = direct._with_seeds(simulate, job, tiny_settings(), tmp_path, 100)
    assert found == 3.0 and common["attempts"] == ["killed by SIGKILL"] and seeds[0] == seeds[1]
    ends += [KilledError("killed by SIGKILL")] * 3
    with pytest.raises(
        KilledError, match=r"DOPC/C1: killed by SIGKILL; repeat the call to continue"
    ):
        direct._with_seeds(simulate, job, tiny_settings(), tmp_path, 100)


@pytest.mark.parametrize(
    ("given_up", "failed", "status"), [(0, 0, 0), (0, 4, 1), (2, 0, 1), (0, 8, 2)]
)
def test_exit_status_of_a_build(call, tmp_path, monkeypatch, given_up, failed, status):
    report = JobReport("DOPC/C1", False, 0.0, ("killed by SIGKILL",))
    result = CampaignResult(0, given_up, 8 - given_up - failed, (report,) * failed)
    monkeypatch.setattr(campaign, "build_dataset", lambda *_, **__: result)
    found = call(main, "dataset", "build", "-o", tmp_path / "set")
    assert found.status == status
    assert ("are not done" in found.err) == (status == 1)
    assert found.err.count("\n") == (status != 0)


@pytest.mark.skipif(not LINUX, reason="only Linux tells a child that its parent was killed")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_gmx_ends_with_its_parent_process(fake_gmx, tmp_path, number):
    fake_gmx("echo $$ > HERE/new; mv HERE/new HERE/pid; exec sleep 120")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
    code += "from test_permeation_signals import minimize; minimize(Path(sys.argv[2]))"
    arguments = [sys.executable, "-c", code, Path(__file__).parent, tmp_path / "run"]
    with subprocess.Popen([str(word) for word in arguments]) as master:
        child = int(_wait_for(lambda: (tmp_path / "pid").read_text()))
        os.kill(master.pid, number)
    _wait_for(lambda: _is_gone(child))


def _wait_for(ask):
    for _ in range(1200):
        try:
            if found := ask():
                return found
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise AssertionError("timed out")


def _is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def killed_workers(tmp_path):
    """Return a function that kills the given number of worker processes as they start."""
    import dask
    import distributed  # noqa: F401  (adds its defaults to the configuration)

    def kill(count):
        script = tmp_path / "preload.py"
        script.write_text(
            "import os, signal\nfrom pathlib import Path\n"
            f"marks = Path({str(tmp_path)!r})\n"
            "def dask_setup(worker):\n"
            f"    if len(list(marks.glob('*.mark'))) < {count}:\n"
            "        (marks / f'{os.getpid()}.mark').touch()\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        config.append(dask.config.set({"distributed.worker.preload": [str(script)]}))

    config = []
    yield kill
    for change in config:
        change.__exit__(None, None, None)


def test_workers_killed_at_startup_are_restarted(killed_workers, tmp_path):
    killed_workers(1)
    with create_cluster(ClusterSettings(kind="local")) as cluster:
        assert len(cluster.workers) == 1
    assert len(list(tmp_path.glob("*.mark"))) == 1


def test_workers_that_never_start_give_one_line(killed_workers, no_simulations, call, tmp_path):
    killed_workers(100)
    found = call(main, "dataset", "build", "-o", tmp_path / "set", "--solutes", "C1")
    found.assert_one_line_error("dask's 1 worker processes did not start", "serial cluster")
