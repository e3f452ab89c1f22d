"""Which samples train, which choose the best epoch, and which are only tested on.

Requests: ``random`` as published; ``solute``, all samples of a solute on one side; ``lipid:DOPC``,
leave lipids out; ``beads:C1,P4``, leave out every solute with one of these beads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.errors import ConfigError
from nnpmm.permeation.martini.solute import parse_solute

__all__ = ["Split", "make_split"]

#: Of 630 samples: training, validation, test.
_PUBLISHED = (510, 57, 63)
_ALLOWED = "random, solute, lipid:NAME,... or beads:TYPE,..."


class Split(NamedTuple):
    """Indices of samples, each in exactly one of three sorted arrays, none of which is empty."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def make_split(request: str, lipids: Sequence[str], solutes: Sequence[str], *, seed: int) -> Split:
    """Divide samples, 510 : 57 : 63 as published or, with samples left out for test, 510 : 57.

    Args:
        request: ``random``, ``solute``, ``lipid:NAME,...`` or ``beads:TYPE,...``.
        lipids: (samples,) of the samples.
        solutes: (samples,) graphs of the samples.
        seed: of the division.

    Raises:
        ConfigError: the request is unknown, leaves out nothing or everything, or there are too
            few samples.
    """
    rng = np.random.default_rng(seed)
    kind, _, text = request.partition(":")
    names = [name.strip() for name in text.split(",") if name.strip()]
    if kind in ("random", "solute") and ":" not in request:
        groups = np.arange(len(solutes)) if kind == "random" else _numbered(solutes)
        sides = _divide(groups, _PUBLISHED, rng)
    elif kind in ("lipid", "beads") and names:
        present = [{lipid} for lipid in lipids] if kind == "lipid" else _bead_types(solutes)
        sides = _leave_out(present, names, request, rng)
    else:
        raise ConfigError(f"found the split {request!r}, allowed: {_ALLOWED}")
    if len(set(sides.tolist())) < 3:
        raise ConfigError(
            f"split {request!r} of {len(solutes)} samples leaves training, validation or test "
            "empty: add samples, or take another split"
        )
    return Split(*(np.flatnonzero(sides == side) for side in range(3)))


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


def _bead_types(solutes: Sequence[str]) -> list[set[str]]:
    return [{bead.type for bead in parse_solute(graph).beads} for graph in solutes]


def _divide(
    groups: NDArray[np.int64], parts: Sequence[int], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the part, 0, 1, ..., of each sample; groups stay whole and are shared out by parts."""
    order = rng.permutation(np.unique(groups))
    bounds = np.cumsum(parts)[:-1] / np.sum(parts) * len(order)
    part_of_place = np.searchsorted(np.rint(bounds), np.arange(len(order)), side="right")
    part_of_group = dict(zip(order.tolist(), part_of_place.tolist(), strict=True))
    return np.array([part_of_group[group] for group in groups.tolist()], dtype=np.int64)


def _leave_out(
    present: Sequence[set[str]], names: Sequence[str], request: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return 2 for samples with one of the names, and 0 or 1 for the others."""
    known = set().union(*present)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"split {request!r}: found no sample with {name}, there are: "
                f"{', '.join(sorted(known))}"
            )
    out = np.array([not found.isdisjoint(names) for found in present], dtype=bool)
    sides = np.full(len(present), 2, dtype=np.int64)
    kept = np.flatnonzero(~out)
    if len(kept) == 0:
        raise ConfigError(f"split {request!r} leaves out all {len(present)} samples: name fewer")
    sides[kept] = _divide(np.arange(len(kept)), _PUBLISHED[:2], rng)
    return sides
