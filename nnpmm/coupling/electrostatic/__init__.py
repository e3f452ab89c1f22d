"""Electrostatic embedding: charges of the region that follow its geometry."""

from nnpmm.coupling.electrostatic.embedding import Electrostatic
from nnpmm.coupling.electrostatic.scaling import embedding_energy, scale_embedding

__all__ = ["Electrostatic", "embedding_energy", "scale_embedding"]
