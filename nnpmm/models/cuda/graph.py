"""A sequence of steps, on a GPU as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

__all__ = ["Replay"]


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
