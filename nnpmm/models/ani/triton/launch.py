"""A kernel with its grid and arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Launch", "prepare_launch"]


@dataclass(frozen=True)
class Launch:
    """A kernel that is ready to run: its arguments never change.

    Args:
        kernel: a function decorated with `triton.jit`.
        grid: number of programs along each axis.
        arguments: tensors and integers by name, in the order of the kernel's signature.
        constants: compile-time arguments by name.
        options: compiler options (``num_warps``, ``maxnreg``).
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: Mapping[str, Tensor | int]
    constants: Mapping[str, Any]
    options: Mapping[str, int]

    def __call__(self) -> None:
        """Launch the kernel on the current stream."""
        self.kernel[self.grid](**self.arguments, **self.constants, **self.options)


def prepare_launch(
    kernel: Any,
    grid: tuple[int, ...],
    available: Mapping[str, Tensor | int],
    constants: Mapping[str, Any],
    options: Mapping[str, int],
) -> Launch:
    """Return a launch with those of the available arguments that the kernel has."""
    arguments = {name: available[name] for name in kernel.arg_names if name in available}
    return Launch(kernel, grid, arguments, constants, options)
