"""The inner loop of every matrix product, written with vector instructions.

Loops that numba vectorises reload their sums from memory at every step. `multiply_tile` keeps a
tile of the product in vector registers, as BLAS kernels do. It reads the weights from panels that
are packed only once, whereas BLAS packs them at every call. This matters because a ligand has only
a few atoms, so that a product has few rows and most of the time is spent on reading weights. For
the same reason a tile prefetches the weights of the next panel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.vectors import WIDE, VectorCode, lanes, pointer_to, switched

__all__ = [
    "MAX_ROWS",
    "multiply_narrow_tile",
    "multiply_packed",
    "multiply_tile",
    "next_panel",
    "panel_width",
    "tile_edge",
]

_VECTORS = 2  # a panel is two vectors wide
_LINE = 64  # bytes of a cache line

#: Rows of a tile. Their sums, two vectors for each row, just fit the registers.
MAX_ROWS = 12 if WIDE else 6


def panel_width(dtype: Any) -> int:
    """Return the number of columns of a panel of weights of this type."""
    return _VECTORS * lanes(np.dtype(dtype))


@intrinsic
def multiply_tile(
    typingctx, c, c_start, c_stride, a, a_start, a_stride, b, b_start, depth, rows, add, ahead
):
    """Multiply up to MAX_ROWS rows with one panel: C[r, :] = (C[r, :] if add) + A[r, :] B.

    Args:
        c, a, b: C-contiguous arrays of one floating type.
        c_start, a_start, b_start: index of the tile's first element in the flattened array.
        c_stride, a_stride: elements from one row to the next.
        depth: number of columns of A and rows of B, whose rows are `panel_width` long.
        rows: number of rows, 1 to MAX_ROWS.
        add: whether to add to what C contains.
        ahead: index in B from which to prefetch, one cache line for each row of B; it may lie
            behind the end.
    """
    return _signature(c, a, b, types.intp), _generator(_VECTORS, c, a, b)


@intrinsic
def multiply_narrow_tile(
    typingctx, c, c_start, c_stride, a, a_start, a_stride, b, b_start, depth, rows, add
):
    """Multiply as `multiply_tile` does, with panels of one vector, which are in cache already."""
    return _signature(c, a, b), _generator(1, c, a, b)


def _signature(c: Any, a: Any, b: Any, *more: Any) -> Any:
    of_array = (types.intp, types.intp)
    return types.void(
        c, *of_array, a, *of_array, b, types.intp, types.intp, types.intp, types.boolean, *more
    )


def _generator(n_vectors: int, c: Any, a: Any, b: Any) -> Any:
    def codegen(context, builder, sig, arguments):
        pointers = [
            pointer_to(context, builder, kind, arguments[i], arguments[i + 1])
            for i, kind in ((0, c), (3, a), (6, b))
        ]
        ahead = None
        if len(arguments) > 11:
            ahead = pointer_to(context, builder, b, arguments[6], arguments[11])
        c_stride, a_stride = arguments[2], arguments[5]
        depth, rows, add = arguments[8:11]

        def emit(count: int) -> None:
            tile = _Tile(VectorCode(builder, c), count, n_vectors, ahead)
            tile.emit(pointers, c_stride, a_stride, depth, add)

        switched(builder, rows, MAX_ROWS, emit)
        return context.get_dummy_value()

    return codegen


class _Tile:
    """Emits the code of a tile with a fixed number of rows."""

    def __init__(self, code: VectorCode, rows: int, n_vectors: int, ahead: Any) -> None:
        self.code, self.rows, self.ahead = code, range(rows), ahead
        self.cells = [(r, v) for r in self.rows for v in range(n_vectors)]
        self.n_vectors = n_vectors

    def emit(self, pointers: list[Any], c_stride: Any, a_stride: Any, depth: Any, add: Any) -> None:
        """Load the sums or zeros, loop over the depth, store the sums."""
        code, builder = self.code, self.code.builder
        c, a, b = pointers
        c_rows = [code.at(c, (c_stride, code.index(r))) for r in self.rows]
        a_rows = [code.at(a, (a_stride, code.index(r))) for r in self.rows]
        with builder.if_else(add) as (adding, setting):
            with adding:
                old = [code.load(c_rows[r], v) for r, v in self.cells]
                from_adding = builder.block
            with setting:
                from_setting = builder.block
        start = []
        for value in old:
            phi = builder.phi(code.vector)
            phi.add_incoming(value, from_adding)
            phi.add_incoming(code.zero(), from_setting)
            start.append(phi)

        def step(k: Any, sums: list[Any]) -> list[Any]:
            panel = code.at(b, (k, code.index(self.n_vectors * code.lanes)))
            weights = [code.load(panel, v) for v in range(self.n_vectors)]
            if self.ahead is not None:
                code.prefetch(code.at(self.ahead, (k, code.index(_LINE // code.itemsize))))
            factors = [code.broadcast(builder.load(builder.gep(row, [k]))) for row in a_rows]
            return [
                code.fma(factors[r], weights[v], total)
                for (r, v), total in zip(self.cells, sums, strict=True)
            ]

        sums = code.loop(code.index(0), depth, start, step)
        for (r, v), value in zip(self.cells, sums, strict=True):
            code.store(value, c_rows[r], v)


@inner()
def tile_edge(tile, rows):
    """Return the first row of a tile; rows are divided evenly into as few tiles as possible."""
    return rows * tile // -(-rows // MAX_ROWS)


@inner()
def next_panel(panel_start, depth, panel, tile):
    """Return what a tile prefetches: the first or the second half of the next panel, in turn."""
    return panel_start + depth * panel + (tile & 1) * (depth * panel // 2)


@inner()
def multiply_packed(c, a, packed, start, depth, width, rows, panel):
    """Multiply a block of rows with a packed matrix (depth, width): C = A W.

    Args:
        c, a: flat arrays, row by row from the first element on.
        packed: panels of weights; those of this matrix begin at ``start``.
        panel: see `panel_width`.
    """
    for column in range(0, width, panel):
        weights = start + column * depth
        for tile in range(-(-rows // MAX_ROWS)):
            first = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - first
            multiply_tile(
                c, first * width + column, width, a, first * depth, depth, packed, weights, depth,
                count, False, next_panel(weights, depth, panel, tile),
            )  # fmt: skip
