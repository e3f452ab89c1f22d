"""Splits of samples into those for training, for choosing the best epoch, and for testing.

A request is ``random``; ``GROUP``, which keeps samples of the same value of that group together; or
``GROUP:VALUE,...``, which leaves out the samples with one of these values for testing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError

__all__ = ["Split", "make_split"]


class Split(NamedTuple):
    """Indices of samples, each in exactly one of three sorted arrays, none of which is empty."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def make_split(
    request: str,
    groups: Mapping[str, Sequence[str | Collection[str]]],
    samples: int,
    *,
    seed: int,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> Split:
    """Divide samples into those for training, for validation and for testing.

    Args:
        request: ``random``, ``GROUP`` or ``GROUP:VALUE,...``.
        groups: of each group's name, (samples,) the value of each sample, or a collection of
            values where a sample has several. Only groups of single values can be kept together.
        samples: number of samples.
        seed: of the division.
        shares: of training, validation and test samples. Only their ratios matter: they need not
            add up to 1. A split that leaves samples out ignores the third.

    Raises:
        ConfigError: the request is unknown, leaves out nothing or everything, or there are too
            few samples; or a group does not have one entry for each sample.
    """
    for name, values in groups.items():
        if len(values) != samples:
            raise ConfigError(f"group {name}: found {len(values)} values for {samples} samples")
    rng = np.random.default_rng(seed)
    name, colon, text = request.partition(":")
    wanted = [value.strip() for value in text.split(",") if value.strip()]
    if request == "random":
        parts = _divide(np.arange(samples), shares, rng)
    elif not colon and name in _single_valued(groups):
        parts = _divide(_numbered(groups[name]), shares, rng)
    elif name in groups and wanted:
        parts = _leave_out(_as_sets(groups[name]), wanted, request, shares[:2], rng)
    else:
        raise ConfigError(f"found the split {request!r}, allowed: {_allowed(groups)}")
    if len(set(parts.tolist())) < 3:
        raise ConfigError(
            f"split {request!r} of {samples} samples leaves training, validation or test "
            "empty: add samples, or use another split"
        )
    return Split(*(np.flatnonzero(parts == part) for part in range(3)))


def _single_valued(groups: Mapping[str, Sequence[str | Collection[str]]]) -> list[str]:
    return [
        name for name, values in groups.items() if all(isinstance(value, str) for value in values)
    ]


def _allowed(groups: Mapping[str, Sequence[str | Collection[str]]]) -> str:
    left_out = [f"{name}:VALUE,..." for name in groups]
    return ", ".join(["random", *_single_valued(groups), *left_out])


def _numbered(values: Sequence[str | Collection[str]]) -> NDArray[np.int64]:
    """Return the number of each sample's group, (samples,)."""
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)


def _as_sets(values: Sequence[str | Collection[str]]) -> list[set[str]]:
    return [{value} if isinstance(value, str) else set(value) for value in values]


def _divide(
    groups: NDArray[np.int64], shares: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the part, 0, 1, ..., of each sample; samples of one group are in the same part."""
    order = rng.permutation(np.unique(groups))
    bounds = np.cumsum(shares)[:-1] / np.sum(shares) * len(order)
    parts = np.searchsorted(np.rint(bounds), np.arange(len(order)), side="right")
    part_of_group = dict(zip(order.tolist(), parts.tolist(), strict=True))
    return np.array([part_of_group[group] for group in groups.tolist()], dtype=np.int64)


def _leave_out(
    values_of_samples: Sequence[set[str]],
    values: Sequence[str],
    request: str,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return 2 for samples with one of the values, and 0 or 1 for the others."""
    known = set().union(*values_of_samples)
    for value in values:
        if value not in known:
            raise ConfigError(
                f"split {request!r}: found no sample with {value}, there are: "
                f"{', '.join(sorted(known))}"
            )
    rest = np.flatnonzero([own.isdisjoint(values) for own in values_of_samples])
    count = len(values_of_samples)
    if len(rest) == 0:
        raise ConfigError(f"split {request!r} leaves out all {count} samples: name fewer")
    parts = np.full(count, 2, dtype=np.int64)
    parts[rest] = _divide(np.arange(len(rest)), shares, rng)
    return parts
