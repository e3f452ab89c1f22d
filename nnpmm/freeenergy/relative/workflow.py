"""Relative binding free energies from settings to report: of one pair, and of a network of pairs.

::

    edges/A~B/settings.json           what is calculated for one pair
    edges/A~B/joint/repeat-1/         one ladder; see nnpmm.sampling.record
    edges/A~B/alchemlyb/              energies of each ladder for alchemlyb
    edges/A~B/result.json             its free energies and their errors
    edges/A~B/report.html             the same to read, with pictures
    campaign/                         state of the jobs, if edges run as jobs
    result.json                       all edges, closed cycles, and a value for each ligand
    report.html                       the same to read, with pictures
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from nnpmm.campaigns import (
    Attempt,
    ClusterSettings,
    Job,
    Output,
    ReportCallback,
    Store,
    failure_reasons,
    run_campaign,
)
from nnpmm.core.errors import ConfigError, NnpmmError, SimulationError
from nnpmm.core.files import require_folder, write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.legs import (
    Ladder,
    Report,
    claim_folder,
    keep_parameters,
    require_network,
    sample_repeats,
    write_energies,
)
from nnpmm.freeenergy.relative.box import build_box, read_ligands
from nnpmm.freeenergy.relative.ladder import create_transfer_leg, lambda_values
from nnpmm.freeenergy.relative.network_fit import Edge, fit_network
from nnpmm.freeenergy.relative.report import write_edge_report, write_network_report
from nnpmm.freeenergy.relative.result import (
    EdgeResult,
    NetworkResult,
    evaluate_edge,
    evaluate_network,
)
from nnpmm.freeenergy.relative.settings import RelativeSettings

__all__ = ["calculate_edge", "edge_directory", "run_edge", "run_network"]

_RESULT, _REPORT = "result.json", "report.html"
#: Called with the pair, the name of the next ladder, its repeat, counted from 1, and the number of
#: repeats; returns a function that reports the ladder's progress.
Announce = Callable[[tuple[str, str], str, int, int], Report]


def edge_directory(directory: Path, edge: tuple[str, str]) -> Path:
    """Return the folder of one pair in that of its network."""
    return directory / "edges" / "~".join(edge)


def run_edge(
    settings: RelativeSettings,
    directory: Path,
    *,
    resume: bool = False,
    announce: Announce = lambda *_: lambda *_: None,
) -> EdgeResult:
    """Calculate the relative binding free energy of the first pair of the settings.

    Args:
        settings: settings of the calculation.
        directory: of the pair, created if necessary.
        resume: continue the calculation in that folder. Its settings must be the same, except for
            ``potentials``, ``repeats``, the ladder's ``time``, the platform and its threads.
        announce: see `Announce`.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or its settings differ.
        NnpmmError: the box cannot be built, the network cannot be used, the simulation blew up, a
            ligand left the site, or states overlap too little.
    """
    settings = settings.of_edge(settings.edges[0])
    require_network(settings)
    with locked_folder(directory):
        claim_folder(settings, directory, resume=resume)
        box = build_box(settings)
        keep_parameters(directory, box.parameters)
        ladders = [
            Ladder(name, settings.ladder, partial(create_transfer_leg, settings, box, name))
            for name in settings.ladders
        ]
        announced = partial(announce, settings.edges[0])
        sample_repeats(settings, ladders, directory, resume=resume, announce=announced)
        result = evaluate_edge(settings, directory)
        record = {**result.record(), "parameters": box.parameters}
        write_atomically(directory / _RESULT, json.dumps(record, indent=1) + "\n")
        for name, legs in result.ladders.items():
            write_energies(directory, name, legs, lambda_values(settings, name))
        write_edge_report(directory / _REPORT, settings, box, result)
    return result


def run_network(
    settings: RelativeSettings,
    directory: Path,
    *,
    resume: bool = False,
    cluster: ClusterSettings | None = None,
    announce: Announce = lambda *_: lambda *_: None,
    report: ReportCallback | None = None,
) -> NetworkResult:
    """Calculate all pairs of the settings, and one value for each ligand.

    A pair that fails does not stop the others.

    Args:
        settings: settings of the calculation.
        directory: output folder, created if necessary.
        resume: continue the calculation; see `run_edge`. Pairs may have been added.
        cluster: where pairs run as jobs of a campaign; one after the other in this process if None.
        announce: see `Announce`; for pairs in this process.
        report: called for every job that ends.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or the pairs do not
            connect all ligands.
        NnpmmError: a ligand cannot be read, the network is unknown, or every pair failed.
    """
    # Refuse a network in several parts before hours of sampling.
    fit_network([Edge(*edge, Estimate(0.0, 1.0)) for edge in settings.edges])
    read_ligands(settings.ligands, settings.names)
    require_network(settings)
    require_folder(directory)
    if (directory / "edges").exists() and not resume:
        raise ConfigError(
            f"{directory}: already contains a calculation; resume it, or choose another folder"
        )
    if cluster is None:
        results, failures = _in_this_process(settings, directory, resume, announce)
    else:
        results, failures = _as_campaign(settings, directory, cluster, report)
    if not results:
        pair, reason = next(iter(failures.items()))
        raise SimulationError(
            reason if len(failures) == 1 else f"every pair failed; {' and '.join(pair)}: {reason}"
        )
    result = evaluate_network(settings, tuple(results), failures)
    write_atomically(directory / _RESULT, json.dumps(result.record(), indent=1) + "\n")
    write_network_report(directory / _REPORT, settings, result)
    return result


_Failures = dict[tuple[str, str], str]


def _in_this_process(
    settings: RelativeSettings, directory: Path, resume: bool, announce: Announce
) -> tuple[list[EdgeResult], _Failures]:
    results, failures = [], _Failures()
    for edge in settings.edges:
        folder = edge_directory(directory, edge)
        resuming = resume and folder.exists()
        try:
            results.append(
                run_edge(settings.of_edge(edge), folder, resume=resuming, announce=announce)
            )
        except NnpmmError as error:
            if len(settings.edges) == 1:
                raise
            failures[edge] = str(error)
    return results, failures


def calculate_edge(settings: RelativeSettings, folder: str, *, attempt: Attempt) -> Output:
    """Calculate one pair as a job of a campaign; a job that was killed continues in its folder.

    Args:
        settings: of the pair.
        folder: of the pair.
        attempt: of the campaign; its threads are used.
    """
    own = settings.model_copy(update={"threads": attempt.threads})
    result = run_edge(own, Path(folder), resume=Path(folder).exists())
    values = [[total.value, total.error] for total in result.potentials.values()]
    return Output({"relative_kj": np.array(values)}, result.record())


def _as_campaign(
    settings: RelativeSettings,
    directory: Path,
    cluster: ClusterSettings,
    report: ReportCallback | None,
) -> tuple[list[EdgeResult], _Failures]:
    jobs = {
        edge: Job(
            "~".join(edge),
            calculate_edge,
            {
                "settings": settings.of_edge(edge),
                "folder": str(edge_directory(directory, edge).absolute()),
            },
        )
        for edge in settings.edges
    }
    store = Store(directory / "campaign")
    run_campaign(list(jobs.values()), store, cluster=cluster, retry_failed=True, report=report)
    reasons = failure_reasons(jobs.values(), store)
    results, failures = [], _Failures()
    for edge, job in jobs.items():
        if store.is_done(job):
            results.append(evaluate_edge(settings.of_edge(edge), edge_directory(directory, edge)))
        else:
            failures[edge] = reasons.get(job.name, "it was not run")
    return results, failures
