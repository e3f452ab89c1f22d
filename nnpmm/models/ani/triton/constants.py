"""Compile-time constants of the kernels: model parameters, bounds of neighbours, block sizes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import triton
import triton.language as tl

from nnpmm.core.errors import SimulationError
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters
from nnpmm.models.ani.triton.layout import NetworkTables, padded

__all__ = ["Blocks", "Constants", "check_neighbour_counts", "choose_blocks", "compile_constants"]

# Lengths of the neighbour lists. Bulk water has 60 and 18 neighbours within these cutoffs, and no
# molecule at 300 K has nearly twice as many. In a smaller region the lists have room for all atoms.
_RADIAL_BOUND, _ANGULAR_BOUND = 128, 64

_MAX_LIGAND_ROWS, _MAX_PEPTIDE_ROWS = 96, 1024


@dataclass(frozen=True)
class Blocks:
    """Block sizes of the kernels, all powers of two.

    Args:
        search, cell_search: atoms of the region, or of one cell, whose distances are computed at a
            time.
        radial: neighbours whose radial terms are summed at a time.
        pairs: pairs of neighbours whose angular terms are summed at a time.
        rows, inputs: rows of a tile of a matrix product, and its inner block size.
        first_columns, first_warps: columns of a tile and warps of a program, first layers.
        columns, warps: the same for the other layers.
        per_member_gradients: whether the gradient with respect to the AEV is stored for each
            member, so that more programs run at once.
    """

    search: int
    cell_search: int
    radial: int
    pairs: int
    rows: int
    inputs: int
    first_columns: int
    first_warps: int
    columns: int
    warps: int
    per_member_gradients: bool


@dataclass(frozen=True)
class Constants:
    """The one compile-time argument ``M`` of every kernel; each field is a ``tl.constexpr``.

    In the kernels, write products of a constant and a tensor with the constant on the right.
    Triton's interpreter treats a product that starts with a constexpr as a constexpr.

    Args:
        dtype: type of all numbers except positions, energies and forces, which are float64.
        elements, shifts, angular_shifts, angles: numbers of elements and of shifts.
        shift_length: length of a row of the table of shifts.
        elements_padded, pairs_padded: numbers of elements and of pairs of elements as powers of
            two, at least the 16 rows that ``tl.dot`` needs.
        shifts_padded, angular_padded, angles_padded: numbers of shifts as powers of two.
        radial_length, aev_length: columns of the radial part and of the whole AEV.
        aev_padded: ``aev_length``, rounded up to a multiple of `layout.PADDING`.
        aev_power: ``aev_padded``, rounded up to a power of two.
        radial_cutoff, radial_eta, angular_cutoff, angular_eta, zeta: of the symmetry functions.
        radial_bound, angular_bound: lengths of the neighbour lists.
        list_length: sum of these lengths.
        depth: layers of the deepest network.
        members, members_padded, member_size, activation_width: of the networks.
        celu_alpha: scale of the activation function.
        groups: number of partial gradients with respect to the AEV: 1, or one for each member.
        search, cell_search, radial, pairs, rows, inputs, first_columns, columns: see `Blocks`.
    """

    dtype: Any
    elements: Any
    shifts: Any
    angular_shifts: Any
    angles: Any
    shift_length: Any
    elements_padded: Any
    pairs_padded: Any
    shifts_padded: Any
    angular_padded: Any
    angles_padded: Any
    radial_length: Any
    aev_length: Any
    aev_padded: Any
    aev_power: Any
    radial_cutoff: Any
    radial_eta: Any
    angular_cutoff: Any
    angular_eta: Any
    zeta: Any
    radial_bound: Any
    angular_bound: Any
    list_length: Any
    depth: Any
    members: Any
    members_padded: Any
    member_size: Any
    activation_width: Any
    celu_alpha: Any
    groups: Any
    search: Any
    cell_search: Any
    radial: Any
    pairs: Any
    rows: Any
    inputs: Any
    first_columns: Any
    columns: Any


_LIGAND = Blocks(
    search=128,
    cell_search=32,
    radial=64,
    pairs=64,
    rows=8,
    inputs=16,
    first_columns=128,
    first_warps=2,
    columns=256,
    warps=4,
    per_member_gradients=True,
)
_PEPTIDE = replace(_LIGAND, rows=16, first_warps=4, warps=8)
_PROTEIN = replace(
    _LIGAND, rows=64, first_columns=64, first_warps=4, columns=64, per_member_gradients=False
)
_DOUBLE = replace(
    _LIGAND,
    search=64,
    radial=32,
    pairs=32,
    rows=16,
    inputs=8,
    first_columns=32,
    first_warps=4,
    columns=32,
    per_member_gradients=False,
)
_INTERPRETED = replace(
    _LIGAND,
    search=256,
    cell_search=64,
    pairs=256,
    rows=16,
    inputs=64,
    first_columns=256,
    per_member_gradients=False,
)


def choose_blocks(n_rows: int, double: bool, interpreted: bool) -> Blocks:
    """Return the block sizes for a number of rows (atoms of all geometries).

    Each thread of a matrix product accumulates at least 16 sums, so that it multiplies more often
    than it reads shared memory. A ligand has tiles with few rows, so that there are enough programs
    for the more than 100 multiprocessors of a large GPU. A large region has tiles with many rows,
    which read the weights less often. In Triton's interpreter the cost of an operation hardly
    depends on the size of its operands, so blocks are large.
    """
    if interpreted:
        return _INTERPRETED
    if double:
        return _DOUBLE
    if n_rows <= _MAX_LIGAND_ROWS:
        return _LIGAND
    return _PEPTIDE if n_rows <= _MAX_PEPTIDE_ROWS else _PROTEIN


def compile_constants(
    parameters: AniParameters, networks: NetworkTables, n_atoms: int, blocks: Blocks, double: bool
) -> Constants:
    """Return the constants of a model that is restricted to the elements present.

    Args:
        parameters: the ensemble.
        networks: its packed networks.
        n_atoms: atoms of one geometry; an atom has fewer neighbours than this.
        blocks: block sizes.
        double: float64 instead of float32.
    """
    functions = parameters.symmetry_functions
    n_elements, members = len(functions.elements), len(parameters.members)
    power = triton.next_power_of_2
    bound = max(16, power(n_atoms - 1))
    radial_bound, angular_bound = min(bound, _RADIAL_BOUND), min(bound, _ANGULAR_BOUND)
    shifts = len(functions.radial_shifts)
    angular, angles = len(functions.angular_shifts), len(functions.angle_shifts)
    values: dict[str, Any] = {
        "dtype": tl.float64 if double else tl.float32,
        "elements": n_elements,
        "shifts": shifts,
        "angular_shifts": angular,
        "angles": angles,
        "shift_length": max(shifts, angular, angles),
        "elements_padded": max(16, power(n_elements)),
        "pairs_padded": max(16, power(n_elements * (n_elements + 1) // 2)),
        "shifts_padded": max(16, power(shifts)),
        "angular_padded": power(angular),
        "angles_padded": power(angles),
        "radial_length": functions.radial_length,
        "aev_length": functions.aev_length,
        "aev_padded": padded(functions.aev_length),
        "aev_power": power(padded(functions.aev_length)),
        "radial_cutoff": functions.radial_cutoff,
        "radial_eta": functions.radial_eta,
        "angular_cutoff": functions.angular_cutoff,
        "angular_eta": functions.angular_eta,
        "zeta": functions.angular_zeta,
        "radial_bound": radial_bound,
        "angular_bound": angular_bound,
        "list_length": radial_bound + angular_bound,
        "depth": networks.layers.shape[1],
        "members": members,
        "members_padded": power(members),
        "member_size": networks.parameters.shape[1],
        "activation_width": networks.activation_width,
        "celu_alpha": CELU_ALPHA,
        "groups": members if blocks.per_member_gradients else 1,
    }
    used = {f.name for f in fields(Constants)} & {f.name for f in fields(Blocks)}
    values |= {name: getattr(blocks, name) for name in used}
    return Constants(**{name: tl.constexpr(value) for name, value in values.items()})


def check_neighbour_counts(radial: int, angular: int, constants: Constants) -> None:
    """Check that the neighbour lists had room for all neighbours.

    Args:
        radial, angular: largest numbers of neighbours within each cutoff.
        constants: contain the lengths of the lists.

    Raises:
        SimulationError: an atom has more neighbours than its list has room for.
    """
    c = constants
    allowed = c.radial_bound.value, c.angular_bound.value
    if radial > allowed[0] or angular > allowed[1]:
        radii = c.radial_cutoff.value / 10, c.angular_cutoff.value / 10
        raise SimulationError(
            f"found an atom with {radial} neighbours within {radii[0]:.2f} nm and {angular} "
            f"within {radii[1]:.2f} nm, allowed {allowed[0]} and {allowed[1]}: atoms overlap; "
            "check the box and minimise, or use another backend"
        )
