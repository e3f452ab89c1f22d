"""Time integration: several time steps at once, and masses that allow longer ones."""

from nnpmm.integrators.inner_potential import InnerPotential, fit_inner_potential
from nnpmm.integrators.masses import apply_hydrogen_mass, scale_masses
from nnpmm.integrators.respa import RespaIntegrator, create_respa_integrator
from nnpmm.integrators.splitting import Level
from nnpmm.integrators.time_scales import split_time_scales

__all__ = [
    "InnerPotential",
    "Level",
    "RespaIntegrator",
    "apply_hydrogen_mass",
    "create_respa_integrator",
    "fit_inner_potential",
    "scale_masses",
    "split_time_scales",
]
