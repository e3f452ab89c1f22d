"""Where jobs of a campaign run: this process, dask's processes on this machine, SLURM, PBS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from nnpmm.campaigns.devices import cuda_devices
from nnpmm.core.errors import ConfigError, OptionalDependencyError, SimulationError, shortened
from nnpmm.core.section import Section, first_problem

__all__ = [
    "ClusterSettings",
    "create_cluster",
    "create_queue",
    "read_cluster",
    "worker_environments",
]


class ClusterSettings(Section):
    """Where jobs run."""

    kind: Literal["serial", "local", "slurm", "pbs"] = Field(
        "local",
        description="serial: one job after another in this process; local: dask processes on this "
        "machine, which use its CUDA devices in turn; slurm, pbs: dask-jobqueue",
    )
    workers: int = Field(1, ge=1, description="number of jobs at a time")
    threads: int = Field(1, ge=1, description="threads of each job")
    queue: str | None = Field(None, description="slurm: partition; pbs: queue")
    account: str | None = Field(None, description="slurm, pbs: account")
    memory: str = Field("2GB", description="slurm, pbs: memory of a worker")
    walltime: str = Field("24:00:00", description="slurm, pbs: maximum lifetime of a worker")
    directives: tuple[str, ...] = Field((), description="further #SBATCH or #PBS lines")
    resources: str | None = Field(
        None,
        description="pbs: resources of a worker, instead of threads and memory, such as "
        "select=1:ncpus=4:ngpus=1:mem=8gb",
    )


def read_cluster(request: str, *, workers: int, threads: int) -> ClusterSettings:
    """Return the settings of a cluster: ``local``, ``serial``, or those of a YAML file.

    Args:
        request: one of the two words, or the path of a file of ``ClusterSettings``.
        workers: number of jobs at a time, if the file does not state it.
        threads: of each job, if the file does not state it.

    Raises:
        ConfigError: the file cannot be read or contains an unknown or impossible setting.
    """
    data: dict[str, Any] = {"workers": workers, "threads": threads}
    if request in ("local", "serial"):
        data["kind"] = request
    else:
        try:
            found = yaml.safe_load(Path(request).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(
                f"cluster {request!r}: expected local, serial, or a YAML file with keys such as "
                f"kind: slurm ({shortened(error)})"
            ) from None
        if not isinstance(found, dict):
            raise ConfigError(
                f"cluster {request!r}: found no settings in this file, expected lines such as "
                "kind: slurm"
            )
        data |= found
    try:
        return ClusterSettings.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            f"cluster {request!r}: {first_problem(error)}; known settings: "
            f"{', '.join(ClusterSettings.model_fields)}"
        ) from None


def create_cluster(cluster: ClusterSettings) -> Any:
    """Return a dask cluster of processes here, or of jobs of SLURM or PBS.

    Raises:
        ConfigError: the serial cluster, which has no processes.
        OptionalDependencyError: dask-jobqueue is not installed.
        SimulationError: the processes did not start, twice, or the queue rejects jobs.
    """
    if cluster.kind == "serial":
        raise ConfigError(
            "found the cluster serial, allowed: local, slurm or pbs; serial starts no processes"
        )
    if cluster.kind == "local":
        return _create_local(cluster)
    queue = create_queue(cluster)
    queue.scale(jobs=cluster.workers)
    try:  # dask would only log the error, and wait for workers forever
        queue.sync(_submitted, queue)
    except (RuntimeError, OSError) as error:
        with contextlib.suppress(AssertionError):  # dask expects workers that have started
            queue.close()
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise SimulationError(
            f"{cluster.kind} rejected the jobs of the workers: {reason.strip()}; check the queue "
            "and the cluster settings"
        ) from error
    return queue


async def _submitted(cluster: Any) -> None:
    """Wait until the jobs of all workers are in the queue; a failed submission is repeated once."""
    await cluster
    for worker in cluster.workers.values():
        await worker


def create_queue(cluster: ClusterSettings) -> Any:
    """Return a cluster whose workers are jobs of SLURM or PBS, before any is submitted.

    Raises:
        OptionalDependencyError: dask-jobqueue is not installed.
    """
    try:
        from dask_jobqueue import PBSCluster, SLURMCluster
    except ImportError as error:
        raise OptionalDependencyError(
            "dask-jobqueue is not installed: pip install dask-jobqueue"
        ) from error
    common = {
        "queue": cluster.queue,
        "account": cluster.account,
        "cores": 1,
        "processes": 1,
        "memory": cluster.memory,
        "walltime": cluster.walltime,
        "job_extra_directives": list(cluster.directives),
    }
    if cluster.kind == "slurm":
        return SLURMCluster(job_cpu=cluster.threads, **common)
    amount = f"select=1:ncpus={cluster.threads}:mem={cluster.memory}"
    return PBSCluster(resource_spec=cluster.resources or amount, **common)


def _create_local(cluster: ClusterSettings) -> Any:
    """Return a dask cluster of processes; try twice, because a process may have been killed."""
    with contextlib.suppress(RuntimeError):  # "Nanny failed to start"
        return _start(cluster)
    try:
        return _start(cluster)
    except (RuntimeError, OSError) as error:
        raise SimulationError(
            f"dask's {cluster.workers} worker processes did not start "
            f"({' '.join(str(error).split())}); they may have been killed or have run out of "
            "memory: use fewer workers, or the serial cluster"
        ) from error


def _start(cluster: ClusterSettings) -> Any:
    """Start the equivalent of dask's LocalCluster, with an environment for each worker."""
    from distributed import Nanny, Scheduler, SpecCluster

    here = {"host": "127.0.0.1", "protocol": "tcp://"}
    own = {**here, "nthreads": 1, "memory_limit": 1.0 / cluster.workers, "silence_logs": 40}
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {**here, "dashboard_address": ":0"}},
        workers={
            number: {"cls": Nanny, "options": {**own, "env": environment}}
            for number, environment in enumerate(worker_environments(cluster))
        },
    )


def worker_environments(cluster: ClusterSettings) -> list[dict[str, str]]:
    """Return the environment variables of each local worker: its threads, and its CUDA device.

    Workers take the devices in turn; with more workers than devices, some share one.
    """
    devices = cuda_devices()
    found = []
    for number in range(cluster.workers):
        own = {"OPENMM_CPU_THREADS": str(cluster.threads)}
        if devices:
            own["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
        found.append(own)
    return found
