"""How a region described by a network and its force-field surroundings are joined."""

from nnpmm.coupling.binding import BoundRegion, bind_region
from nnpmm.coupling.constraint_lengths import apply_constraint_lengths
from nnpmm.coupling.forces import NEGATED_MM_FORCE_NAME, REGION_MM_FORCE_NAME, has_stand_in
from nnpmm.coupling.interpolation import LAMBDA_NNP, nnp_derivative
from nnpmm.coupling.mechanical import Mechanical, create_hybrid_system
from nnpmm.coupling.time_scales import InnerTerms
from nnpmm.coupling.transports import INNER_NNP_FORCE_NAME, NNP_FORCE_NAME
from nnpmm.coupling.whole import make_whole, topology_bonds

__all__ = [
    "INNER_NNP_FORCE_NAME",
    "LAMBDA_NNP",
    "NEGATED_MM_FORCE_NAME",
    "NNP_FORCE_NAME",
    "REGION_MM_FORCE_NAME",
    "BoundRegion",
    "InnerTerms",
    "Mechanical",
    "apply_constraint_lengths",
    "bind_region",
    "create_hybrid_system",
    "has_stand_in",
    "make_whole",
    "nnp_derivative",
    "topology_bonds",
]
