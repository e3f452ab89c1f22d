"""AIMNet2: parameters, where they come from, and the torch module that evaluates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.models.aimnet.family import published_name
    from nnpmm.models.aimnet.model import AimnetEvaluator, AimnetModel
    from nnpmm.models.aimnet.parameters import AimnetParameters, Dispersion, Network
    from nnpmm.models.aimnet.storage import load_parameters, save_parameters
    from nnpmm.models.aimnet.weights import PUBLISHED, find_weights

__all__ = [
    "PUBLISHED",
    "AimnetEvaluator",
    "AimnetModel",
    "AimnetParameters",
    "Dispersion",
    "Network",
    "find_weights",
    "load_parameters",
    "published_name",
    "save_parameters",
]

lazy_names(
    __name__,
    {
        "PUBLISHED": "nnpmm.models.aimnet.weights",
        "AimnetEvaluator": "nnpmm.models.aimnet.model",
        "AimnetModel": "nnpmm.models.aimnet.model",
        "AimnetParameters": "nnpmm.models.aimnet.parameters",
        "Dispersion": "nnpmm.models.aimnet.parameters",
        "Network": "nnpmm.models.aimnet.parameters",
        "find_weights": "nnpmm.models.aimnet.weights",
        "load_parameters": "nnpmm.models.aimnet.storage",
        "published_name": "nnpmm.models.aimnet.family",
        "save_parameters": "nnpmm.models.aimnet.storage",
    },
)
