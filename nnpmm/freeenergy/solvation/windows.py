"""Sampling of the states of ladders as independent jobs, without exchange of replicas."""

from __future__ import annotations

from collections.abc import Sequence
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
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.legs import BOX, leg_directory, sample_leg
from nnpmm.freeenergy.solvation.ladders import create_leg, state_names
from nnpmm.freeenergy.solvation.preparation import prepare
from nnpmm.freeenergy.solvation.settings import LadderName, SolvationSettings
from nnpmm.sampling import ExchangeSettings, read_samples, write_samples

__all__ = ["sample_windows"]

_STORE = "windows"


def sample_windows(
    settings: SolvationSettings,
    directory: Path,
    cluster: ClusterSettings,
    report: ReportCallback | None = None,
) -> None:
    """Sample each state of each ladder as a job, and store the samples as those of replicas.

    A job works in the folder of its state, ``state-NN``, and continues there.

    Args:
        settings: of the calculation, with explicit providers of parameters, since ``auto`` may
            choose another one on another host.
        directory: of the calculation.
        cluster: where jobs run.
        report: called with every job that ends.

    Raises:
        SimulationError: a window failed with both of its seeds, or its worker was lost.
        NnpmmError: see `nnpmm.campaigns.run_campaign`.
    """
    store = Store(directory / _STORE)
    legs = {
        (ladder, repeat): _jobs(settings, directory, ladder, repeat)
        for ladder in settings.ladders
        for repeat in range(settings.repeats)
    }
    jobs = [job for windows in legs.values() for job in windows]
    result = run_campaign(jobs, store, cluster=cluster, retry_failed=True, report=report)
    if result.failed:
        reasons = failure_reasons(jobs, store)
        first = result.failed[0]
        raise SimulationError(
            f"{len(result.failed)} of {len(jobs)} windows failed; {first.name}: "
            f"{reasons.get(first.name) or first.reasons[-1]}"
        )
    for (ladder, repeat), windows in legs.items():
        _join(leg_directory(directory, ladder, repeat), windows, store)


def window_job(
    settings: SolvationSettings,
    ladder: LadderName,
    repeat: int,
    state: int,
    box: Path | None,
    *,
    attempt: Attempt,
) -> Output:
    """Sample one state of one ladder.

    Args:
        settings: settings of the calculation.
        ladder: its name.
        repeat: counted from 0; it is not used, but makes the job another one.
        state: index of the state.
        box: file of the compressed box of another solvent than water, or None.
        attempt: where it works.

    Returns:
        ``energies``, (n, K + M) in all states, kJ/mol; ``volumes``, (n,) nm^3; and the settings of
        the sampling.
    """
    own = settings.model_copy(update={"threads": attempt.threads})
    prepared = prepare(own, attempt.work if box is None else box.parent)
    leg = create_leg(own, prepared.system_of(ladder), ladder)
    sample_leg(
        *(own, own.ladder, leg, attempt.work), seed=attempt.seed, sampled=(state,), resume=True
    )
    samples = read_samples(attempt.work)
    energies = np.concatenate([samples.energies, samples.evaluated], axis=2)[:, 0]
    record = (attempt.work / "exchange.json").read_text()
    return Output({"energies": energies, "volumes": samples.volumes[:, 0]}, {"exchange": record})


def _jobs(
    settings: SolvationSettings,
    directory: Path,
    ladder: LadderName,
    repeat: int,
) -> list[Job]:
    # Inputs identify a job: leave out what may change when a calculation is resumed.
    fixed = settings.model_copy(update={"threads": None, "repeats": 1})
    box = directory.absolute() / BOX
    folder = leg_directory(directory.absolute(), ladder, repeat)
    return [
        Job(
            f"{folder.parent.name}/{folder.name}/state-{state:02d}",
            window_job,
            {
                "settings": fixed,
                "ladder": ladder,
                "repeat": repeat,
                "state": state,
                "box": box if box.exists() else None,
            },
            seed=settings.seed,
            folder=folder / f"state-{state:02d}",
        )
        for state in range(len(state_names(settings, ladder)))
    ]


def _join(directory: Path, windows: Sequence[Job], store: Store) -> None:
    """Write the samples of all windows of a ladder to its folder."""
    loaded = [store.load(job) for job in windows]
    count = min(len(arrays["energies"]) for arrays, _ in loaded)
    energies = np.stack([arrays["energies"][:count] for arrays, _ in loaded], axis=1)
    volumes = np.stack([arrays["volumes"][:count] for arrays, _ in loaded], axis=1)
    first = ExchangeSettings.model_validate_json(loaded[0][1]["exchange"])
    # Each window has its own seed, so the ladder has none.
    ladder = first.model_copy(update={"sampled": None, "seed": 0})
    write_samples(directory, ladder, energies, volumes)
