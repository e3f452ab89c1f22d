"""Where the jobs of a campaign run: this process, dask's processes on this machine, or SLURM."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from nnpmm.core.errors import ConfigError, OptionalDependencyError, SimulationError, shortened
from nnpmm.core.section import Section, first_problem

__all__ = ["ClusterSettings", "create_cluster", "read_cluster"]


class ClusterSettings(Section):
    """Where jobs run."""

    kind: Literal["serial", "local", "slurm"] = Field(
        "local",
        description="serial: one after the other in this process; local: dask's processes "
        "on this machine; slurm: dask-jobqueue",
    )
    workers: int = Field(1, ge=1, description="jobs at a time")
    threads: int = Field(1, ge=1, description="threads of each job")
    queue: str | None = Field(None, description="slurm: partition")
    account: str | None = Field(None, description="slurm: account")
    memory: str = Field("2GB", description="slurm: memory of a worker")
    walltime: str = Field("24:00:00", description="slurm: longest life of a worker")
    directives: tuple[str, ...] = Field((), description="slurm: further #SBATCH lines")


def read_cluster(request: str, *, workers: int, threads: int) -> ClusterSettings:
    """Return where jobs run: ``local``, ``serial``, or as a YAML file of ``ClusterSettings`` says.

    Args:
        request: one of the two words, or the file.
        workers: jobs at a time, where the file does not say.
        threads: of each job, where the file does not say.

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
    """Return a dask cluster of processes here, or of SLURM jobs.

    Raises:
        ConfigError: the serial cluster, which has no processes.
        OptionalDependencyError: dask-jobqueue is not installed.
        SimulationError: the processes did not start, twice.
    """
    if cluster.kind == "serial":
        raise ConfigError("found the cluster serial, allowed: local or slurm; it starts no process")
    if cluster.kind == "local":
        return _create_local(cluster)
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise OptionalDependencyError(
            "dask-jobqueue is not installed: pip install dask-jobqueue"
        ) from error
    made = SLURMCluster(
        queue=cluster.queue,
        account=cluster.account,
        cores=1,
        processes=1,
        job_cpu=cluster.threads,
        memory=cluster.memory,
        walltime=cluster.walltime,
        job_extra_directives=list(cluster.directives),
    )
    made.scale(jobs=cluster.workers)
    return made


def _create_local(cluster: ClusterSettings) -> Any:
    """Return a dask cluster of processes; start it twice, as one of them may have been killed."""
    from distributed import LocalCluster

    start = partial(
        LocalCluster,
        n_workers=cluster.workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
    )
    with contextlib.suppress(RuntimeError):  # "Nanny failed to start"
        return start()
    try:
        return start()
    except (RuntimeError, OSError) as error:
        raise SimulationError(
            f"dask's {cluster.workers} worker processes did not start "
            f"({' '.join(str(error).split())}); they may have been killed or have run out of "
            "memory: take fewer workers, or the serial cluster"
        ) from error
