"""Alchemy: switch off the interactions of a region with its environment."""

from nnpmm.freeenergy.alchemy.decoupling import decouple
from nnpmm.freeenergy.alchemy.gradient import lambda_gradient
from nnpmm.freeenergy.alchemy.polarizable import (
    AMOEBA_STERICS,
    STAGES,
    Stage,
    decouple_amoeba,
    refuse_net_charge,
)
from nnpmm.freeenergy.alchemy.states import (
    LAMBDA_ELECTROSTATICS,
    LAMBDA_STERICS,
    AlchemicalState,
    decoupling_schedule,
)

__all__ = [
    "AMOEBA_STERICS",
    "LAMBDA_ELECTROSTATICS",
    "LAMBDA_STERICS",
    "STAGES",
    "AlchemicalState",
    "Stage",
    "decouple",
    "decouple_amoeba",
    "decoupling_schedule",
    "lambda_gradient",
    "refuse_net_charge",
]
