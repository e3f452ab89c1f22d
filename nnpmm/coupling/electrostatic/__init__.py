"""Electrostatic embedding: charges of the region that follow its geometry."""

from nnpmm.coupling.electrostatic.embedding import Electrostatic

__all__ = ["Electrostatic"]
