"""The runs of the protocol: cached relaxed bilayers, and the two productions of a solute.

Every stage stores its last configuration, from which an interrupted run continues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.files import cache_directory, require_folder
from nnpmm.permeation.martini.builder import build_bilayer, build_water_box, insert_solute
from nnpmm.permeation.martini.engines import Engine, Stage, StageResult
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.martini.system import Configuration, MartiniSystem
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = [
    "RunOutcome",
    "StageProgress",
    "bilayer_path",
    "equilibrated_bilayer",
    "run_solute",
    "run_stages",
]

#: Called with the name of a stage, the simulated time and its length, ps.
StageProgress = Callable[[str, float, float], None]

_SETTLE_LENGTH, _SETTLE_TIMESTEP = 500.0, 0.01  # ps, from the grid to a rough bilayer


@dataclass(frozen=True)
class RunOutcome:
    """A finished production: the system and the engine's result."""

    system: MartiniSystem
    production: StageResult


def run_stages(
    system: MartiniSystem,
    start: Configuration,
    stages: Sequence[Stage],
    engine: Engine,
    directory: Path,
    progress: StageProgress | None = None,
) -> StageResult:
    """Minimise, run stages one after the other, and return the result of the last one.

    Stages whose last configuration is in the folder are not run again.

    Raises:
        SimulationError: the engine failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    minimized = directory / "minimized.safetensors"
    if not minimized.exists():
        found = engine.minimize(system, start, directory)
        save_arrays(minimized, {"positions": found.positions, "box": found.box}, {})
    result = StageResult(_load(minimized), None, {})
    for stage in stages:
        done = directory / f"{stage.name}.safetensors"
        if not done.exists():
            report = None if progress is None else _stage_progress(progress, stage)
            run = engine.run(system, result.configuration, stage, directory, report)
            final = run.configuration
            arrays = {"positions": final.positions, "box": final.box} | {
                f"observable-{name}": values for name, values in run.observables.items()
            }
            if final.velocities is not None:
                arrays["velocities"] = final.velocities
            record = {
                "trajectory": run.trajectory.name if run.trajectory else None,
                "molecules": [[kind.name, count] for kind, count in system.molecules],
            }
            save_arrays(done, arrays, record)
        result = _load_result(done)
        if progress is not None:
            progress(stage.name, stage.length, stage.length)
    return result


def _stage_progress(progress: StageProgress, stage: Stage) -> Callable[[float], None]:
    return lambda done: progress(stage.name, done, stage.length)


def _load(path: Path) -> Configuration:
    arrays, _ = load_arrays(path)
    return Configuration(arrays["positions"], arrays["box"], arrays.get("velocities"))


def _load_result(path: Path) -> StageResult:
    arrays, record = load_arrays(path)
    observables = {
        name.removeprefix("observable-"): values
        for name, values in arrays.items()
        if name.startswith("observable-")
    }
    trajectory = path.parent / record["trajectory"] if record["trajectory"] else None
    return StageResult(_load(path), trajectory, observables)


def bilayer_path(lipids: Mapping[str, int], settings: ProtocolSettings) -> Path:
    """Return the cache's file of a relaxed bilayer; other settings have another file."""
    keys = (
        *("waters_per_lipid", "temperature", "pressure"),
        *("bilayer_relaxation", "equilibration_timestep"),
    )
    identity = {"lipids": list(lipids.items())} | {key: getattr(settings, key) for key in keys}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    name = "-".join(f"{lipid}{count}" for lipid, count in lipids.items())
    return cache_directory() / "bilayers" / f"{name}-{digest}.safetensors"


def equilibrated_bilayer(
    lipids: Mapping[str, int],
    settings: ProtocolSettings,
    engine: Engine,
    directory: Path,
    progress: StageProgress | None = None,
    *,
    seed: int = 1,
) -> tuple[MartiniSystem, Configuration]:
    """Return a relaxed bilayer without solute, from the cache if possible.

    Args:
        lipids: number in each leaflet, by name.
        settings: of the protocol.
        engine: that relaxes the bilayer if it is not in the cache.
        directory: for the engine's files.
        progress: called for every stage.
        seed: of the velocities and the thermostat, if the bilayer is not in the cache.
    """
    system, start = build_bilayer(lipids, waters_per_lipid=settings.waters_per_lipid)
    path = bilayer_path(lipids, settings)
    if not path.exists():
        require_folder(path.parent)  # before an hour of relaxation
        settle = _stage(settings, "settle", _SETTLE_LENGTH, seed).model_copy(
            update={"timestep": _SETTLE_TIMESTEP, "relaxing": True}
        )
        relax = _stage(settings, "relax", settings.bilayer_relaxation, seed)
        final = run_stages(
            system, start, [settle, relax], engine, directory / path.stem, progress
        ).configuration
        arrays = {"positions": final.positions, "box": final.box}
        if final.velocities is not None:
            arrays["velocities"] = final.velocities
        record = {"lipids": dict(lipids), "engine": f"{engine.name} {engine.version()}"}
        save_arrays(path, arrays, record)
    return system, _load(path)


def _stage(settings: ProtocolSettings, name: str, length: float, seed: int) -> Stage:
    """Return a stage of NPT equilibration."""
    return Stage(
        name=name,
        length=length,
        timestep=settings.equilibration_timestep,
        ensemble="NPT",
        temperature=settings.temperature,
        pressure=settings.pressure,
        seed=seed,
    )


def _stages(settings: ProtocolSettings, seed: int, *, membrane: bool) -> list[Stage]:
    """Return NVT, NPT and production, with the solute restrained only in a membrane."""
    common = {"isotropic": not membrane, "restraint": settings.restraint if membrane else None}
    production = {
        "timestep": settings.production_timestep,
        "frame_interval": settings.frame_interval,
    }
    return [
        _stage(settings, "nvt", settings.nvt, seed).model_copy(update=common | {"ensemble": "NVT"}),
        _stage(settings, "npt", settings.npt, seed).model_copy(update=common | {"relaxing": True}),
        _stage(settings, "production", settings.production, seed).model_copy(
            update=common | production
        ),
    ]


def run_solute(
    solute: str,
    lipids: Mapping[str, int],
    settings: ProtocolSettings,
    engine: Engine,
    directory: Path,
    *,
    seed: int,
    production: bool = True,
    progress: StageProgress | None = None,
) -> RunOutcome:
    """Simulate a solute restrained at the midplane of a bilayer, or free in a cube of water.

    Args:
        solute: its graph, such as ``C1-P4``.
        lipids: number in each leaflet, by name; none for water.
        settings: of the protocol.
        engine: that simulates.
        directory: for the engine's files; an interrupted run continues there.
        seed: of the solute's place, the velocities and the thermostat.
        production: False to end after the equilibration.
        progress: called for every stage.

    Raises:
        SimulationError: the engine failed.
    """
    molecule = parse_solute(solute)
    if lipids:
        bilayer = equilibrated_bilayer(lipids, settings, engine, directory / "bilayer", progress)
        system, start = insert_solute(*bilayer, molecule, z=settings.restraint.z, seed=seed)
    else:
        system, start = build_water_box(molecule, edge=settings.water_box, seed=seed)
    stages = _stages(settings, seed, membrane=bool(lipids))[: None if production else -1]
    return RunOutcome(system, run_stages(system, start, stages, engine, directory, progress))
