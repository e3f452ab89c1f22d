"""Free-energy surfaces from biased samples: weights, errors, minima, convergence, averages."""

from nnpmm.freeenergy.surfaces.bins import Bins
from nnpmm.freeenergy.surfaces.minima import Basins, Minimum, find_basins, find_minima
from nnpmm.freeenergy.surfaces.samples import Axis, WeightedSamples, pooled
from nnpmm.freeenergy.surfaces.surface import (
    Convergence,
    Surface,
    average_of,
    convergence_of,
    difference_below,
    surface_of,
)
from nnpmm.freeenergy.surfaces.weights import mbar_weights, metadynamics_offsets

__all__ = [
    "Axis",
    "Basins",
    "Bins",
    "Convergence",
    "Minimum",
    "Surface",
    "WeightedSamples",
    "average_of",
    "convergence_of",
    "difference_below",
    "find_basins",
    "find_minima",
    "mbar_weights",
    "metadynamics_offsets",
    "pooled",
    "surface_of",
]
