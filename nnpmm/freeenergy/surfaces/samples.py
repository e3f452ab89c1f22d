"""Samples of variables from biased runs, and the weights that remove the bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError

__all__ = ["Axis", "WeightedSamples", "pooled"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Axis:
    """A variable of samples.

    Attributes:
        name: of the variable.
        unit: ``"rad"``, ``"nm"`` or empty.
        period: after which values repeat, or None.
        ends: range of a surface along the variable; None: the range of the samples.
    """

    name: str
    unit: str = ""
    period: float | None = None
    ends: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class WeightedSamples:
    """Samples of one or more runs of one system.

    Attributes:
        axes: the m variables.
        values: (n, m).
        times: (n,) of each sample within its run, ps.
        runs: (n,) number of its run.
        temperature: of the unbiased ensemble, K.
        weigh: returns ln w (k,) of the k samples that a mask (n,) selects, up to a constant.
            Quantities that have to be fitted, such as MBAR's free energies, are fitted to these
            samples alone.
    """

    axes: tuple[Axis, ...]
    values: NDArray[np.float64]
    times: NDArray[np.float64]
    runs: NDArray[np.int64]
    temperature: float
    weigh: Callable[[Mask], NDArray[np.float64]]

    def weights(self, chosen: Mask | None = None) -> NDArray[np.float64]:
        """Return weights (k,) of chosen samples.

        The weights of a run add up to its fraction of the samples: biases of different runs have no
        common zero, so that only weights within a run can be compared.
        """
        mask = np.ones(len(self.values), dtype=bool) if chosen is None else chosen
        logs, runs = self.weigh(mask), self.runs[mask]
        weights = np.empty(len(logs))
        for run in np.unique(runs):
            rows = runs == run
            relative = np.exp(logs[rows] - logs[rows].max())
            weights[rows] = relative / relative.sum() * rows.mean()
        return weights

    def column(self, name: str) -> int:
        """Return the column of a variable.

        Raises:
            ConfigError: there is no such variable.
        """
        names = [axis.name for axis in self.axes]
        if name not in names:
            raise ConfigError(f"found the variable {name!r}, recorded are: {', '.join(names)}")
        return names.index(name)

    def after(self, fraction: float) -> WeightedSamples:
        """Return the samples without the first part of every run.

        Raises:
            ConfigError: not a fraction from 0 to below 1.
        """
        if not 0 <= fraction < 1:
            raise ConfigError(
                f"found a discarded fraction of {fraction:g}, allowed: 0 or more, less than 1"
            )
        kept = np.zeros(len(self.values), dtype=bool)
        for run in np.unique(self.runs):
            rows = np.flatnonzero(self.runs == run)
            start, end = self.times[rows].min(), self.times[rows].max()
            kept[rows] = self.times[rows] >= start + fraction * (end - start)
        return self.chosen(kept)

    def chosen(self, mask: Mask) -> WeightedSamples:
        """Return some of the samples."""
        indices = np.flatnonzero(mask)

        def weigh(part: Mask) -> NDArray[np.float64]:
            of_all = np.zeros(len(mask), dtype=bool)
            of_all[indices[part]] = True
            return self.weigh(of_all)

        return replace(
            self,
            values=self.values[mask],
            times=self.times[mask],
            runs=self.runs[mask],
            weigh=weigh,
        )

    def blocks(self, count: int) -> NDArray[np.int64]:
        """Return the number (n,) of each sample's block; each run is cut into equal times."""
        numbers = np.empty(len(self.values), dtype=np.int64)
        for number, run in enumerate(np.unique(self.runs)):
            rows = np.flatnonzero(self.runs == run)
            ranks = np.searchsorted(np.unique(self.times[rows]), self.times[rows])
            total = ranks.max() + 1
            numbers[rows] = number * count + ranks * count // total
        return numbers


def pooled(parts: Sequence[WeightedSamples]) -> WeightedSamples:
    """Return the samples of several runs of one system together.

    Raises:
        ConfigError: no runs, or runs of other variables or temperatures.
    """
    if not parts:
        raise ConfigError("found no samples, expected those of one or more runs")
    first = parts[0]
    for part in parts:
        if part.axes != first.axes or part.temperature != first.temperature:
            raise ConfigError(
                "found runs of different variables, ranges or temperatures; give runs with the "
                "same settings"
            )
    ends = np.cumsum([0, *(len(part.values) for part in parts)])

    def weigh(mask: Mask) -> NDArray[np.float64]:
        pieces = [
            part.weigh(mask[start:end])
            for part, start, end in zip(parts, ends[:-1], ends[1:], strict=True)
            if mask[start:end].any()
        ]
        return np.concatenate(pieces)

    runs = [np.full(len(part.values), number) for number, part in enumerate(parts)]
    return WeightedSamples(
        first.axes,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate(runs),
        first.temperature,
        weigh,
    )
