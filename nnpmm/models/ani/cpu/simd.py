"""The inner loop of every matrix product, written for the vector unit.

numba's own loops reload their sums from memory at every step. `multiply_tile` keeps a tile of the
product in vector registers instead, as BLAS kernels do, and reads the weights from panels that were
packed once, which BLAS, not knowing that they stay the same, must do at every call. That matters
here: a ligand has only a handful of atoms of each element, so a product has few rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["MAX_ROWS", "multiply_tile", "panel_width"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
_VECTOR_BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx2") else 16
_VECTORS = 2  # a panel is two vectors wide

#: Rows of a tile: with two vectors each, their sums just fit the registers.
MAX_ROWS = 12 if _WIDE else 6


def panel_width(dtype: Any) -> int:
    """Return the number of columns of a panel of weights of this type."""
    return _VECTORS * _VECTOR_BYTES // np.dtype(dtype).itemsize


@intrinsic
def multiply_tile(
    typingctx, c, c_start, c_stride, a, a_start, a_stride, b, b_start, depth, rows, add
):
    """Multiply up to MAX_ROWS rows with one panel: C[r, :] = (C[r, :] if add) + A[r, :] B.

    Args:
        c, a, b: C-contiguous arrays of one floating type.
        c_start, a_start, b_start: index of the tile's first element in the flattened array.
        c_stride, a_stride: elements from one row to the next.
        depth: number of columns of A and rows of B, whose rows are `panel_width` long.
        rows: number of rows, 1 to MAX_ROWS.
        add: whether to add to what C contains.
    """
    signature = types.void(
        c, types.intp, types.intp, a, types.intp, types.intp, b, types.intp, types.intp,
        types.intp, types.boolean,
    )  # fmt: skip

    def codegen(context, builder, sig, arguments):
        scalar = context.get_data_type(c.dtype)
        pointers = [
            builder.gep(
                context.make_array(kind)(context, builder, arguments[i]).data, [arguments[i + 1]]
            )
            for i, kind in ((0, c), (3, a), (6, b))
        ]
        c_stride, a_stride = arguments[2], arguments[5]
        depth, rows, add = arguments[8:]
        done = builder.append_basic_block("tile.done")
        switch = builder.switch(rows, done)
        for count in range(1, MAX_ROWS + 1):
            block = builder.append_basic_block(f"tile.{count}")
            switch.add_case(ir.Constant(rows.type, count), block)
            builder.position_at_end(block)
            tile = _Tile(builder, scalar, np.dtype(c.dtype.name), count)
            tile.emit(pointers, c_stride, a_stride, depth, add)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


class _Tile:
    """Emits the code of a tile with a fixed number of rows."""

    def __init__(self, builder: Any, scalar: ir.Type, dtype: np.dtype, rows: int) -> None:
        self.builder, self.scalar, self.rows = builder, scalar, rows
        self.lanes = _VECTOR_BYTES // dtype.itemsize
        self.vector = ir.VectorType(scalar, self.lanes)
        self.align = dtype.itemsize
        kind = "f32" if dtype.itemsize == 4 else "f64"
        self.fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.lanes}{kind}",
        )

    def emit(self, pointers: list[Any], c_stride: Any, a_stride: Any, depth: Any, add: Any) -> None:
        """Load the sums or zeros, loop over the depth, store the sums."""
        builder = self.builder
        c, a, b = pointers
        rows = range(self.rows)
        c_rows = [builder.gep(c, [builder.mul(c_stride, self._index(r))]) for r in rows]
        a_rows = [builder.gep(a, [builder.mul(a_stride, self._index(r))]) for r in rows]
        cells = [(r, v) for r in rows for v in range(_VECTORS)]
        zero = ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * self.lanes)
        with builder.if_else(add) as (adding, setting):
            with adding:
                old = [self._load(c_rows[r], v) for r, v in cells]
                from_adding = builder.block
            with setting:
                from_setting = builder.block
        start = []
        for value in old:
            phi = builder.phi(self.vector)
            phi.add_incoming(value, from_adding)
            phi.add_incoming(zero, from_setting)
            start.append(phi)
        sums = self._loop(start, cells, a_rows, b, depth)
        for (r, v), value in zip(cells, sums, strict=True):
            builder.store(value, self._address(c_rows[r], v), align=self.align)

    def _loop(
        self, start: list[Any], cells: list[tuple[int, int]], a_rows: list[Any], b: Any, depth: Any
    ) -> list[Any]:
        builder = self.builder
        before = builder.block
        head = builder.append_basic_block("depth")
        after = builder.append_basic_block("depth.end")
        builder.branch(head)
        builder.position_at_end(head)
        k = builder.phi(depth.type)
        k.add_incoming(self._index(0), before)
        sums = [builder.phi(self.vector) for _ in cells]
        panel = builder.gep(b, [builder.mul(k, self._index(_VECTORS * self.lanes))])
        weights = [self._load(panel, v) for v in range(_VECTORS)]
        factors = [self._broadcast(builder.load(builder.gep(row, [k]))) for row in a_rows]
        new = [
            builder.call(self.fma, [factors[r], weights[v], old])
            for (r, v), old in zip(cells, sums, strict=True)
        ]
        following = builder.add(k, self._index(1))
        k.add_incoming(following, head)
        for phi, first, value in zip(sums, start, new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(value, head)
        builder.cbranch(builder.icmp_signed("<", following, depth), head, after)
        builder.position_at_end(after)
        return new

    def _index(self, value: int) -> ir.Constant:
        return ir.Constant(ir.IntType(64), value)

    def _address(self, row: Any, vector: int) -> Any:
        start = self.builder.gep(row, [self._index(vector * self.lanes)])
        return self.builder.bitcast(start, self.vector.as_pointer())

    def _load(self, row: Any, vector: int) -> Any:
        return self.builder.load(self._address(row, vector), align=self.align)

    def _broadcast(self, value: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, mask)
