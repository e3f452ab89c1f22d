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
from nnpmm.coupling.link_atoms import CappedEvaluator, LinkAtoms
from nnpmm.coupling.multipoles import find_multipole_force, monopoles_of
from nnpmm.coupling.nonbonded import check_parameters, has_lennard_jones_elsewhere
from nnpmm.coupling.region_charge import charges_of, region_charge
from nnpmm.models.protocol import Evaluator, Potential
from nnpmm.structures.bonds import Pair, parted_bonds
from nnpmm.structures.elements import region_elements
from nnpmm.structures.link_bonds import check_cut_bonds, link_distance

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
        excess: charge of the force field less ``charge``, e, for each cut bond: a molecule's excess
            is divided equally between its cuts.
    """

    atoms: NDArray[np.int64]
    elements: tuple[Element, ...]
    bonds: tuple[Pair, ...]
    cut_bonds: tuple[Pair, ...]
    charge: int
    excess: tuple[float, ...] = ()

    @property
    def network_atoms(self) -> NDArray[np.int64]:
        """Atoms whose positions the network needs: the region and its neighbours at the cuts."""
        hosts = np.array([outside for _, outside in self.cut_bonds], dtype=np.int64)
        return np.concatenate([self.atoms, hosts])

    @property
    def hydrogens(self) -> set[int]:
        """Indices of the region's hydrogens."""
        pairs = zip(self.atoms.tolist(), self.elements, strict=True)
        return {atom for atom, element in pairs if element.atomic_number == 1}

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
    boundary: LinkAtoms | None = None,
) -> BoundRegion:
    """Bind a potential to a region, with the charge that the force field gives to it.

    Args:
        system: the MM system, complete.
        topology: that it was made from.
        region: sorted atom indices.
        potential: the network.
        boundary: the link atoms that cap cut bonds; None if the region must not cut any.

    Raises:
        RegionError: the region cuts a bond that cannot be capped, or the potential cannot
            describe it.
        ForceFieldError: the region's atoms lack parameters.
    """
    region = atom_indices(region, topology.getNumAtoms())
    elements = region_elements(topology, region)
    inner, cut = parted_bonds(system, topology, set(region.tolist()))
    if boundary is None:
        refuse_cut_bonds(topology, cut)
    else:
        check_cut_bonds(topology, cut, boundary.bonds)
    symbols = [element.symbol for element in elements]
    sites = attached_sites(system, set(region.tolist())).tolist()
    charges = _checked_charges(system, region, symbols, sites)
    bonds = sorted(inner)
    charge, excess = region_charge(
        charges,
        region,
        symbols,
        _rows(region, bonds),
        _molecules(system, region, bonds, sites),
        neutral=potential.neutral_only,
        anchors=np.searchsorted(region, [inside for inside, _ in cut]),
        charge_rule="keep" if boundary is None else boundary.charges,
    )
    described = Region(region, tuple(elements), tuple(bonds), tuple(cut), charge, excess)
    numbers = [element.atomic_number for element in elements]
    evaluator: Evaluator = potential.bind([*numbers, *(1 for _ in cut)], charge=charge)
    if cut and boundary is not None:
        evaluator = _capped(evaluator, topology, described, boundary)
    return BoundRegion(described, evaluator)


def _checked_charges(
    system: openmm.System, region: NDArray[np.int64], symbols: list[str], sites: list[int]
) -> NDArray[np.float64]:
    """Check a region's parameters, and return the charges of its atoms and sites, e."""
    multipoles = find_multipole_force(system)
    if multipoles is not None:
        return monopoles_of(multipoles, region.tolist(), symbols)
    nonbonded = find_nonbonded_force(system)
    charges = charges_of(nonbonded, [*region.tolist(), *sites])
    check_parameters(
        nonbonded,
        region,
        symbols,
        charges,
        lennard_jones=not has_lennard_jones_elsewhere(system, nonbonded),
    )
    return charges


def _capped(
    evaluator: Evaluator, topology: Topology, region: Region, boundary: LinkAtoms
) -> CappedEvaluator:
    """Return an evaluator of the region's ``network_atoms``, from one of region and link atoms."""
    anchors, hosts = _rows(region.network_atoms, list(region.cut_bonds)).T
    elements = [atom.element for atom in topology.atoms()]
    ends = [(elements[i], elements[j]) for i, j in region.cut_bonds]
    distances = [link_distance(q.symbol, m.symbol, boundary.distances) for q, m in ends]
    host_numbers = np.array([m.atomic_number for _, m in ends], dtype=np.int64)
    return CappedEvaluator(evaluator, anchors, hosts, host_numbers, np.array(distances))


def _molecules(
    system: openmm.System, region: NDArray[np.int64], bonds: list[Pair], sites: list[int]
) -> list[NDArray[np.int64]]:
    """Return for each molecule the rows of its atoms and of its sites, which follow all atoms."""
    molecules = [rows.tolist() for rows in spanning_trees(len(region), _rows(region, bonds))[1]]
    for number, site in enumerate(sites, start=len(region)):
        parent = int(np.searchsorted(region, system.getVirtualSite(site).getParticle(0)))
        next(rows for rows in molecules if parent in rows).append(number)
    return [np.array(rows, dtype=np.int64) for rows in molecules]


def _rows(atoms: NDArray[np.int64], pairs: list[Pair]) -> NDArray[np.int64]:
    """Return pairs of atom indices as pairs of row numbers of ``atoms``, (m, 2)."""
    row = {atom: number for number, atom in enumerate(atoms.tolist())}
    return np.array([(row[i], row[j]) for i, j in pairs], dtype=np.int64).reshape(-1, 2)
