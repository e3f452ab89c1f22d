"""Molecules as graphs: networks that learn from geometries, and predict properties of molecules."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.graphs.enumeration import recombined
    from nnpmm.graphs.finetuning import finetune
    from nnpmm.graphs.pretraining import PretrainedCard, load_pretrained, pretrain
    from nnpmm.graphs.properties import PropertyCard, PropertyModel, load_property_model
    from nnpmm.graphs.settings import (
        FinetuningSettings,
        GraphSettings,
        PretrainingSettings,
        SpatialSettings,
    )

__all__ = [
    "FinetuningSettings",
    "GraphSettings",
    "PretrainedCard",
    "PretrainingSettings",
    "PropertyCard",
    "PropertyModel",
    "SpatialSettings",
    "finetune",
    "load_pretrained",
    "load_property_model",
    "pretrain",
    "recombined",
]

lazy_names(
    __name__,
    {
        "FinetuningSettings": "nnpmm.graphs.settings",
        "GraphSettings": "nnpmm.graphs.settings",
        "PretrainedCard": "nnpmm.graphs.pretraining",
        "PretrainingSettings": "nnpmm.graphs.settings",
        "PropertyCard": "nnpmm.graphs.properties",
        "PropertyModel": "nnpmm.graphs.properties",
        "SpatialSettings": "nnpmm.graphs.settings",
        "finetune": "nnpmm.graphs.finetuning",
        "load_pretrained": "nnpmm.graphs.pretraining",
        "load_property_model": "nnpmm.graphs.properties",
        "pretrain": "nnpmm.graphs.pretraining",
        "recombined": "nnpmm.graphs.enumeration",
    },
)
