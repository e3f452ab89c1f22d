"""Where a region ends: its bonds, the bonds it cuts, constraints and virtual sites."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.structures.bonds import Pair, sorted_pair
from nnpmm.structures.link_bonds import bond_labels

__all__ = [
    "attached_sites",
    "refuse_cut_bonds",
    "release_constraints",
]


def refuse_cut_bonds(topology: Topology, cut: list[Pair]) -> None:
    """Raise a RegionError that names the covalent bonds which a region cuts, if it cuts any."""
    if cut:
        raise RegionError(
            f"the region cuts {len(cut)} covalent bond{'s' if len(cut) > 1 else ''} "
            f"({bond_labels(topology, cut)}); select whole molecules, or cap single "
            "bonds with link atoms (LinkAtoms, region.link_atoms)"
        )


def attached_sites(system: openmm.System, members: set[int]) -> NDArray[np.int64]:
    """Return the virtual sites that depend only on atoms of the region.

    The network does not see them. Their charges and Lennard-Jones parameters belong to the region:
    they interact with the rest of the system, but not with the region.

    Raises:
        ForceFieldError: a site depends on atoms of the region and on others.
    """
    found = []
    for index in range(system.getNumParticles()):
        if not system.isVirtualSite(index):
            continue
        site = system.getVirtualSite(index)
        parents = {site.getParticle(i) for i in range(site.getNumParticles())}
        if parents <= members:
            found.append(index)
        elif parents & members:
            raise ForceFieldError(
                f"found the virtual site {index} on atoms {sorted(parents)}, but the region "
                f"contains only {sorted(parents & members)}; allowed: sites whose atoms all belong "
                "to the region; select whole molecules"
            )
    return np.array(found, dtype=np.int64)


def release_constraints(
    system: openmm.System, members: set[int], hydrogens: set[int], *, keep: bool
) -> list[Pair]:
    """Remove constraints inside a region, in place; return the released pairs.

    Args:
        system: the system to change.
        members: atoms of the region.
        hydrogens: hydrogens of the region.
        keep: leave bonds between hydrogen and another element constrained.
    """
    released = []
    for index in reversed(range(system.getNumConstraints())):
        i, j, _ = system.getConstraintParameters(index)
        if i not in members or j not in members:
            continue
        if keep and (i in hydrogens) != (j in hydrogens):
            continue
        system.removeConstraint(index)
        released.append(sorted_pair(i, j))
    return sorted(released)
