"""Free energies between force field and network: works of switching."""

from nnpmm.freeenergy.switching import forward_protocol, reverse_protocol, switch

__all__ = ["forward_protocol", "reverse_protocol", "switch"]
