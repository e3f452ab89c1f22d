"""Relative binding free energies by alchemical transfer of two ligands that change places."""

from nnpmm.freeenergy.relative.states import TransferState, transfer_schedule
from nnpmm.freeenergy.relative.transfer import create_transfer_system, transfer_positions

__all__ = [
    "TransferState",
    "create_transfer_system",
    "transfer_positions",
    "transfer_schedule",
]
