"""ANI: parameters, where they come from, and the backends that evaluate them."""

from nnpmm.models.ani.backends import BACKENDS, choose_backend, choose_device
from nnpmm.models.ani.model import AniEvaluator, AniModel
from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions
from nnpmm.models.ani.storage import load_parameters, save_parameters
from nnpmm.models.ani.torchani_kernel import parameters_from_torchani
from nnpmm.models.ani.weights import PUBLISHED, find_weights

__all__ = [
    "BACKENDS",
    "PUBLISHED",
    "AniEvaluator",
    "AniModel",
    "AniParameters",
    "Layer",
    "SymmetryFunctions",
    "choose_backend",
    "choose_device",
    "find_weights",
    "load_parameters",
    "parameters_from_torchani",
    "save_parameters",
]
