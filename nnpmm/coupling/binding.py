"""A potential bound to a region of an MM system: atoms, charge, bonds, and caps where it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Element, Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.geometry import spanning_trees
from nnpmm.coupling.boundary import attached_sites, refuse_cut_bonds
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.link_atoms import CappedEvaluator, check_cut_bonds
from nnpmm.coupling.nonbonded import check_parameters, has_lennard_jones_elsewhere
from nnpmm.models.protocol import Evaluator, Potential
from nnpmm.structures.bonds import Pair, parted_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["BoundRegion", "Region", "bind_region"]


@dataclass(frozen=True, eq=False)
class Region:
    """The atoms that a network describes, as the force field knows them.

    Attributes:
        atoms: 0-based indices, sorted, (n,).
        elements: of these atoms; deuterium is hydrogen.
        bonds: inside the region as pairs of atom indices, sorted.
        cut_bonds: bonds that it cuts, as (atom in, atom out), sorted.
        charge: of the region and the virtual sites on it in the force field, rounded, e.
    """

    atoms: NDArray[np.int64]
    elements: tuple[Element, ...]
    bonds: tuple[Pair, ...]
    cut_bonds: tuple[Pair, ...]
    charge: int

    @property
    def network_atoms(self) -> NDArray[np.int64]:
        """Atoms whose positions the network takes: the region, and the neighbours at its cuts."""
        hosts = np.array([outside for _, outside in self.cut_bonds], dtype=np.int64)
        return np.concatenate([self.atoms, hosts])

    @property
    def bonded_rows(self) -> NDArray[np.int64]:
        """All bonds as pairs of row numbers of ``network_atoms``, (m, 2)."""
        return _rows(self.network_atoms, [*self.bonds, *self.cut_bonds])


class BoundRegion(NamedTuple):
    """A region, and the network bound to its ``network_atoms``."""

    region: Region
    evaluator: Evaluator


def bind_region(
    system: openmm.System,
    topology: Topology,
    region: NDArray[np.int64],
    potential: Potential,
    *,
    link_atoms: bool = False,
) -> BoundRegion:
    """Bind a potential to a region, with the charge that the force field gives to it.

    Args:
        system: the MM system, complete.
        topology: that it was made from.
        region: sorted atom indices.
        potential: the network.
        link_atoms: cap bonds that the region cuts; otherwise they are an error.

    Raises:
        RegionError: the region cuts a bond that is not to be capped, or the potential cannot
            describe it.
        ForceFieldError: the region's atoms lack parameters.
    """
    region = atom_indices(region, topology.getNumAtoms())
    elements = region_elements(topology, region)
    inner, cut = parted_bonds(system, topology, set(region.tolist()))
    if link_atoms:
        check_cut_bonds(topology, cut)
    else:
        refuse_cut_bonds(topology, cut)
    nonbonded = find_nonbonded_force(system)
    sites = attached_sites(system, set(region.tolist())).tolist()
    charge = check_parameters(
        nonbonded,
        region,
        [element.symbol for element in elements],
        _molecules(system, region, sorted(inner), sites),
        sites=sites,
        neutral=potential.neutral_only,
        may_cut=bool(cut),
        lennard_jones=not has_lennard_jones_elsewhere(system, nonbonded),
    )
    found = Region(region, tuple(elements), tuple(sorted(inner)), tuple(cut), charge)
    numbers = [element.atomic_number for element in elements]
    evaluator: Evaluator = potential.bind([*numbers, *(1 for _ in cut)], charge=charge)
    if cut:
        anchors, hosts = _rows(found.network_atoms, cut).T
        evaluator = CappedEvaluator(evaluator, anchors, hosts)
    return BoundRegion(found, evaluator)


def _molecules(
    system: openmm.System, region: NDArray[np.int64], bonds: list[Pair], sites: list[int]
) -> list[NDArray[np.int64]]:
    """Return for each molecule the rows of its atoms, and of the sites on it, which follow them."""
    found = [rows.tolist() for rows in spanning_trees(len(region), _rows(region, bonds))[1]]
    for number, site in enumerate(sites, start=len(region)):
        parent = int(np.searchsorted(region, system.getVirtualSite(site).getParticle(0)))
        next(rows for rows in found if parent in rows).append(number)
    return [np.array(rows, dtype=np.int64) for rows in found]


def _rows(atoms: NDArray[np.int64], pairs: list[Pair]) -> NDArray[np.int64]:
    """Pairs of atom indices as pairs of row numbers of ``atoms``, (m, 2)."""
    row = {atom: number for number, atom in enumerate(atoms.tolist())}
    return np.array([(row[i], row[j]) for i, j in pairs], dtype=np.int64).reshape(-1, 2)
