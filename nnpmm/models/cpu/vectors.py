"""Vector instructions for numba's intrinsics, for loops that numba does not vectorise reliably."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types

__all__ = ["VECTOR_BYTES", "WIDE", "VectorCode", "lanes", "pointer_to", "switched"]

_FEATURES = binding.get_host_cpu_features()
#: Whether the processor has AVX-512, with 32 vector registers.
WIDE = bool(_FEATURES.get("avx512f"))
VECTOR_BYTES = 64 if WIDE else 32 if _FEATURES.get("avx2") else 16
_INDEX = ir.IntType(64)


def lanes(dtype: Any) -> int:
    """Return how many numbers of a type fit a vector."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


class VectorCode:
    """Emits loads, stores and arithmetic of vectors of one floating type.

    Args:
        builder: llvmlite's builder, to which the code is added.
        kind: numba's type of an array of that floating type.
    """

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder = builder
        dtype = np.dtype(kind.dtype.name)
        self.itemsize = dtype.itemsize
        self.scalar = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
        self.lanes = lanes(dtype)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self._fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.lanes}f{8 * dtype.itemsize}",
        )

    def index(self, value: int) -> ir.Constant:
        """Return an integer as a constant."""
        return ir.Constant(_INDEX, value)

    def at(self, start: Any, *steps: tuple[Any, Any]) -> Any:
        """Return a pointer offset by the products of numbers and strides, in elements."""
        offset = self.index(0)
        for number, stride in steps:
            offset = self.builder.add(offset, self.builder.mul(number, stride))
        return self.builder.gep(start, [offset])

    def load(self, start: Any, vector: int = 0) -> Any:
        """Load the nth vector from a pointer on."""
        return self.builder.load(self._address(start, vector), align=self.itemsize)

    def store(self, value: Any, start: Any, vector: int = 0) -> None:
        """Store the nth vector from a pointer on."""
        self.builder.store(value, self._address(start, vector), align=self.itemsize)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c with a single rounding."""
        return self.builder.call(self._fma, [a, b, c])

    def zero(self) -> ir.Constant:
        """Return a vector of zeros."""
        return ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * self.lanes)

    def broadcast(self, value: Any) -> Any:
        """Return a vector of equal numbers."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, mask)

    def prefetch(self, start: Any) -> None:
        """Prefetch a cache line; the address may lie behind the end of an array."""
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        read, near, data = (ir.Constant(number, value) for value in (0, 3, 1))
        self.builder.call(function, [self.builder.bitcast(start, byte), read, near, data])

    def loop(
        self, first: Any, last: Any, start: Sequence[Any], step: Callable[[Any, list[Any]], Any]
    ) -> list[Any]:
        """Loop from first to before last; there is at least one step.

        Args:
            first, last: integers.
            start: values before the first step.
            step: function of a step's number and the values before it that emits the step and
                returns the new values.

        Returns:
            The values after the last step.
        """
        builder, before = self.builder, self.builder.block
        head, after = builder.append_basic_block("loop"), builder.append_basic_block("loop.end")
        builder.branch(head)
        builder.position_at_end(head)
        number = builder.phi(_INDEX)
        number.add_incoming(first, before)
        values = [builder.phi(value.type) for value in start]
        new = step(number, values)
        end = builder.block
        following = builder.add(number, self.index(1))
        number.add_incoming(following, end)
        for phi, initial, value in zip(values, start, new, strict=True):
            phi.add_incoming(initial, before)
            phi.add_incoming(value, end)
        builder.cbranch(builder.icmp_signed("<", following, last), head, after)
        builder.position_at_end(after)
        return list(new)

    def _address(self, start: Any, vector: int) -> Any:
        moved = self.builder.gep(start, [self.index(vector * self.lanes)])
        return self.builder.bitcast(moved, self.vector.as_pointer())


def pointer_to(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    """Return a pointer to an element of a C-contiguous array, counted through all axes."""
    assert isinstance(kind, types.Array) and kind.layout == "C"
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


def switched(builder: Any, count: Any, most: int, emit: Callable[[int], None]) -> None:
    """Emit code for each count from 1 to ``most``, and a switch that selects one at run time."""
    done = builder.append_basic_block("done")
    switch = builder.switch(count, done)
    for number in range(1, most + 1):
        block = builder.append_basic_block(f"count.{number}")
        switch.add_case(ir.Constant(count.type, number), block)
        builder.position_at_end(block)
        emit(number)
        builder.branch(done)
    builder.position_at_end(done)
