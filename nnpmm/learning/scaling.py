"""Min-max scaling of features, with bounds from the training samples alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError

__all__ = ["MinMaxScaler", "fit_scaler"]


@dataclass(frozen=True)
class MinMaxScaler:
    """Maps each feature to (x - minimum) / (maximum - minimum).

    Values outside of the bounds, as test samples may have, map to values outside of [0, 1]: they
    are not clipped.

    Attributes:
        minimum: (features,) in the unit of each feature.
        maximum: (features,) the same, larger than ``minimum``.
    """

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return scaled features of the same shape, (..., features)."""
        # In double precision: single precision would round off fluctuations of large values, such
        # as enthalpies of -1e5 kJ/mol.
        values = features.astype(np.float64)
        return ((values - self.minimum) / (self.maximum - self.minimum)).astype(np.float32)


def fit_scaler(features: NDArray[np.floating], names: tuple[str, ...]) -> MinMaxScaler:
    """Return the scaler that maps each feature of these samples onto [0, 1].

    Args:
        features: (samples, frames, features), of training samples only.
        names: of the features, for messages.

    Raises:
        ConfigError: a feature is not finite, or the same everywhere.
    """
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    minimum, maximum = rows.min(axis=0), rows.max(axis=0)
    for name, low, high in zip(names, minimum, maximum, strict=True):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ConfigError(
                f"feature {name}: found values that are not finite; calculate it again"
            )
        if low == high:
            raise ConfigError(
                f"feature {name}: found {low:g} in all training samples, so that it cannot be "
                "scaled; add samples or remove the feature"
            )
    return MinMaxScaler(minimum, maximum)
