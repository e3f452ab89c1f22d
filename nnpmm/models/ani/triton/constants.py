"""What the kernels are compiled for: the model's constants, bounds and sizes of blocks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import triton
import triton.language as tl

from nnpmm.core.errors import SimulationError
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters
from nnpmm.models.ani.triton.layout import NetworkTables, padded

__all__ = ["Blocks", "Constants", "choose_blocks", "compile_constants", "refuse_overflow"]

# Bulk water has 60 and 18 neighbours in these ranges, and no molecule at 300 K comes near twice
# that. A region of fewer atoms gets lists that hold all of them.
_RADIAL_BOUND, _ANGULAR_BOUND = 128, 64

_ROWS_OF_LOW_TILES, _ROWS_OF_MIDDLE_TILES = 96, 1024


@dataclass(frozen=True)
class Blocks:
    """How much a program handles at a time; every number is a power of two.

    Args:
        search, visited: atoms of the region, or of one cell, tested for nearness.
        radial: neighbours whose radial terms are summed.
        pairs: pairs of neighbours whose angular terms are summed.
        rows, inputs: rows of a tile of a matrix product, and terms of its sums per step.
        first_columns, first_warps: columns of a tile, and warps, of the first layers' products.
        columns, warps: those of the other layers' products.
        splits_members: whether each member has its own gradient by the AEV, for more programs.
    """

    search: int
    visited: int
    radial: int
    pairs: int
    rows: int
    inputs: int
    first_columns: int
    first_warps: int
    columns: int
    warps: int
    splits_members: bool


@dataclass(frozen=True)
class Constants:
    """Handed to every kernel as one compile-time argument; every field is a `triton` constexpr.

    In the kernels a constant stands to the right of a tensor: Triton's interpreter takes a product
    that begins with a constant for one.

    Args:
        dtype: of all numbers but positions, energies and forces, which are float64.
        elements, shifts, angular_shifts, angles: numbers of elements and of shifts.
        shift_length: length of a row of the table of shifts.
        kinds, pair_kinds: elements and pairs of elements, rounded up to what a product takes.
        shifts_padded, angular_padded, angles_padded: numbers of shifts as powers of two.
        radial_length, aev_length, aev_padded: columns of the radial part and of the whole AEV, the
            latter a multiple of the padding.
        aev_power: ``aev_padded`` as a power of two.
        radial_cutoff, radial_eta, angular_cutoff, angular_eta, zeta: of the symmetry functions.
        radial_bound, angular_bound, list_length: allowed neighbours; both together.
        depth: layers of the deepest network.
        members, members_padded, member_size, activation_width: of the networks.
        celu_alpha: scale of the activation function.
        groups: gradients by the AEV that are added up in the end, one or one for each member.
        search, visited, radial, pairs, rows, inputs, first_columns, columns: see `Blocks`.
    """

    dtype: Any
    elements: Any
    shifts: Any
    angular_shifts: Any
    angles: Any
    shift_length: Any
    kinds: Any
    pair_kinds: Any
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
    visited: Any
    radial: Any
    pairs: Any
    rows: Any
    inputs: Any
    first_columns: Any
    columns: Any


_LIGAND = Blocks(
    search=128,
    visited=32,
    radial=64,
    pairs=64,
    rows=8,
    inputs=16,
    first_columns=128,
    first_warps=2,
    columns=256,
    warps=4,
    splits_members=True,
)
_PEPTIDE = replace(_LIGAND, rows=16, first_warps=4, warps=8)
_PROTEIN = replace(
    _LIGAND, rows=64, first_columns=64, first_warps=4, columns=64, splits_members=False
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
    splits_members=False,
)
_INTERPRETED = replace(
    _LIGAND,
    search=256,
    visited=64,
    pairs=256,
    rows=16,
    inputs=64,
    first_columns=256,
    splits_members=False,
)


def choose_blocks(n_rows: int, double: bool, interpreted: bool) -> Blocks:
    """Return sizes that suit a number of rows (atoms of all geometries together).

    A thread of a matrix product has 16 sums or more, so that it multiplies more often than it reads
    shared memory. Within that, the tiles of a ligand are as low as it takes to occupy all of the
    hundred-odd multiprocessors of a large GPU; those of a large region are high, and read the
    weights less often. Triton's interpreter pays for operations, not for numbers.
    """
    if interpreted:
        return _INTERPRETED
    if double:
        return _DOUBLE
    if n_rows <= _ROWS_OF_LOW_TILES:
        return _LIGAND
    return _PEPTIDE if n_rows <= _ROWS_OF_MIDDLE_TILES else _PROTEIN


def compile_constants(
    parameters: AniParameters, networks: NetworkTables, n_atoms: int, blocks: Blocks, double: bool
) -> Constants:
    """Collect the constants of a model that is already restricted to the elements present.

    Args:
        parameters: the ensemble.
        networks: its packed networks.
        n_atoms: atoms of one geometry; none has more neighbours than that.
        blocks: sizes of blocks.
        double: float64 instead of float32.
    """
    functions = parameters.symmetry_functions
    n_elements, members = len(functions.elements), len(parameters.members)
    power = triton.next_power_of_2
    most = max(16, power(n_atoms - 1))
    radial_bound, angular_bound = min(most, _RADIAL_BOUND), min(most, _ANGULAR_BOUND)
    shifts = len(functions.radial_shifts)
    angular, angles = len(functions.angular_shifts), len(functions.angle_shifts)
    values: dict[str, Any] = {
        "dtype": tl.float64 if double else tl.float32,
        "elements": n_elements,
        "shifts": shifts,
        "angular_shifts": angular,
        "angles": angles,
        "shift_length": max(shifts, angular, angles),
        "kinds": max(16, power(n_elements)),
        "pair_kinds": max(16, power(n_elements * (n_elements + 1) // 2)),
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
        "groups": members if blocks.splits_members else 1,
    }
    used = {f.name for f in fields(Constants)} & {f.name for f in fields(Blocks)}
    values |= {name: getattr(blocks, name) for name in used}
    return Constants(**{name: tl.constexpr(value) for name, value in values.items()})


def refuse_overflow(radial: int, angular: int, constants: Constants) -> None:
    """Check the largest numbers of neighbours that were found.

    Args:
        radial, angular: neighbours within each cutoff.
        constants: with the lengths of the lists.

    Raises:
        SimulationError: there are more than the lists have room for.
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
