"""Bins along one to three variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy.surfaces.samples import Axis, WeightedSamples

__all__ = ["Bins"]


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of equal width between two ends along each variable.

    Attributes:
        axes: the variables.
        edges: of the bins, (b + 1,) along each variable.
    """

    axes: tuple[Axis, ...]
    edges: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, samples: WeightedSamples, names: Sequence[str], count: int) -> Bins:
        """Return bins over the ranges of variables; without a range, over that of the samples.

        Args:
            samples: with these variables.
            names: of one to three variables.
            count: number of bins along each variable.

        Raises:
            ConfigError: no such variable, too many of them, or fewer than two bins.
            SimulationError: all samples have the same value.
        """
        if not 1 <= len(names) <= 3 or len(set(names)) < len(names):
            raise ConfigError(
                f"found the variables {', '.join(names)}, allowed: one to three different ones"
            )
        if count < 2:
            raise ConfigError(f"found {count} bins, allowed: two or more")
        axes, edges = [], []
        for name in names:
            column = samples.column(name)
            axis, values = samples.axes[column], samples.values[:, column]
            low, high = axis.ends if axis.ends is not None else (values.min(), values.max())
            if not high > low:
                raise SimulationError(f"{name}: found the same value in all samples, {low:g}")
            axes.append(axis)
            edges.append(np.linspace(low, high, count + 1))
        return cls(tuple(axes), tuple(edges))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of bins along each variable."""
        return tuple(len(edges) - 1 for edges in self.edges)

    @property
    def centres(self) -> tuple[NDArray[np.float64], ...]:
        """Of the bins, along each variable."""
        return tuple(0.5 * (edges[1:] + edges[:-1]) for edges in self.edges)

    def cells(self, samples: WeightedSamples) -> NDArray[np.int64]:
        """Return the flat index (n,) of each sample's bin; -1 outside."""
        count = len(samples.values)
        cells, inside = np.zeros(count, dtype=np.int64), np.ones(count, dtype=bool)
        for axis, edges in zip(self.axes, self.edges, strict=True):
            low, high, bins = edges[0], edges[-1], len(edges) - 1
            values = samples.values[:, samples.column(axis.name)]
            if axis.period is not None:
                values = low + (values - low) % axis.period
            index = np.floor((values - low) / (high - low) * bins).astype(np.int64)
            index = np.where(values == high, bins - 1, index)
            inside &= (index >= 0) & (index < bins)
            cells = cells * bins + np.clip(index, 0, bins - 1)
        return np.where(inside, cells, -1)

    def shares(self, cells: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fraction of the weights (k,) in each bin, flat, without those outside."""
        total = np.bincount(
            np.maximum(cells, 0), weights * (cells >= 0), minlength=int(np.prod(self.shape))
        )
        return np.asarray(total / total.sum())
