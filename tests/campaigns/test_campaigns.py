"""Campaigns of toy jobs: success, failures, retries, kills, locks, and dask."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import toy_jobs
from toy_jobs import calls, job

from nnpmm.campaigns import (
    ClusterSettings,
    Job,
    JobReport,
    KilledError,
    Output,
    Store,
    by_name,
    count_jobs,
    failure_reasons,
    first_success,
    read_cluster,
    require_some,
    retry_if_killed,
    run_campaign,
)
from nnpmm.campaigns.attempts import AttemptsError
from nnpmm.campaigns.clusters import create_cluster, worker_environments
from nnpmm.campaigns.execution import execute_job
from nnpmm.core.errors import ConfigError, OptionalDependencyError, SimulationError

SERIAL = ClusterSettings(kind="serial")


@pytest.fixture(params=[None, by_name])
def store(request, tmp_path):
    folder = tmp_path / "store"
    return Store(folder) if request.param is None else Store(folder, request.param)


def run(jobs, store, **options):
    return run_campaign(jobs, store, **({"cluster": SERIAL} | options))


def test_jobs_end_in_the_store(store, tmp_path):
    jobs = [job(n, tmp_path) for n in range(4)]
    reported = []
    result = run(jobs, store, report=lambda *a: reported.append(a))
    assert (result.already, result.given_up, result.done, result.failed) == (0, 0, 4, ())
    assert [(r.name, r.done, n, total) for r, n, total in reported] == [
        (j.name, True, n, 4) for n, j in enumerate(jobs, start=1)
    ]
    arrays, record = store.load(jobs[3])
    np.testing.assert_array_equal(arrays["square"], [9])
    assert record["number"] == 3 and record["attempts"] == [] and record["threads"] == 1
    assert str(record["seed"]) == calls(tmp_path, 3)[0][0]
    assert len({calls(tmp_path, n)[0][0] for n in range(4)}) == 4
    left = {path.name for path in store.folder.iterdir()}
    assert not left & {"scratch", "running", "failed"}
    again = run(jobs, store)
    assert (again.already, again.done) == (4, 0)
    assert all(len(calls(tmp_path, n)) == 1 for n in range(4))


@pytest.mark.parametrize("how", ["fails", "bug"])
def test_failures_are_retried_once_and_then_given_up(store, tmp_path, how):
    jobs = [job(1, tmp_path, how), job(2, tmp_path, how, how), job(3, tmp_path)]
    result = run(jobs, store)
    assert result.done == 2
    (failed,) = result.failed
    assert failed.name == jobs[1].name and len(failed.reasons) == 2
    assert len(store.record(jobs[0])["attempts"]) == 1
    for n in (1, 2):
        (first, _, one), (second, _, two) = calls(tmp_path, n)
        assert first != second and one != two
    counts = count_jobs(jobs, store, lambda j: j.name.split("/")[0])
    seen = {name: (c.done, c.failed, c.missing, c.retried) for name, c in counts.items()}
    assert seen == {"group-1": (2, 0, 0, 1), "group-0": (0, 1, 0, 0)}
    (reason,) = failure_reasons(jobs, store).values()
    assert reason == failed.reasons[1]
    (path,) = (store.folder / "failed").rglob("*.json")
    detail = json.loads(path.read_text())
    assert detail["job"] == jobs[1].name and "Traceback" in detail["traceback"]
    # It is not tried again unless asked for.
    assert (run(jobs, store).given_up, len(calls(tmp_path, 2))) == (1, 2)
    assert run(jobs, store, retry_failed=True).done == 1
    assert not failure_reasons(jobs, store) and not list((store.folder / "failed").rglob("*.json"))


def test_what_no_seed_can_correct_is_given_up_at_once(store, tmp_path):
    jobs = [job(1, tmp_path, "charged"), job(2, tmp_path, "fails", "charged")]
    failed = run(jobs, store).failed
    assert [len(report.reasons) for report in failed] == [1, 2]
    assert list(failure_reasons(jobs, store).values()) == [r.reasons[-1] for r in failed]
    assert "1 has a charge" in failed[0].reasons[0] and len(calls(tmp_path, 1)) == 1
    assert (run(jobs, store).given_up, len(calls(tmp_path, 1))) == (2, 1)
    assert run(jobs, store, retry_failed=True).done == 2


@pytest.mark.parametrize("how", ["killed", "full", "no package"])
def test_what_is_no_fault_of_the_job_is_not_given_up(store, tmp_path, how):
    jobs = [job(1, tmp_path, *[how] * (3 if how == "killed" else 1)), job(2, tmp_path)]
    result = run(jobs, store)
    assert result.done == 1 and [r.name for r in result.failed] == [jobs[0].name]
    assert not failure_reasons(jobs, store)
    assert len({(seed, work) for seed, _, work in calls(tmp_path, 1)}) == 1
    assert run(jobs, store).done == 1


def test_a_kill_uses_up_no_seed(store, tmp_path):
    jobs = [job(1, tmp_path, "killed", "fails", "killed")]
    assert run(jobs, store).done == 1
    seeds = [seed for seed, *_ in calls(tmp_path, 1)]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    assert len(store.record(jobs[0])["attempts"]) == 3


def test_a_killed_program_is_called_again():
    ends = [KilledError("one"), KilledError("two"), 7]

    def program():
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    reported = []
    assert retry_if_killed(program, reported.append) == 7 and reported == ["one", "two"]
    ends += [KilledError(str(n)) for n in range(3)]
    with pytest.raises(KilledError, match="2"):
        retry_if_killed(program)
    ends.append(SimulationError("leaked"))
    with pytest.raises(SimulationError, match="leaked"):
        retry_if_killed(program)


def test_only_the_failures_asked_for_count():
    def function(attempt, seed):
        raise (SimulationError("leaked"), ValueError("bug"))[attempt]

    reasons = []
    with pytest.raises(AttemptsError, match="seed 5: leaked; seed 6: bug") as caught:
        first_success(function, [5, 6], reasons)
    assert isinstance(caught.value.__cause__, ValueError) and len(reasons) == 2
    with pytest.raises(ValueError, match="bug"):
        first_success(function, [5, 6], [], failures=(SimulationError,))


def wait_for(ask):
    for _ in range(1200):
        if ask():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_killed_campaign_goes_on(tmp_path):
    """A campaign locks the store and marks running jobs; after a kill, another continues."""
    store = Store(tmp_path / "store", by_name)
    jobs = [job(1, tmp_path), job(2, tmp_path), job(3, tmp_path)]
    seen = []

    def count():
        c = count_jobs(jobs, store)[""]
        return c.done, c.running, c.missing

    with subprocess.Popen([sys.executable, toy_jobs.__file__, str(tmp_path)]) as master:
        try:
            wait_for((tmp_path / "calls-2").exists)
            assert count() == (1, 1, 1)
            with pytest.raises(ConfigError, match="store: another campaign works in this folder"):
                run(jobs, store)
        finally:
            os.kill(master.pid, signal.SIGKILL)
    assert count() == (1, 0, 2)
    left = store.folder / "scratch" / "group-1" / "of a job that is no longer wanted"
    left.mkdir(parents=True)
    result = run(jobs, store, report=lambda *_: seen.append(left.exists()))
    assert seen == [False, False]
    assert (result.already, result.done, result.failed) == (1, 2, ())
    assert [len(calls(tmp_path, n)) for n in (1, 2, 3)] == [1, 2, 1]
    assert not (store.folder / "scratch").exists() and not (store.folder / "running").exists()


def test_a_stop_from_the_keyboard_keeps_what_is_done(store, tmp_path):
    jobs = [job(n, tmp_path) for n in range(4)]

    def stop(report, n, total):
        if n == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(jobs, store, report=stop)
    assert (run(jobs, store).already, len(calls(tmp_path, 0))) == (2, 1)


def test_a_second_campaign_is_refused(store, tmp_path):
    jobs = [job(1, tmp_path)]

    def second(*_):
        with pytest.raises(ConfigError, match="already; wait for it or stop it"):
            run(jobs, store)

    assert run(jobs, store, report=second).done == 1


@pytest.mark.parametrize("kind", ["serial", "local"])
def test_preparations_come_first_and_once(tmp_path, kind):
    jobs = [job(n, tmp_path, needs=("oven", None, "ice")[n % 3]) for n in range(6)]
    reported = []
    result = run(
        jobs,
        Store(tmp_path / "store"),
        cluster=ClusterSettings(kind=kind, workers=2),
        preparations={
            "oven": partial(toy_jobs.prepare, tmp_path),
            "ice": toy_jobs.cannot_prepare,
            "nobody needs": None,
        },
        progress=lambda *a: reported.append(a),
    )
    assert result.done == 4
    assert {(r.name, r.reasons) for r in result.failed} == {
        ("group-0/2", ("the oven is cold",)),
        ("group-1/5", ("the oven is cold",)),
    }
    assert reported == [("oven", "stage", done, 2.0) for done in (0.0, 1.0, 2.0)]
    assert len(list(tmp_path.glob("prepared-*"))) == 1
    assert not (tmp_path / "calls-2").exists() and not (tmp_path / "store" / "failed").exists()


@pytest.mark.parametrize("kind", ["serial", "local"])
def test_a_preparation_with_a_bug_takes_its_own_jobs_only(tmp_path, kind):
    jobs = [job(n, tmp_path, needs=("oven", None)[n % 2]) for n in range(2)]
    result = run(
        jobs,
        Store(tmp_path / "store"),
        cluster=ClusterSettings(kind=kind),
        preparations={"oven": toy_jobs.has_a_bug},
    )
    assert result.done == 1
    assert [r.reasons for r in result.failed] == [("KeyError: 'shelf'",)]


def test_two_workers_of_dask(store, tmp_path):
    """One job fails with every seed; one kills its worker, and another worker runs it again."""
    jobs = [job(n, tmp_path) for n in range(6)]
    jobs += [job(6, tmp_path, "fails", "bug"), job(7, tmp_path, "worker dies")]
    result = run(jobs, store, cluster=ClusterSettings(kind="local", workers=2, threads=3))
    assert result.done == 7 and [r.name for r in result.failed] == ["group-0/6"]
    assert store.record(jobs[0])["threads"] == 3
    assert "arrays must match" in store.reasons(jobs[6])[-1]
    workers = {pid for n in range(8) for _, pid, _ in calls(tmp_path, n)}
    assert str(os.getpid()) not in workers and len(workers) >= 2
    assert [store.load(j)[0]["square"][0] for j in jobs[:6]] == [0, 1, 4, 9, 16, 25]


def test_the_most_urgent_job_comes_first(tmp_path):
    jobs = [job(n, tmp_path) for n in range(12)]
    order = []
    run(
        jobs,
        Store(tmp_path / "store"),
        cluster=ClusterSettings(kind="local"),
        report=lambda r, *_: order.append(r.name),
    )
    assert order == [j.name for j in jobs]


def test_a_job_that_kills_every_worker_is_one_line(tmp_path):
    jobs = [job(1, tmp_path, *["worker dies"] * 99)]
    result = run(jobs, Store(tmp_path / "store"), cluster=ClusterSettings(kind="local"))
    assert "worker processes that ran it were killed" in result.failed[0].reasons[0]
    with pytest.raises(SimulationError, match="all 1 jobs failed; group-1/1: the worker"):
        require_some(result)
    assert not failure_reasons(jobs, Store(tmp_path / "store"))


def test_scratch_elsewhere_is_cleaned(store, tmp_path):
    run([job(1, tmp_path)], store, scratch=tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_impossible_campaigns_run_nothing(store, tmp_path):
    one = job(1, tmp_path)
    with pytest.raises(ConfigError, match="found 2 jobs with the result"):
        run([one, one], store)
    with pytest.raises(ConfigError, match="found no preparation 'oven', expected one of ice"):
        run([job(2, tmp_path, needs="oven")], store, preparations={"ice": toy_jobs.prepare})
    assert not list(tmp_path.glob("calls-*"))


def test_a_campaign_that_fails_as_a_whole(store, tmp_path):
    result = run([job(n, tmp_path, "fails", "fails") for n in (1, 3)], store)
    with pytest.raises(SimulationError, match=r"all 2 jobs failed; group-1/1: seed .* 1 is odd"):
        require_some(result)
    require_some(run([job(1, tmp_path)], store, retry_failed=True))
    assert JobReport("a", True, 1.0).reasons == ()


@pytest.mark.parametrize("ends", [(), ("fails", "fails")])
def test_what_a_lost_worker_did_is_not_done_again(store, tmp_path, ends):
    """Dask repeats the tasks whose reports were in the memory of a lost worker."""
    one = job(1, tmp_path, *ends)
    reports = [execute_job(one, store, tmp_path / "scratch") for _ in range(2)]
    assert reports[0].done == reports[1].done == (not ends)
    assert reports[0].reasons == reports[1].reasons
    assert len(calls(tmp_path, 1)) == (len(ends) or 1)
    assert not list((tmp_path / "scratch").glob("*/*"))


def leaves_files(*, attempt):
    """Fail once, leave a file in the folder, and claim a seed."""
    siblings = [path for path in attempt.work.parent.iterdir() if path != attempt.work]
    assert not siblings and not list(attempt.work.iterdir())
    (attempt.work / "left").touch()
    if attempt.work.name == "a.0":
        raise SimulationError("first attempt")
    return Output({}, {"seed": 0})


def test_every_attempt_begins_in_an_empty_folder(store, tmp_path):
    """The files of a lost worker and of the previous attempt are deleted."""
    one = Job("a", leaves_files)
    (tmp_path / "scratch" / "a.1" / "of a lost worker").mkdir(parents=True)
    assert execute_job(one, store, tmp_path / "scratch", threads=2).done
    record = store.record(one)
    assert record["attempts"][0].endswith("first attempt") and record["seed"] > 0
    counts = count_jobs([one], store)[""]
    assert counts.core_hours == pytest.approx(2.0 * record["seconds"] / 3600.0)


def test_clusters(tmp_path):
    assert read_cluster("local", workers=2, threads=3).workers == 2
    (tmp_path / "c.yaml").write_text("kind: slurm\nqueue: gpu\nworkers: 8\n")
    found = read_cluster(str(tmp_path / "c.yaml"), workers=1, threads=4)
    assert (found.kind, found.queue, found.workers, found.threads) == ("slurm", "gpu", 8, 4)
    (tmp_path / "c.yaml").write_text("kind: slurm\nqueu: gpu\n")
    with pytest.raises(ConfigError, match=r"queu: Extra inputs .* known settings: kind"):
        read_cluster(str(tmp_path / "c.yaml"), workers=1, threads=4)
    with pytest.raises(ConfigError, match="expected local, serial, or a YAML file"):
        read_cluster("lokal", workers=1, threads=1)
    with pytest.raises(ConfigError, match="found the cluster serial, allowed: local, slurm or pbs"):
        create_cluster(ClusterSettings(kind="serial"))


def test_workers_take_devices_in_turn(monkeypatch):
    """Each worker sees one device; without devices, the variable is not set."""
    monkeypatch.setattr("nnpmm.campaigns.clusters.cuda_devices", lambda: ("2", "GPU-5"))
    found = worker_environments(ClusterSettings(workers=3, threads=4))
    assert [own["CUDA_VISIBLE_DEVICES"] for own in found] == ["2", "GPU-5", "2"]
    assert {own["OPENMM_CPU_THREADS"] for own in found} == {"4"}
    monkeypatch.setattr("nnpmm.campaigns.clusters.cuda_devices", lambda: ())
    assert worker_environments(ClusterSettings()) == [{"OPENMM_CPU_THREADS": "1"}]


def environment(names, *, attempt):
    return Output({}, {name: os.environ.get(name) for name in names})


def test_a_worker_has_its_environment(tmp_path, monkeypatch):
    monkeypatch.setattr("nnpmm.campaigns.clusters.cuda_devices", lambda: ("7",))
    one = Job("a", environment, {"names": ["CUDA_VISIBLE_DEVICES", "OPENMM_CPU_THREADS"]})
    store = Store(tmp_path / "store")
    run([one], store, cluster=ClusterSettings(kind="local", threads=3))
    record = store.record(one)
    assert (record["CUDA_VISIBLE_DEVICES"], record["OPENMM_CPU_THREADS"]) == ("7", "3")


class Driver:
    """The CUDA driver of a machine with some devices."""

    def __init__(self, count):
        self.count = count

    def cuInit(self, flags):
        return 0 if self.count else 100  # CUDA_ERROR_NO_DEVICE

    def cuDeviceGetCount(self, pointer):
        pointer._obj.value = self.count
        return 0


@pytest.mark.parametrize(
    ("count", "visible", "found"),
    [
        (0, None, ()),
        (2, None, ("0", "1")),
        (2, "3,1", ("3", "1")),
        (1, "0,9,1", ("0",)),  # CUDA stops at a device that is not there
        (1, "MIG-1f", ("MIG-1f",)),
    ],
)
def test_devices(monkeypatch, count, visible, found):
    from nnpmm.campaigns import devices

    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: Driver(count))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.cuda_devices() == found


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"kind": "slurm"}, ["#SBATCH -p gpu", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=4G"]),
        ({"kind": "pbs"}, ["#PBS -q gpu", "#PBS -l select=1:ncpus=4:mem=4GB"]),
        ({"kind": "pbs", "resources": "select=1:ngpus=1"}, ["#PBS -l select=1:ngpus=1"]),
        (
            {"kind": "pbs", "account": "chem", "walltime": "02:00:00", "directives": ["-m n"]},
            ["#PBS -A chem", "#PBS -l walltime=02:00:00", "#PBS -m n"],
        ),
    ],
)
def test_scripts_of_queues(changes, lines):
    pytest.importorskip("dask_jobqueue")
    from nnpmm.campaigns.clusters import create_queue

    settings = ClusterSettings(queue="gpu", threads=4, memory="4GB", **changes)
    with create_queue(settings) as made:
        script = made.job_script().splitlines()
    assert not set(lines) - set(script), script
    assert script[-1].split()[1:3] == ["-m", "distributed.cli.dask_worker"]
    assert "--nthreads 1" in script[-1]


def test_a_queue_that_accepts_no_jobs_is_an_error(tmp_path, monkeypatch):
    """Without a controller, and without the program; dask alone would wait forever."""
    pytest.importorskip("dask_jobqueue")
    program = tmp_path / "sbatch"
    program.write_text(
        "#!/bin/sh\necho 'sbatch: error: Unable to contact slurm controller' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    settings = ClusterSettings(kind="slurm", workers=2)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(SimulationError, match=r"slurm rejected .* contact slurm contr"):
            create_cluster(settings)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SimulationError, match="slurm rejected"):
        create_cluster(settings)


def test_a_queue_needs_dask_jobqueue(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(OptionalDependencyError, match="pip install dask-jobqueue"):
        create_cluster(ClusterSettings(kind="pbs"))


def test_a_job_with_a_folder_keeps_it(store, tmp_path):
    """Each attempt has its own folder; none is removed, and the key does not depend on them."""
    plain = job(1, tmp_path, "fails")
    kept = replace(plain, folder=tmp_path / "kept")
    assert kept.key == plain.key
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/half.txt").write_text("of a killed campaign")
    assert run([kept], store).done == 1
    assert [call[2] for call in calls(tmp_path, 1)] == ["kept", "attempt-2"]
    assert (tmp_path / "kept/half.txt").exists() and (tmp_path / "kept/attempt-2").is_dir()
