"""What is captured as a CUDA graph, and when; torch's own calls are played, so no GPU is needed."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest
import torch

from nnpmm.models.cuda.graph import Replay


class Stream:
    def wait_stream(self, other):
        pass

    def synchronize(self):
        pass


class Graph:
    """Does on replay what was done while it was captured, as a CUDA graph does."""

    capturing: list | None = None

    def replay(self):
        for step in self.steps:
            step()


@contextmanager
def captured(graph, *, stream, capture_error_mode):
    assert capture_error_mode == "thread_local"  # other threads use the GPU meanwhile
    Graph.capturing = graph.steps = []
    yield
    Graph.capturing = None


@pytest.fixture
def played(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", captured)


@pytest.mark.parametrize("capture", [True, False])
def test_python_code_runs_only_until_the_graph_is_captured(played, capture):
    """Once to compile and once to be captured; after that the graph alone does the work."""
    numbers, calls = [0], []

    def add():
        numbers[0] += 1

    def step():
        calls.append(Graph.capturing is not None)
        if Graph.capturing is None:
            add()
        else:
            Graph.capturing.append(add)

    replay = Replay([step, step], capture=capture)
    for _ in range(3):
        replay()
    if capture:
        assert calls == [False, False, True, True]
        assert numbers[0] == 2 + 3 * 2  # the first run, which compiles, is not a result
    else:
        assert calls == [False] * 6
        assert numbers[0] == 6
