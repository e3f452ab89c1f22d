"""Direct free energies of single solutes, stored in the folder of a data set.

Layout::

    labels/direct/DOPC/C1-P4.json      free energy of decoupling in this place
    labels/direct/water/C1-P4.json
    labels/umbrella/DOPC/C1-P4.json    profile across the bilayer
    labels/umbrella/DOPC/C1-P4.png
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nnpmm._version import __version__
from nnpmm.campaigns import AttemptsError, KilledError, first_success
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import InputFileError, SimulationError, shortened
from nnpmm.core.fields import Section
from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked
from nnpmm.permeation.dataset.folder import WATER, DatasetSettings, SoluteJob
from nnpmm.permeation.files import save_figure
from nnpmm.permeation.labels.anchored import Anchor
from nnpmm.permeation.labels.decoupling import Decoupling, DecouplingSettings, decouple
from nnpmm.permeation.labels.diffusivity import Diffusivity, window_diffusivity
from nnpmm.permeation.labels.figures import profile_figure
from nnpmm.permeation.labels.umbrella import Profile, UmbrellaSettings, join_windows, run_windows
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Engine, whole_steps
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.runs.simulations import RunOutcome, StageProgress, run_solute

__all__ = ["differing_settings", "read_anchors", "read_umbrella", "run_direct", "run_umbrella"]

_ATTEMPTS = 2
#: Numbers of the first attempts, which give other seeds than those of the data set's runs, from 0.
_FIRST_DECOUPLING, _FIRST_UMBRELLA = 100, 200

_T = TypeVar("_T")


def _direct_path(folder: Path, place: str, solute: str) -> Path:
    return folder / "labels" / "direct" / place / f"{solute}.json"


def _umbrella_path(folder: Path, lipid: str, solute: str) -> Path:
    return folder / "labels" / "umbrella" / lipid / f"{solute}.json"


def run_direct(
    job: SoluteJob,
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    *,
    decoupling: DecouplingSettings | None = None,
    threads: int = 1,
    progress: StageProgress | None = None,
) -> dict[str, Any]:
    """Decouple a solute in one environment, store the record, and return it.

    An existing record is returned, even if it is from other lengths; it contains them as
    ``settings``.

    Args:
        job: place and solute.
        settings: of the data set, whose protocol equilibrates the system.
        folder: of the data set.
        scratch: for GROMACS' files; an interrupted calculation with the same settings continues
            there.
        decoupling: lengths; the defaults if None.
        threads: of GROMACS.
        progress: called for every stage.

    Raises:
        ConfigError: another process decouples this solute.
        SimulationError: it failed with two seeds, or the states do not overlap.
    """
    path = _direct_path(folder, job.place, job.solute)
    if path.exists():
        return _read_record(path)
    engine = GromacsEngine(threads=threads)
    lengths = decoupling or DecouplingSettings(temperature=settings.protocol.temperature)

    def simulate(work: Path, seed: int) -> Decoupling:
        outcome = _equilibrate(job, settings, engine, work, seed, progress)
        return decouple(
            outcome.system,
            outcome.production.configuration,
            engine,
            work,
            lengths,
            restraint=None if job.place == WATER else settings.protocol.restraint,
            seed=seed,
            progress=progress,
        )

    work = _work_folder(scratch / "direct", job, settings, folder, lengths)
    busy = f"{job.name} is already being decoupled by another process; wait for it or stop it"
    with locked(work.with_name(f"{work.name}.lock"), busy):
        if path.exists():  # another process finished it before the lock was free
            return _read_record(path)
        found, common = _with_seeds(simulate, job, settings, work, _FIRST_DECOUPLING)
        record = _decoupling_record(found) | common
        return _store_record(path, record, lengths, engine, threads, work)


def run_umbrella(
    job: SoluteJob,
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    *,
    umbrella: UmbrellaSettings | None = None,
    engine: str = "auto",
    threads: int = 1,
    progress: StageProgress | None = None,
) -> dict[str, Any]:
    """Compute the profile of a solute across a bilayer, store it with a plot, and return it.

    An existing record is returned.

    Args:
        job: lipid and solute.
        settings: of the data set, whose protocol sets size and conditions.
        folder: of the data set.
        scratch: for the engine's files; an interrupted calculation with the same settings continues
            there.
        umbrella: windows and lengths; the defaults if None.
        engine: ``auto``, ``gromacs`` or ``openmm``.
        threads: of the engine.
        progress: called for every stage.

    Returns:
        The record: heights, nm, the profile and its errors, kJ/mol, dG and its error, kcal/mol,
        and the diffusivity in each window.

    Raises:
        ConfigError: the box is too low for the last window, or another process computes this
            profile.
        SimulationError: it failed with two seeds, or the windows do not overlap.
    """
    path = _umbrella_path(folder, job.place, job.solute)
    if path.exists():
        return _read_record(path)
    program: Engine = create_engine(engine, threads=threads)
    windows = umbrella or UmbrellaSettings()
    protocol, lipids = settings.protocol, {job.place: settings.protocol.lipids_per_leaflet}

    def simulate(work: Path, seed: int) -> list[Any]:
        return run_windows(
            job.solute, lipids, protocol, windows, program, work, seed=seed, progress=progress
        )

    work = _work_folder(scratch / "umbrella", job, settings, folder, windows)
    busy = f"umbrella sampling of {job.name} is already running; wait for it or stop it"
    with locked(work.with_name(f"{work.name}.lock"), busy):
        if path.exists():  # another process finished it before the lock was free
            return _read_record(path)
        heights, common = _with_seeds(simulate, job, settings, work, _FIRST_UMBRELLA)
        found = join_windows(heights, windows, protocol.temperature)
        figure = profile_figure(found, f"{job.solute} in {job.place}")
        save_figure(figure, path.with_suffix(".png"))
        interval = _simulated_interval(windows, settings)
        local = [window_diffusivity(series, interval) for series in heights]
        record = _profile_record(found, local) | {"interval_ps": interval} | common
        return _store_record(path, record, windows, program, threads, work)


def _simulated_interval(windows: UmbrellaSettings, settings: DatasetSettings) -> float:
    """Return the time between heights, ps, in whole time steps."""
    timestep = settings.protocol.equilibration_timestep
    return whole_steps(windows.sample_interval, timestep) * timestep


def _work_folder(
    scratch: Path, job: SoluteJob, settings: DatasetSettings, folder: Path, lengths: Section
) -> Path:
    """Return the folder of a calculation's files, which depends on its settings and data set."""
    parts = [settings.protocol.model_dump(mode="json"), lengths.model_dump(mode="json")]
    identity = json.dumps([str(folder.resolve()), settings.seed, *parts])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return scratch / job.place / f"{job.solute}-{digest}"


