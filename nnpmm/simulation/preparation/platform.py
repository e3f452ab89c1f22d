"""Choose the OpenMM platform of a run."""

from __future__ import annotations

import openmm

from nnpmm.core.errors import ConfigError
from nnpmm.core.platforms import device_properties, loaded_platforms, try_platform
from nnpmm.models.ani.threads import thread_count
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
        ConfigError: the platform is not there or does not work.
        ModelError: more threads than make sense here.
    """
    wanted = required or settings.name
    loaded = loaded_platforms()
    if wanted in ("auto", "CPU"):
        thread_count(settings.threads)  # before a context starts so many
    for name in loaded if wanted == "auto" else (wanted,):
        if name not in loaded:
            continue
        problem = try_platform(loaded[name])
        if problem is None:
            return loaded[name], _properties(name, settings)
        if wanted != "auto":
            raise ConfigError(f"platform.name: {name} does not work on this machine: {problem}")
    needed = " (the checkpoint is bound to it)" if required else ""
    raise ConfigError(
        f"platform.name: found {wanted}{needed}, available here: {', '.join(loaded)} "
        "(see nnpmm doctor)"
    )


def _properties(name: str, settings: PlatformConfig) -> dict[str, str]:
    if name in ("CUDA", "HIP", "OpenCL"):
        return {"Precision": settings.precision, **device_properties(name)}
    if name == "CPU" and settings.threads is not None:
        return {"Threads": str(settings.threads)}
    return {}
