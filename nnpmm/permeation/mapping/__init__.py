"""Map a molecule's SMILES to Martini 2 beads."""

from nnpmm.permeation.mapping.beads import MappedBead, Mapping, map_molecule, map_smiles

__all__ = ["MappedBead", "Mapping", "map_molecule", "map_smiles"]
