"""The jobs of a data set: productions with their features, and the bilayers that they need."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm import campaigns
from nnpmm._version import __version__
from nnpmm.campaigns import (
    Attempt,
    AttemptsError,
    KilledError,
    Output,
    Store,
    by_name,
    first_success,
)
from nnpmm.core.errors import SimulationError
from nnpmm.permeation.dataset.folder import WATER, DatasetSettings, SoluteJob
from nnpmm.permeation.features import (
    MEMBRANE_FEATURES,
    WATER_FEATURES,
    FeatureTable,
    inner_pairs,
    membrane_features,
    water_features,
)
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Engine, read_frames
from nnpmm.permeation.martini.pair_energy import channels
from nnpmm.permeation.runs.checks import check_membrane_run, check_temperature
from nnpmm.permeation.runs.protocol import ProtocolSettings
from nnpmm.permeation.runs.simulations import (
    RunOutcome,
    StageProgress,
    equilibrated_bilayer,
    run_solute,
)

__all__ = ["dataset_store", "prepare_bilayer", "production_job"]

#: A relaxation that fails is tried once more. All data sets share the bilayers in the cache, whose
#: seeds therefore do not depend on that of a data set.
_RELAXATION_SEEDS = (1, 2)


def prepare_bilayer(
    lipid: str,
    settings: DatasetSettings,
    scratch: Path,
    threads: int,
    progress: StageProgress | None = None,
) -> None:
    """Ensure that the relaxed bilayer of a lipid is in the cache.

    A relaxation that fails is tried again from the start, with another seed.

    Raises:
        KilledError: the engine was killed again and again.
        SimulationError: the relaxation failed with both seeds.
    """
    engine = create_engine(settings.engine, threads=threads)
    lipids = {lipid: settings.protocol.lipids_per_leaflet}
    work = scratch / f"bilayer-{lipid}"

    def relax(attempt: int, seed: int) -> None:
        folder = work / str(attempt)
        equilibrated_bilayer(lipids, settings.protocol, engine, folder, progress, seed=seed)

    try:
        first_success(relax, _RELAXATION_SEEDS, [], failures=(SimulationError,))
    except (KilledError, AttemptsError) as error:
        raise type(error)(f"the bilayer of {lipid} was not relaxed: {error}") from error
    shutil.rmtree(work, ignore_errors=True)


def dataset_store(folder: Path) -> Store:
    """Return the store of a data set: results are named for place and solute."""
    return Store(folder, by_name)


def production_job(job: SoluteJob, settings: DatasetSettings) -> campaigns.Job:
    """Return the production of a solute in one place, with its features, as a job to run."""
    inputs = {
        "place": job.place,
        "solute": job.solute,
        "protocol": settings.protocol,
        "engine": settings.engine,
    }
    needs = None if job.place == WATER else job.place
    return campaigns.Job(job.name, _run_production, inputs, settings.seed, needs)


def _run_production(
    place: str, solute: str, protocol: ProtocolSettings, engine: str, *, attempt: Attempt
) -> Output:
    """Simulate a solute in one place, and return its features without the trajectory."""
    job = SoluteJob(place, solute)
    program = create_engine(engine, threads=attempt.threads)
    outcome, table = _simulate(job, protocol, program, attempt.work, attempt.seed)
    return Output(table.arrays(), _provenance(job, protocol, outcome, program))


def _simulate(
    job: SoluteJob, protocol: ProtocolSettings, engine: Engine, work: Path, seed: int
) -> tuple[RunOutcome, FeatureTable]:
    """Run the protocol, check the run, and calculate the features."""
    lipids = {} if job.place == WATER else {job.place: protocol.lipids_per_leaflet}
    outcome = run_solute(job.solute, lipids, protocol, engine, work, seed=seed)
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
    job: SoluteJob, protocol: ProtocolSettings, outcome: RunOutcome, engine: Engine
) -> dict[str, Any]:
    """Return the description of a result's arrays and their provenance."""
    system = outcome.system
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
        "simulated_ns": protocol.simulated_ns,
        "mean_temperature_k": float(np.mean(observables["temperature"][1:])),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
