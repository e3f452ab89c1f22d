"""nnpmm: hybrid neural-network-potential / molecular-mechanics simulation on OpenMM.

>>> import nnpmm
>>> model = nnpmm.load_model("ANI-2x")
>>> region = nnpmm.select_atoms(topology, "resname MOL")
>>> system = nnpmm.create_hybrid_system(mm_system, topology, region, model)
"""

from __future__ import annotations

import importlib
from types import ModuleType

from nnpmm import coupling, freeenergy, integrators
from nnpmm._version import __version__
from nnpmm.coupling import create_hybrid_system
from nnpmm.errors import NnpmmError
from nnpmm.models import load_model, read_model_file
from nnpmm.platforms import fastest_platform
from nnpmm.selection import select_atoms

__all__ = [
    "NnpmmError",
    "__version__",
    "coupling",
    "create_hybrid_system",
    "fastest_platform",
    "freeenergy",
    "integrators",
    "load_model",
    "read_model_file",
    "select_atoms",
]


def __getattr__(name: str) -> ModuleType:
    """Import ``nnpmm.simulation`` when it is asked for: its plots take a fifth of the start-up."""
    if name == "simulation":
        return importlib.import_module("nnpmm.simulation")
    raise AttributeError(f"module 'nnpmm' has no attribute {name!r}")
