"""Collective variables that are networks trained on trajectories."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.sampling.learned.correlations import CorrelatedFeatures, correlated_features
    from nnpmm.sampling.learned.features import FeatureSet, choose_features
    from nnpmm.sampling.learned.projection import Projection, load_projection, save_projection
    from nnpmm.sampling.learned.training import Learned, LearningSettings, learn

__all__ = [
    "CorrelatedFeatures",
    "FeatureSet",
    "Learned",
    "LearningSettings",
    "Projection",
    "choose_features",
    "correlated_features",
    "learn",
    "load_projection",
    "save_projection",
]

lazy_names(
    __name__,
    {
        "CorrelatedFeatures": "nnpmm.sampling.learned.correlations",
        "FeatureSet": "nnpmm.sampling.learned.features",
        "Learned": "nnpmm.sampling.learned.training",
        "LearningSettings": "nnpmm.sampling.learned.training",
        "Projection": "nnpmm.sampling.learned.projection",
        "choose_features": "nnpmm.sampling.learned.features",
        "correlated_features": "nnpmm.sampling.learned.correlations",
        "learn": "nnpmm.sampling.learned.training",
        "load_projection": "nnpmm.sampling.learned.projection",
        "save_projection": "nnpmm.sampling.learned.projection",
    },
)
