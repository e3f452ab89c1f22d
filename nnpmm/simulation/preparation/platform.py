"""Choose the OpenMM platform of a run."""

from __future__ import annotations

import openmm

from nnpmm.core import platforms
from nnpmm.models.threads import thread_count
from nnpmm.simulation.settings.config import PlatformConfig

__all__ = ["choose_platform"]


def choose_platform(
    settings: PlatformConfig, required: str | None = None
) -> tuple[openmm.Platform, dict[str, str]]:
    """Return a platform that works on this machine, and its properties.

    An OpenCL device that is a CPU counts as one that does not work (see `nnpmm.core.platforms`).

    Args:
        settings: name, precision and threads.
        required: platform that a checkpoint is bound to; replaces ``auto``.

    Raises:
        ConfigError: the platform is not available or does not work.
        ModelError: more threads than this machine can use.
    """
    wanted = required or settings.name
    if wanted in ("auto", "CPU"):
        thread_count(settings.threads)  # before a context starts so many
    return platforms.choose_platform(
        wanted,
        threads=settings.threads,
        precision=settings.precision,
        required=required is not None,
    )
