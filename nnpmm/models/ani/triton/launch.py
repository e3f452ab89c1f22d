"""A kernel with its arguments."""

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
        kernel: a function under `triton.jit`.
        grid: numbers of programs.
        arguments: tensors and integers by name, in the order of the kernel's signature.
        constants: compile-time arguments by name.
        options: of the compiler: warps of each program, and most registers of a thread.
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
    known: Mapping[str, Tensor | int],
    constants: Mapping[str, Any],
    options: Mapping[str, int],
) -> Launch:
    """Return a launch with those of the known arguments that a kernel takes."""
    arguments = {name: known[name] for name in kernel.arg_names if name in known}
    return Launch(kernel, grid, arguments, constants, options)
