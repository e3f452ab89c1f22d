"""Run the missing simulations of a data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from nnpmm import campaigns
from nnpmm.campaigns import (
    CampaignResult,
    ClusterSettings,
    ProgressCallback,
    ReportCallback,
    run_campaign,
)
from nnpmm.permeation.dataset.folder import DatasetSettings, open_dataset, require_buildable
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.runs.jobs import dataset_store, prepare_bilayer, production_job

__all__ = ["build_dataset"]


def build_dataset(
    wanted: DatasetSettings,
    folder: Path,
    *,
    cluster: ClusterSettings | None = None,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    relaxation: ProgressCallback | None = None,
) -> CampaignResult:
    """Start or continue a data set: run every job without a result.

    After a kill, the next call continues; the jobs that were running start again.

    Args:
        wanted: settings; lipids and solutes are added to those of an existing data set.
        folder: of the data set.
        cluster: where jobs run; one local worker if None.
        scratch: for trajectories, which are deleted; inside ``folder`` if None.
        retry_failed: repeat failed jobs.
        report: called for every job that ends.
        relaxation: called with the progress of bilayers that are relaxed first; times in ps.

    Raises:
        ConfigError: another campaign works on this folder, the data set in it has other settings,
            its boxes are too small, or a folder cannot be written to.
        ForceFieldError: an unknown lipid.
        OptionalDependencyError: dask, or the requested engine, is not installed.
        SimulationError: dask's workers do not start.
    """
    cluster = cluster or ClusterSettings()
    if cluster.kind not in ("slurm", "pbs"):  # nodes may have an engine that this host lacks
        create_engine(wanted.engine)
    require_buildable(wanted)
    store = dataset_store(folder.resolve())  # workers may have another working directory
    with store.locked("another process is building this data set"):
        settings = open_dataset(store.folder, wanted)
        return run_campaign(
            _shuffled_jobs(settings),
            store,
            preparations={
                lipid: partial(prepare_bilayer, lipid, settings) for lipid in settings.lipids
            },
            cluster=cluster,
            scratch=scratch,
            retry_failed=retry_failed,
            report=report,
            progress=relaxation,
            locked=True,
        )


def _shuffled_jobs(settings: DatasetSettings) -> list[campaigns.Job]:
    """Return all jobs with the solutes in random order, so that any part is a fair sample."""
    solutes = np.random.default_rng(settings.seed).permutation(settings.solutes)
    shuffled = settings.model_copy(update={"solutes": tuple(solutes.tolist())})
    return [production_job(job, settings) for job in shuffled.jobs()]
