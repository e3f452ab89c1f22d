"""Sampling: biases along variables, replica exchange that survives a crash, compression."""

from nnpmm.sampling.exchange import ReplicaExchange
from nnpmm.sampling.grids import BiasGrid, check_grids, grid_of
from nnpmm.sampling.liquids import Compression, compress_liquid, replace_box, require_liquid
from nnpmm.sampling.metadynamics import Gaussian, WellTempered
from nnpmm.sampling.record import (
    ExchangeRecord,
    ExchangeSettings,
    Samples,
    read_samples,
    write_samples,
)
from nnpmm.sampling.region_scaling import scale_region, scaling_states
from nnpmm.sampling.state_energies import StateEnergies, separate_groups
from nnpmm.sampling.together import step_together
from nnpmm.sampling.umbrella import (
    UmbrellaVariable,
    create_umbrella,
    umbrella_states,
    unbiased_state,
)

__all__ = [
    "BiasGrid",
    "Compression",
    "ExchangeRecord",
    "ExchangeSettings",
    "Gaussian",
    "ReplicaExchange",
    "Samples",
    "StateEnergies",
    "UmbrellaVariable",
    "WellTempered",
    "check_grids",
    "compress_liquid",
    "create_umbrella",
    "grid_of",
    "read_samples",
    "replace_box",
    "require_liquid",
    "scale_region",
    "scaling_states",
    "separate_groups",
    "step_together",
    "umbrella_states",
    "unbiased_state",
    "write_samples",
]
