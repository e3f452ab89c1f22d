"""Data of an evaluation: constants, the region, shared buffers, and the workspace of a thread.

Arrays whose names begin with ``by_`` are derivatives of the energy with respect to what follows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT, EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.cpu.contraction import FEATURES
from nnpmm.models.aimnet.cpu.long_range import DispersionTables
from nnpmm.models.aimnet.cpu.packing import HEADS, Networks
from nnpmm.models.aimnet.parameters import LEAST_CHARGE_WEIGHT, PASSES, AimnetParameters
from nnpmm.models.cpu.neighbours import Neighbours
from nnpmm.models.cpu.packing import aligned

__all__ = ["BLOCK", "Constants", "Pairs", "Region", "State", "Workspace"]

#: Atoms of a block: enough to reuse the weights, few enough to keep the activations in cache.
BLOCK = 96
_NM_TO_ANGSTROM = 10.0
_LINES = 8  # temporary values for all atoms of a geometry
_COMPONENTS = 4  # of the basis: a scalar and a vector


class Constants(NamedTuple):
    """Parameters of the model and the region in the working precision, lengths in angstrom.

    The shifts are a tuple, because the compiler knows the length of a tuple.
    """

    cutoff: Any
    eta: Any
    shifts: tuple[Any, ...]
    coulomb_cutoff: Any
    coulomb: Any  # kJ/mol angstrom
    electronvolt: Any  # kJ/mol
    charge: float
    least_weight: float

    @classmethod
    def of(cls, parameters: AimnetParameters, charge: int, dtype: np.dtype) -> Constants:
        """Convert constants to the working precision."""
        number = dtype.type
        return cls(
            number(parameters.cutoff),
            number(parameters.eta),
            tuple(number(shift) for shift in parameters.shifts),
            number(parameters.coulomb_cutoff),
            number(COULOMB_CONSTANT * _NM_TO_ANGSTROM),
            number(EV_TO_KJ_PER_MOL),
            float(charge),
            LEAST_CHARGE_WEIGHT,
        )


class Region(NamedTuple):
    """Index of each atom's element among those of the region, (n,), and tables of the elements."""

    element: NDArray[np.int64]
    dispersion: DispersionTables


class Pairs(NamedTuple):
    """Quantities that are the same for all members: neighbours and functions of distances.

    Attributes:
        start: index of each atom's first neighbour, and a last entry for the end.
        atom, element, vector, distance: properties of the neighbours.
        basis: basis functions of each neighbour, (pairs, 4, radial).
        sums: sums of the basis over the neighbours of each element, (k n, elements, 4, radial).
        coulomb: energy of two unit charges, kJ/mol, (k n, n).
        weights, weight_slopes: weights of D3's reference systems, and their derivatives by the
            coordination number, (k n, systems).
        total_weight: sum of the weights, (k n,).
        weighted_c6: weighted C6 of an atom with an element's systems, (elements, systems, k n).
        by_coordination: derivative of the dispersion energy by the coordination number, (k n,).
        dispersion: energy of each atom, kJ/mol, (k n,).
    """

    start: NDArray[np.int64]
    atom: NDArray[np.int64]
    element: NDArray[np.int64]
    vector: NDArray[np.floating]
    distance: NDArray[np.floating]
    basis: NDArray[np.floating]
    sums: NDArray[np.floating]
    coulomb: NDArray[np.floating]
    weights: NDArray[np.floating]
    weight_slopes: NDArray[np.floating]
    total_weight: NDArray[np.floating]
    weighted_c6: NDArray[np.floating]
    by_coordination: NDArray[np.floating]
    dispersion: NDArray[np.float64]

    @classmethod
    def allocate(
        cls, capacity: int, n_geometries: int, region: Region, networks: Networks, dtype: np.dtype
    ) -> Pairs:
        """Allocate buffers for up to ``capacity`` pairs."""
        n = len(region.element)
        rows, systems = n_geometries * n, region.dispersion.reference.shape[1]
        return cls(
            start=np.zeros(rows + 1, np.int64),
            atom=np.empty(capacity, np.int64),
            element=np.empty(capacity, np.int64),
            vector=np.empty((3, capacity), dtype),
            distance=np.empty(capacity, dtype),
            basis=aligned((capacity, _COMPONENTS, networks.radial), dtype),
            sums=aligned((rows, networks.elements, _COMPONENTS, networks.radial), dtype),
            coulomb=np.empty((rows, n), dtype),
            weights=np.empty((rows, systems), dtype),
            weight_slopes=np.empty((rows, systems), dtype),
            total_weight=np.empty(rows, dtype),
            weighted_c6=np.empty((networks.elements, systems, rows), dtype),
            by_coordination=np.empty(rows, dtype),
            dispersion=np.empty(rows),
        )


