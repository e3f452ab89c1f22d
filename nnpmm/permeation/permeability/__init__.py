"""The permeability of a membrane from profiles of free energy and diffusivity."""

from nnpmm.permeation.permeability.integral import Permeability, PermeationProfile, permeability

__all__ = ["Permeability", "PermeationProfile", "permeability"]
