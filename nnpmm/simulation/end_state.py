"""Reweight the force field's free energy to the network, from trajectories of any program.

G(NNP/MM) - G(MM) in one environment follows from frames of the force field, better from frames of
both (`nnpmm.freeenergy.reweight`). The difference between two environments, such as water and
vacuum or two solvents, is the network's correction to the free energy between them.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.frames import FrameReader
from nnpmm.analysis.sources import Source
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.freeenergy import Estimate, Reweighting, region_differences, reweight
from nnpmm.simulation.runner import link_atoms, load_network, load_region
from nnpmm.simulation.settings.config import RunConfig
from nnpmm.structures import MMSystem

__all__ = ["difference_of", "reweight_trajectories"]

_LOGGER = logging.getLogger(__name__)
_MAX_LISTED = 8  # frames named in a warning


def reweight_trajectories(
    config: RunConfig,
    trajectories: Sequence[Path],
    network_trajectories: Sequence[Path] = (),
    *,
    leave_out_changed_bonds: bool = False,
    progress: Callable[[Path, int, int], None] = lambda *_: None,
) -> Reweighting:
    """Return G(NNP/MM) - G(MM) of the system and region of a run.

    Frames are read in chunks. They must contain all atoms of the system. Several trajectories are
    read one after the other as one series.

    Args:
        config: settings of ``nnpmm run``; system, region, coupling and temperature are used.
        trajectories: trajectories of the force field, in formats that mdtraj reads.
        network_trajectories: trajectories of NNP/MM.
        leave_out_changed_bonds: leave out frames in which bonds of the region have broken or
            formed, as after a proton transfer; a warning names them. The result is then that of the
            topology's bonds. By default such frames are an error.
        progress: called with the file, the frames read, and the frames in the file.

    Raises:
        ConfigError: no trajectory, or frames without a box for a periodic system.
        InputFileError: a trajectory cannot be read, or has different atoms.
        SimulationError: the two ensembles overlap too little, or bonds of the region have changed;
            the message names the frames.
        NnpmmError: the system, the selection or the network cannot be used.
    """
    if not trajectories:
        raise ConfigError("found no trajectory of the force field; give one or more")
    for path in (*trajectories, *network_trajectories):
        if not path.is_file():
            raise InputFileError(f"{path}: found no such file; check the path")
    embedding = _embedding(config)
    mm, atoms, name = load_region(config)
    model = load_network(config, name)

    def differences(path: Path) -> NDArray[np.float64]:
        positions, boxes = itertools.tee(_frames(mm, path, progress))
        periodic = mm.system.usesPeriodicBoundaryConditions()
        try:
            found = region_differences(
                mm.system,
                mm.topology,
                atoms,
                model,
                positions=(frame for frame, _ in positions),
                boxes=(box for _, box in boxes) if periodic else None,
                boundary=link_atoms(config),
                embedding=embedding,
                changed_bonds="nan" if leave_out_changed_bonds else "refuse",
            )
        except SimulationError as error:
            raise SimulationError(f"{path}: {error}") from error
        return _without_marked_frames(found, path)

    def series(paths: Sequence[Path]) -> NDArray[np.float64]:
        return np.concatenate([differences(path) for path in paths])

    return reweight(
        series(trajectories),
        series(network_trajectories) if network_trajectories else None,
        temperature=config.ensemble.temperature,
    )


def _embedding(config: RunConfig) -> Literal["mechanical", "subtractive"]:
    """Return the type of the coupling, which must not change the energy of the surroundings."""
    kind = config.coupling.type
    if kind == "electrostatic":
        raise ConfigError(
            "coupling.type: found electrostatic, allowed: mechanical, subtractive; with charges "
            "that follow the geometry the surroundings' part of the energy changes too"
        )
    return kind


def _without_marked_frames(differences: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """Leave out the frames whose difference is nan, with a warning."""
    changed = np.flatnonzero(np.isnan(differences))
    if len(changed):
        named = ", ".join(map(str, changed[:_MAX_LISTED]))
        more = f" and {len(changed) - _MAX_LISTED} more" if len(changed) > _MAX_LISTED else ""
        _LOGGER.warning(
            "%s: %d of %d frames are left out (%s%s), in which the region's bonds are not those of "
            "the topology; the free energy is that of the bonds of the topology",
            path,
            len(changed),
            len(differences),
            named,
            more,
        )
    return np.delete(differences, changed)


def difference_of(found: Reweighting, reference: Reweighting) -> Estimate:
    """Return the network's correction to the force field's free energy between two environments.

    Args:
        found: the final environment, for example water.
        reference: the initial environment, for example vacuum.
    """
    error = float(np.hypot(found.error, reference.error))
    return Estimate(found.difference - reference.difference, error)


def _frames(
    mm: MMSystem, path: Path, progress: Callable[[Path, int, int], None]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64] | None]]:
    """Yield positions (n, 3) and box (3, 3), nm, of each frame."""
    atoms = np.arange(mm.topology.getNumAtoms(), dtype=np.int64)
    reader, done = FrameReader(Source(path.stem, mm.topology, path), atoms), 0
    for chunk in reader:
        if chunk.boxes is None and mm.system.usesPeriodicBoundaryConditions():
            raise InputFileError(
                f"{path}: found no periodic boxes, expected one with every frame; write them, or "
                "use another format"
            )
        boxes = itertools.repeat(None) if chunk.boxes is None else chunk.boxes
        yield from zip(chunk.positions, boxes, strict=False)
        done += len(chunk.positions)
        progress(path, done, max(done, reader.announced))
    if reader.problem:
        _LOGGER.warning("%s: only %d frames are read: %s", path, done, reader.problem)
