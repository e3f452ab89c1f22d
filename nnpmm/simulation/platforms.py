"""Choose the OpenMM platform of a run."""

from __future__ import annotations

import openmm

from nnpmm.errors import ConfigError
from nnpmm.models.ani.threads import thread_count
from nnpmm.simulation.config import PlatformConfig

__all__ = ["choose_platform"]

_FASTEST_FIRST = ("CUDA", "HIP", "OpenCL", "CPU", "Reference")


def choose_platform(
    settings: PlatformConfig, required: str | None = None
) -> tuple[openmm.Platform, dict[str, str]]:
    """Return a platform that works on this machine, and its properties.

    Args:
        settings: name, precision and threads.
        required: platform that a checkpoint is bound to; replaces ``auto``.

    Raises:
        ConfigError: the platform is not there or does not work.
        ModelError: more threads than make sense here.
    """
    wanted = required or settings.name
    loaded = [
        openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())
    ]
    if wanted in ("auto", "CPU"):
        thread_count(settings.threads)  # before a context starts so many
    for name in _FASTEST_FIRST if wanted == "auto" else (wanted,):
        if name not in loaded:
            continue
        platform = openmm.Platform.getPlatformByName(name)
        problem = _problem(platform)
        if problem is None:
            return platform, _properties(name, settings)
        if wanted != "auto":
            raise ConfigError(f"platform.name: {name} does not work on this machine: {problem}")
    needed = " (the checkpoint is bound to it)" if required else ""
    raise ConfigError(
        f"platform.name: found {wanted}{needed}, available here: {', '.join(loaded)} "
        "(see nnpmm doctor)"
    )


def _properties(name: str, settings: PlatformConfig) -> dict[str, str]:
    if name in ("CUDA", "HIP", "OpenCL"):
        return {"Precision": settings.precision}
    if name == "CPU" and settings.threads is not None:
        return {"Threads": str(settings.threads)}
    return {}


def _problem(platform: openmm.Platform) -> str | None:
    """Return why a platform cannot run one particle here, e.g. for want of a device."""
    system = openmm.System()
    system.addParticle(1.0)
    try:
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    except openmm.OpenMMException as error:
        return str(error)
    del context
    return None
