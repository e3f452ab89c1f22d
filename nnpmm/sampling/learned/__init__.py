"""Collective variables that are networks trained on trajectories."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.sampling.learned.features import FeatureSet, choose_features
    from nnpmm.sampling.learned.meaning import Meaning, meaning_of
    from nnpmm.sampling.learned.projection import Projection, load_projection, save_projection
    from nnpmm.sampling.learned.training import Learned, LearningSettings, learn

__all__ = [
    "FeatureSet",
    "Learned",
    "LearningSettings",
    "Meaning",
    "Projection",
    "choose_features",
    "learn",
    "load_projection",
    "meaning_of",
    "save_projection",
]

lazy_names(
    __name__,
    {
        "FeatureSet": "nnpmm.sampling.learned.features",
        "Learned": "nnpmm.sampling.learned.training",
        "LearningSettings": "nnpmm.sampling.learned.training",
        "Meaning": "nnpmm.sampling.learned.meaning",
        "Projection": "nnpmm.sampling.learned.projection",
        "choose_features": "nnpmm.sampling.learned.features",
        "learn": "nnpmm.sampling.learned.training",
        "load_projection": "nnpmm.sampling.learned.projection",
        "meaning_of": "nnpmm.sampling.learned.meaning",
        "save_projection": "nnpmm.sampling.learned.projection",
    },
)
