"""Couple a region described by a network to its force-field surroundings."""

from nnpmm.core.geometry import make_whole
from nnpmm.coupling.binding import BoundRegion, Region, bind_region
from nnpmm.coupling.constraint_lengths import apply_constraint_lengths
from nnpmm.coupling.electrostatic import Electrostatic
from nnpmm.coupling.forces import has_inner_potential
from nnpmm.coupling.hybrid import Coupling, HybridSystem, couple, create_hybrid_system
from nnpmm.coupling.interpolation import LAMBDA_EMBEDDING, LAMBDA_NNP, nnp_derivative
from nnpmm.coupling.link_atoms import LinkAtoms
from nnpmm.coupling.mechanical import Mechanical
from nnpmm.coupling.roles import Role, forces_by_role, groups_by_role, role_of
from nnpmm.coupling.schemes import Interpolated, MultipleTimeSteps, Replaced
from nnpmm.coupling.subtractive import Subtractive
from nnpmm.coupling.time_scales import InnerTerms
from nnpmm.structures.bonds import topology_bonds

__all__ = [
    "LAMBDA_EMBEDDING",
    "LAMBDA_NNP",
    "BoundRegion",
    "Coupling",
    "Electrostatic",
    "HybridSystem",
    "InnerTerms",
    "Interpolated",
    "LinkAtoms",
    "Mechanical",
    "MultipleTimeSteps",
    "Region",
    "Replaced",
    "Role",
    "Subtractive",
    "apply_constraint_lengths",
    "bind_region",
    "couple",
    "create_hybrid_system",
    "forces_by_role",
    "groups_by_role",
    "has_inner_potential",
    "make_whole",
    "nnp_derivative",
    "role_of",
    "topology_bonds",
]
