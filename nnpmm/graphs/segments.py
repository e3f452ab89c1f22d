"""Sums, means and extremes over groups of rows: neighbours of an atom, atoms of a molecule."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["extremes", "means", "sums"]


def sums(values: Tensor, owner: Tensor, owners: int) -> Tensor:
    """Return the sum over the rows of each owner, (owners, width); 0 where it has none.

    Args:
        values: (rows, width).
        owner: (rows,) owner of each row.
        owners: number of owners.
    """
    return values.new_zeros(owners, values.shape[1]).index_add(0, owner, values)


def means(values: Tensor, owner: Tensor, owners: int) -> Tensor:
    """Return the mean over the rows of each owner, (owners, width); arguments as in `sums`."""
    counts = torch.bincount(owner, minlength=owners).clamp(min=1).to(values.dtype)
    return sums(values, owner, owners) / counts[:, None]


def extremes(values: Tensor, owner: Tensor, owners: int) -> tuple[Tensor, Tensor]:
    """Return the largest and the smallest value of each owner, both (owners, width).

    0 where an owner has no rows; arguments as in `sums`.
    """
    index = owner[:, None].expand_as(values)
    empty = values.new_zeros(owners, values.shape[1])
    return (
        empty.scatter_reduce(0, index, values, "amax", include_self=False),
        empty.scatter_reduce(0, index, values, "amin", include_self=False),
    )