def differing_settings(record: dict[str, Any], settings: Section) -> str:
    """Return the settings in which a record differs from the requested ones; "" if none."""
    wanted = settings.model_dump(mode="json")
    other = {k: v for k, v in record["settings"].items() if v != wanted.get(k)}
    return ", ".join(f"{name} {value}" for name, value in other.items())


def _decoupling_record(found: Decoupling) -> dict[str, Any]:
    return {
        "decoupling_kj": found.free_energy,
        "error_kj": found.error,
        "overlap": found.overlap,
        "samples": found.samples,
    }


def _profile_record(found: Profile, local: Sequence[Diffusivity]) -> dict[str, Any]:
    return {
        "heights_nm": found.heights.tolist(),
        "profile_kj": found.free_energies.tolist(),
        "errors_kj": found.errors.tolist(),
        "dg_kcal": float(found.free_energies[0]) / KJ_PER_KCAL,
        "error_kcal": float(found.errors[0]) / KJ_PER_KCAL,
        "overlap": found.overlap,
        "samples": found.samples,
        "diffusivities_nm2_ps": [d.value for d in local],
        "diffusivity_errors_nm2_ps": [d.error for d in local],
        "correlation_times_ps": [d.correlation_time for d in local],
    }


def _store_record(
    path: Path, record: dict[str, Any], settings: Section, engine: Engine, threads: int, work: Path
) -> dict[str, Any]:
    """Write a record with its provenance, delete the engine's files, and return it."""
    record |= {
        "settings": settings.model_dump(mode="json"),
        "engine": f"{engine.name} {engine.version()}",
        "threads": threads,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return record


def _with_seeds(
    simulate: Callable[[Path, int], _T],
    job: SoluteJob,
    settings: DatasetSettings,
    work: Path,
    first: int,
) -> tuple[_T, dict[str, Any]]:
    """Return the result of a calculation, tried with two seeds, and a record of the attempts.

    Raises:
        KilledError: the engine was killed repeatedly; the next call continues.
        SimulationError: the calculation failed with both seeds.
    """
    start = time.monotonic()
    reasons: list[str] = []
    try:
        found, seed = first_success(
            lambda attempt, seed: simulate(work / str(attempt), seed),
            [job.seed(settings.seed, first + attempt) for attempt in range(_ATTEMPTS)],
            reasons,
            failures=(SimulationError,),
        )
    except KilledError as error:
        raise KilledError(f"{job.name}: {error}; repeat the call to continue") from error
    except AttemptsError as error:
        raise SimulationError(f"{job.name} failed with {_ATTEMPTS} seeds: {error}") from error
    seconds = time.monotonic() - start
    return found, {"seed": seed, "attempts": reasons, "seconds": seconds, "nnpmm": __version__}


def _equilibrate(
    job: SoluteJob,
    settings: DatasetSettings,
    engine: GromacsEngine,
    work: Path,
    seed: int,
    progress: StageProgress | None,
) -> RunOutcome:
    protocol = settings.protocol
    lipids = {} if job.place == WATER else {job.place: protocol.lipids_per_leaflet}
    return run_solute(
        job.solute, lipids, protocol, engine, work, seed=seed, production=False, progress=progress
    )


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"{path}: cannot be read ({shortened(error)}); delete it and calculate it again"
        ) from error


def read_anchors(folder: Path, lipid: str, like: str) -> dict[str, Anchor]:
    """Return the direct dG of solutes of one shape that are decoupled in water and in a lipid.

    Raises:
        InputFileError: a record is damaged.
    """
    anchors = {}
    shape = parse_solute(like).bonds
    for path in sorted(_direct_path(folder, lipid, like).parent.glob("*.json")):
        water = _direct_path(folder, WATER, path.stem)
        if not water.exists() or parse_solute(path.stem).bonds != shape:
            continue
        inside, outside = _read_record(path), _read_record(water)
        anchors[path.stem] = Anchor(
            (outside["decoupling_kj"] - inside["decoupling_kj"]) / KJ_PER_KCAL,
            math.hypot(outside["error_kj"], inside["error_kj"]) / KJ_PER_KCAL,
        )
    return anchors


def read_umbrella(folder: Path, lipid: str) -> dict[str, dict[str, Any]]:
    """Return the records of umbrella sampling in a lipid, by solute, as ``run_umbrella`` does.

    Raises:
        InputFileError: a record is damaged.
    """
    paths = sorted(_umbrella_path(folder, lipid, "x").parent.glob("*.json"))
    return {path.stem: _read_record(path) for path in paths}
