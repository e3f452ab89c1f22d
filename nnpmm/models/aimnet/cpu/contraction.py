"""Sums over neighbours, and their derivatives, written with vector instructions.

A vector contains radial functions of one feature. The loops keep sums of several features in
registers, whereas loops that numba vectorises would reload them at every neighbour. All arrays are
C-contiguous, and ``start`` arguments count elements of the flattened array. ``width`` is the number
of radial functions, padded to whole vectors; a call processes one vector of them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from nnpmm.models.cpu.vectors import WIDE, VectorCode, pointer_to, switched

__all__ = [
    "FEATURES",
    "GATHERED",
    "NEIGHBOURS",
    "differentiate_basis",
    "differentiate_features",
    "sum_neighbours",
]

#: Features of a call of `sum_neighbours`; each has four sums.
FEATURES = 6 if WIDE else 2
#: Neighbours of a call of `differentiate_basis`; each has four sums.
NEIGHBOURS = 5 if WIDE else 2
#: Features of a call of `differentiate_features`.
GATHERED = 9 if WIDE else 6

_COMPONENTS = 4  # a scalar and a vector


@intrinsic
def sum_neighbours(
    typingctx, scalar, scalar_start, vector, vector_start,
    basis, basis_start, features, features_start, row, index, index_start, count, n, width,
):  # fmt: skip
    """Write the sums over neighbours of basis times features, for n features.

    Args:
        scalar: output, the scalar sums, (feature, width).
        vector: output, the vector sums, (feature, 3, width).
        basis: (neighbour, 4, width).
        features: features of all atoms, (feature, width), ``row`` elements from one atom to the
            next.
        index: the atom of each neighbour.
        count: number of neighbours, 1 or more.
        n: number of features, 1 to FEATURES.
    """
    arrays = (scalar, vector, basis, features, index)
    number = types.intp
    signature = types.void(
        scalar, number, vector, number, basis, number, features, number, number,
        index, number, number, number, number,
    )  # fmt: skip

    def codegen(context, builder, sig, a):
        places = ((0, 1), (2, 3), (4, 5), (6, 7), (9, 10))
        to_scalar, to_vector, of_basis, of_features, of_index = _pointers(
            context, builder, arrays, a, places
        )
        row, count, n, width = a[8], a[11], a[12], a[13]
        code = VectorCode(builder, scalar)

        def emit(features: int) -> None:
            cells = [(f, c) for f in range(features) for c in range(_COMPONENTS)]

            def step(p: Any, sums: list[Any]) -> list[Any]:
                atom = builder.load(builder.gep(of_index, [p]))
                at_p = code.at(of_basis, (p, builder.mul(width, code.index(_COMPONENTS))))
                parts = [code.load(code.at(at_p, (code.index(c), width))) for c in range(4)]
                of_atom = code.at(of_features, (atom, row))
                values = [
                    code.load(code.at(of_atom, (code.index(f), width))) for f in range(features)
                ]
                return [
                    code.fma(parts[c], values[f], s) for (f, c), s in zip(cells, sums, strict=True)
                ]

            sums = code.loop(code.index(0), count, [code.zero()] * len(cells), step)
            for (f, c), value in zip(cells, sums, strict=True):
                if c == 0:
                    place = code.at(to_scalar, (code.index(f), width))
                else:
                    place = code.at(to_vector, (code.index(3 * f + c - 1), width))
                code.store(value, place)

        switched(builder, n, FEATURES, emit)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def differentiate_basis(
    typingctx, out, out_start, scalar, scalar_start, vector, vector_start,
    features, features_start, row, index, index_start, n, n_features, width,
):  # fmt: skip
    """Add the derivatives with respect to the basis of n neighbours of an atom.

    Args:
        out: derivatives, added to, (neighbour, 4, width).
        scalar: derivatives by the atom's scalar sums, (feature, width).
        vector: derivatives by its vector sums, (feature, 3, width).
        features: features of all atoms, (feature, width), ``row`` elements from one atom to the
            next.
        index: the atom of each neighbour.
        n: number of neighbours, 1 to NEIGHBOURS.
        n_features: number of features, 1 or more.
    """
    arrays = (out, scalar, vector, features, index)
    number = types.intp
    signature = types.void(
        out, number, scalar, number, vector, number, features, number, number,
        index, number, number, number, number,
    )  # fmt: skip

    def codegen(context, builder, sig, a):
        places = ((0, 1), (2, 3), (4, 5), (6, 7), (9, 10))
        to_out, of_scalar, of_vector, of_features, of_index = _pointers(
            context, builder, arrays, a, places
        )
        row, n, n_features, width = a[8], a[11], a[12], a[13]
        code = VectorCode(builder, out)

        def emit(neighbours: int) -> None:
            cells = [(p, c) for p in range(neighbours) for c in range(_COMPONENTS)]
            atoms = [
                builder.load(code.at(of_index, (code.index(p), code.index(1))))
                for p in range(neighbours)
            ]
            rows = [code.at(of_features, (atom, row)) for atom in atoms]
            targets = [code.at(to_out, (code.index(4 * p + c), width)) for p, c in cells]

            def step(f: Any, sums: list[Any]) -> list[Any]:
                parts = [code.load(code.at(of_scalar, (f, width)))]
                at_f = code.at(of_vector, (f, builder.mul(width, code.index(3))))
                parts += [code.load(code.at(at_f, (code.index(c), width))) for c in range(3)]
                values = [code.load(code.at(place, (f, width))) for place in rows]
                return [
                    code.fma(parts[c], values[p], s) for (p, c), s in zip(cells, sums, strict=True)
                ]

            old = [code.load(target) for target in targets]
            for value, target in zip(
                code.loop(code.index(0), n_features, old, step), targets, strict=True
            ):
                code.store(value, target)

        switched(builder, n, NEIGHBOURS, emit)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def differentiate_features(
    typingctx, out, out_start, scalar, scalar_start, vector, vector_start, row,
    basis, basis_start, index, index_start, count, n, width,
):  # fmt: skip
    """Add the derivatives with respect to n features of an atom, through its neighbours' sums.

    The basis is that of the atom's own neighbours. For the sums of a neighbour, the vectors have
    the opposite direction.

    Args:
        out: derivatives, added to, (feature, width).
        scalar: derivatives by the scalar sums of all atoms, (feature, width), ``row`` elements from
            one atom to the next.
        vector: derivatives by the vector sums, (feature, 3, width), with three times this stride.
        basis: (neighbour, 4, width).
        index: the atom of each neighbour.
        count: number of neighbours, 1 or more.
        n: number of features, 1 to GATHERED.
    """
    arrays = (out, scalar, vector, basis, index)
    number = types.intp
    signature = types.void(
        out, number, scalar, number, vector, number, number, basis, number,
        index, number, number, number, number,
    )  # fmt: skip

    def codegen(context, builder, sig, a):
        places = ((0, 1), (2, 3), (4, 5), (7, 8), (9, 10))
        to_out, of_scalar, of_vector, of_basis, of_index = _pointers(
            context, builder, arrays, a, places
        )
        row, count, n, width = a[6], a[11], a[12], a[13]
        code = VectorCode(builder, out)

        def emit(features: int) -> None:
            targets = [code.at(to_out, (code.index(f), width)) for f in range(features)]

            def step(p: Any, sums: list[Any]) -> list[Any]:
                atom = builder.load(builder.gep(of_index, [p]))
                at_p = code.at(of_basis, (p, builder.mul(width, code.index(_COMPONENTS))))
                parts = [code.load(code.at(at_p, (code.index(c), width))) for c in range(4)]
                parts[1:] = [builder.fneg(part) for part in parts[1:]]
                scalars = code.at(of_scalar, (atom, row))
                vectors = code.at(of_vector, (atom, builder.mul(row, code.index(3))))
                new = []
                for f, total in enumerate(sums):
                    value = code.load(code.at(scalars, (code.index(f), width)))
                    total = code.fma(parts[0], value, total)
                    for c in range(3):
                        value = code.load(code.at(vectors, (code.index(3 * f + c), width)))
                        total = code.fma(parts[c + 1], value, total)
                    new.append(total)
                return new

            old = [code.load(target) for target in targets]
            for value, target in zip(
                code.loop(code.index(0), count, old, step), targets, strict=True
            ):
                code.store(value, target)

        switched(builder, n, GATHERED, emit)
        return context.get_dummy_value()

    return signature, codegen


def _pointers(
    context: Any, builder: Any, kinds: Any, arguments: Any, places: Any
) -> list[ir.Value]:
    return [
        pointer_to(context, builder, kind, arguments[array], arguments[start])
        for kind, (array, start) in zip(kinds, places, strict=True)
    ]
