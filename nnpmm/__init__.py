"""nnpmm: hybrid neural-network-potential / molecular-mechanics simulation on OpenMM.

>>> import nnpmm
>>> model = nnpmm.load_model("ANI-2x")
>>> region = nnpmm.select_atoms(topology, "resname MOL")
>>> system = nnpmm.create_hybrid_system(mm_system, topology, region, model)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnpmm._version import __version__
from nnpmm.errors import NnpmmError

if TYPE_CHECKING:
    from nnpmm import coupling, freeenergy, integrators, ligands, models, simulation
    from nnpmm.coupling import HybridSystem, couple, create_hybrid_system
    from nnpmm.models import load_model, read_model_file
    from nnpmm.platforms import fastest_platform
    from nnpmm.selection import select_atoms

__all__ = [
    "HybridSystem",
    "NnpmmError",
    "__version__",
    "couple",
    "coupling",
    "create_hybrid_system",
    "fastest_platform",
    "freeenergy",
    "integrators",
    "ligands",
    "load_model",
    "models",
    "read_model_file",
    "select_atoms",
    "simulation",
]

# Name -> module that is, or holds, it. Imported on demand: torch, OpenMM, rdkit and matplotlib
# together take seconds.
_LAZY = {
    "HybridSystem": "nnpmm.coupling",
    "couple": "nnpmm.coupling",
    "coupling": "nnpmm.coupling",
    "create_hybrid_system": "nnpmm.coupling",
    "fastest_platform": "nnpmm.platforms",
    "freeenergy": "nnpmm.freeenergy",
    "integrators": "nnpmm.integrators",
    "ligands": "nnpmm.ligands",
    "load_model": "nnpmm.models",
    "models": "nnpmm.models",
    "read_model_file": "nnpmm.models",
    "select_atoms": "nnpmm.selection",
    "simulation": "nnpmm.simulation",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'nnpmm' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    value = module if _LAZY[name] == f"nnpmm.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
