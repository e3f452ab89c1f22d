"""Absolute binding free energies with a network and with the force field."""

from nnpmm.freeenergy.binding.boresch import (
    BoreschRestraint,
    create_restraint_force,
    release_free_energy,
    stiff_release_free_energy,
)
from nnpmm.freeenergy.binding.result import BindingResult
from nnpmm.freeenergy.binding.settings import (
    BindingSettings,
    ComplexLadderSettings,
    PilotSettings,
    RestraintSettings,
)
from nnpmm.freeenergy.binding.workflow import run_binding

__all__ = [
    "BindingResult",
    "BindingSettings",
    "BoreschRestraint",
    "ComplexLadderSettings",
    "PilotSettings",
    "RestraintSettings",
    "create_restraint_force",
    "release_free_energy",
    "run_binding",
    "stiff_release_free_energy",
]
