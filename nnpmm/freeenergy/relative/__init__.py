"""Relative binding free energies by alchemical transfer, which exchanges two ligands."""

from nnpmm.freeenergy.relative.network_fit import (
    Agreement,
    Closure,
    Edge,
    NetworkFit,
    close_cycles,
    compare,
    fit_network,
)
from nnpmm.freeenergy.relative.result import EdgeResult, NetworkResult
from nnpmm.freeenergy.relative.settings import RelativeSettings
from nnpmm.freeenergy.relative.states import TransferState, transfer_schedule
from nnpmm.freeenergy.relative.transfer import create_transfer_system, transfer_positions
from nnpmm.freeenergy.relative.workflow import run_edge, run_network

__all__ = [
    "Agreement",
    "Closure",
    "Edge",
    "EdgeResult",
    "NetworkFit",
    "NetworkResult",
    "RelativeSettings",
    "TransferState",
    "close_cycles",
    "compare",
    "create_transfer_system",
    "fit_network",
    "run_edge",
    "run_network",
    "transfer_positions",
    "transfer_schedule",
]
