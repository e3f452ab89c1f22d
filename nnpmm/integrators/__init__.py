"""Time integration: masses that allow longer steps."""

from nnpmm.integrators.masses import apply_hydrogen_mass

__all__ = ["apply_hydrogen_mass"]