class State(NamedTuple):
    """Results of the passes that later passes or derivatives need, of m members and k n atoms.

    Attributes:
        n_rows: k n.
        slope_start: number of columns of ``slopes`` before those of a layer, (passes, layers).
        features: features after the first two passes, the charge last, (2, m, k n, features).
        slopes: derivatives of the activations, layer by layer, (m, k n columns).
        combined: combinations of vectors, (passes, m, k n x features x 3 x combinations).
        heads, head_slopes: charge and weight from a pass, and derivatives of their activations,
            (2, m, k n, 2).
        shares: share of the missing charge, and its derivative by the weight, (2, m, k n, 2).
        charges: (2, m, k n), e.
        potentials: external potentials on the charges, kJ/mol/e, (k n,).
        by_features, by_scalars, by_vectors, by_charges, by_heads: derivatives of the energy, which
            includes that of the charges in the potentials.
        energies: energy of each atom from the networks, eV, (m, k n).
        coulomb: Coulomb energy of each atom, kJ/mol, (m, k n).
    """

    n_rows: int
    slope_start: NDArray[np.int64]
    features: NDArray[np.floating]
    slopes: NDArray[np.floating]
    combined: NDArray[np.floating]
    heads: NDArray[np.floating]
    head_slopes: NDArray[np.floating]
    shares: NDArray[np.float64]
    charges: NDArray[np.floating]
    potentials: NDArray[np.floating]
    by_features: NDArray[np.floating]
    by_scalars: NDArray[np.floating]
    by_vectors: NDArray[np.floating]
    by_charges: NDArray[np.floating]
    by_heads: NDArray[np.floating]
    energies: NDArray[np.float64]
    coulomb: NDArray[np.float64]

    @classmethod
    def allocate(cls, rows: int, networks: Networks, dtype: np.dtype) -> State:
        """Allocate buffers for ``rows`` atoms."""
        m, with_charge = len(networks.last_bias), networks.n_features + 1
        size = with_charge * networks.radial
        outputs = networks.widths[:, 1:]
        slope_start = (outputs.ravel().cumsum() - outputs.ravel()).reshape(outputs.shape)
        between = PASSES - 1
        return cls(
            n_rows=rows,
            slope_start=slope_start,
            features=aligned((between, m, rows, size), dtype),
            slopes=aligned((m, rows * int(outputs.sum())), dtype),
            combined=aligned((PASSES, m, with_charge * rows * 3 * networks.combinations), dtype),
            heads=np.zeros((between, m, rows, HEADS), dtype),
            head_slopes=np.zeros((between, m, rows, HEADS), dtype),
            shares=np.zeros((between, m, rows, HEADS)),
            charges=np.zeros((between, m, rows), dtype),
            potentials=np.zeros(rows, dtype),
            by_features=aligned((m, rows, size), dtype),
            by_scalars=aligned((m, rows, size), dtype),
            by_vectors=aligned((m, size * rows * 3), dtype),
            by_charges=np.zeros((m, rows), dtype),
            by_heads=np.zeros((m, rows, HEADS), dtype),
            energies=np.zeros((m, rows)),
            coulomb=np.zeros((m, rows)),
        )


class Workspace(NamedTuple):
    """Buffers of one thread.

    Attributes:
        cell_index, neighbours: buffers for the search of one atom's neighbours.
        inputs, hidden, vectors: inputs of a pass, hidden layers and vectors of a block of atoms.
        unused, zeros: output that is not needed, and derivatives that are zero.
        every_element: 0, 1, 2 ...
        line: temporary values for all atoms of a geometry, (lines, n).
        by_basis, by_sums: derivatives of the energies of this thread's members.
        gradient: gradient from the basis, (k n, 3).
    """

    cell_index: NDArray[np.int64]
    neighbours: Neighbours
    inputs: NDArray[np.floating]
    hidden: NDArray[np.floating]
    vectors: NDArray[np.floating]
    unused: NDArray[np.floating]
    zeros: NDArray[np.floating]
    every_element: NDArray[np.int64]
    line: NDArray[np.floating]
    by_basis: NDArray[np.floating]
    by_sums: NDArray[np.floating]
    gradient: NDArray[np.float64]

    @classmethod
    def allocate(
        cls, capacity: int, rows: int, n_atoms: int, networks: Networks, dtype: np.dtype
    ) -> Workspace:
        """Allocate buffers for up to ``capacity`` pairs and ``rows`` atoms."""
        radial, with_charge = networks.radial, networks.n_features + 1
        block, widest = min(rows, BLOCK), int(networks.widths.max())
        of_vectors = 3 * max(radial, networks.combinations)
        return cls(
            cell_index=np.empty((3, 3), np.int64),
            neighbours=Neighbours.allocate(n_atoms, dtype),
            inputs=aligned((block * widest,), dtype),
            hidden=aligned((2, block * widest), dtype),
            vectors=aligned((with_charge * block * of_vectors,), dtype),
            unused=aligned((FEATURES * radial,), dtype),
            zeros=aligned((with_charge * radial,), dtype),
            every_element=np.arange(networks.elements),
            line=np.zeros((_LINES, n_atoms), dtype),
            by_basis=aligned((capacity, _COMPONENTS, radial), dtype),
            by_sums=aligned((rows, networks.elements, _COMPONENTS, radial), dtype),
            gradient=np.zeros((rows, 3)),
        )
