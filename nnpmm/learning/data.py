"""Samples to learn from: sequences of named features, with a label for each sample."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError

__all__ = ["LabelledSamples", "checksum"]


@dataclass(frozen=True)
class LabelledSamples:
    """Features and labels of samples; labels, their errors and predictions have the same unit.

    Attributes:
        names: (samples,) unique; a model's card lists the samples by them.
        features: (samples, frames, features) float32, not scaled.
        labels: (samples,) float64, what a network learns.
        label_errors: (samples,) float64, standard deviations of the labels.
        feature_names: (features,) of the columns.
        sizes: (samples,) positive, which extensive networks need.
        groups: of each group's name, (samples,) the value of each sample, or several values of
            each, by which samples can be split.

    Raises:
        ConfigError: the arrays do not belong together, a name occurs twice, or a number is not
            finite.
    """

    names: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.float64]
    label_errors: NDArray[np.float64]
    feature_names: tuple[str, ...]
    sizes: NDArray[np.floating | np.integer] | None = None
    groups: Mapping[str, Sequence[str | Collection[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.names)
        if (
            self.features.ndim != 3
            or self.features.shape[0] != count
            or self.features.shape[2] != len(self.feature_names)
            or self.labels.shape != (count,)
            or self.label_errors.shape != (count,)
        ):
            raise ConfigError(
                f"found {count} names of samples, features {self.features.shape}, "
                f"{len(self.feature_names)} names of features, labels {self.labels.shape} and "
                f"errors {self.label_errors.shape}: their lengths differ"
            )
        name, most = max(Counter(self.names).items(), key=lambda item: item[1], default=("", 0))
        if most > 1:
            raise ConfigError(f"found {most} samples named {name}, allowed: one; rename the others")
        counts = {f"group {name}": len(values) for name, values in self.groups.items()}
        if self.sizes is not None:
            counts["sizes"] = len(self.sizes)
        for what, entries in counts.items():
            if entries != count:
                raise ConfigError(f"{what}: found {entries} entries for {count} samples")
        if not np.isfinite([self.labels, self.label_errors]).all():
            raise ConfigError(
                "found a label or its error that is not finite: calculate labels again"
            )
        finite = np.isfinite(self.features).all(axis=(1, 2))
        if not finite.all():
            worst = self.names[int(finite.argmin())]
            raise ConfigError(
                f"found features of {worst} that are not finite: calculate them again"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, samples: NDArray[np.integer]) -> LabelledSamples:
        """Return some of the samples, by index."""
        return LabelledSamples(
            tuple(self.names[n] for n in samples),
            self.features[samples],
            self.labels[samples],
            self.label_errors[samples],
            self.feature_names,
            None if self.sizes is None else self.sizes[samples],
            {name: [values[n] for n in samples] for name, values in self.groups.items()},
        )

    def digest(self) -> str:
        """Return the sha256 of names, features, labels and sizes as hex digits; not of groups."""
        sizes = None if self.sizes is None else tuple(self.sizes.tolist())
        description = (self.names, self.feature_names, sizes)
        return checksum(description, self.features, self.labels, self.label_errors)


def checksum(
    description: tuple[object, ...],
    features: NDArray[np.floating],
    labels: NDArray[np.floating],
    label_errors: NDArray[np.floating],
) -> str:
    """Return a sha256 of samples, as hex digits, which is the same on every machine.

    Args:
        description: what else distinguishes samples; tuples of text and numbers.
        features: (samples, frames, features), hashed in single precision.
        labels: (samples,), hashed in double precision.
        label_errors: (samples,), hashed in double precision.
    """
    digest = hashlib.sha256(repr(description).encode())
    digest.update(repr(features.shape).encode())
    digest.update(np.ascontiguousarray(features, dtype="<f4").tobytes())
    for numbers in (labels, label_errors):
        digest.update(np.ascontiguousarray(numbers, dtype="<f8").tobytes())
    return digest.hexdigest()
