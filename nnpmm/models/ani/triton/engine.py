"""Evaluate a batch of geometries of one molecule, or one large region, in static memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.models.ani.triton.availability import interpreted
from nnpmm.models.ani.triton.constants import (
    Blocks,
    Constants,
    choose_blocks,
    compile_constants,
)
from nnpmm.models.ani.triton.launch import Launch, prepare_launch
from nnpmm.models.ani.triton.memory import (
    Model,
    allocate_buffers,
    allocate_cells,
    allocate_rows,
    build_tables,
)
from nnpmm.models.ani.triton.neighbours import assign_cells
from nnpmm.models.ani.triton.networks import first_backward, first_forward, hidden_layers
from nnpmm.models.ani.triton.reduction import gather_results
from nnpmm.models.ani.triton.symmetry import environment_backward, environment_forward
from nnpmm.models.cuda.graph import Replay

__all__ = ["LARGEST_WITHOUT_CELLS", "Engine", "network_launches"]

#: Regions of up to this many atoms need no cell list: computing all distances between 4,096 atoms
#: takes a small part of the time of their networks.
LARGEST_WITHOUT_CELLS = 4096

_OPTIONS = {"num_warps": 4}  # for the kernels of the symmetry functions and the results
_HIDDEN_REGISTERS = 224


class Engine:
    """Evaluates a fixed number of geometries of one molecule.

    A run reads ``buffers.inputs`` and writes ``buffers.outputs``, which are never reallocated.

    Args:
        model: the model.
        species: index of each atom's element among those of the model, (n,).
        geometries: number of geometries that are evaluated together.
    """

    def __init__(self, model: Model, species: list[int], geometries: int = 1) -> None:
        self.n_atoms, self.geometries = len(species), geometries
        self.n_rows = self.n_atoms * geometries
        members = len(model.parameters.members)
        self.blocks = choose_blocks(self.n_rows, model.double, interpreted())
        self.constants = compile_constants(
            model.parameters, model.networks, self.n_atoms, self.blocks, model.double
        )
        self.buffers = allocate_buffers(self.n_rows, geometries, members, model.device)
        self.tables = build_tables(model, species, geometries, self.blocks)
        self.rows = allocate_rows(self.constants, self.n_rows, model)
        self.searches_cells = self.n_atoms > LARGEST_WITHOUT_CELLS
        self._n_cells, self._cells = (
            allocate_cells(self.n_atoms, model.device) if self.searches_cells else (0, {})
        )
        self._on_gpu = on_gpu = model.device.startswith("cuda")
        inputs, outputs = self._host = [
            torch.zeros(len(buffer), dtype=torch.float64, pin_memory=on_gpu)
            for buffer in (self.buffers.inputs, self.buffers.outputs)
        ]
        # The steps must not refer to this object: without a reference cycle, its memory is freed as
        # soon as the last reference to it is gone.
        upload = partial(self.buffers.inputs.copy_, inputs, non_blocking=True)
        download = partial(outputs.copy_, self.buffers.outputs, non_blocking=True)
        # A large region needs no graph: the overhead of its launches is negligible.
        capture = on_gpu and not self.searches_cells
        steps = {periodic: self.steps(periodic=periodic) for periodic in (False, True)}
        self._on_device = {p: Replay(steps[p], capture=capture) for p in steps}
        self._from_host = {p: Replay([upload, *steps[p], download], capture=capture) for p in steps}

    def run(self, *, periodic: bool) -> None:
        """Evaluate the input buffer on the device, without waiting for the result."""
        self._on_device[periodic]()

    def run_from_host(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Copy positions and box to the device, evaluate, copy the results back, and wait.

        Args:
            positions: (k n, 3) or (k, n, 3), nm.
            box: (3, 3), nm, or None.

        Returns:
            Forces (k n, 3) and results (k, 3 + m) as numpy arrays that the next run overwrites.
        """
        inputs, outputs = (buffer.numpy() for buffer in self._host)
        inputs[:-9] = positions.ravel()
        if box is not None:
            inputs[-9:] = box.ravel()
        self._from_host[box is not None]()
        if self._on_gpu:
            torch.cuda.current_stream().synchronize()
        n = 3 * self.n_rows
        return outputs[:n].reshape(-1, 3), outputs[n:].reshape(self.geometries, -1)

    def steps(self, *, periodic: bool) -> list[Callable[[], object]]:
        """Return the launches of one evaluation, in order."""
        n, c = self.n_rows, self.constants
        steps: list[Callable[[], object]] = [
            self._launch(environment_forward, (n,), PERIODIC=periodic, CELLS=self.searches_cells),
            *network_launches(self._launch, self.tables, c, self.blocks),
            self._launch(environment_backward, (n,)),
            self._launch(gather_results, (n + self.geometries,)),
        ]
        if self.searches_cells:
            grid = (-(-n // c.search.value),)
            assign = self._launch(assign_cells, grid, PERIODIC=periodic)
            steps = [assign, partial(_sort_cells, self._cells), *steps]
        return steps

    def _launch(
        self,
        kernel: Any,
        grid: tuple[int, ...],
        options: Mapping[str, int] = _OPTIONS,
        **flags: bool,
    ) -> Launch:
        available: dict[str, Tensor | int] = {
            **self.tables,
            **self.rows,
            **self._cells,
            "positions": self.buffers.positions,
            "box": self.buffers.box,
            "forces": self.buffers.forces,
            "results": self.buffers.results,
            "n_rows": self.n_rows,
            "n_atoms": self.n_atoms,
            "cells": self._n_cells,
        }
        if not self.searches_cells:  # placeholders, which the kernel does not read
            available |= {"sorted_atoms": self.tables["rows"], "cell_starts": self.tables["rows"]}
        return prepare_launch(kernel, grid, available, {"M": self.constants, **flags}, options)


def network_launches(
    launch: Callable[..., Launch],
    tables: Mapping[str, Tensor],
    constants: Constants,
    blocks: Blocks,
) -> list[Launch]:
    """Return the launches of all members' networks, forward and backward, in order.

    Args:
        launch: creates a launch from a kernel, its grid and the compiler's options.
        tables: result of `memory.build_tables`.
        constants: compile-time constants of the kernels.
        blocks: block sizes.
    """
    tiles, members = len(tables["tiles"]), constants.members.value
    columns = -(-constants.aev_padded.value // constants.first_columns.value)
    first = {"num_warps": blocks.first_warps}
    # Without this bound, ptxas may choose 128 registers and spill a few bytes.
    hidden = {"num_warps": blocks.warps, "maxnreg": _HIDDEN_REGISTERS}
    return [
        launch(first_forward, (len(tables["blocks"]), members), first),
        launch(hidden_layers, (tiles, members), hidden),
        launch(first_backward, (tiles, columns, constants.groups.value), first),
    ]


def _sort_cells(cells: Mapping[str, Tensor]) -> None:
    """Sort the atoms by cell; within a cell they keep the caller's order."""
    keys, atoms = torch.sort(cells["keys"], stable=True)
    cells["sorted_atoms"].copy_(atoms)
    torch.searchsorted(keys, cells["cell_numbers"], out_int32=True, out=cells["cell_starts"])
