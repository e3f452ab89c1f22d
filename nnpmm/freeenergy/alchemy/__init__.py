"""Alchemy: a region whose interactions with its environment can be scaled away."""

from nnpmm.freeenergy.alchemy.decoupling import decouple
from nnpmm.freeenergy.alchemy.gradient import lambda_gradient
from nnpmm.freeenergy.alchemy.states import (
    LAMBDA_ELECTROSTATICS,
    LAMBDA_STERICS,
    AlchemicalState,
    decoupling_schedule,
)

__all__ = [
    "LAMBDA_ELECTROSTATICS",
    "LAMBDA_STERICS",
    "AlchemicalState",
    "decouple",
    "decoupling_schedule",
    "lambda_gradient",
]
