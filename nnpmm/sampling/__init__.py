"""Sampling of many states: replica exchange in a folder that survives a crash."""

from nnpmm.sampling.exchange import ReplicaExchange
from nnpmm.sampling.record import ExchangeRecord, ExchangeSettings, Samples, read_samples
from nnpmm.sampling.state_energies import StateEnergies, separate_groups

__all__ = [
    "ExchangeRecord",
    "ExchangeSettings",
    "ReplicaExchange",
    "Samples",
    "StateEnergies",
    "read_samples",
    "separate_groups",
]
