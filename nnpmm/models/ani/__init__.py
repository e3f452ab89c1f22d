"""ANI: parameters, where they come from, and the backends that evaluate them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.models.ani.backends import BACKENDS, choose_backend
    from nnpmm.models.ani.family import published_name
    from nnpmm.models.ani.model import AniEvaluator, AniModel
    from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions
    from nnpmm.models.ani.storage import load_parameters, save_parameters
    from nnpmm.models.ani.torchani_kernel import parameters_from_torchani
    from nnpmm.models.ani.weights import PUBLISHED, find_weights
    from nnpmm.models.devices import choose_device

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
    "published_name",
    "save_parameters",
]

lazy_names(
    __name__,
    {
        "BACKENDS": "nnpmm.models.ani.backends",
        "PUBLISHED": "nnpmm.models.ani.weights",
        "AniEvaluator": "nnpmm.models.ani.model",
        "AniModel": "nnpmm.models.ani.model",
        "AniParameters": "nnpmm.models.ani.parameters",
        "Layer": "nnpmm.models.ani.parameters",
        "SymmetryFunctions": "nnpmm.models.ani.parameters",
        "choose_backend": "nnpmm.models.ani.backends",
        "choose_device": "nnpmm.models.devices",
        "find_weights": "nnpmm.models.ani.weights",
        "load_parameters": "nnpmm.models.ani.storage",
        "parameters_from_torchani": "nnpmm.models.ani.torchani_kernel",
        "published_name": "nnpmm.models.ani.family",
        "save_parameters": "nnpmm.models.ani.storage",
    },
)
