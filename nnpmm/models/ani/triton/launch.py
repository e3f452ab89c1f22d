"""A kernel with its arguments, and a sequence of them as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Launch", "Replay"]


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


class Replay:
    """Runs the same work over and over: on a GPU captured once as a CUDA graph.

    Args:
        steps: what is done, in turn; it reads and writes the same memory each time and does not
            wait for the device.
        capture: whether to capture it.
    """

    def __init__(self, steps: Sequence[Callable[[], object]], *, capture: bool) -> None:
        self._steps = steps
        self._capture = capture
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Do the work on the current stream."""
        if not self._capture:
            self._work()
            return
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def _work(self) -> None:
        for step in self._steps:
            step()

    def _captured(self) -> torch.cuda.CUDAGraph:
        # Compiling and loading kernels cannot be captured: the first run does that. Both run on a
        # stream of their own, which waits for what the current one has already written.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # What other threads do with the GPU meanwhile, OpenMM's for example, is no part of it.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._work()
        return graph
