"""Choose the simulation engine: GROMACS or OpenMM."""

from __future__ import annotations

import shutil

from nnpmm.core.errors import ConfigError
from nnpmm.permeation.martini.engines import Engine

__all__ = ["ENGINES", "create_engine"]

ENGINES = ("auto", "gromacs", "openmm")


def create_engine(name: str = "auto", *, threads: int | None = None) -> Engine:
    """Return an engine by name.

    Args:
        name: ``gromacs``, ``openmm``, or ``auto``: OpenMM where it has a GPU, else GROMACS where
            ``gmx`` is on the PATH, else OpenMM.
        threads: of the processor; all cores if None.

    Raises:
        ConfigError: an unknown name.
        OptionalDependencyError: GROMACS is requested but not installed.
    """
    if name not in ENGINES:
        raise ConfigError(f"found the engine {name!r}, known engines: {', '.join(ENGINES)}")
    if name == "auto":
        name = "gromacs" if shutil.which("gmx") and not _openmm_has_gpu() else "openmm"
    if name == "gromacs":
        from nnpmm.permeation.martini.gromacs import GromacsEngine

        return GromacsEngine(threads=threads)
    from nnpmm.permeation.martini.openmm_engine import OpenMMEngine

    return OpenMMEngine(threads=threads)


def _openmm_has_gpu() -> bool:
    import openmm

    names = {
        openmm.Platform.getPlatform(n).getName() for n in range(openmm.Platform.getNumPlatforms())
    }
    return bool(names & {"CUDA", "HIP"})
