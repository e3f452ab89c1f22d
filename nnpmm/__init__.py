"""nnpmm: hybrid neural-network-potential / molecular-mechanics simulation on OpenMM.

>>> import nnpmm
>>> model = nnpmm.load_model("ANI-2x")
>>> region = nnpmm.select_atoms(topology, "resname MOL")
>>> system = nnpmm.create_hybrid_system(mm_system, topology, region, model)
"""

from nnpmm import coupling
from nnpmm._version import __version__
from nnpmm.coupling import create_hybrid_system
from nnpmm.errors import NnpmmError
from nnpmm.models import load_model, read_model_file
from nnpmm.selection import select_atoms

__all__ = [
    "NnpmmError",
    "__version__",
    "coupling",
    "create_hybrid_system",
    "load_model",
    "read_model_file",
    "select_atoms",
]
