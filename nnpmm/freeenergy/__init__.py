"""Free energies between force field and network: works of switching, and reweighting of frames."""

from nnpmm.freeenergy.differences import region_differences
from nnpmm.freeenergy.reweighting import Reweighting, reweight
from nnpmm.freeenergy.switching import forward_protocol, reverse_protocol, switch

__all__ = [
    "Reweighting",
    "forward_protocol",
    "region_differences",
    "reverse_protocol",
    "reweight",
    "switch",
]
