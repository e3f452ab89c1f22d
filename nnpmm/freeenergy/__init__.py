"""Free energies: estimators, ladders of states, reweighting and non-equilibrium switching."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.freeenergy.differences import region_differences
    from nnpmm.freeenergy.estimators import (
        Estimate,
        FreeEnergies,
        bar,
        combine,
        exponential_average,
        mbar,
        subsample,
    )
    from nnpmm.freeenergy.ladders import Convergence, convergence, solve_ladder, write_xvg
    from nnpmm.freeenergy.reweighting import Reweighting, reweight
    from nnpmm.freeenergy.schedules import place_states, thermodynamic_lengths
    from nnpmm.freeenergy.switching import forward_protocol, reverse_protocol, switch

__all__ = [
    "Convergence",
    "Estimate",
    "FreeEnergies",
    "Reweighting",
    "bar",
    "combine",
    "convergence",
    "exponential_average",
    "forward_protocol",
    "mbar",
    "place_states",
    "region_differences",
    "reverse_protocol",
    "reweight",
    "solve_ladder",
    "subsample",
    "switch",
    "thermodynamic_lengths",
    "write_xvg",
]

lazy_names(
    __name__,
    {
        "Convergence": "nnpmm.freeenergy.ladders",
        "Estimate": "nnpmm.freeenergy.estimators",
        "FreeEnergies": "nnpmm.freeenergy.estimators",
        "Reweighting": "nnpmm.freeenergy.reweighting",
        "bar": "nnpmm.freeenergy.estimators",
        "combine": "nnpmm.freeenergy.estimators",
        "convergence": "nnpmm.freeenergy.ladders",
        "exponential_average": "nnpmm.freeenergy.estimators",
        "forward_protocol": "nnpmm.freeenergy.switching",
        "mbar": "nnpmm.freeenergy.estimators",
        "place_states": "nnpmm.freeenergy.schedules",
        "region_differences": "nnpmm.freeenergy.differences",
        "reverse_protocol": "nnpmm.freeenergy.switching",
        "reweight": "nnpmm.freeenergy.reweighting",
        "solve_ladder": "nnpmm.freeenergy.ladders",
        "subsample": "nnpmm.freeenergy.estimators",
        "switch": "nnpmm.freeenergy.switching",
        "thermodynamic_lengths": "nnpmm.freeenergy.schedules",
        "write_xvg": "nnpmm.freeenergy.ladders",
    },
)
