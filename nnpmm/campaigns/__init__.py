"""Many calculations: jobs, their results, and where they run.

A ``Job`` is a function with its inputs. ``run_campaign`` runs those whose result is not in the
``Store`` yet, in this process, in processes of this machine or on a cluster. A job that fails is
tried again with another seed and then given up; one that was killed is tried again by the next
call. Nothing here knows what the functions compute.
"""

from nnpmm.campaigns.attempts import (
    AttemptsError,
    KilledError,
    derived_seed,
    first_success,
    retry_if_killed,
)
from nnpmm.campaigns.campaign import (
    CampaignResult,
    ReportCallback,
    require_some,
    run_campaign,
)
from nnpmm.campaigns.clusters import ClusterSettings, create_cluster, read_cluster
from nnpmm.campaigns.executors import Preparation, ProgressCallback, StageCallback
from nnpmm.campaigns.jobs import Attempt, Job, JobReport, Output
from nnpmm.campaigns.status import JobCounts, count_jobs, failure_reasons
from nnpmm.campaigns.store import Store, by_key, by_name

__all__ = [
    "Attempt",
    "AttemptsError",
    "CampaignResult",
    "ClusterSettings",
    "Job",
    "JobCounts",
    "JobReport",
    "KilledError",
    "Output",
    "Preparation",
    "ProgressCallback",
    "ReportCallback",
    "StageCallback",
    "Store",
    "by_key",
    "by_name",
    "count_jobs",
    "create_cluster",
    "derived_seed",
    "failure_reasons",
    "first_success",
    "read_cluster",
    "require_some",
    "retry_if_killed",
    "run_campaign",
]
