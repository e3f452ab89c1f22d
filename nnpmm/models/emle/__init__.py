"""EMLE: charges of a molecule, spread out and polarizable, for electrostatic embedding."""

from nnpmm.models.emle.model import EmleCharges
from nnpmm.models.emle.storage import load_emle

__all__ = ["EmleCharges", "load_emle"]
