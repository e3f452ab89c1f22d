"""The short analysis at the end of a run: motion and contacts of the region."""

from __future__ import annotations

import logging
from pathlib import Path

from nnpmm.analysis import Observations, observe
from nnpmm.core.errors import NnpmmError
from nnpmm.simulation.run_source import create_source
from nnpmm.simulation.settings.config import OutputConfig
from nnpmm.structures import MMSystem

__all__ = ["observe_run"]

_LOGGER = logging.getLogger(__name__)


def observe_run(
    mm: MMSystem, output: OutputConfig, region: tuple[int, ...], trajectory: Path, log: Path
) -> Observations | None:
    """Return the observables of the region along a trajectory, or None without a trajectory.

    The analysis is optional: if the trajectory cannot be read, there is only a warning.

    Args:
        mm: the system that it started from.
        output: its settings.
        region: 0-based indices of the region's atoms.
        trajectory: its file.
        log: its CSV log.
    """
    if not trajectory.is_file():
        return None
    try:
        source = create_source(
            trajectory,
            mm.topology,
            mm.positions,
            mm.box_vectors,
            wanted=output.trajectory_atoms,
            interval=output.trajectory_interval,
            region=region,
            log=log,
        )
        return observe(source)
    except NnpmmError as error:
        _LOGGER.warning("the report has no analysis of the trajectory: %s", error)
        return None
