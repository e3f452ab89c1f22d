"""Which samples train, which choose the best epoch, and which are only tested on.

A request is ``random``; ``GROUP``, which keeps all samples of a value of that group together; or
``GROUP:VALUE,...``, which leaves the samples with one of these values out for testing.
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
        shares: of training, validation and test samples; in proportion to each other, they need
            not add up to 1. The third has no part in a split that leaves samples out.

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
        sides = _divide(np.arange(samples), shares, rng)
    elif not colon and name in _single_valued(groups):
        sides = _divide(_numbered(groups[name]), shares, rng)
    elif name in groups and wanted:
        sides = _leave_out(_as_sets(groups[name]), wanted, request, shares[:2], rng)
    else:
        raise ConfigError(f"found the split {request!r}, allowed: {_allowed(groups)}")
    if len(set(sides.tolist())) < 3:
        raise ConfigError(
            f"split {request!r} of {samples} samples leaves training, validation or test "
            "empty: add samples, or use another split"
        )
    return Split(*(np.flatnonzero(sides == side) for side in range(3)))


def _single_valued(groups: Mapping[str, Sequence[str | Collection[str]]]) -> list[str]:
    return [
        name for name, values in groups.items() if all(isinstance(value, str) for value in values)
    ]


def _allowed(groups: Mapping[str, Sequence[str | Collection[str]]]) -> str:
    left_out = [f"{name}:VALUE,..." for name in groups]
    return ", ".join(["random", *_single_valued(groups), *left_out])


def _numbered(values: Sequence[str | Collection[str]]) -> NDArray[np.int64]:
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)


def _as_sets(values: Sequence[str | Collection[str]]) -> list[set[str]]:
    return [{value} if isinstance(value, str) else set(value) for value in values]


def _divide(
    groups: NDArray[np.int64], shares: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the part, 0, 1, ..., of each sample; groups stay whole and are divided by shares."""
    order = rng.permutation(np.unique(groups))
    bounds = np.cumsum(shares)[:-1] / np.sum(shares) * len(order)
    part_of_place = np.searchsorted(np.rint(bounds), np.arange(len(order)), side="right")
    part_of_group = dict(zip(order.tolist(), part_of_place.tolist(), strict=True))
    return np.array([part_of_group[group] for group in groups.tolist()], dtype=np.int64)


def _leave_out(
    present: Sequence[set[str]],
    values: Sequence[str],
    request: str,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return 2 for samples with one of the values, and 0 or 1 for the others."""
    known = set().union(*present)
    for value in values:
        if value not in known:
            raise ConfigError(
                f"split {request!r}: found no sample with {value}, there are: "
                f"{', '.join(sorted(known))}"
            )
    out = np.array([not found.isdisjoint(values) for found in present], dtype=bool)
    sides = np.full(len(present), 2, dtype=np.int64)
    kept = np.flatnonzero(~out)
    if len(kept) == 0:
        raise ConfigError(f"split {request!r} leaves out all {len(present)} samples: name fewer")
    sides[kept] = _divide(np.arange(len(kept)), shares, rng)
    return sides
