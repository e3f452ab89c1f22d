"""Remove the pairs inside a region from a CustomNonbondedForce: NBFIX, 12-6-4, Lennard-Jones."""

from __future__ import annotations

import copy

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import RegionError

__all__ = ["exclude_custom_pairs", "region_custom_pairs"]


def exclude_custom_pairs(
    force: openmm.CustomNonbondedForce, region: NDArray[np.int64], *, may_cut: bool = False
) -> None:
    """Exclude every pair inside the region, in place.

    A long-range correction does not change: it is an average over all pairs of the system,
    including the excluded ones.

    Args:
        force: the force to change.
        region: sorted atom indices.
        may_cut: the region cuts bonds, so excluded pairs may join it to the rest.

    Raises:
        RegionError: an excluded pair joins the region to the rest although no bond is cut.
    """
    members = set(region.tolist())
    excluded = _exclusions(force)
    for i, j in sorted(excluded):
        if (i in members) != (j in members) and not may_cut:
            raise RegionError(
                f"the region cuts the excluded pair of atoms {i} and {j}; select whole molecules"
            )
    for row, i in enumerate(region.tolist()):
        for j in region[:row].tolist():
            if (j, i) not in excluded:
                force.addExclusion(j, i)


def region_custom_pairs(
    force: openmm.CustomNonbondedForce, region: NDArray[np.int64]
) -> openmm.CustomNonbondedForce | None:
    """Return a force with only the pairs inside the region, or None if there are none.

    Args:
        force: as the force field made it, before `exclude_custom_pairs`.
        region: sorted atom indices.
    """
    members = set(region.tolist())
    groups = [
        force.getInteractionGroupParameters(i) for i in range(force.getNumInteractionGroups())
    ]
    inner = copy.deepcopy(force)
    inner.setUseLongRangeCorrection(False)
    if not groups:
        inner.addInteractionGroup(members, members)
        return inner
    for index, (first, second) in enumerate(groups):
        inner.setInteractionGroupParameters(
            index, members.intersection(first), members.intersection(second)
        )
    empty = all(
        not (members.intersection(first) and members.intersection(second))
        for first, second in groups
    )
    return None if empty else inner


def _exclusions(force: openmm.CustomNonbondedForce) -> set[tuple[int, int]]:
    pairs = (force.getExclusionParticles(i) for i in range(force.getNumExclusions()))
    return {(min(pair), max(pair)) for pair in pairs}
