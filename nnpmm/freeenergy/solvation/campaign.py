"""Solvation free energies of a table of molecules, with one job of a campaign for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnpmm.campaigns import (
    Attempt,
    CampaignResult,
    ClusterSettings,
    Job,
    Output,
    ReportCallback,
    Store,
    derived_seed,
    run_campaign,
)
from nnpmm.core.errors import InputFileError
from nnpmm.core.tables import excerpt, file_name, read_table
from nnpmm.freeenergy.legs import claim_folder, require_network
from nnpmm.freeenergy.solvation.settings import SoluteSettings, SolvationSettings
from nnpmm.freeenergy.solvation.workflow import run_solvation

__all__ = ["QUANTITIES", "Molecule", "campaign_jobs", "read_molecules", "run_solvation_campaign"]

#: Names of the free energies in the record of a result.
QUANTITIES = ("network", "force field", "network minus force field")
_RESULTS, _MOLECULES = "results", "molecules"


@dataclass(frozen=True)
class Molecule:
    """A line of the table: name, SMILES, and the measured free energy in kcal/mol, if known."""

    name: str
    smiles: str
    experiment: float | None = None


def read_molecules(path: Path) -> list[Molecule]:
    """Read a CSV file with the columns ``name``, ``smiles`` and, if known, ``experiment``.

    Measured values are in kcal/mol; a cell may be empty. Other columns are ignored.

    Raises:
        InputFileError: the file cannot be read, lacks a column, or a line is not usable.
    """
    table, found = read_table(path), dict[str, Molecule]()
    if not {"name", "smiles"} <= set(table.columns) or not table.rows:
        raise InputFileError(
            f"{path}: found the columns {', '.join(table.columns) or 'none'} and {len(table.rows)} "
            "lines below, expected name and smiles, separated by commas, and a molecule in each "
            "line below"
        )
    for number, cells in table.rows:
        name, smiles, measured = (cells.get(key, "") for key in ("name", "smiles", "experiment"))
        if not name or not smiles:
            raise InputFileError(
                f"{path}, line {number}: found name {excerpt(name)!r} and smiles "
                f"{excerpt(smiles)!r}, allowed: both"
            )
        if file_name(name) in found:
            raise InputFileError(
                f"{path}, line {number}: found the name {excerpt(name)!r} again, allowed: names "
                "that differ"
            )
        found[file_name(name)] = Molecule(name, smiles, _experiment(measured, path, number))
    return list(found.values())


def _experiment(text: str, path: Path, number: int) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputFileError(
            f"{path}, line {number}: found the experiment {excerpt(text)!r}, allowed: a number in "
            "kcal/mol, or nothing"
        )
    return value


def campaign_jobs(
    molecules: Sequence[Molecule], settings: SolvationSettings, directory: Path
) -> list[Job]:
    """Return a job for each molecule, which works in its own folder and continues there.

    Args:
        molecules: of the table.
        settings: of each calculation; the solute is replaced by the molecule, with the
            ``parameters`` of the settings' solute.
        directory: of the campaign.
    """
    return [
        Job(
            file_name(molecule.name),
            solvation_job,
            {"settings": _of(molecule, settings)},
            seed=settings.seed,
            folder=directory.absolute() / _MOLECULES / file_name(molecule.name),
        )
        for molecule in molecules
    ]


def run_solvation_campaign(
    molecules: Sequence[Molecule],
    settings: SolvationSettings,
    directory: Path,
    *,
    cluster: ClusterSettings,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
) -> tuple[list[Job], Store, CampaignResult]:
    """Start or continue a calculation of the solvation free energies of many molecules.

    ::

        molecules/NAME/    the calculation of a molecule, with its report
        results/           the result of each job, by its content

    Args:
        molecules: of the table.
        settings: of each calculation, as in `campaign_jobs`.
        directory: of the campaign, created if necessary.
        cluster: where jobs run.
        retry_failed: repeat the calculations of molecules that failed.
        report: called with every job that ends.

    Returns:
        The jobs in the order of the molecules, the store of their results, and the numbers of
        finished and failed jobs.

    Raises:
        ConfigError: another campaign works in this folder, or the calculation of a molecule there
            was started with other settings.
        NnpmmError: the network is unknown; and see `nnpmm.campaigns.run_campaign`.
    """
    require_network(settings)
    jobs = campaign_jobs(molecules, settings, directory)
    for job in jobs:
        if job.folder is not None and job.folder.exists():
            own = _with_seed(job.inputs["settings"], derived_seed(job.seed, job.name, 0))
            claim_folder(own, job.folder, resume=True)
    store = Store(directory / _RESULTS)
    result = run_campaign(jobs, store, cluster=cluster, retry_failed=retry_failed, report=report)
    return jobs, store, result


def solvation_job(settings: SolvationSettings, *, attempt: Attempt) -> Output:
    """Calculate one molecule as a job; a calculation that was killed continues in its folder.

    Returns:
        The record of the result, and its free energies with their errors, (n, 2) kJ/mol, in the
        order of `QUANTITIES`.
    """
    own = _with_seed(settings, attempt.seed).model_copy(update={"threads": attempt.threads})
    result = run_solvation(own, attempt.work, resume=True)
    record = result.record()
    values = [record[name] for name in QUANTITIES if name in record]
    kj = np.array([[value["kJ/mol"], value["error_kJ/mol"]] for value in values])
    return Output({"solvation_kj": kj}, record)


def threads_for(settings: SolvationSettings, workers: int) -> int:
    """Return the threads of each job: as in the settings, or the processors for each worker."""
    return settings.threads or max(1, (os.cpu_count() or 1) // workers)


def _of(molecule: Molecule, settings: SolvationSettings) -> SolvationSettings:
    solute = SoluteSettings(smiles=molecule.smiles, parameters=settings.solute.parameters)
    return settings.model_copy(update={"solute": solute, "threads": None})


def _with_seed(settings: SolvationSettings, seed: int) -> SolvationSettings:
    return settings.model_copy(update={"seed": seed})
