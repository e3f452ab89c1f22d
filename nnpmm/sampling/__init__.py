"""Sampling: replica exchange in a folder that survives a crash, and compression of liquids."""

from nnpmm.sampling.exchange import ReplicaExchange
from nnpmm.sampling.liquids import Compression, compress_liquid, replace_box, require_liquid
from nnpmm.sampling.record import (
    ExchangeRecord,
    ExchangeSettings,
    Samples,
    read_samples,
    write_samples,
)
from nnpmm.sampling.state_energies import StateEnergies, separate_groups

__all__ = [
    "Compression",
    "ExchangeRecord",
    "ExchangeSettings",
    "ReplicaExchange",
    "Samples",
    "StateEnergies",
    "compress_liquid",
    "read_samples",
    "replace_box",
    "require_liquid",
    "separate_groups",
    "write_samples",
]
