"""One job of a campaign, from nothing to a result file; runs in a worker process."""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm._version import __version__
from nnpmm.core.arrays import save_arrays
from nnpmm.core.files import write_atomically
from nnpmm.errors import SimulationError
from nnpmm.permeation.checks import check_membrane_run, check_temperature
from nnpmm.permeation.dataset import WATER, DatasetSettings, Job
from nnpmm.permeation.features import (
    MEMBRANE_FEATURES,
    WATER_FEATURES,
    FeatureTable,
    inner_pairs,
    membrane_features,
    water_features,
)
from nnpmm.permeation.martini.engines import (
    Engine,
    EngineKilledError,
    create_engine,
    read_frames,
)
from nnpmm.permeation.martini.pair_energy import channels
from nnpmm.permeation.runs import (
    RunOutcome,
    StageProgress,
    equilibrated_bilayer,
    go_on_if_killed,
    run_membrane,
    run_water,
)

__all__ = ["JobReport", "RelaxationCallback", "prepare_bilayer", "run_job"]

#: Called with a lipid, the name of a stage of its relaxation, the picoseconds that are done, and
#: the length of the stage.
RelaxationCallback = Callable[[str, str, float, float], None]

#: A failed job is tried once more, with another seed.
ATTEMPTS = 2


@dataclass(frozen=True)
class JobReport:
    """How a job ended; ``reasons`` holds a line for each failed attempt."""

    job: Job
    done: bool
    seconds: float
    reasons: tuple[str, ...] = ()


def prepare_bilayer(
    lipid: str,
    settings: DatasetSettings,
    scratch: Path,
    threads: int,
    progress: StageProgress | None = None,
) -> None:
    """Make sure that the relaxed bilayer of a lipid is in the cache; a failure is tried again.

    Raises:
        SimulationError: it could not be made.
    """
    engine = create_engine(settings.engine, threads=threads)
    lipids = {lipid: settings.protocol.lipids_per_leaflet}
    work = scratch / f"bilayer-{lipid}"
    relax = partial(equilibrated_bilayer, lipids, settings.protocol, engine, work, progress)
    for attempt in range(ATTEMPTS):
        try:
            go_on_if_killed(relax)
            break
        except SimulationError as error:
            if attempt == ATTEMPTS - 1 or isinstance(error, EngineKilledError):
                raise type(error)(f"the bilayer of {lipid} was not relaxed: {error}") from error
    shutil.rmtree(work, ignore_errors=True)


def run_job(
    job: Job, settings: DatasetSettings, folder: Path, scratch: Path, threads: int
) -> JobReport:
    """Run a job with up to two seeds and write its result, or why it failed, atomically.

    A job that ended through no fault of its own (the engine was killed, the disk is full) is not
    given up: no failure is written, and the next campaign tries it again.

    A job whose result is there is not run again: dask repeats all that a lost worker had done, as
    its reports are lost with it. Trajectories live in the scratch folder until the features are
    made.

    Args:
        job: what to run.
        settings: of the data set.
        folder: of the data set.
        scratch: for the engine's files.
        threads: of the engine.
    """
    if job.result(folder).exists():
        return JobReport(job, True, 0.0)
    begin = time.monotonic()
    reasons: list[str] = []
    engine = create_engine(settings.engine, threads=threads)
    for attempt in range(ATTEMPTS):
        work = scratch / job.place / f"{job.solute}.{attempt}"
        shutil.rmtree(work, ignore_errors=True)
        seed = job.seed(settings.seed, attempt)
        try:
            outcome, table = go_on_if_killed(
                partial(_simulate, job, settings, engine, work, seed), reasons.append
            )
        except (EngineKilledError, OSError) as error:
            reasons.append(" ".join(str(error).split()))
            return JobReport(job, False, time.monotonic() - begin, tuple(reasons))
        except Exception as error:  # whatever it is, the other jobs go on
            reasons.append(f"seed {seed}: {' '.join(str(error).split())}")
            detail = traceback.format_exc()
            continue
        finally:
            shutil.rmtree(work, ignore_errors=True)
        seconds = time.monotonic() - begin
        record = _provenance(job, settings, outcome, engine)
        record |= {"seed": seed, "attempts": reasons, "threads": threads, "seconds": seconds}
        save_arrays(job.result(folder), table.arrays(), record)
        job.failure(folder).unlink(missing_ok=True)
        return JobReport(job, True, seconds, tuple(reasons))
    record = {"job": job.name, "attempts": reasons, "traceback": detail}
    write_atomically(job.failure(folder), json.dumps(record, indent=1) + "\n")
    return JobReport(job, False, time.monotonic() - begin, tuple(reasons))


def _simulate(
    job: Job, settings: DatasetSettings, engine: Engine, work: Path, seed: int
) -> tuple[RunOutcome, FeatureTable]:
    """Run the protocol, make the features, and refuse what cannot be trusted."""
    protocol = settings.protocol
    if job.place == WATER:
        outcome = run_water(job.solute, protocol, engine, work, seed=seed)
    else:
        lipids = {job.place: protocol.lipids_per_leaflet}
        outcome = run_membrane(job.solute, lipids, protocol, engine, work, seed=seed)
    production = outcome.production
    if production.trajectory is None:
        raise SimulationError("the production left no trajectory")
    frames = read_frames(production.trajectory)
    check_temperature(production, protocol)
    if job.place == WATER:
        enthalpies = production.observables["enthalpy"][1:]
        table = water_features(outcome.system, frames, enthalpies)
    else:
        table = membrane_features(outcome.system, frames)
        check_membrane_run(table, protocol)
    if len(table.values) != protocol.n_frames:
        raise SimulationError(f"found {len(table.values)} frames, expected {protocol.n_frames}")
    return outcome, table


def _provenance(
    job: Job, settings: DatasetSettings, outcome: RunOutcome, engine: Engine
) -> dict[str, Any]:
    """Return what the arrays of a result are and where they come from."""
    system, protocol = outcome.system, settings.protocol
    columns = WATER_FEATURES if job.place == WATER else MEMBRANE_FEATURES
    first = int(system.select("solute")[0])
    observables = outcome.production.observables
    return {
        "place": job.place,
        "solute": job.solute,
        "beads": [system.types[n] for n in system.select("solute")],
        "features": [{"name": c.name, "unit": c.unit} for c in columns],
        "channels": [list(channel) for channel in channels(system)],
        "inner_pairs": [[i - first, j - first] for i, j in inner_pairs(system)],
        "molecules": {kind.name: count for kind, count in system.molecules},
        "protocol": protocol.model_dump(mode="json"),
        "engine": f"{engine.name} {engine.version()}",
        "nnpmm": __version__,
        "simulated_ns": (protocol.nvt + protocol.npt + protocol.production) / 1000.0,
        "mean_temperature_k": float(np.mean(observables["temperature"][1:])),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
