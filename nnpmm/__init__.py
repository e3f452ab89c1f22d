"""nnpmm: hybrid neural-network-potential / molecular-mechanics simulation on OpenMM.

>>> import nnpmm
>>> model = nnpmm.load_model("ANI-2x")
>>> region = nnpmm.select_atoms(topology, "resname MOL")
>>> system = nnpmm.create_hybrid_system(mm_system, topology, region, model)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm._version import __version__
from nnpmm.core.errors import NnpmmError
from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm import coupling, freeenergy, integrators, models, simulation, structures
    from nnpmm.core.platforms import fastest_platform
    from nnpmm.coupling import HybridSystem, couple, create_hybrid_system
    from nnpmm.models import load_model, read_model_file
    from nnpmm.structures import select_atoms

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
    "load_model",
    "models",
    "read_model_file",
    "select_atoms",
    "simulation",
    "structures",
]

lazy_names(
    __name__,
    {
        "HybridSystem": "nnpmm.coupling",
        "couple": "nnpmm.coupling",
        "coupling": "nnpmm.coupling",
        "create_hybrid_system": "nnpmm.coupling",
        "fastest_platform": "nnpmm.core.platforms",
        "freeenergy": "nnpmm.freeenergy",
        "integrators": "nnpmm.integrators",
        "load_model": "nnpmm.models",
        "models": "nnpmm.models",
        "read_model_file": "nnpmm.models",
        "select_atoms": "nnpmm.structures",
        "simulation": "nnpmm.simulation",
        "structures": "nnpmm.structures",
    },
)
