"""Many calculations: jobs, their results, and where they run.

A ``Job`` is a function with its inputs. ``run_campaign`` runs the jobs whose results are not in the
``Store`` yet: in this process, in processes of this machine or on a cluster. A job that fails is
repeated once with another seed; a job that was killed is repeated by the next call. This package
does not depend on what the functions compute.

``read_list`` reads a table of calculations, ``run_listed`` runs them in a folder, ``states_of``
returns their progress, and ``collect_results`` collects their results.
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
from nnpmm.campaigns.devices import cuda_devices
from nnpmm.campaigns.executors import Preparation, ProgressCallback, StageCallback
from nnpmm.campaigns.jobs import Attempt, Job, JobReport, Output
from nnpmm.campaigns.listed import JobState, Listed, listed, read_listed, run_listed, states_of
from nnpmm.campaigns.lists import CalculationList, ListRow, read_list
from nnpmm.campaigns.results import (
    Quantity,
    ResultTable,
    collect_results,
    output_of,
    write_csv,
    write_parquet,
)
from nnpmm.campaigns.status import JobCounts, count_jobs, failure_reasons
from nnpmm.campaigns.store import Store, by_key, by_name

__all__ = [
    "Attempt",
    "AttemptsError",
    "CalculationList",
    "CampaignResult",
    "ClusterSettings",
    "Job",
    "JobCounts",
    "JobReport",
    "JobState",
    "KilledError",
    "ListRow",
    "Listed",
    "Output",
    "Preparation",
    "ProgressCallback",
    "Quantity",
    "ReportCallback",
    "ResultTable",
    "StageCallback",
    "Store",
    "by_key",
    "by_name",
    "collect_results",
    "count_jobs",
    "create_cluster",
    "cuda_devices",
    "derived_seed",
    "failure_reasons",
    "first_success",
    "listed",
    "output_of",
    "read_cluster",
    "read_list",
    "read_listed",
    "require_some",
    "retry_if_killed",
    "run_campaign",
    "run_listed",
    "states_of",
    "write_csv",
    "write_parquet",
]
